"""Kinds of cheap networks (and of no networks) that may stand beside an anchor.

One copy is a mean probability.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from thalweg.explorers._parts.cycles import collect
from thalweg.explorers._parts.trajectory import beginning
from thalweg.explorers.base import Explorer
from thalweg.explorers.fge import FGE
from thalweg.explorers.learned_line import LearnedLine
from thalweg.explorers.restarts import Restarts
from thalweg.explorers.snapshot import Snapshot
from thalweg.explorers.swag import SWAG
from thalweg.meter import Cost, Meter
from thalweg.narrow.flops import flops
from thalweg.narrow.training import narrow_factory
from thalweg.outputs import log_softmax
from thalweg.predicting import predict
from thalweg.seeds import derive
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.masks import insert
from thalweg.weights.point import Weights

Method = Callable[[Problem, Batches], Tensor]
POWERS = (1.0, 1.5, 2.0, 3.0, 4.0)  # how much sharper a regression's outputs are made
KNOWN = 5000  # unlabelled inputs, at most, that maps are fitted on
UNTRAINED = 8  # networks that features are taken of


@dataclass(frozen=True)
class Kind:
    """A way to make one copy.

    Attributes:
        family: Which table it is in.
        method: Gives a copy's mean probability `[inputs, classes]` on given inputs.
        anchors: Of the trainings that the method is charged with, those that are the anchor's: they
            cost a copy nothing.
        same: The copy has the anchor's own random numbers.
    """

    family: str
    method: Method
    anchors: int = 0
    same: bool = False


def trained(
    problem: Problem,
    test: Batches,
    *,
    width: float = 1.0,
    share: float = 1.0,
    lr: float = 1.0,
    dropout: float = 0.0,
) -> Tensor:
    """One training: of a network with a share of the channels, epochs and times the learning rate;
    dropout while it trains.
    """
    own = (
        replace(problem, model=narrow_factory(problem, width), meter=Meter())
        if width < 1
        else problem
    )
    network = own.build("copy")
    hooks = insert(network, dropout) if dropout else []
    own.fit(
        network,
        replace(own.recipe, epochs=own.recipe.epochs * share, lr=own.recipe.lr * lr),
        "copy",
    )
    for hook in hooks:
        hook.remove()
    if own is not problem:
        examples = round(own.cost.backward_examples * flops(own) / flops(problem))
        problem.meter.charge(Cost(backward_examples=examples))
    return predict(own, Weights.of(network), test).mean()


def explored(explorer: Explorer) -> Method:
    """The mean prediction of what an explorer finds."""
    return lambda problem, test: predict(problem, explorer.explore(problem), test).mean()


def midpoint(problem: Problem, test: Batches) -> Tensor:
    """The midpoint of a learned line."""
    return predict(
        problem, LearnedLine().explore(problem).at(torch.tensor([0.5, 0.5])), test
    ).mean()


def averaged(problem: Problem, test: Batches) -> Tensor:
    """SWA that goes on from the anchor, for half a training."""
    return predict(
        problem, SWAG(start="anchor", share=0.5, rank=0).explore(problem).mean, test
    ).mean()


def prefixes(problem: Problem, test: Batches) -> Tensor:
    """The anchor itself after a half and three quarters of its training, kept while it trained."""
    steps = problem.recipe.steps(len(problem.train_loader))
    kept = {steps // 2 - 1, steps * 3 // 4 - 1}
    return predict(
        problem,
        collect(problem, problem.build("anchor", 0), problem.recipe, "anchor", 0, steps=kept),
        test,
    ).mean()


def branches(problem: Problem, test: Batches) -> Tensor:
    """A trunk of half a training, down to half the rate, and two branches of it that anneal in a
    quarter each.
    """
    lr = problem.recipe.lr / 2
    trunk = Weights.of(beginning(problem, "scratch", 0.5, lr, "trunk"))
    anneal = replace(
        problem.recipe,
        epochs=problem.recipe.epochs / 4,
        lr=lr,
        schedule="cosine",
        cycles=1,
        warmup=0.0,
    )
    ends = []
    for k in range(2):
        network = problem.network(trunk)
        problem.fit(network, anneal, "branch", k)
        ends.append(Weights.of(network))
    return predict(problem, Members(tuple(ends)), test).mean()


def mapped(problem: Problem, test: Batches) -> Tensor:
    """The anchor and a retraining, each mapped to the other by the affine map of logits that fits
    best on unlabelled inputs.
    """
    pair = [problem.anchor(k) for k in range(2)]
    known, asked = (
        [_with_one(predict(problem, weights, inputs).log_probs[0].double()) for weights in pair]
        for inputs in (problem.inputs(KNOWN), test)
    )
    maps = [torch.linalg.lstsq(known[i], known[1 - i][:, :-1]).solution for i in range(2)]
    return torch.stack([log_softmax(asked[i] @ maps[i]).exp() for i in range(2)]).mean(0)


def kernel(problem: Problem, test: Batches) -> Tensor:
    """Ridge regression of the labels with a Laplace kernel of the pixels, as wide as their median
    distance.

    It costs its operations, over those of a training: the distances, and a Cholesky factorisation.
    """
    train = _plain(problem)
    x, asked = (
        torch.cat([own.flatten(1) for own, _ in batches]).float() for batches in (train, test)
    )
    width = torch.cdist(x[:500], x[500:1000] if len(x) > 500 else x).median()
    gram = torch.exp(-torch.cdist(x, x) / width).double()
    gram.diagonal().add_(0.03)
    centred = _one_hot(problem, train)
    weights = torch.cholesky_solve(centred - centred.mean(0), torch.linalg.cholesky(gram))
    _charge(problem, len(x) ** 2 * (2 * x.shape[1] + len(x) / 3))
    return _as_sharp(
        problem,
        test,
        torch.exp(-torch.cdist(asked, x) / width).double() @ weights + centred.mean(0),
    )


def ridge(problem: Problem, test: Batches) -> Tensor:
    """Ridge regression of the labels on the last hidden layers of networks that nobody trained.

    It costs the forward passes, a third of a step's work each, and the operations of the
    regression.
    """
    train = _plain(problem)
    features = [
        torch.cat(own, 1)
        for own in zip(*(_hidden(problem, train, test, k) for k in range(UNTRAINED)), strict=True)
    ]
    spread, shift = features[0].std(0) + 1e-6, features[0].mean(0)
    x, asked = ((own - shift) / spread for own in features)
    centred = _one_hot(problem, train)
    gram = x.T @ x
    gram.diagonal().add_(100.0)
    weights = torch.cholesky_solve(x.T @ (centred - centred.mean(0)), torch.linalg.cholesky(gram))
    _charge(
        problem,
        UNTRAINED * len(x) * flops(problem) / 6 + x.shape[1] ** 2 * (2 * len(x) + x.shape[1] / 3),
    )
    return _as_sharp(problem, test, asked @ weights + centred.mean(0))


def copies(name: str, problem: Problem, test: Batches) -> tuple[Tensor, float]:
    """As many copies of a kind as one training buys, one at least, beside a problem's first anchor.

    Returns:
        Their mean probabilities `[copies, inputs, classes]`, and what one of them cost, in
        trainings.
    """
    kind, found, costs = KINDS[name], list[Tensor](), list[float]()
    start = problem.anchor(0) if kind.anchors and not kind.same else None
    while not found or len(found) < affordable(costs[0]):
        seed = problem.seed if kind.same else derive(problem.seed, "ideas", name, len(found))
        own = replace(problem, seed=seed, networks=start, meter=Meter(), cache=None)
        found.append(kind.method(own, test).double())
        costs.append(own.cost.trainings - kind.anchors)
    return torch.stack(found), sum(costs) / len(costs)


def affordable(cost: float) -> int:
    """How many copies one training buys.

    Steps are whole numbers, so that a quarter may be a little more: that is let pass.
    """
    return max(1, math.floor(1 / cost + 0.05)) if cost > 1e-9 else 1


def _plain(problem: Problem) -> Batches:
    """The training set in order, without augmentation."""
    if not isinstance(problem.train_loader, Batches):
        raise TypeError("regressions need Batches")
    return replace(problem.train_loader, shuffle=False, augment=None)


def _charge(problem: Problem, operations: float) -> None:
    """Charges work that is no evaluation of the network, as the evaluations with a backward pass
    that are as much.
    """
    problem.meter.charge(Cost(backward_examples=round(operations / (flops(problem) / 2))))


def _one_hot(problem: Problem, train: Batches) -> Tensor:
    classes = problem.inspection.classes if problem.inspection is not None else 0
    return nn.functional.one_hot(train.targets.long(), classes).double()


def _with_one(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)


def _hidden(problem: Problem, train: Batches, test: Batches, k: int) -> tuple[Tensor, Tensor]:
    """What the last linear layer of an untrained network reads, in training and in test inputs."""
    network = problem.build("untrained", k)
    network = problem.network(problem.refresh(network, [Weights.of(network)])[0]).eval()
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    caught: list[Tensor] = []
    last.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    parts = []
    for batches in (train, test):
        caught.clear()
        with torch.no_grad():
            for x, _ in batches:
                network(x)
        parts.append(torch.cat(caught).double())
    return parts[0], parts[1]


def _as_sharp(problem: Problem, test: Batches, outputs: Tensor) -> Tensor:
    """A regression's outputs as probabilities, to the power that brings them nearest to the
    anchor's.
    """
    anchor = predict(problem, problem.anchor(0), test).mean()
    powers = [outputs.clamp_min(1e-4) ** power for power in POWERS]
    found = [own / own.sum(1, keepdim=True) for own in powers]
    return min(found, key=lambda own: float((own - anchor).square().sum()))


KINDS = {
    "a retraining": Kind("control", trained),
    "narrow, 0.5 of the channels": Kind("narrow", partial(trained, width=0.5)),
    "narrow, 0.35": Kind("narrow", partial(trained, width=0.35)),
    "narrow, 0.25": Kind("narrow", partial(trained, width=0.25)),
    "1/2 of the epochs": Kind("short", partial(trained, share=0.5)),
    "1/4 of the epochs": Kind("short", partial(trained, share=0.25)),
    "1/2 of the epochs, rate x 2": Kind("short", partial(trained, share=0.5, lr=2.0)),
    "narrow, 0.5, and 1/2 of the epochs": Kind("short", partial(trained, width=0.5, share=0.5)),
    "dropout 0.1 while it trains": Kind("dropout", partial(trained, dropout=0.1)),
    "restart, 0.1 of a training": Kind(
        "anchored", explored(Restarts(members=1, share=0.1, reinit=1)), anchors=1
    ),
    "restart, 0.2 of a training": Kind(
        "anchored", explored(Restarts(members=1, share=0.2, reinit=1)), anchors=1
    ),
    "SWA from the anchor, 0.5": Kind("anchored", averaged, anchors=1),
    "prefixes of the anchor": Kind("anchored", prefixes, anchors=1, same=True),
    "midpoint of a learned line": Kind("scratch", midpoint),
    "snapshots, 5 cycles": Kind("scratch", explored(Snapshot())),
    "FGE": Kind("scratch", explored(FGE())),
    "trunk and two branches": Kind("scratch", branches),
    "affine maps of logits": Kind("maps", mapped, anchors=1),
    "Laplace kernel of the pixels": Kind("kernels", kernel, anchors=1),
    "ridge on untrained networks": Kind("kernels", ridge, anchors=1),
}
