"""Method: how networks are found, and what is made of their predictions, as a value.

It is explorer (or baseline) x repeats x narrow copies x emulator.

`thalweg.computing` computes one; `quantify` and each row of a study are calls of that.
"""

from dataclasses import dataclass

from thalweg.averaging import Averaging
from thalweg.baselines.base import Baseline
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.emulators.base import Emulator
from thalweg.errors import InputError, whole
from thalweg.explorers._parts.copies import independent, reseeded
from thalweg.explorers.base import Explorer
from thalweg.meter import Cost
from thalweg.narrow.training import MakeNetwork, NarrowCopies
from thalweg.outputs import Outputs
from thalweg.predicting import sample
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members, WeightDistribution


@dataclass(frozen=True)
class Trained:
    """The networks of a method on a problem, ready to predict.

    Attributes:
        problem: The problem, in which all work is metered.
        predicting: The problem to predict with; a baseline may have another network.
        distribution: What was found.
        members: All networks of it, or as many as were drawn.
        narrow: Narrow copies beside them, or None.
        cost: What they cost.
        one_training: Whether all members come of one training.
    """

    problem: Problem
    predicting: Problem
    distribution: WeightDistribution
    members: Members
    narrow: NarrowCopies | None
    cost: Cost
    one_training: bool = False

    @property
    def networks(self) -> int:
        """How many networks there are, narrow copies among them."""
        beside = 0 if self.narrow is None else len(self.narrow.members.points)
        return len(self.members.points) + beside

    @property
    def path(self) -> int:
        """As in `Observations`, of the members."""
        return len(self.members.points) if self.one_training else 1

    @property
    def metered_together(self) -> bool:
        """Whether predictions are metered in the problem."""
        return self.predicting.meter is self.problem.meter


