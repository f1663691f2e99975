"""Looking first: what `quantify` was asked for, and all of it that can be tried before anything is
trained.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from thalweg.averaging import Averaging
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.emulators.atlas import Atlas
from thalweg.emulators.base import Emulator
from thalweg.emulators.forest import Forest
from thalweg.errors import InputError, check_range, whole
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.features import check_layer
from thalweg.finetuning import fine_tunings, pre_trained
from thalweg.graph.narrowing import least_share
from thalweg.inputs import CheckedInputs, check_inputs
from thalweg.meter import Meter
from thalweg.method import Method
from thalweg.narrow.training import MakeNetwork, check_narrow, narrow_problem, relative_cost
from thalweg.narrow.width import WIDTH_RATIOS
from thalweg.spending import cut_problem, first_part
from thalweg.training.batches import Loader
from thalweg.training.problem import Problem
from thalweg.trees import Inputs

MOST = 100  # trainings: whoever can pay for more has retrainings enough to look at
LEAST_KNOWN = 10  # unlabelled inputs
FEW_KNOWN = 300
LARGEST = 2**31  # numbers in the draws: 16 GiB


@dataclass(frozen=True)
class Request:
    """What `quantify` was asked for, as it was given: its arguments, with their meaning there."""

    budget: float
    anchors: int
    draws: int
    seed: int
    emulator: Emulator | None
    narrow: MakeNetwork | None
    width_ratio: float | None
    layer: str | None
    averages: int = 0

    def __post_init__(self) -> None:
        whole("draws", self.draws, 1)
        whole("averages", self.averages, 0)
        whole("anchors", self.anchors, 1)
        check_range("anchors", self.anchors, 1, MOST)
        check_range("budget", self.budget, 0, MOST)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer):
            raise InputError(f"seed got {self.seed!r}, needs a whole number")
        if self.width_ratio is not None:
            check_range("width_ratio", self.width_ratio, 1e-9, 1)
        if self.budget == 0:
            self._check_nothing_narrow()
        if self.narrow is not None and self.width_ratio is None:
            raise InputError(
                "quantify got narrow and no width_ratio, needs both: give its hidden channels "
                "over those of the network"
            )
        if self.emulator is not None:
            self._check_emulator(self.emulator)
        if self.layer is not None and not isinstance(self.layer, str):
            raise InputError(
                f"layer got a {type(self.layer).__name__}, needs the name of a layer of the network"
            )

    def _check_nothing_narrow(self) -> None:
        given = [name for name in ("narrow", "width_ratio") if getattr(self, name) is not None]
        if given:
            raise InputError(
                f"quantify got {' and '.join(given)} with a budget of 0, which trains no narrow "
                f"copies: leave {'them' if len(given) > 1 else 'it'} out, or give a budget, such "
                "as budget=1.0"
            )

    def _check_emulator(self, emulator: Emulator) -> None:
        if not isinstance(emulator, Emulator):
            raise InputError(
                f"emulator got {emulator!r}, needs one such as thalweg.emulators.Forest() or "
                "thalweg.emulators.Engression()"
            )
        if self.budget > 0 and not emulator.uses_proxies:
            raise InputError(
                f"quantify got {type(emulator).__name__}, which makes nothing of narrow "
                "networks: give Forest() or Engression(), or call its emulate on anchors' "
                "predictions"
            )

    @property
    def what_is_learned(self) -> str:
        """Returns what unlabelled inputs are for, in words."""
        if self.budget == 0 and self.anchors == 1:
            return "they say what is typical"
        return "u is learned from how networks differ on them"

    def emulator_for(self, problem: Problem) -> Emulator:
        """The emulator, the usual one if none was given; where there is no training set it looks at
        predictions alone.

        Raises:
            InputError: Nothing is bought, and it needs more networks than there will be.
        """
        usual = Atlas() if self.budget == 0 else Forest()
        emulator = usual if self.emulator is None else self.emulator
        least = emulator.least_members
        if self.budget == 0 and self.anchors < least:
            there = f"{self.anchors} network{'s' * (self.anchors > 1)}"
            raise InputError(
                f"quantify got {there} and a budget of 0, and {type(emulator).__name__} learns "
                f"from the differences of {least} networks or more: give more (networks= of the "
                f"problem, or anchors={least}), a budget, or an emulator that needs one, such as "
                "Atlas()"
            )
        return emulator if problem.has_loader else emulator.without_features()

    def averaging(self, problem: Problem) -> Averaging | None:
        """The random changes of inputs that predictions are averaged over; None without any.

        Raises:
            InputError: The emulator makes nothing of them, or the problem's recipe has none.
        """
        if not self.averages:
            return None
        emulator = self.emulator_for(problem)
        if not emulator.uses_averages:
            raise InputError(
                f"quantify got averages={self.averages}, and {type(emulator).__name__} makes "
                "nothing of them: give emulator=Atlas(), or averages=0"
            )
        return Averaging.of(problem, self.averages, self.seed)

    def checked_unlabelled(self, problem: Problem) -> CheckedInputs:
        """The problem's unlabelled inputs, read once.

        Raises:
            InputError: There are none or too few, or they can't be predicted on.
        """
        if problem.unlabelled is None:
            raise InputError(
                "quantify got a problem without unlabelled inputs, and needs some thousand, as "
                "networks agree on what they were trained on: give Problem(unlabelled=...), "
                "inputs that were not trained on"
            )
        known = check_inputs(
            problem,
            problem.unlabelled,
            "unlabelled",
            alike=self.emulator_for(problem).uses_features,
        )
        if known.count < LEAST_KNOWN:
            raise InputError(
                f"unlabelled got {known.count} inputs, needs {LEAST_KNOWN} or more, and better "
                f"some thousand: {self.what_is_learned}"
            )
        return known

    def checked_inputs(self, problem: Problem, inputs: Loader | Inputs) -> CheckedInputs:
        """The inputs that are asked about, read once.

        Raises:
            InputError: They can't be predicted on, or there are more draws than memory holds.
        """
        asked = check_inputs(
            problem, inputs, "inputs", alike=self.emulator_for(problem).uses_features
        )
        self.check_draws(asked.count, asked.classes)
        return asked

    def check_draws(self, inputs: int, columns: int) -> None:
        """Checks that memory holds the draws of so many inputs.

        Raises:
            InputError: It does not.
        """
        if self.draws * inputs * columns > LARGEST:
            raise InputError(
                f"quantify got {self.draws} draws of {inputs} inputs and {columns} classes, needs "
                f"{LARGEST:.0e} numbers or fewer, to hold them in memory: ask about fewer inputs "
                "at a time, or for fewer draws"
            )

    def method(self, problem: Problem) -> Method:
        """Returns what is trained first: anchors, and narrow copies of a width ratio that is
        chosen, or none where the budget is 0; with the emulator. All that will be asked of the
        networks is tried on new ones.

        Raises:
            InputError: The network can't be narrowed so far, the budget is too small, there is no
                layer whose output are the features, the emulator needs more networks, or there is
                something to train and no way to do it.
        """
        self._check_can_train(problem)
        emulator = self.emulator_for(problem)
        self.averaging(problem)  # says so where there is none
        if self.budget == 0:
            return self._looked_at(Method(DeepEnsemble(self.anchors), emulator=emulator), problem)
        stored = pre_trained(problem) if self.narrow is None else None
        if stored is not None:
            return self._without_copies(problem, stored, emulator)
        if self.narrow is None:
            self._check_narrowing(problem)
        else:
            self._check_narrow_model(problem, self.narrow)
        beside = NarrowEnsemble(budget=self.budget, width_ratio=self.width_ratio)
        method = first_part(problem, self.anchors, beside, emulator, self.narrow)
        return self._looked_at(method, problem, cut_problem(problem, method, self.narrow))

    def _check_can_train(self, problem: Problem) -> None:
        if not problem.can_train and (self.budget > 0 or self.anchors > problem.given):
            there = f"{problem.given} trained network{'s' * (problem.given > 1)}"
            raise InputError(
                f"quantify got a problem of {there} alone, which can't be trained again: give "
                f"budget=0 and anchors={problem.given} at most, or the problem's train_loader= and "
                "recipe=, or train="
            )

    def _looked_at(self, method: Method, *problems: Problem) -> Method:
        """A method, after a look for the layer of the features in the networks of some problems."""
        if method.uses_features:
            for network in problems:
                check_layer(replace(network, meter=Meter()), self.layer)
        return method

    def _without_copies(self, problem: Problem, stored: str, emulator: Emulator) -> Method:
        """Returns what the budget buys of a fine-tuned network; a warning says so."""
        why = f"'{stored}' is the same in all new networks (pre-trained?)"
        if self.width_ratio is not None:
            raise InputError(
                f"{why}, and width_ratio got {self.width_ratio:g}: pre-trained weights are never "
                "cut; leave it out, or give narrow= beside it, which makes a narrow network that "
                "is pre-trained, too"
            )
        method = fine_tunings(problem, self.anchors, self.budget, emulator)
        self._looked_at(method, problem)
        bought = (
            f"{method.anchors} trainings from these weights"
            if method.explorer.retrainings
            else "networks along cycles of the learning rate, which may be half as far apart as "
            "retrainings are: budget=1.0 buys one"
        )
        warnings.warn(
            f"{why}: there are no narrow copies of it, and u is learned from {bought} "
            "(docs/finetuning.md)",
            stacklevel=3,
        )
        return method

    def _check_narrow_model(self, problem: Problem, model: MakeNetwork) -> None:
        check_narrow(problem, model)
        ratio = self.width_ratio or 1
        cost = relative_cost(problem, narrow_problem(problem, ratio, model))
        if cost >= 1:
            raise InputError(
                f"narrow() makes a network whose training costs {cost:.3g} of a whole one's, and "
                f"width_ratio got {ratio:g}: make it narrower, and give its hidden channels over "
                "those of the network"
            )

    def _check_narrowing(self, problem: Problem) -> None:
        try:
            narrow_problem(problem, WIDTH_RATIOS[0]).build("narrow")
        except InputError as error:
            reason = str(error).split(": ")[0].split(" (")[0]
            raise InputError(
                f"quantify can't make a narrower network of this one ({reason}): give narrow=, a "
                "function that makes one, and width_ratio=, its hidden channels over those of the "
                "network; or do without: anchors=2 trained by DeepEnsemble(members=2), and their "
                "predictions given to Neighbours().emulate (docs/guide.md)"
            ) from None
        if self.width_ratio is not None and self.width_ratio < WIDTH_RATIOS[-1]:
            least = least_share(problem.build("network").cpu(), problem.example)
            # below its half, what is told would be another ratio than the one that is made
            if self.width_ratio < least / 2:
                raise InputError(
                    f"width_ratio got {self.width_ratio:g}, but each layer keeps one channel or "
                    f"more, {least:.2g} of all: give that or more"
                )


def check_problem(problem: Problem) -> None:
    """Checks that a problem is one.

    Raises:
        InputError: It is not.
    """
    if not isinstance(problem, Problem):
        raise InputError(
            f"quantify got a {type(problem).__name__}, needs a thalweg.Problem of network, "
            "training set and recipe"
        )
