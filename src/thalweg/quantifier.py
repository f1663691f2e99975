"""The quantifier: fitted once to a trained network, then asked about inputs as often as one likes.

The network is the anchor; the budget buys narrow copies (`baselines.narrow_ensemble`), whose width
ratio is chosen by the law of width, and full trainings, as a first part of it shows
(`thalweg.choosing`); the forest (`emulators.forest`) learns from all on unlabelled inputs. A budget
of 0 buys nothing: the atlas (`emulators.atlas`) needs the network alone. `docs/ideas.md` shows what
it is worth.
"""

import inspect
import math
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Self

from thalweg import files
from thalweg.choosing import Purchase
from thalweg.emulators.base import Emulator
from thalweg.emulators.level import Level
from thalweg.emulators.observations import Observations
from thalweg.emulators.transfer import Transfer
from thalweg.errors import InputError, unknown
from thalweg.features import can_be_held
from thalweg.fitting import Fitted
from thalweg.inputs import as_loader, checked_batches
from thalweg.looking import FEW_KNOWN, Request, check_problem
from thalweg.meter import Cost
from thalweg.method import Method
from thalweg.narrow.training import MakeNetwork, kept_in
from thalweg.places import Place
from thalweg.planning import Plan, needed, planned, trained_share
from thalweg.predictions import Predictions
from thalweg.progress import DELAY, Counter, is_terminal, shown
from thalweg.spending import spend
from thalweg.storing.fits import check_storable, read_fit, write_fit
from thalweg.storing.folder import FIT, FitFolder
from thalweg.training.batches import Loader, Transform
from thalweg.training.calling import Pick
from thalweg.training.given import Network, given_networks
from thalweg.training.naming import named, parts_of
from thalweg.training.problem import Problem
from thalweg.training.unlabelled import are_inputs, inputs_of
from thalweg.trees import Inputs, rows
from thalweg.weights.distribution import Members