@dataclass(frozen=True)
class Method:
    """A way to say what retraining would change; `thalweg.compute` computes it.

    Attributes:
        explorer: What finds networks, with its settings: an explorer, or a baseline that others
            offer.
        repeat: How many independent explorations are put together, each with seeds and anchors of
            its own.
        narrow: The narrow copies that are trained beside the explorer's networks; None for none.
        emulator: What learns from the networks and draws retrainings; None where the predictions
            are the networks' own.
        averages: How many random changes of each input, as the recipe's augmentation makes them,
            each network's predictions are averaged over for the emulator; 0 for none.

    Raises:
        InputError: The parts do not fit each other.

    Example:
        >>> from thalweg.emulators.forest import Forest
        >>> from thalweg.explorers.deep_ensemble import DeepEnsemble
        >>> method = Method(DeepEnsemble(members=1), narrow=NarrowEnsemble(), emulator=Forest())
        >>> method.anchors, method.trainings, method.family, method.is_retraining
        (1, 2.0, 'emulator', False)
        >>> Method(DeepEnsemble(members=2), repeat=3).trainings
        6.0
        >>> Method(DeepEnsemble(members=1), emulator=Forest())
        Traceback (most recent call last):
        ...
        thalweg.errors.InputError: Forest learns from the differences of 2 networks or more, and \
DeepEnsemble gives 1: give it more members, repeat it, or train narrow copies beside it
    """

    explorer: Explorer | Baseline
    repeat: int = 1
    narrow: NarrowEnsemble | None = None
    emulator: Emulator | None = None
    averages: int = 0

    def __post_init__(self) -> None:
        whole("repeat", self.repeat, 1)
        whole("averages", self.averages, 0)
        explorer, emulator = type(self.explorer).__name__, type(self.emulator).__name__
        if self.one_by_one and not self.explorer.own_network:
            raise InputError(
                f"{explorer} trains another network than the problem's, which narrow copies "
                "(proxies) and emulators that look at features need: give an explorer"
            )
        self._check_averages()
        if self.emulator is None:
            return
        if self.narrow is not None and not self.emulator.uses_proxies:
            raise InputError(
                f"{emulator} learns from full trainings only, and would make nothing of narrow "
                "copies (proxies): leave them out, or take an emulator such as Forest"
            )
        least = self.emulator.least_members
        if self.narrow is None and self.size is not None and self.size < least:
            raise InputError(
                f"{emulator} learns from the differences of {least} networks or more, and "
                f"{explorer} gives {self.size}: give it more members, repeat it, or train narrow "
                "copies beside it"
            )

    def _check_averages(self) -> None:
        if not self.averages or (self.emulator is not None and self.emulator.uses_averages):
            return
        there = " and no emulator, which makes something of them"
        if self.emulator is not None:
            there = f", and {type(self.emulator).__name__} makes nothing of them"
        raise InputError(
            f"averages got {self.averages}{there}: take an emulator such as Atlas, or averages=0"
        )

    @property
    def anchors(self) -> int:
        """How many of the problem's own anchors it starts from."""
        return self.explorer.anchors

    @property
    def size(self) -> int | None:
        """How many networks its explorations give; None where they give distributions to draw from,
        or where that is not known before.
        """
        return None if self.explorer.size is None else self.repeat * self.explorer.size

    @property
    def trainings(self) -> float:
        """What it will cost, in trainings; the meter says what it did cost."""
        beside = 0.0 if self.narrow is None else self.narrow.trainings
        return self.repeat * self.explorer.trainings + beside

    @property
    def uses_features(self) -> bool:
        """Whether its emulator looks at features of the inputs."""
        return self.emulator is not None and self.emulator.uses_features

    @property
    def uses_sensitivity(self) -> bool:
        """Whether its emulator asks how far a network's predictions move if its weights do."""
        return self.emulator is not None and self.emulator.uses_sensitivity

    @property
    def one_by_one(self) -> bool:
        """Whether inputs are shown to one network after the other (`thalweg.observing`): where
        there are narrow copies, or features.
        """
        return self.narrow is not None or self.uses_features

    @property
    def is_retraining(self) -> bool:
        """Whether what it predicts is what the problem's anchors predict, and nothing else."""
        return self.explorer.retrainings and self.emulator is None and self.narrow is None

    @property
    def family(self) -> str:
        """How reports draw it, a key of `thalweg.report.families.LOOKS`: as its emulator says, else
        as its explorer. Retrainings with narrow copies among them are no retrainings.
        """
        if self.emulator is not None:
            return self.emulator.family
        if self.explorer.retrainings and self.narrow is not None:
            return self.narrow.family
        return self.explorer.family

    def check_outputs(self, outputs: Outputs) -> None:
        """Checks that the emulator can learn from predictions of such outputs.

        Raises:
            InputError: It can't.
        """
        if self.emulator is not None:
            self.emulator.check_takes(outputs)

    def averaging(self, problem: Problem, seed: int) -> Averaging | None:
        """The random changes of inputs that predictions are averaged over; None for none.

        Args:
            problem: Its recipe makes the changes.
            seed: Seed of the changes.

        Raises:
            InputError: Its recipe makes none.
        """
        return Averaging.of(problem, self.averages, seed) if self.averages else None

    def explore(self, problem: Problem) -> tuple[Problem, WeightDistribution]:
        """Explores, as often as it is repeated; all work is metered in the problem.

        Returns:
            The problem to predict with (a baseline may have another network), and what was found.
        """
        if self.repeat == 1:
            return self.explorer.run(problem)
        return independent(self.repeat, lambda k: self.explorer.run(reseeded(problem, k)))

    def train(
        self,
        problem: Problem,
        *,
        draws: int = 30,
        seed: int = 0,
        narrow_model: MakeNetwork | None = None,
    ) -> Trained:
        """Explores and trains narrow copies, or takes what is kept of both.

        Args:
            problem: Network, training set and recipe; all work is metered in it.
            draws: How many networks to draw where a distribution is found.
            seed: Seed of the draws.
            narrow_model: Makes a narrow network, where it can't be made from the graph of the whole
                one.

        Raises:
            InputError: The network can't be narrowed, the explorer can't cope with it, the emulator
                can't with its outputs, or the recipe has no random changes to average over.
            Diverged: The loss of a training became infinite.
        """
        self.check_outputs(problem.outputs)
        self.averaging(problem, seed)  # says so where there is none
        with problem.measured() as spent:
            predicting, distribution = self.explore(problem)
            count = distribution.size or draws
            members = Members(tuple(sample(predicting, distribution, count, seed=seed)))
            narrow = None if self.narrow is None else self.narrow.copies(problem, narrow_model)
        alone = self.explorer.one_training and self.repeat == 1
        return Trained(problem, predicting, distribution, members, narrow, spent.cost, alone)
