"""Threads: several threads that train at once get the numbers that they would get one after the
other.
"""

import threading

import pytest
import torch
from torch import nn

import thalweg
from small import X, problem, same


def model():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


def at_once(*work) -> None:
    start = threading.Barrier(len(work))
    errors = []

    def run(own):
        start.wait()
        try:
            own()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(own,)) for own in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("shared", [True, False])
def test_anchors_of_four_threads_are_those_of_one(shared):
    expected = [problem(model).anchor(k) for k in range(4)]
    problems = [problem(model)] * 4 if shared else [problem(model) for _ in range(4)]
    at_once(*(lambda k=k: problems[k].anchor(k) for k in range(4)))
    assert all(same(problems[k].anchor(k), expected[k]) for k in range(4))
    if shared:
        assert problems[0].cost.backward_examples >= 4 * problems[0].training_examples


def test_exploring_and_predicting_in_threads():
    explorers = [
        thalweg.explorers.SPRO(vertices=1, share=0.25),
        thalweg.explorers.SWAG(),
        thalweg.explorers.LearnedLine(),
        thalweg.explorers.MCDropout("own"),
    ]
    expected = [
        thalweg.predict(p, e.explore(p), X, draws=3).log_probs
        for e in explorers
        for p in [problem(model)]
    ]
    found: dict[int, torch.Tensor] = {}

    def work(k):
        own = problem(model)
        found[k] = thalweg.predict(own, explorers[k].explore(own), X, draws=3).log_probs

    at_once(*(lambda k=k: work(k) for k in range(4)))
    for k in range(4):
        assert torch.equal(found[k], expected[k]), type(explorers[k]).__name__


def test_the_callers_random_state_is_untouched_by_threads():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    at_once(*(lambda k=k: problem(model).anchor(k) for k in range(3)))
    assert torch.equal(torch.get_rng_state(), before)


def test_looks_in_threads_leave_torch_compile_as_it_was():
    """All threads have one stance: if it were taken in turns, the last would bring back
    another's.
    """
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    class Fresh(nn.Linear):
        """Code of its own, which no other test compiled."""

        def forward(self, x):
            return super().forward(x) + 1

    torch.compile(Fresh(6, 3), backend=backend)(X)  # which imports torch's compiler
    for _ in range(5):
        at_once(*(lambda: problem(model) for _ in range(4)))
    graphs.clear()
    torch.compile(Fresh(6, 4), backend=backend)(X)
    assert graphs
