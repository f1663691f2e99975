"""Deep, short and snapshot ensembles: what their members are."""

from dataclasses import replace

import torch

import cases
import contract
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.explorers.short_ensemble import ShortEnsemble
from thalweg.explorers.snapshot import Snapshot
from thalweg.meter import Meter
from thalweg.weights.point import Weights, distance


def test_a_deep_ensemble_is_the_first_trainings():
    problem = cases.problem("conv-batchnorm")
    found = DeepEnsemble(3).explore(problem)
    contract.assert_same(list(found.points), [problem.anchor(k) for k in range(3)])


def test_members_of_a_short_ensemble_are_shorter_trainings():
    problem = cases.problem()
    found = ShortEnsemble(5).explore(problem)
    other = replace(problem, recipe=replace(problem.recipe, epochs=1), meter=Meter())
    network = other.build("anchor", "short 2")
    other.fit(network, other.recipe, "anchor", "short 2")
    contract.assert_same([found.points[2]], [Weights.of(network)])
    assert len({float(p.params["1.weight"].sum()) for p in found.points}) == 5


def test_one_member_or_one_cycle_costs_one_training():
    for explorer in (ShortEnsemble(1), Snapshot(1), DeepEnsemble(1)):
        problem = cases.problem()
        explorer.explore(problem)
        assert problem.cost.trainings == 1


def test_snapshots_are_nearer_to_each_other_than_retrainings():
    snapshots = Snapshot(5).explore(cases.problem()).points
    trainings = DeepEnsemble(2).explore(cases.problem()).points
    assert distance(*snapshots[-2:]) < distance(*trainings)
    assert not torch.equal(snapshots[0].params["1.weight"], snapshots[1].params["1.weight"])
