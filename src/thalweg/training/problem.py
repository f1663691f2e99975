"""The problem: what is trained, on what, how; and the only cache of trained networks."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, cast

from torch import Tensor, nn

from thalweg.errors import Diverged, whole
from thalweg.meter import Cost, Meter, Tally
from thalweg.outputs import Classes, Loss, Outputs
from thalweg.seeds import EXCLUSIVE, derive, seeded, seeded_loader
from thalweg.training import checking, parts, sources
from thalweg.training.batches import Batches, Loader, end_with_us
from thalweg.training.building import built, ordered
from thalweg.training.execution import Execution
from thalweg.training.executor import Sent
from thalweg.training.identity import identity_of
from thalweg.training.inspection import Inspection, inspect
from thalweg.training.keeping import Cache, Kept, key_of, warn_not_kept
from thalweg.training.loop import StepInfo, per_draw, train
from thalweg.training.recipe import Recipe
from thalweg.training.sources import Source
from thalweg.weights.batchnorm import refresh
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.point import Weights


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
        model: It makes a new, randomly initialised network `[batch, ...] -> [batch, outputs]`.
        train_loader: The training set, a loader of (inputs, targets).
        recipe: How a full training goes.
        seed: Everything random is derived from it. Another seed is another base: other anchors.
        initial_weights: A network that the user has trained already (Weights or state_dict). It is
            `anchor(0)`, and costs 1 like any other. A regression's gives standardised values.
        execution: On what device trainings run, how many at once, and by what executor.
        sources: What a retraining draws anew. The others are the same for all trainings of all
            seeds. `data` is a bootstrap of the training set. Of a loader other than `Batches`, name
            `order` and `augmentation` both or none.
        loss: It maps outputs `[batch, outputs]` and targets to a scalar; None is the usual one of
            the outputs. With several draws per step it is called once per draw. Targets of a
            regression come standardised as outputs are, and, as those of one logit, in their shape.
        cache: Where trained networks are kept between runs; None keeps them as long as this problem
            lives, and so does a loss that can't be told from another (it holds an open file, say).
        identity: It names data and network for the cache, since no function has a fingerprint.
        unlabelled: Inputs without labels that methods may calibrate themselves on, a tensor or a
            loader in fixed order; None is the training inputs.
        meter: It counts the work.
        inspection: What a look at loader and network found; None looks when the problem is made.
        bn_examples: How many examples batch-norm statistics are estimated on, rounded up to whole
            batches; of a loader that is not seen to shuffle, all. With 2,048, predictions differ
            from those with 5,000 by less than a twentieth of the draws' spread (`research/bench/`).
        outputs: What the network's outputs mean: classes (or None), `Binary()` (one logit, labels 0
            and 1) or `Values(units="mg/l")` (a regression, of one value or several).
        narrowed: Problems of narrower networks that were made of this one, with their trainings.
    """

    model: Callable[[], nn.Module]
    train_loader: Loader
    recipe: Recipe = Recipe()  # noqa: RUF009  frozen
    seed: int = 0
    initial_weights: Weights | Mapping[str, Any] | None = None
    execution: Execution = Execution()  # noqa: RUF009  frozen
    sources: tuple[Source, ...] = ("init", "order", "augmentation")
    loss: Loss | None = None
    cache: Cache | None = None
    identity: str = ""
    unlabelled: Tensor | Loader | None = None
    meter: Meter = field(default_factory=Meter)
    inspection: Inspection | None = None
    bn_examples: int = 2048
    outputs: Outputs = Classes()  # noqa: RUF009  frozen
    _kept: Kept = field(repr=False, init=False)
    narrowed: dict[Any, "Problem"] = field(default_factory=dict, repr=False, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", checking.checked_outputs(self.outputs))
        checking.check_surroundings(self.execution)
        checking.check_recipe_and_loss(
            self.recipe, self.loss, self.outputs, warn=self.inspection is None
        )
        sources.check_names(self.sources, self.train_loader)
        whole("problem.bn_examples", self.bn_examples, 1)
        checking.check_cache(self.cache, self.identity)
        derive(self.seed)  # says so where it is no whole number
        object.__setattr__(self, "seed", int(self.seed))
        object.__setattr__(self, "unlabelled", parts.as_unlabelled(self.unlabelled))
        end_with_us(self.train_loader)
        if isinstance(self.train_loader, Batches):  # whole: batch by batch would be slow
            object.__setattr__(self, "train_loader", self.train_loader.to(self.device))
        if self.inspection is None:
            loss = None if self.loss is None else self.criterion
            train, device = self.train_loader, self.device
            seen = inspect(
                self.model, train, device, recipe=self.recipe, loss=loss, kind=self.outputs
            )
            object.__setattr__(self, "inspection", seen)
            sources.warn_of_sources(seen, self.sources)
        checking.check_execution(self.execution, self._seen)
        sources.check_sources(self.inspection, self.sources)
        checking.check_unit(self.meter, self.training_examples)
        object.__setattr__(self, "_kept", Kept(self.device))
        if self.initial_weights is not None:  # paid elsewhere, and charged as one training
            network, unit = self.build("network"), self.training_examples
            weights = checking.checked_weights(self.initial_weights, network, self.device)
            cost = Cost(backward_examples=unit, training_examples=unit)
            self._kept.networks[0] = weights, cost
            if not self.outputs.simplex:  # numbers can be in the wrong units
                checking.warn_of_weights(self.network(weights), self.train_loader, self.outputs)

    @property
    def device(self) -> str:
        """The device that networks are trained and evaluated on: that of the execution."""
        return self.execution.device

    @cached_property
    def training_examples(self) -> int:
        """Evaluations with a backward pass of one full training, in examples: the unit of cost."""
        return parts.read_examples(self.recipe, self.train_loader, self._seen.examples)

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
    def example(self) -> Tensor | None:
        """Two inputs `[2, ...]`, by which lazy layers get their sizes."""
        return self._seen.example

    @property
    def _seen(self) -> Inspection:
        return cast(Inspection, self.inspection)

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
            Diverged: Its loss became infinite.
        """
        with EXCLUSIVE:  # threads that share a problem take turns
            if not self.has(k):
                self.meter.apart(partial(_train_alone, self, k))
            return self._kept.use(k, self.meter, (self.fingerprint(k), id(self.model)))

    def trained(self, k: int) -> tuple[Weights, Cost]:
        """Trains the k-th network here and now, and says what that cost. It is not kept.

        Raises:
            Diverged: Its loss became infinite.
        """
        network = self.build("anchor", k)
        module = self.execution.compiled(network)
        cost = self.meter.apart(lambda: self.fit(module, self.recipe, "anchor", k))
        return Weights.of(network), cost

    def lean(self) -> "Problem":
        """A copy with nothing but what one training, or one stack, reads in another process."""
        here = replace(self.execution, jobs=1, executor=None)
        unread: dict[str, Any] = {
            "cache": None,
            "identity": "",
            "initial_weights": None,
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
        """Keeps the k-th training, done here or elsewhere; it is charged when it is used."""
        self._kept.put(k, weights, cost)
        if self._cache is not None:
            self._cache.put(self.fingerprint(k), weights, cost)

    @property
    def factory(self) -> Callable[[], nn.Module]:
        """It makes an unwrapped network of this problem, with the sizes of lazy layers."""
        return partial(built, self.model, "cpu", self._seen.example)

    def build(self, *name: str | int) -> nn.Module:
        """A new network, initialised for a purpose."""
        with seeded(self._seed("init", *name)):
            network = built(self.model, self.device, self._seen.example)
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
        with self.meter.clock(), seeded(order), seeded_loader(batches, order):
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

    def inputs(self, limit: int = 1000) -> Tensor:
        """Up to so many unlabelled inputs `[inputs, ...]`, as the network reads them."""
        return parts.unlabelled_inputs(self.train_loader, self.unlabelled, limit).to(self.device)

    def training_part(self, examples: int) -> list[Any]:
        """A fixed part of the training set, as batches: see `parts.fixed_part`."""
        return parts.fixed_part(self.train_loader, examples)

    def fingerprint(self, k: int) -> str:
        """A name of everything that can change the k-th training."""
        loss = [] if self.loss is None else [self._loss_identity]
        outputs = [] if self.outputs == Classes() else [repr(self.outputs)]
        more = loss + outputs or None
        return key_of(self.identity, self.recipe, self.sources, self.seed, k, self.device, more)

    @cached_property
    def _loss_identity(self) -> str | None:
        return identity_of(self.loss)

    @cached_property
    def _cache(self) -> Cache | None:
        if self.cache is None or self.loss is None or self._loss_identity is not None:
            return self.cache
        warn_not_kept()
        return None

    def _seed(self, source: Source, *name: str | int) -> int:
        return sources.seed_of(source, self.sources, self.seed, name)


def _train_alone(problem: Problem, k: int) -> None:
    ((_, trained),) = problem.execution.alone.map(_train, Sent(problem), [[k]])
    problem.keep(k, *trained)


def _train(sent: Sent[Problem], k: int) -> tuple[Weights, Cost]:
    weights, cost = sent.value.trained(k)
    return weights.to("cpu"), cost
