"""How a problem makes its networks: the memory order of convolutions, and compiling.

Neither changes a result beyond rounding.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import cases
from thalweg.explorers.learned_line import LearnedLine
from thalweg.explorers.spro import SPRO
from thalweg.models import model_factory
from thalweg.predicting import predict
from thalweg.training.batches import Batches
from thalweg.training.execution import Execution
from thalweg.training.inspection import inspect
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace


def double() -> Batches:
    x, y = cases.task()
    return Batches(x.double(), y, size=cases.SIZE)


def convolutions() -> nn.Module:
    """No dropout: its random numbers come in the order of memory."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 6, 1),
        nn.GroupNorm(2, 6),
        nn.ReLU(),
        nn.Conv2d(6, 4, 3, stride=2, groups=2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4, cases.CLASSES),
    ).double()


class Viewed(nn.Module):
    """As many tutorials write it."""

    def __init__(self, kind: str = "view") -> None:
        super().__init__()
        self.inner, self.head, self.kind = nn.Conv2d(1, 3, 3), nn.Linear(48, cases.CLASSES), kind

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        if self.kind == "view" or (self.kind == "view in training" and self.training):
            return self.head(x.view(len(x), -1))
        if self.kind == "asserts":
            assert x.is_contiguous()
        if self.kind == "memory":  # reads whatever comes first there: it works, and is wrong
            return self.head(x.as_strided((len(x), 48), (48, 1)))
        return self.head(x.flatten(1))


def last(network: nn.Module) -> list[bool]:
    """Of each convolution of several channels: is it channels-last?"""
    weights = [
        m.weight
        for m in network.modules()
        if isinstance(m, nn.Conv2d) and m.weight[0].numel() > m.weight.shape[1] > 1
    ]
    return [
        w.is_contiguous(memory_format=torch.channels_last) and not w.is_contiguous()
        for w in weights
    ]


FOUND = [
    ("view", False), ("memory", False), ("flatten", True),
    ("view in training", False),
    ("asserts", False),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "works"), FOUND)
def test_channels_last_is_found_where_it_works(kind, works):
    found = inspect(lambda: Viewed(kind), cases.batches(), "cpu")
    assert found.channels_last == works
    problem = cases.problem(model=lambda: Viewed(kind))
    predict(problem, problem.anchor(0), cases.held_out()[0])  # whatever it is, it works


@pytest.mark.parametrize("network", cases.NETWORKS)
def test_networks_without_convolutions_have_no_use_for_it(network):
    assert inspect(cases.NETWORKS[network], cases.batches(), "cpu").channels_last == (
        network in ("conv-batchnorm", "groupnorm", "frozen")
    )


@pytest.mark.parametrize("spec", ["cnn", "resnet", "wrn", "resnet9"])
def test_it_works_for_the_networks_that_come_with_thalweg(spec):
    small = {
        "cnn": {"widths": [2, 2]},
        "resnet": {"width": 2, "depth": 8},
        "wrn": {"widen": 1, "depth": 10},
    }
    factory = model_factory(
        spec, inputs=(1, 8, 8), classes=3, settings=small.get(spec, {"width": 2})
    )
    assert inspect(factory, [(torch.randn(4, 1, 8, 8), torch.arange(4) % 3)], "cpu").channels_last


@pytest.mark.parametrize(("asked", "expected"), [(None, True), (True, True), (False, False)])
def test_networks_are_built_so_where_it_works_or_as_one_says(asked, expected):
    problem = Problem(
        convolutions, double(), Recipe(epochs=1), execution=Execution(channels_last=asked)
    )
    built = problem.build("a")
    assert last(built) == [expected] * 1
    assert last(problem.network(problem.anchor(0))) == [expected] * 1
    assert all(
        torch.equal(a, b)
        for a, b in zip(built.parameters(), plain(problem).parameters(), strict=True)
    )


def plain(problem: Problem) -> nn.Module:
    """The same network, from a problem that leaves its memory alone."""
    return Problem(
        problem.model,
        problem.train_loader,
        problem.recipe,
        execution=Execution(channels_last=False),
    ).build("a")


def same(first: Weights, second: Weights, near: float) -> bool:
    return all(
        torch.allclose(p, second.params[name], rtol=0, atol=near)
        for name, p in first.params.items()
    )


