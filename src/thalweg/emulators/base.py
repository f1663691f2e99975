"""The contract of emulators: from the predictions of a few anchors to draws of what further retrainings would predict."""

from abc import ABC, abstractmethod
from typing import ClassVar

from thalweg.errors import InputError, whole
from thalweg.prediction import Predictions
from thalweg.registry import Registry


class Emulator(ABC):
    """Learns from two or more anchors' predictions on unlabelled calibration inputs what one more retraining would predict.

    Subclasses are frozen dataclasses whose fields all have defaults. One file each, registered by `@emulator("name")`.
    """

    least_members: ClassVar[int] = 2
    """How many anchors it needs at least."""

    @abstractmethod
    def emulate(self, calibration: Predictions, anchors: Predictions, *, draws: int, seed: int) -> Predictions:
        """Draws predictions of further retrainings.

        Args:
            calibration: The anchors' predictions on calibration inputs, `[anchors, calibration inputs, classes]`.
            anchors: The same anchors' predictions on the inputs that are asked about, `[anchors, inputs, classes]`.
            draws: How many draws to make.
            seed: Seed of the draws.

        Returns:
            `[draws, inputs, classes]`, with `u` where the emulator knows it better than from the draws' spread.

        Raises:
            InputError: Too few anchors, or calibration and anchors do not fit each other.
        """


_registry = Registry[Emulator]("emulator", "thalweg.emulators")
emulator, emulators, find_emulator = _registry.register, _registry.all, _registry.find


def check_fit(calibration: Predictions, anchors: Predictions, draws: int) -> None:
    """Checks that two sets of predictions come from the same anchors, and that draws are asked for.

    Raises:
        InputError: They differ in members or classes, or draws is no whole number of 1 or more.
    """
    whole("draws", draws, 1)
    if calibration.members != anchors.members or calibration.classes != anchors.classes:
        raise InputError(
            f"calibration predictions are [{calibration.members}, inputs, {calibration.classes}], those asked about "
            f"[{anchors.members}, inputs, {anchors.classes}]: give the same anchors' predictions on both"
        )
