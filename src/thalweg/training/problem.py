"""The problem: what is trained, on what, how; and the only cache of trained networks."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal, cast

from torch import Tensor, nn

from thalweg.errors import Diverged, InputError, whole
from thalweg.meter import Cost, Meter, Tally
from thalweg.outputs import Classes, Loss, Outputs
from thalweg.seeds import EXCLUSIVE, derive, position, seeded, seeded_loader
from thalweg.training import checking, parts, sources
from thalweg.training.batches import Batches, Loader, NoBatches, end_with_us, in_pairs
from thalweg.training.building import built, ordered
from thalweg.training.calling import Call, Pick, as_made, checked_pick
from thalweg.training.execution import Execution
from thalweg.training.executor import Sent
from thalweg.training.function import (
    NOTHING,
    TrainFunction,
    check_differs,
    train_by,
    trains_nothing,
)
from thalweg.training.given import Network, given_networks, name_of, warn_of_weights
from thalweg.training.identity import identity_of
from thalweg.training.inspection import Inspection, inspect, inspect_network
from thalweg.training.keeping import Cache, Kept, key_of, warn_not_kept
from thalweg.training.levels import Levels
from thalweg.training.loop import StepInfo, per_draw, train
from thalweg.training.recipe import Recipe
from thalweg.training.sources import Source
from thalweg.training.unlabelled import as_unlabelled, unlabelled_inputs
from thalweg.trees import Inputs, moved
from thalweg.weights.batchnorm import refresh
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.point import Weights

_UNTOLD = Recipe()  # where the user says nothing of a recipe


@dataclass(frozen=True, eq=False)
class Problem:
    """A network, its training set and its recipe. `anchor(k)` is its k-th training.

    Example:
        >>> import torch
        >>> train = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: nn.Linear(3, 2), train, Recipe(epochs=1))
        >>> weights = problem.anchor(0)
        >>> problem.cost.trainings
        1.0

    Attributes:
        model: It makes a new, randomly initialised network `[batch, ...] -> [batch, outputs]`. One
            of several inputs is called with them: `network(*inputs)` where they are a tuple,
            `network(**inputs)` where they are a dictionary.
        train_loader: The training set, a loader of (inputs, targets), or of dictionaries of inputs
            with the targets under `labels`. Beside `train` it may be left out: then there is no
            geometry of the training data to learn from (`Forest` learns from predictions alone),
            and explorers that train by batches refuse.
        recipe: How a full training goes. Beside `train` it is the explorers' own: how they train
            around an anchor.
        seed: Everything random is derived from it. Another seed is another base: other anchors.
        networks: What the user has trained already, one network or several: modules, state_dicts,
            Weights, or paths of safetensors files and of checkpoints that torch.save wrote. They
            are `anchor(0)`, `anchor(1)`, ..., and cost 1 each, as any other. A regression's give
            standardised values. Read, they are a tuple of Weights.
        execution: On what device trainings run, how many at once, and by what executor.
        sources: What a retraining draws anew. The others are the same for all trainings of all
            seeds. `data` is a bootstrap of the training set; `dropout` are the masks that are drawn
            while a network trains, which go with `order` where it is not named. Of a loader other
            than `Batches`, name `order` and `augmentation` both or none, and no `dropout`.
        loss: It maps outputs `[batch, outputs]` and targets to a scalar; None is the usual one of
            the outputs. With several draws per step it is called once per draw. Targets of a
            regression come standardised as outputs are, and, as those of one logit, in their shape.
        cache: Where trained networks are kept between runs; None keeps them as long as this problem
            lives, and so does a loss that can't be told from another (it holds an open file, say).
        identity: It names data and network for the cache, since no function has a fingerprint.
        unlabelled: Inputs without labels that methods may calibrate themselves on, in the shape of
            the training inputs or as a loader in fixed order; None is the training inputs.
        meter: It counts the work.
        inspection: What a look at loader and network found; None looks when the problem is made.
        bn_examples: How many examples batch-norm statistics are estimated on, rounded up to whole
            batches; of a loader that is not seen to shuffle, all. With 2,048, predictions differ
            from those with 5,000 by less than a twentieth of the draws' spread (`research/bench/`).
        outputs: What the network's outputs mean: classes (or None), `Binary()` (one logit, labels 0
            and 1) or `Values(units="mg/l")` (a regression, of one value or several).
        pick: What of all that the network returns these outputs are: a name (of an attribute or a
            key), a number (of a tuple's part) or a function. None is the tensor that it returns, or
            else what is called `logits` in it.
        train: A training function of your own, `train(module, seed)`. It trains a new network (as
            `model` makes it, whatever that reads and gives) in place, by whatever loop, or returns
            the trained one; where it takes them apart, it is
            `train(module, order, augmentation, dropout, data)`, or some of these. Seeds are whole
            numbers below 2^31; torch's, NumPy's and Python's generators are seeded as well before
            each call. Its work is counted by watching the module; the first training is the unit of
            cost. Of a regression it trains the network to standardised targets, by the mean and std
            of `Values`. It may return the trained module or its state_dict. None is the recipe.
        levels: Where trainings are those of a design: the level of each source in each of them
            (`thalweg.sources`). None is anchors.
        narrowed: Problems of narrower networks that were made of this one, with their trainings.
        designed: Problems of designs that were made of this one, by what they draw anew.
    """

    model: Callable[[], nn.Module]
    train_loader: Loader = NoBatches()  # noqa: RUF009  it has no state
    recipe: Recipe = _UNTOLD
    seed: int = 0
    networks: Network | Sequence[Network] | None = None
    execution: Execution = Execution()  # noqa: RUF009  frozen
    sources: tuple[Source, ...] = ("init", "order", "augmentation")
    loss: Loss | None = None
    cache: Cache | None = None
    identity: str = ""
    unlabelled: Inputs | Loader | None = None
    meter: Meter = field(default_factory=Meter)
    inspection: Inspection | None = None
    bn_examples: int = 2048
    outputs: Outputs = Classes()  # noqa: RUF009  frozen
    pick: Pick = None
    train: TrainFunction | None = None
    levels: Levels | None = None
    _kept: Kept = field(repr=False, init=False)
    _seeds: tuple[Any, ...] = field(repr=False, init=False)  # what the training function takes
    narrowed: dict[Any, "Problem"] = field(default_factory=dict, repr=False, init=False)
    designed: dict[Any, "Problem"] = field(default_factory=dict, repr=False, init=False)

    def __post_init__(self) -> None:
        if self.train_loader is None:
            object.__setattr__(self, "train_loader", NoBatches())
        if self.train is None and not self.has_loader:
            self._check_networks_alone()
            object.__setattr__(self, "train", trains_nothing)
        outputs, pick = checked_pick(self.outputs, self.pick)
        object.__setattr__(self, "outputs", checking.checked_outputs(outputs))
        object.__setattr__(self, "pick", pick)
        checking.check_surroundings(self.execution)
        checking.check_recipe_and_loss(
            self.recipe, self.loss, self.outputs, warn=self.inspection is None
        )
        named = sources.check_names(self.sources, self.train_loader, self.train)
        object.__setattr__(self, "_seeds", named)
        whole("problem.bn_examples", self.bn_examples, 1)
        checking.check_cache(self.cache, self.identity)
        derive(self.seed)  # says so where it is no whole number
        object.__setattr__(self, "seed", int(self.seed))
        object.__setattr__(self, "unlabelled", as_unlabelled(self.unlabelled))
        end_with_us(self.train_loader)
        if isinstance(self.train_loader, Batches):  # whole: batch by batch would be slow
            object.__setattr__(self, "train_loader", self.train_loader.to(self.device))
        if self.inspection is None:
            object.__setattr__(self, "inspection", self._inspected())
            sources.warn_of_sources(self._seen, self.sources)
        if isinstance(self._seen.example, dict) and self.has_loader:  # targets may be among them
            object.__setattr__(self, "train_loader", in_pairs(self.train_loader))
        checking.check_execution(self.execution, self._seen, own=self.train is not None)
        sources.check_sources(self.inspection, self.sources)
        if self.train is None:
            checking.check_unit(self.meter, self.training_examples)
        object.__setattr__(self, "_kept", Kept(self.device))
        there = (
            () if self.networks is None else given_networks(self.networks, self.build("network"))
        )
        object.__setattr__(self, "networks", there)
        for k, weights in enumerate(there):  # paid elsewhere, and charged as one training
            self._kept.networks[k] = weights, Cost(given=1)
            if self.has_loader and not self.outputs.simplex:  # numbers can be in the wrong units
                warn_of_weights(self.network(weights), self.train_loader, self.outputs)

    def _check_networks_alone(self) -> None:
        if self.networks is None:
            raise InputError(
                "a problem got neither a training set nor trained networks: give train_loader= and "
                "recipe=, or train=, a function that trains, or networks="
            )

    def __repr__(self) -> str:
        how = f"train={self.train!r}" if self.train is not None else f"recipe={self.recipe!r}"
        return (
            f"Problem(model={self.model!r}, {how}, seed={self.seed}, sources={self.sources}, "
            f"outputs={self.outputs!r}, networks={self.given})"
        )

    def _inspected(self) -> Inspection:
        """A look at the network, and at the training set where there is one."""
        if self.train is not None and not self.has_loader:
            if self.unlabelled is None:
                raise InputError(
                    "a problem without a training set got neither unlabelled= nor train_loader=, "
                    "so that nobody knows what inputs the network reads: give unlabelled=, some "
                    "thousand inputs that were not trained on"
                )
            x = unlabelled_inputs(self.train_loader, self.unlabelled, 64, None)
            seen = inspect_network(self.model, x, self.device, kind=self.outputs, pick=self.pick)
        else:
            loss = None if self.loss is None else self.criterion
            seen = inspect(
                self.model,
                self.train_loader,
                self.device,
                recipe=self.recipe,
                loss=loss,
                kind=self.outputs,
                pick=self.pick,
            )
        if self.train is None:
            return seen
        # its seed reaches what it draws, and the layout of its weights is its own
        drawn = ("init",) * ("init" in seen.redrawn) + ("order", "augmentation")
        return replace(seen, redrawn=drawn, channels_last=False)

    @property
    def drawn_anew(self) -> str:
        """Returns what a retraining draws anew, in words: its sources of randomness, and how far a
        seed reaches them; empty where nothing can be trained.
        """
        if not self.can_train:
            return ""
        masks = "masks" in self._seen.redrawn
        dropout = ["dropout"] * bool(self.behaviour.random)
        drawable = (*self._seen.redrawn, "data", *dropout)
        seen = [*(s for s in self.sources if s in drawable), *["masks"] * masks]
        drawn = ", ".join(seen) or "nothing"
        if self.train is None:
            return drawn
        return (
            f"{drawn} (all but init as far as train(module, {', '.join(self._seeds)}) draws them "
            "from what it is given, or from torch's, NumPy's and Python's own generators)"
        )

    @property
    def has_loader(self) -> bool:
        """Whether there is a training set in batches."""
        return not isinstance(self.train_loader, NoBatches)

    @property
    def can_train(self) -> bool:
        """Whether there is a way to train, and not trained networks alone."""
        return self.train is not trains_nothing

    def check_batches(self, asked: object) -> None:
        """Checks that there is a training set in batches and a recipe, before an explorer that
        trains by them pays for anything.

        Args:
            asked: The explorer or baseline.

        Raises:
            InputError: There is a training function, or nothing, and one of them is missing.
        """
        if self.train is None or (self.has_loader and self.recipe is not _UNTOLD):
            return
        if not self.can_train:
            raise InputError(
                f"{type(asked).__name__} trains by batches, and the problem has trained networks "
                "alone: give train_loader= and recipe= beside networks="
            )
        missing = "recipe=" if self.has_loader else "train_loader= and recipe="
        raise InputError(
            f"{type(asked).__name__} trains by batches, a loss and a rate of its own, and the "
            f"problem has a training function: give {missing} beside train= (loss=, too, where it "
            "is not the usual one)"
        )

    @property
    def device(self) -> str:
        """The device that networks are trained and evaluated on: that of the execution."""
        return self.execution.device

    @property
    def training_examples(self) -> int:
        """Evaluations with a backward pass of one full training, in examples: the unit of cost. Of
        a training function it is 0 until one training was seen.
        """
        return self.meter.training_examples if self.train is not None else self._read_examples

    @cached_property
    def _read_examples(self) -> int:
        return parts.read_examples(self.recipe, self.train_loader, self._seen.examples)

    @property
    def example(self) -> Inputs:
        """Two inputs `[2, ...]` as the network reads them, on the CPU. All other inputs have their
        parts.
        """
        return cast(Inputs, self._seen.example)

    @property
    def call(self) -> Call:
        """How the network is called."""
        return self._seen.call(self.pick)

    @property
    def criterion(self) -> Loss:
        """The user's or the usual loss of outputs `[batch, outputs]`, or with draws before."""
        if self.loss is not None:
            return per_draw(self.loss, self.outputs)
        return self.outputs.loss(self.recipe.label_smoothing)

    @property
    def behaviour(self) -> Behaviour:
        """What the network was seen to do when it was looked at."""
        return self._seen.behaviour

    @property
    def channels_last(self) -> bool:
        """Whether the weights of convolutions are in channels-last memory order."""
        asked = self.execution.channels_last
        return self._seen.channels_last if asked is None else asked

    @property
    def _seen(self) -> Inspection:
        return cast(Inspection, self.inspection)

    @property
    def given(self) -> int:
        """How many networks were given: they are the first anchors."""
        return len(cast(tuple[Weights, ...], self.networks))

    @property
    def cost(self) -> Cost:
        """What was spent so far, with each anchor that was given or read from a cache once."""
        return self.meter.cost

    def measured(self) -> AbstractContextManager[Tally]:
        """What one result costs, with its anchors: `with problem.measured() as tally: ...`."""
        return self.meter.measured()

    def anchor(self, k: int) -> Weights:
        """The k-th training, a network from a fresh initialisation; it counts once in each result
        that uses it. If it is not kept yet, it is trained now; `train_anchors` trains several.

        Raises:
            TrainingFailed: Its loss became infinite (`Diverged`), or a training function raised.
        """
        with EXCLUSIVE:  # threads that share a problem take turns
            if not self.has(k):
                self.meter.apart(partial(_train_alone, self, k))
            return self._kept.use(k, self.meter, (self.fingerprint(k), id(self.model)))

    def trained(self, k: int) -> tuple[Weights, Cost]:
        """Trains the k-th network here and now, and says what that cost. It is not kept.

        Raises:
            TrainingFailed: As by `anchor`.
        """
        if not self.can_train:
            raise InputError(NOTHING)
        if self.train is not None:
            return self._trained_by(self.train, k)
        network = self.build("anchor", k)
        module = self.execution.compiled(network)
        cost = self.meter.apart(lambda: self.fit(module, self.recipe, "anchor", k))
        return Weights.of(network), cost

    def _trained_by(self, function: TrainFunction, k: int) -> tuple[Weights, Cost]:
        seeds = {name: self._seed(name, "anchor", k) for name in self._seeds}
        network, trained = as_made(self.build("anchor", k)), list[Weights]()

        def work() -> None:
            first, *others = seeds.values()
            if self.levels is not None:  # what draws from the global generators has one source
                first, others = self._masks("anchor", k), []
            with self.meter.clock(), seeded(first, *others):
                new = partial(self.build, "network")
                trained.append(train_by(function, network, seeds, self.meter, new))
                if set(self.sources) - {"init"} and self.levels is None:
                    self._kept.ended(k, position()[0])

        cost = self.meter.apart(work)
        unit = self.meter.training_examples or round(cost.backward_examples)
        self.meter.training_examples = unit
        if self.has_loader and not self.outputs.simplex:  # it may train on another scale
            warn_of_weights(self.network(trained[0]), self.train_loader, self.outputs)
        return trained[0], replace(cost, training_examples=unit)

    def lean(self) -> "Problem":
        """A copy with nothing but what one training, or one stack, reads in another process."""
        here = replace(self.execution, jobs=1, executor=None)
        unread: dict[str, Any] = {
            "cache": None,
            "identity": "",
            "networks": None,
            "unlabelled": None,
        }
        return replace(self, **unread, meter=Meter(), execution=here)

    @property
    def examples(self) -> int:
        """How many examples one epoch has."""
        return self._seen.examples

    @property
    def in_memory(self) -> int:
        """How many trained networks are in memory."""
        return len(self._kept.networks)

    def kept_in(self, cache: Cache, identity: str) -> "Problem":
        """The same problem with a cache, which gets the networks that are in memory; both share
        them from now on.

        Args:
            cache: Where trained networks are kept between runs.
            identity: The name of data and network, as the attribute.
        """
        kept = replace(self, cache=cache, identity=identity)
        object.__setattr__(kept, "_kept", self._kept)
        for k, (weights, cost) in self._kept.networks.items():
            if cache.get(kept.fingerprint(k)) is None:
                cache.put(kept.fingerprint(k), weights, cost)
        return kept

    def has(self, k: int) -> bool:
        """Whether the k-th training is in memory or in the cache."""
        return self._kept.find(k, self._cache, self.fingerprint)

    def cost_of(self, k: int) -> Cost | None:
        """What the k-th training cost, where it is in memory or in the cache."""
        return self._kept.networks[k][1] if self.has(k) else None

    def keep(self, k: int, weights: Weights, cost: Cost) -> None:
        """Keeps the k-th training, done here or elsewhere; it is charged when it is used.

        Raises:
            InputError: A training function trained the same network twice.
        """
        if self.train is not None and self.sources and self.levels is None:
            check_differs(k, weights, self._kept.networks)
        self._kept.put(k, weights, cost)
        if self._cache is not None:
            self._cache.put(self.fingerprint(k), weights, cost)

    def share(self, k: int, other: "Problem", number: int) -> None:
        """Takes a network of another problem that is in memory as the k-th, with what it cost."""
        self._kept.networks.setdefault(k, other._kept.networks[number])

    @property
    def stored(self) -> tuple[str, ...]:
        """Names of weights that are the same in all new networks, as pre-trained ones are."""
        return self._seen.stored

    @property
    def factory(self) -> Callable[[], nn.Module]:
        """It makes an unwrapped network of this problem, with the sizes of lazy layers, as a
        function of one argument: what is made of it is `Derived`.
        """
        return partial(built, self.model, "cpu", self.example, self.call)

    def build(self, *name: str | int) -> nn.Module:
        """A new network, initialised for a purpose."""
        with seeded(self._seed("init", *name)):
            network = built(self.model, self.device, self.example, self.call)
        return ordered(network, self.device, channels_last=self.channels_last)

    def network(self, weights: Weights) -> nn.Module:
        """A new network with given weights."""
        network = self.build("network")
        weights.to(self.device).load_into(network)
        return network

    def fit(
        self,
        module: nn.Module,
        recipe: Recipe,
        *name: str | int,
        penalty: Callable[[], Tensor] | None = None,
        before_step: Callable[[], None] | None = None,
        on_step: Callable[[StepInfo], None] | None = None,
        loss: Loss | None = None,
        data_of: int = 0,
    ) -> None:
        """Trains a module in place, with batch order and augmentation drawn for a purpose.

        Where `data` is a source, it reads the bootstrap of the anchor with the number `data_of`:
        whatever explores around an anchor has seen the same examples.

        Raises:
            Diverged: The loss became infinite.
        """
        order, batches = self._seed("order", *name), self.batches(*name, data_of=data_of)
        with (
            self.meter.clock(),
            seeded(self._masks(*name)),
            seeded_loader(batches, order),
        ):
            try:
                train(
                    module,
                    batches,
                    recipe,
                    self.meter,
                    loss=loss or self.criterion,
                    penalty=penalty,
                    before_step=before_step,
                    on_step=on_step,
                )
            except Diverged as error:
                if self.outputs.simplex:
                    raise
                raise Diverged(
                    f"{error}; see first that outputs={self.outputs} fits the scale of the "
                    "targets (Values takes their mean and std)"
                ) from None

    def batches(self, *name: str | int, data_of: int = 0) -> Loader:
        """The training set, with batch order and augmentation drawn for a purpose, and as a
        bootstrap where `data` is a source. A user's own loader is given as it is.
        """
        batches = self.train_loader
        if not isinstance(batches, Batches):
            return batches
        if "data" in self.sources:
            anchor = name[:2] if name[:1] == ("anchor",) else ("anchor", data_of)
            batches = parts.bootstrapped(batches, self._seed("data", *anchor))
        return batches.reseeded(self._seed("order", *name), self._seed("augmentation", *name))

    def refresh(self, network: nn.Module, points: Sequence[Weights]) -> list[Weights]:
        """The same points with batch-norm statistics of a fixed part of the training set."""
        loader, batches = parts.refreshing_part(self.train_loader, self.bn_examples)
        with self.meter.clock(), seeded(0, "refresh"), seeded_loader(loader, 0, "refresh"):
            return refresh(network, points, batches, self.meter, self.behaviour)

    def inputs(self, limit: int = 1000) -> Inputs:
        """Up to so many unlabelled inputs `[inputs, ...]`, as the network reads them."""
        found = unlabelled_inputs(self.train_loader, self.unlabelled, limit, self.example)
        return moved(found, self.device)

    def training_part(self, examples: int) -> list[Any]:
        """A fixed part of the training set, as batches: see `parts.fixed_part`."""
        return parts.fixed_part(self.train_loader, examples)

    def fingerprint(self, k: int) -> str:
        """A name of everything that can change the k-th training."""
        loss = [] if self.loss is None else [self._loss_identity]
        outputs = [] if self.outputs == Classes() else [repr(self.outputs)]
        function = [] if self.train is None else [f"train {self._function}"]
        pick = [] if self.pick is None else [f"pick {self._pick}"]
        more = loss + outputs + pick + function + self._names[k : k + 1] or None
        number = k if self.levels is None else self.levels.name(k, self.sources)
        return key_of(
            self.identity, self.recipe, self.sources, self.seed, number, self.device, more
        )

    @cached_property
    def _names(self) -> list[str | None]:
        """Names of the networks that were given, so that no training is taken for one of them."""
        return [name_of(weights) for weights in cast(tuple[Weights, ...], self.networks)]

    @cached_property
    def _loss_identity(self) -> str | None:
        return identity_of(self.loss)

    @cached_property
    def _pick(self) -> str | None:
        return identity_of(self.pick)

    @cached_property
    def _function(self) -> str | None:
        return identity_of(self.train)

    @cached_property
    def _cache(self) -> Cache | None:
        if self.cache is None:
            return None
        for name, known in (
            ("loss", self._loss_identity),
            ("pick", self._pick),
            ("training function", self._function),
        ):
            if known is None:
                warn_not_kept(name)
                return None
        return self.cache

    def _seed(self, source: Source | Literal["seed"], *name: str | int) -> int:
        drawn: Source = "order" if source == "seed" else source
        if self.levels is not None and name[:1] == ("anchor",) and len(name) == 2:
            name = ("anchor", self.levels.of(int(name[1]), drawn))
        return sources.seed_of(drawn, self.sources, self.seed, name)

    def _masks(self, *name: str | int) -> int:
        """The seed of torch's, NumPy's and Python's own generators, from which masks are drawn."""
        return self._seed("dropout" if "dropout" in self.sources else "order", *name)


def _train_alone(problem: Problem, k: int) -> None:
    ((_, trained),) = problem.execution.alone.map(_train, Sent(problem), [[k]])
    problem.keep(k, *trained)


def _train(sent: Sent[Problem], k: int) -> tuple[Weights, Cost]:
    weights, cost = sent.value.trained(k)
    return weights.to("cpu"), cost