@pytest.mark.parametrize(
    "settings", [{}, {"nesterov": True, "clip": 1.0}, {"optimizer": "adamw", "lr": 0.01}]
)
def test_a_training_equals_the_contiguous_one_up_to_rounding(settings):
    recipe = Recipe(**{"epochs": 3, "lr": 0.1, **settings})
    problems = [
        Problem(convolutions, double(), recipe, execution=Execution(channels_last=c))
        for c in (True, False)
    ]
    first, second = (p.anchor(0) for p in problems)
    assert same(first, second, 1e-9) and not same(
        first, Weights.of(problems[0].build("anchor", 0)), 1e-2
    )
    assert all(
        torch.allclose(b.double(), second.buffers[n].double(), rtol=0, atol=1e-9)
        for n, b in first.buffers.items()
    )
    one, two = (
        predict(p, w, double().inputs) for p, w in zip(problems, (first, second), strict=True)
    )
    assert torch.allclose(one.log_probs, two.log_probs, rtol=0, atol=1e-8)


def test_weights_from_a_file_predict_the_same_bit_for_bit():
    """A file has no memory order; a study that was killed reads there what one that was not has in
    memory.
    """
    problem = cases.problem("conv-batchnorm")
    anchors = [problem.anchor(k) for k in range(2)]
    stored = [
        replace(w, params={n: torch.empty(p.shape).copy_(p) for n, p in w.params.items()})
        for w in anchors
    ]
    assert stored[0].params["0.weight"].stride() != anchors[0].params["0.weight"].stride()
    for make in (Members, Subspace):  # of which only draws of the second are refreshed
        one, two = (
            predict(problem, make(tuple(points)), cases.held_out()[0], draws=3)
            for points in (anchors, stored)
        )
        assert torch.equal(one.log_probs, two.log_probs)


SUBSPACES = (
    LearnedLine(),
    LearnedLine(layerwise=True),
    SPRO(vertices=1, share=0.5, draws=2, volume=0.1),
)


@pytest.mark.parametrize("explorer", SUBSPACES)
def test_a_subspace_equals_the_contiguous_one_up_to_rounding(explorer):
    problems = [
        Problem(
            convolutions, double(), Recipe(epochs=3, lr=0.05), execution=Execution(channels_last=c)
        )
        for c in (True, False)
    ]
    first, second = (explorer.explore(p) for p in problems)
    assert all(same(a, b, 1e-8) for a, b in zip(first.vertices, second.vertices, strict=True))
    one, two = (
        predict(p, found, double().inputs, draws=3)
        for p, found in zip(problems, (first, second), strict=True)
    )
    assert torch.allclose(one.log_probs, two.log_probs, rtol=0, atol=1e-6)


def test_an_anchor_trains_compiled_as_one_graph(monkeypatch):
    """By torch's own tracer, with a backend that runs the graph as it is: compiling needs a minute
    and a compiler.
    """
    graphs = []

    class Fresh(nn.Module):
        """Code of its own: what other tests compiled of torch's containers counts towards torch's
        limit of recompilations.
        """

        def __init__(self):
            super().__init__()
            self.layers = cases.groupnorm()

        def forward(self, x):
            return self.layers(x)

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiling = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda module, *, mode: compiling(module, backend=backend)
    )
    problem = Problem(Fresh, cases.batches(), cases.RECIPE, execution=Execution(compile="default"))
    assert not graphs, "a look at the network compiles nothing"
    found = problem.anchor(0)
    assert 1 <= len(graphs) <= 2, "one, and one more for a last batch that is shorter"
    for graph in graphs:
        called = " ".join(str(node.target) for node in graph.graph.nodes)
        assert all(name in called for name in ("conv2d", "group_norm", "relu", "linear")), (
            "the whole network"
        )
    assert same(found, Problem(Fresh, cases.batches(), cases.RECIPE).anchor(0), 1e-5)
    assert (
        problem.execution.compiled(problem.build("a")) is not None
        and Execution().compiled(found) is found
    )


@pytest.mark.parametrize(
    ("given", "mode"), [("default", None), ("reduce-overhead", "reduce-overhead")]
)
def test_the_mode_is_passed_on(given, mode, monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "compile", lambda module, *, mode: seen.append(mode) or module)
    cases.problem(execution=Execution(compile=given)).anchor(0)
    assert seen == [mode]
