"""The problem: what is trained, on what, how; and the only cache of trained networks."""

import hashlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from thalweg.errors import InputError, unknown, whole
from thalweg.meter import Cost, Meter, Tally
from thalweg.outputs import Classes, Loss, Outputs
from thalweg.seeds import EXCLUSIVE, derive, generator, seeded, seeded_loader
from thalweg.training.batches import Batches, Loader, as_tensor, end_with_us, joined, shuffles
from thalweg.training.building import built, ordered
from thalweg.training.identity import identity_of
from thalweg.training.inspection import (
    Inspection,
    check_device,
    check_layout,
    check_sources,
    inspect,
    warn_of_sources,
)
from thalweg.training.loop import StepInfo, per_draw, train
from thalweg.training.recipe import Recipe
from thalweg.weights.batchnorm import refresh
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.point import Weights

Source = Literal["init", "order", "augmentation", "data"]


class Cache(Protocol):
    """Where trained networks are kept."""

    def get(self, key: str) -> tuple[Weights, Cost] | None:
        """The network of a key with what its training cost, or None."""

    def put(self, key: str, weights: Weights, cost: Cost) -> None:
        """Keeps a network."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A network, its training set and its recipe. `anchor(k)` is its k-th training.

    Example:
        >>> from thalweg.training.batches import Batches
        >>> x, y = torch.randn(20, 3), torch.randint(0, 2, (20,))
        >>> problem = Problem(lambda: nn.Linear(3, 2), Batches(x, y, size=10), Recipe(epochs=1))
        >>> weights = problem.anchor(0)
        >>> problem.cost.trainings
        1.0

    Attributes:
        model: Makes a new, randomly initialised network `[batch, ...] -> [batch, outputs]`.
        train_loader: The training set, a loader of (inputs, targets).
        recipe: How a full training goes.
        seed: Everything random is derived from it. Another seed is another base: other anchors.
        initial_weights: A network that the user has trained already (Weights or state_dict): it is
            `anchor(0)`, and costs 1 like any other.
        device: Where to train.
        sources: What a retraining draws anew. The others are the same for all trainings of all
            seeds. `data` is a bootstrap of the training set. A user's own loader can't tell `order`
            from `augmentation`: name both or none.
        loss: From outputs `[batch, outputs]` and targets to a scalar; the usual one of `outputs` if
            None. With several draws a step it is called once per draw. It gets targets of a
            regression standardised as outputs are, and, as those of one logit, in their shape.
        cache: Where trained networks are kept between runs; None for in memory, as long as this
            problem lives. A loss that can't be told from another of its kind (one that holds an
            open file, say) is not cached.
        identity: Names data and network for the cache, since a function can't be fingerprinted.
        unlabelled: Inputs without labels that methods may look at to calibrate themselves, a tensor
            or a loader in fixed order; the training inputs if None.
        meter: Counts the work.
        inspection: What a look at loader and network found; taken when the problem is made, unless
            it is given.
        jobs: Processes of one thread that train several anchors side by side (`training.together`).
        stack: How many anchors train as one stacked module (`training.stack`): for GPUs, which
            small networks leave idle.
        compile: Whether anchors, and stacks of them, train compiled by `torch.compile`, and in
            which mode; needs a compiler, and time at the start. All other evaluations are not
            compiled.
        channels_last: Memory order of convolutions. None: channels last where the network has any
            and works so.
        bn_examples: Examples that batch-norm statistics are estimated on, rounded up to whole
            batches (a loader of the user's that is not seen to shuffle is read whole: its first
            examples may be all of one class). With 2,048 of them predictions differ from those with
            all 5,000 of a study by less than a twentieth of the draws' spread (`bench/`).
        outputs: What the network's outputs mean: classes, `Binary()` (one logit, labels 0 and 1) or
            `Values(units="mg/l")` (a regression, of one value or several); classes if None.
        narrowed: Problems of narrower networks that were made of this one, kept with what they
            trained (`baselines`).
    """

    model: Callable[[], nn.Module]
    train_loader: Loader
    recipe: Recipe = Recipe()  # noqa: RUF009  frozen
    seed: int = 0
    initial_weights: Weights | Mapping[str, Any] | None = None
    device: str = "cpu"
    sources: tuple[Source, ...] = ("init", "order", "augmentation")
    loss: Loss | None = None
    cache: Cache | None = None
    identity: str = ""
    unlabelled: Tensor | Loader | None = None
    meter: Meter = field(default_factory=Meter)
    inspection: Inspection | None = None
    jobs: int = 1
    stack: int = 1
    compile: Literal["no", "default", "reduce-overhead"] = "no"
    channels_last: bool | None = None
    bn_examples: int = 2048
    outputs: Outputs = Classes()  # noqa: RUF009  frozen
    _memory: dict[int, tuple[Weights, Cost]] = field(default_factory=dict, repr=False, init=False)
    _uncharged: set[int] = field(
        default_factory=set, repr=False, init=False
    )  # trained here, and not used yet
    narrowed: dict[Any, "Problem"] = field(default_factory=dict, repr=False, init=False)

    def __post_init__(self) -> None:
        if self.outputs is None:
            object.__setattr__(self, "outputs", Classes())
        self._check()
        if (
            not isinstance(self.unlabelled, Tensor | None)
            and type(self.unlabelled).__module__ == "numpy"
        ):
            object.__setattr__(self, "unlabelled", as_tensor(self.unlabelled, "unlabelled"))
        for loader in (self.train_loader, self.unlabelled):
            end_with_us(loader)
        if isinstance(
            self.train_loader, Batches
        ):  # once, as bytes; a batch at a time would be slower than a small network
            object.__setattr__(self, "train_loader", self.train_loader.to(self.device))
        if self.inspection is None:
            found = inspect(
                self.model,
                self.train_loader,
                self.device,
                recipe=self.recipe,
                loss=None if self.loss is None else self.criterion,
                kind=self.outputs,
            )
            object.__setattr__(self, "inspection", found)
            warn_of_sources(found, self.sources)
        check_layout(self.inspection, self.channels_last)
        check_sources(self.inspection, self.sources)
        if self.stack > 1:
            self.behaviour.check_recomputed("problem.stack > 1")
        if self.meter.training_examples not in (0, self.training_examples):
            raise InputError(
                f"meter counts in trainings of {self.meter.training_examples} examples, this "
                f"problem's have {self.training_examples}: give the problem, or its copy, a "
                "meter of its own, meter=Meter()"
            )
        self.meter.training_examples = self.training_examples
        if self.initial_weights is not None:
            self._memory[0] = self._given()

    def _check(self) -> None:
        if self.cache is not None and not self.identity:
            raise InputError(
                "a problem with a cache got no identity: name data and network, or two problems "
                "share their anchors"
            )
        derive(self.seed)  # says so where it is no whole number
        object.__setattr__(self, "seed", int(self.seed))
        if torch.is_inference_mode_enabled():
            raise InputError(
                "a problem can't be made inside of torch.inference_mode(), where nothing can be "
                "trained: leave it (torch.no_grad() does no harm)"
            )
        if not isinstance(self.recipe, Recipe):
            raise InputError(f"recipe got a {type(self.recipe).__name__}, needs a thalweg.Recipe")
        self._check_loss()
        check_device(self.device)
        for name in ("jobs", "stack", "bn_examples"):
            whole(f"problem.{name}", getattr(self, name), 1)
        if self.compile not in ("no", "default", "reduce-overhead"):
            raise unknown("problem.compile", self.compile, ("no", "default", "reduce-overhead"))
        others = set(self.sources) - {"init", "order", "augmentation", "data"}
        if others:
            raise InputError(
                f"sources got {sorted(others)}, needs some of init, order, augmentation, data"
            )
        if isinstance(self.train_loader, Batches):
            return
        if "data" in self.sources:
            raise InputError(
                "sources got 'data' with a loader of your own: give thalweg.Batches, which can "
                "be bootstrapped"
            )
        if ("order" in self.sources) != ("augmentation" in self.sources):
            raise InputError(
                "sources got one of order and augmentation with a loader of your own, which "
                "can't tell them apart: name both or none, or give thalweg.Batches"
            )

    def _check_loss(self) -> None:
        if not isinstance(self.outputs, Outputs):
            raise InputError(
                f"outputs got a {type(self.outputs).__name__}, needs thalweg.Classes(), Binary() "
                "or Values(units=...)"
            )
        if self.loss is None:
            self.outputs.loss(
                self.recipe.label_smoothing
            )  # says so where there is nothing to smooth
            return
        if not callable(self.loss):
            raise InputError(
                f"loss got a {type(self.loss).__name__}, needs a function of outputs and labels"
            )
        own = (
            [name for name, p in self.loss.named_parameters() if p.requires_grad]
            if isinstance(self.loss, nn.Module)
            else []
        )
        if own and self.inspection is None:
            warnings.warn(
                f"the loss has parameters of its own ('{own[0]}'), which nobody trains: put them "
                "into the network, or say so with loss.requires_grad_(False)",
                stacklevel=4,
            )
        if self.recipe.label_smoothing:
            raise InputError(
                f"recipe.label_smoothing got {self.recipe.label_smoothing:g} beside a loss, "
                "which would not have it: put it into the loss "
                "(nn.CrossEntropyLoss(label_smoothing=...)), and take it out of the recipe"
            )

    @cached_property
    def training_examples(self) -> int:
        """Evaluations with a backward pass of one full training, in examples: the unit of cost."""
        examples = self.inspection.examples if self.inspection is not None else 0
        steps, batches = self.recipe.steps(len(self.train_loader)), len(self.train_loader)
        whole, rest = divmod(steps, batches)
        if rest and isinstance(self.train_loader, Batches):
            return whole * examples + rest * self.train_loader.size
        return round(steps * examples / batches)

    @property
    def criterion(self) -> Loss:
        """The loss of outputs `[batch, outputs]` or `[draws, batch, outputs]`: the user's, or the
        usual one of what the outputs mean.
        """
        if self.loss is None:
            return self.outputs.loss(self.recipe.label_smoothing)
        return per_draw(self.loss, self.outputs)

    @property
    def behaviour(self) -> Behaviour:
        """What the network was seen to do when it was looked at."""
        return cast(Inspection, self.inspection).behaviour

    @property
    def cost(self) -> Cost:
        """What was spent so far: all that was done, and each anchor once that was given or read
        from a cache.
        """
        return self.meter.cost

    def measured(self) -> AbstractContextManager[Tally]:
        """Says what one result costs: `with problem.measured() as own: ...`, and then `own.cost`.

        The anchors that it rests on are in it, whenever they were trained.
        """
        return self.meter.measured()

    def anchor(self, k: int) -> Weights:
        """The k-th training, a network from a fresh initialisation; it counts once in each result
        that uses it, cached or not.

        Raises:
            Diverged: Its loss became infinite.
        """
        with EXCLUSIVE:  # threads that share a problem take turns
            if not self.has(k):
                network = self.build("anchor", k)
                cost = self.meter.apart(
                    lambda: self.fit(self.compiled(network), self.recipe, "anchor", k)
                )
                self.keep(k, Weights.of(network), cost)
            weights, cost = self._memory[k]
            self.meter.charge(
                cost, (self.fingerprint(k), id(self.model)), done=k in self._uncharged
            )
            self._uncharged.discard(k)
        return weights

    def compiled(self, module: nn.Module) -> nn.Module:
        """The module, whose parameters it shares, compiled where that is asked for."""
        if self.compile == "no":
            return module
        return cast(
            nn.Module,
            torch.compile(module, mode=None if self.compile == "default" else self.compile),
        )

    def has(self, k: int) -> bool:
        """Whether the k-th training is in memory or in the cache."""
        if k not in self._memory and self.cache is not None and self._keeps:
            found = self.cache.get(self.fingerprint(k))
            if found is not None:
                self._memory[k] = (
                    found[0].to(self.device),
                    found[1],
                )  # a cache on disk gives them on the CPU
        return k in self._memory

    def cost_of(self, k: int) -> Cost | None:
        """What the k-th training cost, where it is in memory or in the cache."""
        return self._memory[k][1] if self.has(k) else None

    def keep(self, k: int, weights: Weights, cost: Cost) -> None:
        """Keeps the k-th training, done here or elsewhere; it is charged when it is used."""
        self._memory[k] = weights.to(self.device), cost
        self._uncharged.add(k)
        if self.cache is not None and self._keeps:
            self.cache.put(self.fingerprint(k), weights, cost)

    @property
    def factory(self) -> Callable[[], nn.Module]:
        """Makes a network as this problem has them, for what changes it: without wrappers, lazy
        layers with their sizes.
        """
        return partial(
            built, self.model, "cpu", None if self.inspection is None else self.inspection.example
        )

    def build(self, *name: str | int) -> nn.Module:
        """A new network, initialised for a purpose."""
        found = self.inspection
        with seeded(self._seed("init", *name)):
            network = built(self.model, self.device, None if found is None else found.example)
        last = found is not None and found.channels_last
        return ordered(
            network,
            self.device,
            channels_last=last if self.channels_last is None else self.channels_last,
        )

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
        """Trains a module in place on the training set, with batch order and augmentation drawn for
        a purpose.

        Where `data` is a source, it reads the bootstrap of the anchor with the number `data_of`:
        whatever explores around an anchor has seen the same examples.

        Raises:
            Diverged: The loss became infinite.
        """
        order, batches = self._seed("order", *name), self.batches(*name, data_of=data_of)
        with self.meter.clock(), seeded(order), seeded_loader(batches, order):
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

    def batches(self, *name: str | int, data_of: int = 0) -> Loader:
        """The training set, with batch order and augmentation drawn for a purpose (a user's own
        loader as it is).

        A bootstrap, where `data` is a source, is that of the anchor with the number `data_of`; an
        anchor's own for itself.
        """
        batches = self.train_loader
        if not isinstance(batches, Batches):
            return batches
        if "data" in self.sources:
            own = name[:2] if name[:1] == ("anchor",) else ("anchor", data_of)
            n = len(batches.targets)
            chosen = torch.randint(n, (n,), generator=generator(self._seed("data", *own)))
            batches = batches.chosen(chosen.to(batches.inputs.device))
        return batches.reseeded(self._seed("order", *name), self._seed("augmentation", *name))

    def refresh(self, network: nn.Module, points: Sequence[Weights]) -> list[Weights]:
        """The same points with valid batch-norm statistics, from a fixed part of the training set,
        the same at every point.
        """
        batches: Loader = self.train_loader
        if isinstance(batches, Batches):
            batches = replace(batches, shuffle=True).reseeded(
                derive(0, "refresh", "order"), derive(0, "refresh", "augmentation")
            )
        examples = self.bn_examples if shuffles(batches) else sys.maxsize
        with self.meter.clock(), seeded(0, "refresh"), seeded_loader(batches, 0, "refresh"):
            return refresh(network, points, _first(batches, examples), self.meter, self.behaviour)

    def inputs(self, limit: int = 1000) -> Tensor:
        """Up to so many unlabelled inputs `[inputs, ...]`, as the network reads them, on the
        problem's device.
        """
        if isinstance(self.unlabelled, Tensor):
            return self.unlabelled[:limit].to(self.device)
        batches = (
            self.training_part(limit) if self.unlabelled is None else _first(self.unlabelled, limit)
        )
        found = [batch[0] if isinstance(batch, list | tuple) else batch for batch in batches]
        return joined(found)[:limit].to(self.device)

    def training_part(self, examples: int) -> list[Any]:
        """A fixed part of the training set: batches of (inputs, targets) that have so many examples
        together, or all.

        They are random examples, not augmented; of a user's own loader they are batches at even
        distances, as it gives them.
        """
        batches = self.train_loader
        if isinstance(batches, Batches):
            fixed = replace(
                batches, shuffle=True, augment=None, order_seed=derive(0, "training part")
            )
            return list(_first(fixed, examples))
        found: list[Any] = []
        with seeded(0, "training part"), seeded_loader(batches, 0, "training part"):
            for number, batch in enumerate(batches):
                wanted = min(len(batches), -(-examples // len((found or [batch])[0][1])))
                if number == len(found) * len(batches) // wanted:
                    found.append(batch)
                if len(found) == wanted:
                    break
        return found

    def _given(self) -> tuple[Weights, Cost]:
        """The user's own network, checked against the model; its training was paid elsewhere and is
        charged as one.
        """
        network = self.build("network")
        if isinstance(self.initial_weights, Weights):
            self.initial_weights.to(self.device).load_into(network)
            weights = Weights.of(network)
        else:
            if not isinstance(self.initial_weights, Mapping):
                raise InputError(
                    f"initial_weights got a {type(self.initial_weights).__name__}, needs a "
                    "trained network's state_dict() or Weights"
                )
            weights = Weights.from_state(network, self.initial_weights)
        for name, tensor in {**weights.params, **(weights.buffers or {})}.items():
            if not torch.isfinite(tensor).all():
                raise InputError(
                    f"initial_weights got a '{name}' that is not finite: give a network whose "
                    "training did not diverge"
                )
        return weights, Cost(
            backward_examples=self.training_examples, training_examples=self.training_examples
        )

    def fingerprint(self, k: int) -> str:
        """Of everything that can change the k-th training: data, network, recipe, sources, seed and
        k.
        """
        facts = [
            self.identity,
            asdict(self.recipe),
            sorted(self.sources),
            self.seed,
            k,
            str(torch.device(self.device).type),
        ]
        if self.loss is not None:
            facts.append(self._loss_identity)
        if self.outputs != Classes():
            facts.append([self.outputs.kind, asdict(cast(Any, self.outputs))])
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]

    @cached_property
    def _loss_identity(self) -> str | None:
        return identity_of(self.loss)

    @cached_property
    def _keeps(self) -> bool:
        """Whether the cache can tell this problem's trainings from others."""
        if self.cache is None:
            return False
        if self.loss is not None and self._loss_identity is None:
            warnings.warn(
                "the loss holds something that can't be told from another of its kind, so that "
                "trained networks are not kept in the cache: give a function or module of plain "
                "settings and tensors",
                stacklevel=3,
            )
            return False
        return True

    def _seed(self, source: Source, *name: str | int) -> int:
        """A seed for one source of randomness; the same for all seeds and all retrainings where it
        is not re-drawn.

        A retraining is named `"anchor"` and what tells it from others; every other purpose keeps
        its own numbers, so that the vertices of a subspace start apart.
        """
        if source in self.sources:
            return derive(self.seed, *name, source)
        return derive(0, *(name[:1] if name[:1] == ("anchor",) else name), source)


def _first(batches: Loader, examples: int) -> Iterator[Any]:
    """The first batches that have so many examples together, or all."""
    seen = 0
    for batch in batches:
        yield batch
        seen += len(batch[0] if isinstance(batch, list | tuple) else batch)
        if seen >= examples:
            return