class Quantifier:
    """How much a network's predictions would change if it were trained again: fitted once, asked
    often.

    It has scikit-learn's habits: settings are given when it is made, and checked by `fit`; what
    `fit` finds has names that end with `_`; `sklearn.base.clone` makes an unfitted one.

    Args:
        budget: Trainings to spend beyond the anchors, at most. Two narrow copies come first; what
            they show decides on the rest: more of them, full trainings, or nothing. With 0 nothing
            is trained beyond the anchors, and the network need not be one that can be narrowed.
        anchors: How many full trainings to start from, the given networks among them; None for
            those alone, or one where there are none.
        draws: How many retrainings `predict` draws.
        seed: Seed of what is random in learning, and of the draws.
        emulator: What learns from the networks; if None, `Forest()`, or `Atlas()` with a budget of
            0.
        narrow: Makes a narrow network, where it can't be made from the graph of the whole one;
            `width_ratio` then says how narrow.
        width_ratio: The hidden channels of a narrow copy over those of the network, above 0 and up
            to 1; chosen if None.
        layer: The layer whose output are the features, for networks that don't end with a linear
            layer.
        averages: How many random changes of each input, as the recipe's augmentation makes them,
            each network's predictions are averaged over, beside its prediction of the input as it
            is; 0 for none. They bring the estimate nearer to the mean of retrainings, where the
            emulator uses them, as `Atlas` does, and make looking and predicting (1 + averages)
            times as dear in forward passes; 8 are enough. The training set must be `Batches` with
            `augment`; no file holds that function, so `thalweg.load` of such a fit is given it.
        folder: Where networks are kept as soon as they are trained, and the fit in the end: one
            that was killed goes on from there with the same numbers, and one that was done is read.
            A folder belongs to one problem with one choice of settings. None keeps all in memory.
        progress: Whether a terminal shows what is done and how long it takes; a pipe or a log never
            does.

    Attributes:
        networks_: The whole networks that it rests on, `Members`.
        narrow_copies_: How many narrow copies it rests on: those that learned the task.
        width_ratio_: The hidden channels of a narrow copy over those of the network.
        check_: The check that narrow copies and network are alike, as they are by one recipe; None
            where no narrow copy learned the task, or none was trained.
        cost_: All that it rests on, the network's own training included, whenever that was done.
            Predictions are not in it: each evaluates every network once per input.
        level_: The mean of u over the unlabelled inputs, with its 95 % interval, as all networks
            that are there tell it, in what the task is unlike all tasks of the atlas, and whether
            the network has no gradients, which tell much of it; None with an emulator that knows
            no interval, as the forest.
        centre_error_: The squared error of the draws' centre from having few networks, in variances
            of one training: 1 over the number of networks where there are whole ones only.
        bought_: What was bought after the first part of the budget, and why (`thalweg.choosing`);
            the last of these purchases is nothing, with the reason. Empty for a fine-tuned network
            and with a budget of 0.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from thalweg.training.batches import Batches
        >>> from thalweg.training.recipe import Recipe
        >>> x = torch.randn(700, 6, generator=torch.Generator().manual_seed(0))
        >>> network = lambda: nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))
        >>> train = Batches(x[:200], x[:200, :3].argmax(1), size=20)
        >>> problem = Problem(network, train, Recipe(epochs=10), unlabelled=x[200:600])
        >>> quantifier = Quantifier(budget=1.0, draws=20).fit(problem)
        >>> quantifier.predict(x[600:]).u().shape, quantifier.narrow_copies_
        (torch.Size([100]), 2)

        Right after training, from the network alone:

        >>> at_once = Quantifier(budget=0, draws=20).fit(problem)
        >>> at_once.predict(x[600:]).u().shape, at_once.narrow_copies_, at_once.cost_.trainings
        (torch.Size([100]), 0, 1.15)
    """

    def __init__(
        self,
        *,
        budget: float = 1.0,
        anchors: int | None = None,
        draws: int = 100,
        seed: int = 0,
        emulator: Emulator | None = None,
        narrow: MakeNetwork | None = None,
        width_ratio: float | None = None,
        layer: str | None = None,
        averages: int = 0,
        folder: str | Place | None = None,
        progress: bool = True,
    ) -> None:
        self.budget = budget
        self.anchors = anchors
        self.draws = draws
        self.seed = seed
        self.emulator = emulator
        self.narrow = narrow
        self.width_ratio = width_ratio
        self.layer = layer
        self.averages = averages
        self.folder = folder
        self.progress = progress

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002  scikit-learn's
        """The settings by name; `deep` changes nothing."""
        return {name: getattr(self, name) for name in _settings()}

    def set_params(self, **settings: Any) -> Self:
        """Changes settings. Those of `fit` count at the next one, `draws` and `seed` of the draws
        at the next `predict`.

        Raises:
            InputError: There is no such setting.
        """
        for name, value in settings.items():
            if name not in _settings():
                raise unknown("setting", name, _settings())
            setattr(self, name, value)
        return self

    def fit(self, problem: Problem) -> Self:
        """Trains what the budget buys, and learns from it on the problem's unlabelled inputs.

        Args:
            problem: Network, training set and recipe. `networks` are those that are trained already
                (one is trained here if there are none), `unlabelled` are some thousand inputs like
                those that will be asked about, which were not trained on.

        Returns:
            Itself.

        Raises:
            InputError: There are no unlabelled inputs, the budget is too small, the network can't
                be narrowed, or it has no layer whose output are the features; or, with a budget of
                0, the emulator needs more networks than there are; or there is nothing to average
                over.
            Diverged: The loss of a training became infinite.
        """
        check_problem(problem)
        request = self.request(problem)
        known = request.checked_unlabelled(problem)
        method = request.method(problem)
        if known.count < FEW_KNOWN:
            warnings.warn(
                f"quantify got {known.count} unlabelled inputs: {request.what_is_learned}, and u "
                f"is rough below {FEW_KNOWN}; give some thousand",
                stacklevel=2,
            )
        folder = self._opened(problem, request)
        if folder is not None:
            if (found := self._done_before(folder, problem, request)) is not None:
                return found
            for own, count, _ in needed(method, problem, self.narrow):
                for k in range(count):
                    own.has(k)  # a cache of the problem's gives what it has
            problem = kept_in(problem, folder.store, folder.identity)
        watched = self.progress and is_terminal()
        if watched:
            _tell(planned(method, problem, self.narrow, self.layer))
        fitted: list[Fitted] = []

        def look(wanted: Method) -> Observations:
            done = trained_share(wanted, problem, self.narrow) if watched else float
            with shown("training", done, wanted=watched):
                trained = wanted.train(problem, narrow_model=self.narrow)
            asked = len(fitted[-1].witnesses) if fitted else 0
            looked = Counter(trained.networks - asked)
            with (
                nothing_lost(trained.networks),
                shown("looking at the training set", looked.share, wanted=watched),
            ):
                if fitted:
                    fitted.append(fitted[-1].grown(trained, looked.tick))
                else:
                    emulator, seed = request.emulator_for(problem), request.seed
                    first = Fitted.of(
                        trained,
                        emulator,
                        known.inputs,
                        layer=self.layer,
                        seed=seed,
                        averaging=request.averaging(problem),
                        tick=looked.tick,
                    )
                    fitted.append(first)
                    _warn_of_trained_on(first)
            return fitted[-1].known

        with problem.measured() as spent:
            bought = spend(problem, method, look, self.narrow)
            with (
                nothing_lost(len(fitted[-1].witnesses)),
                shown("learning", float, wanted=watched),
            ):
                fitted[-1].learn()
        self._take(fitted[-1], spent.cost, bought)
        if folder is not None:
            self._write(folder.folder)
        return self

    def plan(self, problem: Problem) -> Plan:
        """Returns what `fit` would train, about how long it would take, and how much memory, from a
        few steps of networks that are thrown away; nothing is trained.

        Args:
            problem: As in `fit`.

        Raises:
            InputError: As by `fit`.
        """
        check_problem(problem)
        request = self.request(problem)
        request.checked_unlabelled(problem)
        return planned(request.method(problem), problem, self.narrow, self.layer)

    def predict(self, inputs: Loader | Inputs) -> Predictions:
        """Draws what retrainings would predict: each network evaluates the inputs once, and nothing
        is trained.

        Args:
            inputs: Inputs `[inputs, ...]`, a tensor, a NumPy array, or a tuple or dictionary of
                such, or a loader in fixed order that gives batches of inputs, or of pairs whose
                first is inputs.

        Returns:
            Draws of retrainings `[draws, inputs, classes]`; `u()` is the standard uncertainty
            `[inputs]`, and `outside` says which inputs are unlike all unlabelled ones, so that u is
            a guess there. The same set of inputs in the same order gets the same draws; u and
            `outside` of an input do not hang on what else is asked.

        Raises:
            InputError: It is not fitted, the inputs can't be predicted on, or there are more draws
                than memory holds.
        """
        fitted, request = self._known(), self.request()
        example = fitted.example
        loader = as_loader(inputs, "inputs", example)
        if are_inputs(loader, example):
            request.check_draws(rows(inputs_of(loader, example)), fitted.columns)
        alike = fitted.asking.training is not None
        with closing(checked_batches(loader, "inputs", example, alike=alike)) as batches:
            return fitted.predict(batches, request.draws, request.seed)

    def update(self, network: Network) -> Self:
        """Takes in another real retraining of the same problem, as one more anchor; nothing is
        trained. It counts as one training.

        Args:
            network: A trained network of the problem's `model`, in any form that
                `Problem(networks=...)` takes.

        Returns:
            Itself: `predict` now rests on it, too.

        Raises:
            InputError: It is not fitted, or the network does not fit the model, is not finite, or
                is there already.
        """
        fitted = self._known()
        there = [own.weights for own in fitted.witnesses[: fitted.whole]]
        architecture = fitted.witnesses[0].architecture
        *_, weights = given_networks([*there, network], architecture.build("network"))
        meter = fitted.asking.meter
        with meter.measured() as spent:
            meter.charge(Cost(given=1))
            fitted = fitted.with_network(weights)
            fitted.learn()
        self._take(fitted, self.cost_.plus(spent.cost), self.bought_)
        return self

    def save(self, folder: str | Place) -> None:
        """Stores what was fitted: networks, what they said of the unlabelled inputs, and what
        asking them needs, training inputs among it where features are used. There is no code in it,
        and no pickle; every file has a checksum. `thalweg.load(folder, model=Net)` reads it; where
        predictions are averaged it needs `augment=`, too, the function of the training set.

        What the emulator learned is not stored: it learns again from the same numbers and seed at
        the first `predict`, which gives the same numbers with the same version of scikit-learn.

        Args:
            folder: The folder, which is made. What was saved there before is replaced.

        Raises:
            InputError: It is not fitted, its emulator can't be named in a file, the training set is
                too large to be stored, or the folder is that of a fit.
            DiskError: The folder can't be written to, or the disk is full.
        """
        place = files.given(folder)
        if files.exists(place / FIT):
            raise InputError(
                f"{place} is the folder of a fit, which stores itself there: give another folder"
            )
        self._write(place)

    def _write(self, place: Place) -> None:
        fitted, settings = self._known(), self.get_params()
        del settings["emulator"], settings["narrow"], settings["folder"]
        settings |= {name: int(settings[name]) for name in ("seed", "draws", "averages")}
        own = self.narrow is not None
        write_fit(place, fitted, settings, self.cost_, self.bought_, own_narrow=own)

    @classmethod
    def stored(
        cls,
        folder: Place,
        model: MakeNetwork,
        *,
        narrow: MakeNetwork | None = None,
        device: str | None = None,
        pick: Pick = None,
        augment: Transform | None = None,
    ) -> Self:
        """One that was saved; as `thalweg.load`."""
        found = read_fit(folder, model, narrow, device, pick, augment)
        made = cls(**found.settings, emulator=found.fitted.emulator, narrow=narrow)
        made._take(found.fitted, found.cost, found.bought)
        return made

    def request(self, problem: Problem | None = None) -> Request:
        """The settings, checked.

        Args:
            problem: Whose networks are the anchors where the settings say nothing of them.

        Raises:
            InputError: One is out of range, or they do not fit each other.
        """
        given = 1 if problem is None else max(1, problem.given)
        return Request(
            self.budget,
            given if self.anchors is None else self.anchors,
            self.draws,
            self.seed,
            self.emulator,
            self.narrow,
            self.width_ratio,
            self.layer,
            self.averages,
        )

    def __repr__(self) -> str:
        unlike = {
            name: value for name, value in self.get_params().items() if value != _settings()[name]
        }
        return f"Quantifier({', '.join(f'{name}={value!r}' for name, value in unlike.items())})"

    def __str__(self) -> str:
        if not hasattr(self, "_fitted"):
            return f"{self!r}: not fitted"
        return summary(
            self.narrow_copies_,
            self.width_ratio_,
            self.cost_,
            self.check_,
            self.bought_,
            self.level_,
        )

    def _known(self) -> Fitted:
        if not hasattr(self, "_fitted"):
            raise InputError(
                "this Quantifier is not fitted: call fit(problem) first, or thalweg.load a folder "
                "that one was saved in"
            )
        return self._fitted

    def _opened(self, problem: Problem, request: Request) -> FitFolder | None:
        """The folder, where there is one, which belongs to this fit."""
        if self.folder is None:
            return None
        emulator = request.emulator_for(problem)
        held = not emulator.uses_features or can_be_held(problem)
        check_storable(emulator, held=held)
        own = {"budget", "anchors", "seed", "width_ratio", "layer"}
        settings = {f"{name}=": repr(getattr(self, name)) for name in sorted(own)}
        settings["emulator="] = repr(emulator)
        if self.averages:
            settings["averages="] = repr(int(self.averages))
        if self.narrow is not None:
            settings["narrow="] = named("narrow", self.narrow)
        folder = FitFolder(files.given(self.folder), {**parts_of(problem), **settings})
        folder.open()
        return folder

    def _done_before(self, folder: FitFolder, problem: Problem, request: Request) -> Self | None:
        """Itself, with the fit that the folder holds; None where there is none, or a damaged one,
        which is made anew.
        """
        if not folder.is_complete:
            return None
        averaging = request.averaging(problem)
        augment = None if averaging is None else averaging.change
        made_of = problem.model, self.narrow, problem.device, problem.pick, augment
        try:
            found = read_fit(folder.folder, *made_of)
        except InputError:
            return None
        self._take(found.fitted, found.cost, found.bought)
        return self

    def _take(self, fitted: Fitted, cost: Cost, bought: tuple[Purchase, ...]) -> None:
        self._fitted = fitted
        whole = fitted.witnesses[: fitted.whole]
        self.networks_ = Members(tuple(own.weights for own in whole))
        self.narrow_copies_ = len(fitted.learned)
        self.width_ratio_ = fitted.width_ratio
        self.check_: Transfer | None = fitted.check
        self.level_: Level | None = fitted.level
        self.centre_error_ = fitted.centre_error
        self.cost_ = cost
        self.bought_ = bought
        if self.check_ is not None and not self.check_.holds:
            warnings.warn(self.check_.warning(), stacklevel=3)


