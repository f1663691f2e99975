"""Observations: all that emulators may look at, what a few networks know of some inputs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import InputError, check_range, whole
from thalweg.outputs import Outputs
from thalweg.predictions import Predictions
from thalweg.sensitivity import Sensitivity


@dataclass(frozen=True)
class Observations:
    """What anchors, and cheaper networks beside them, know of some inputs.

    Attributes:
        anchors: Predictions of full trainings `[anchors, inputs, classes]`.
        proxies: Predictions of networks like them with fewer hidden channels `[proxies, inputs,
            classes]`, or None.
        width_ratio: Hidden channels of a proxy over those of an anchor.
        features: What each network knows of the inputs beside its prediction (`thalweg.features`),
            anchors first `[anchors + proxies, inputs, features]`, or None.
        learned: The numbers of the proxies among the narrow copies that were trained, without those
            that did not learn the task; None if all did.
        averaged: What is stored of each network's mean prediction over inputs that were changed as
            the recipe changes training inputs `[anchors + proxies, inputs, columns]`, or None.
        sensitivity: How far the first anchor's predictions move if its weights do, or None.
        path: How many anchors, the first ones, come of one training, as points along its path; 1
            where each is a training of its own, as all further ones are.
    """

    anchors: Predictions
    proxies: Predictions | None = None
    width_ratio: float = 1.0
    features: Tensor | None = None
    learned: tuple[int, ...] | None = None
    averaged: Tensor | None = None
    sensitivity: Sensitivity | None = None
    path: int = 1

    def __post_init__(self) -> None:
        check_range("observations.width_ratio", self.width_ratio, 1e-9, 1)
        whole("observations.path", self.path, 1)
        check_range("observations.path", self.path, 1, self.anchors.members)
        if self.proxies is not None and self.proxies.outputs != self.anchors.outputs:
            raise InputError(
                f"evidence got proxies' predictions of {self.proxies.outputs} beside anchors' of "
                f"{self.anchors.outputs}: give both of the same"
            )
        if (
            self.proxies is not None
            and self.proxies.stored.shape[1:] != self.anchors.stored.shape[1:]
        ):
            raise InputError(
                "evidence got proxies' predictions of shape "
                f"{tuple(self.proxies.stored.shape)} beside anchors' of "
                f"{tuple(self.anchors.stored.shape)}: give both on the same inputs"
            )
        if self.features is not None and self.features.shape[:2] != self.stored.shape[:2]:
            raise InputError(
                f"evidence got features of shape {tuple(self.features.shape)}, needs "
                f"[{self.members}, {self.inputs}, features]: of every network, anchors first"
            )
        if self.averaged is not None and self.averaged.shape != self.stored.shape:
            raise InputError(
                f"evidence got averaged predictions of shape {tuple(self.averaged.shape)}, needs "
                f"{tuple(self.stored.shape)}: of every network, anchors first"
            )

    @staticmethod
    def of(given: "Observations | Predictions") -> "Observations":
        """Observations as it is; predictions are those of anchors."""
        return given if isinstance(given, Observations) else Observations(given)

    @property
    def stored(self) -> Tensor:
        """What is stored of the predictions of all networks, anchors first `[members, inputs,
        columns]`: log-probabilities, or values.
        """
        if self.proxies is None:
            return self.anchors.stored
        return torch.cat([self.anchors.stored, self.proxies.stored])

    @property
    def log_probs(self) -> Tensor:
        """The same of classes.

        Raises:
            InputError: They are predictions of values.
        """
        if self.proxies is None:
            return self.anchors.log_probs
        return torch.cat([self.anchors.log_probs, self.proxies.log_probs])

    @property
    def outputs(self) -> Outputs:
        """What they are predictions of."""
        return self.anchors.outputs

    @property
    def members(self) -> int:
        """Anchors and proxies."""
        return self.anchors.members + (0 if self.proxies is None else self.proxies.members)

    @property
    def inputs(self) -> int:
        return self.anchors.inputs

    @property
    def columns(self) -> int:
        """Numbers that are predicted of an input: classes, or outputs."""
        return self.anchors.columns
