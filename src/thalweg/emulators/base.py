"""The contract of emulators: from the predictions of a few anchors to draws of what further
retrainings would predict.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from thalweg.emulators.observations import Observations
from thalweg.errors import InputError, whole
from thalweg.outputs import Outputs
from thalweg.predictions import Predictions
from thalweg.registry import Registry

if TYPE_CHECKING:
    from thalweg.emulators.level import Level

Ask = Callable[[Observations, int, int], Predictions]


class Emulator(ABC):
    """Learns from what one or more networks know of unlabelled calibration inputs what one more
    retraining would predict.

    Subclasses are frozen dataclasses whose fields all have defaults. One file each, registered by
    `@register_emulator("name")`.
    """

    least_members: ClassVar[int] = 2
    """How many networks it needs at least."""

    takes: ClassVar[type[Outputs]] = Outputs
    """What predictions must be of."""

    family: ClassVar[str] = "emulator"
    """How reports draw it: a key of `thalweg.report.families.LOOKS`."""

    uses_proxies: ClassVar[bool] = False
    """Whether it looks at proxies beside the anchors."""

    uses_sensitivity: ClassVar[bool] = False
    """Whether it asks how far the first anchor's probabilities move if its weights do
    (`thalweg.sensitivity`).
    """

    uses_averages: ClassVar[bool] = False
    """Whether it makes something of networks' mean predictions over random changes of inputs
    (`thalweg.averaging`).
    """

    @property
    def uses_features(self) -> bool:
        """Whether it looks at features of inputs."""
        return False

    def without_features(self) -> "Emulator":
        """The same, looking at predictions alone, where features of inputs can't be had; itself
        where it has no such setting.
        """
        return self

    def check_takes(self, outputs: Outputs) -> None:
        """Checks that it can learn from predictions of such outputs.

        Raises:
            InputError: It can't.
        """
        if not isinstance(outputs, self.takes):
            raise InputError(
                f"{type(self).__name__} got predictions of {type(outputs).__name__}, and learns "
                f"from {self.takes.__name__.lower()} only: take the forest or the neighbours"
            )

    @abstractmethod
    def emulate(
        self,
        calibration: Observations | Predictions,
        asked: Observations | Predictions,
        *,
        draws: int,
        seed: int,
    ) -> Predictions:
        """Draws predictions of further retrainings.

        Args:
            calibration: What the networks know of calibration inputs; predictions `[anchors,
                calibration inputs, columns]` are those of anchors.
            asked: What the same networks know of the inputs that are asked about, in the same form.
            draws: How many draws to make.
            seed: Seed of the draws.

        Returns:
            `[draws, inputs, columns]`, with `u` where the emulator knows it better than from the
            draws' spread.

        Raises:
            InputError: Too few networks, or calibration and asked inputs do not fit each other.
        """

    def learned(self, known: Observations, seed: int) -> Ask:
        """Learns from calibration inputs, to be asked about others any number of times.

        Args:
            known: What the networks know of calibration inputs.
            seed: Seed of what is random in learning.

        Returns:
            From what they know of other inputs, how many draws and their seed, to predictions.

        Raises:
            InputError: There are too few networks.
        """
        return lambda asked, draws, seed: self.emulate(known, asked, draws=draws, seed=seed)

    def level(self, known: Observations) -> "Level | None":
        """The mean of u over calibration inputs with its interval, where the emulator knows one.

        Args:
            known: What the networks know of calibration inputs.
        """
        return None

    def emulate_parts(
        self,
        calibration: Observations | Predictions,
        parts: Mapping[str, Observations | Predictions],
        *,
        draws: int,
        seed: int,
    ) -> dict[str, Predictions]:
        """The same for several sets of inputs by name; it learns once."""
        known, asked = (
            Observations.of(calibration),
            {name: Observations.of(observed) for name, observed in parts.items()},
        )
        for observed in asked.values():
            check_fit(self, known, observed, draws)
        ask = self.learned(known, seed)
        return {name: ask(observed, draws, seed) for name, observed in asked.items()}


class Learner(Emulator):
    """An emulator that learns once from calibration inputs, and is then asked about any number of
    others.
    """

    uses_proxies = True

    @abstractmethod
    def learn(self, known: Observations, seed: int) -> Ask:
        """What was learned: from evidence on other inputs, how many draws and their seed, to
        predictions.
        """

    def learned(self, known: Observations, seed: int) -> Ask:
        if known.members < self.least_members:
            raise InputError(
                f"{type(self).__name__} got {known.members} anchor, needs {self.least_members} "
                "or more, or proxies beside it: their differences are all it learns from"
            )
        return self.learn(known, seed)

    def emulate(
        self,
        calibration: Observations | Predictions,
        asked: Observations | Predictions,
        *,
        draws: int,
        seed: int,
    ) -> Predictions:
        return self.emulate_parts(calibration, {"asked": asked}, draws=draws, seed=seed)["asked"]


_registry = Registry[Emulator]("emulator", "thalweg.emulators")
register_emulator, emulators, find_emulator = _registry.register, _registry.all, _registry.find


def check_fit(
    emulator: Emulator, calibration: Observations, asked: Observations, draws: int
) -> None:
    """Checks that evidence on two sets of inputs comes from the same networks, is what the emulator
    takes, and that draws are asked for.

    Raises:
        InputError: They differ in networks, outputs or features, the emulator can't learn from
            such outputs, or draws is no whole number of 1 or more.
    """
    whole("draws", draws, 1)
    emulator.check_takes(calibration.outputs)
    if calibration.outputs != asked.outputs:
        raise InputError(
            f"calibration predictions are of {calibration.outputs}, those asked about of "
            f"{asked.outputs}: give the same networks' predictions on both"
        )
    shapes = [f"[{e.anchors.members}, inputs, {e.columns}]" for e in (calibration, asked)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"calibration predictions are {shapes[0]}, those asked about {shapes[1]}: give the "
            "same anchors' predictions on both"
        )
    if calibration.members != asked.members or calibration.width_ratio != asked.width_ratio:
        raise InputError(
            f"calibration has {calibration.members} networks of width ratio "
            f"{calibration.width_ratio:g}, those asked about are {asked.members} of width ratio "
            f"{asked.width_ratio:g}: give the same proxies' predictions on both"
        )
    widths = [None if e.features is None else e.features.shape[2] for e in (calibration, asked)]
    if widths[0] != widths[1]:
        raise InputError(
            f"calibration inputs have {widths[0]} features, those asked about {widths[1]}: give "
            "the same on both"
        )
