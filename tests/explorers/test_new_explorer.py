"""Adding an explorer is adding one file: this one has about 20 lines, is found, and passes the same
contract.
"""

import importlib
import sys
from functools import partial

import pytest

import cases
import contract
from thalweg.explorers import base

SOURCE = '''"""Gaussian noise about an anchor, in proportion to each parameter tensor. A method of our own, for tests."""
from dataclasses import dataclass

import torch

from thalweg.explorers.base import Explorer, register_explorer
from thalweg.weights.gaussian import LowRankGaussian


@register_explorer("noise")
@dataclass(frozen=True)
class Noise(Explorer):
    """Noise about an anchor.

    Attributes:
        size: Standard deviation over the root mean square of each tensor.
    """

    size: float = 0.05
    anchors = 1
    trainings = 1.0

    def explore(self, problem):
        mean = problem.anchor(0)
        variance = {name: torch.full_like(p, float(p.square().mean()) * self.size**2) for name, p in mean.params.items()}
        return LowRankGaussian(mean, variance, {name: p.new_zeros(0, *p.shape) for name, p in mean.params.items()}, 1.0)
'''


@pytest.fixture
def noise(tmp_path, monkeypatch):
    """The registry with one file more in its folder."""
    (tmp_path / "noise.py").write_text(SOURCE)
    folder = importlib.import_module("thalweg.explorers")
    # before the folder grows: others must not see the new one
    monkeypatch.setattr(base._registry, "registered", dict(base.explorers()))
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    yield base.find_explorer("noise")
    del sys.modules["thalweg.explorers.noise"]


def test_it_is_found(noise):
    assert base.explorers()["noise"] is noise and noise().trainings == 1
    contract.check_class(noise)


@pytest.mark.parametrize("network", cases.NETWORKS)
def test_it_passes_the_contract(noise, network, tmp_path):
    contract.check(noise, partial(cases.problem, network), tmp_path)


def test_its_cost_is_measured(noise):
    contract.check_flops(noise, cases.problem("conv-batchnorm"))


def test_a_method_that_under_reports_does_not_pass(noise, monkeypatch):
    """The meter sees two anchors, the FLOPs see what the meter does not."""
    honest = noise.explore

    def greedy(self, problem):
        problem.anchor(1)
        return honest(self, problem)

    monkeypatch.setattr(noise, "explore", greedy)
    with pytest.raises(AssertionError):
        contract.check(noise, partial(cases.problem, "no-norm"), None)

    def hidden(self, problem):
        problem.network(problem.anchor(0))(cases.task()[0])
        return honest(self, problem)

    monkeypatch.setattr(noise, "explore", hidden)
    with pytest.raises(AssertionError):
        contract.check_flops(noise, cases.problem("no-norm", recipe=cases.Recipe(epochs=1)))
