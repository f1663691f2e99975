"""The contract of emulators: from the predictions of a few anchors to draws of what further retrainings would predict."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from thalweg.emulators.evidence import Evidence
from thalweg.errors import InputError, whole
from thalweg.prediction import Predictions
from thalweg.registry import Registry


class Emulator(ABC):
    """Learns from what two or more networks know of unlabelled calibration inputs what one more retraining would predict.

    Subclasses are frozen dataclasses whose fields all have defaults. One file each, registered by `@emulator("name")`.
    """

    least_members: ClassVar[int] = 2
    """How many networks it needs at least."""

    uses_features: ClassVar[bool] = False
    """Whether it looks at features of inputs."""

    uses_proxies: ClassVar[bool] = False
    """Whether it looks at proxies beside the anchors."""

    @abstractmethod
    def emulate(
        self, calibration: Evidence | Predictions, asked: Evidence | Predictions, *, draws: int, seed: int
    ) -> Predictions:
        """Draws predictions of further retrainings.

        Args:
            calibration: What the networks know of calibration inputs; predictions `[anchors, calibration inputs, classes]` are
                those of anchors.
            asked: What the same networks know of the inputs that are asked about, in the same form.
            draws: How many draws to make.
            seed: Seed of the draws.

        Returns:
            `[draws, inputs, classes]`, with `u` where the emulator knows it better than from the draws' spread.

        Raises:
            InputError: Too few networks, or calibration and asked inputs do not fit each other.
        """

    def emulate_parts(
        self, calibration: Evidence | Predictions, parts: Mapping[str, Evidence | Predictions], *, draws: int, seed: int
    ) -> dict[str, Predictions]:
        """The same for several sets of inputs by name, for emulators that learn once and are asked often."""
        return {name: self.emulate(calibration, asked, draws=draws, seed=seed) for name, asked in parts.items()}


_registry = Registry[Emulator]("emulator", "thalweg.emulators")
emulator, emulators, find_emulator = _registry.register, _registry.all, _registry.find


def check_fit(calibration: Evidence, asked: Evidence, draws: int) -> None:
    """Checks that evidence on two sets of inputs comes from the same networks, and that draws are asked for.

    Raises:
        InputError: They differ in networks, classes or features, or draws is no whole number of 1 or more.
    """
    whole("draws", draws, 1)
    shapes = [f"[{e.anchors.members}, inputs, {e.classes}]" for e in (calibration, asked)]
    if shapes[0] != shapes[1]:
        raise InputError(f"calibration predictions are {shapes[0]}, those asked about {shapes[1]}: give the same anchors' "
                         "predictions on both")
    if calibration.members != asked.members or calibration.share != asked.share:
        raise InputError(f"calibration has {calibration.members} networks of share {calibration.share:g}, those asked about are "
                         f"{asked.members} of share {asked.share:g}: give the same proxies' predictions on both")
    widths = [None if e.features is None else e.features.shape[2] for e in (calibration, asked)]
    if widths[0] != widths[1]:
        raise InputError(f"calibration inputs have {widths[0]} features, those asked about {widths[1]}: give the same on both")