def _settings() -> dict[str, Any]:
    """The settings with what they are where nobody gives them."""
    parameters = inspect.signature(Quantifier.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _warn_of_trained_on(fitted: Fitted) -> None:
    """Warns where half or more of the unlabelled inputs are training inputs."""
    near = fitted.asking.near
    if near is None or not near.distances.shape[1]:
        return
    first, last = near.distances[:, 0], near.distances[:, -1]
    share = float((first <= 1e-5 * last).double().mean())
    if share >= 0.5:
        warnings.warn(
            f"{share:.0%} of the unlabelled inputs are training inputs, on which networks agree: u "
            "is learned too small, and other inputs seem outside; give unlabelled inputs that were "
            "not trained on",
            stacklevel=4,
        )


def _tell(plan: Plan) -> None:
    """Says what will be trained, before that, where it takes more than two seconds."""
    if plan.seconds is None or plan.seconds > DELAY:
        print(f"to fit: {plan}", file=sys.stderr)  # noqa: T201  a terminal, as was seen


def summary(
    narrow_copies: int,
    width_ratio: float,
    cost: Cost,
    check: Transfer | None,
    bought: Sequence[Purchase] = (),
    level: Level | None = None,
) -> str:
    """Returns what predictions rest on, a line for each fact."""
    copies = f"{narrow_copies} narrow copies of width ratio {width_ratio:g}"
    said = "not checked: no narrow copy learned the task" if check is None else str(check)
    if width_ratio == 1 and not narrow_copies:
        copies, said = "no narrow copies", "not checked: there are no narrow copies"
    spent = (
        f"{cost.trainings:.2f} trainings, the network's own among them, "
        f"{cost.total:.2f} with forward work"
    )
    if math.isnan(cost.trainings):  # nobody knows how many evaluations a training is
        spent = (
            f"{cost.given:g} network{'s' * (cost.given > 1)} trained elsewhere, evaluated on "
            f"{cost.forward_examples:.0f} inputs, and on {cost.backward_examples:.0f} with a "
            "backward pass"
        )
    known = "" if level is None else f"\nover the unlabelled inputs, 95 %: {level}"
    return (
        f"{copies}; cost: {spent}; the emulator took {cost.emulator_seconds:.1f} s\n"
        f"{said}" + known + "".join(f"\n{purchase}" for purchase in bought)
    )


@contextmanager
def nothing_lost(networks: int) -> Iterator[None]:
    """Says of an error inside, ours or an emulator's, that what was trained is kept."""
    try:
        yield
    except ValueError as error:
        kept = f"all {networks} networks are" if networks > 1 else "the network is"
        raise InputError(
            f"{error} (nothing is lost: {kept} kept with this problem, and the next quantify takes "
            f"{'them' if networks > 1 else 'it'})"
        ) from None
