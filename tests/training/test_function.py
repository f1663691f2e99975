"""A user's own training function: the same numbers and costs as plain PyTorch, or one line."""

import copy
import functools

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from thalweg import Execution, Problem, Recipe, Values, quantify, train_anchors
from thalweg.baselines.base import baselines
from thalweg.errors import Diverged, InputError, TrainingFailed
from thalweg.explorers.base import explorers
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.training.batches import Batches
from thalweg.training.watching import watched

RANDOM = torch.Generator().manual_seed(0)
X = torch.randn(700, 6, generator=RANDOM)
Y = X[:, :3].argmax(1)
TRAIN = 100
EPOCHS = 4
EXAMPLES = TRAIN * EPOCHS


def network():
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))


def fit(module, seed, evaluate=False):
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=EPOCHS * 5)
    for _ in range(EPOCHS):
        for index in torch.randperm(TRAIN, generator=order).split(20):
            optimizer.zero_grad()
            cross_entropy(module(X[index]), Y[index]).backward()
            optimizer.step()
            schedule.step()
        if evaluate:
            with torch.no_grad():
                module(X[:10])


def by_globals(module, seed):
    """Its order comes from torch's global generator alone."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for index in torch.randperm(TRAIN).split(20):
        optimizer.zero_grad()
        cross_entropy(module(X[index]), Y[index]).backward()
        optimizer.step()


def problem(train=fit, **settings):
    return Problem(network, **{"train": train, "unlabelled": X[TRAIN:400], **settings})


def with_loader(train=fit, **settings):
    batches = Batches(X[:TRAIN], Y[:TRAIN], size=20)
    return problem(train, train_loader=batches, recipe=Recipe(epochs=8, lr=0.01), **settings)


def flat(weights):
    return torch.cat([p.flatten() for p in weights.params.values()])


def test_an_anchor_is_what_the_function_makes_of_a_new_network():
    seeds = []

    def noting(module, seed):
        seeds.append(seed)
        twins.append(copy.deepcopy(module))
        fit(module, seed)

    twins = []
    weights = problem(noting).anchor(0)
    (twin,), (seed,) = twins, seeds
    fit(twin, seed)
    assert torch.equal(flat(weights), torch.cat([p.detach().flatten() for p in twin.parameters()]))


def test_trainings_differ_in_their_start_and_their_seed_and_can_be_done_again():
    first, other = (problem() for _ in range(2))
    assert torch.equal(flat(first.anchor(1)), flat(other.anchor(1)))
    assert not torch.equal(flat(first.anchor(0)), flat(first.anchor(1)))
    assert not torch.equal(flat(problem(seed=1).anchor(0)), flat(first.anchor(0)))
    assert torch.equal(flat(problem(by_globals).anchor(0)), flat(problem(by_globals).anchor(0)))


def test_the_caller_keeps_its_random_numbers():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    problem(by_globals).anchor(0)
    assert torch.equal(torch.rand(2), expected)


def test_work_is_counted_in_whatever_loop_it_is():
    solved = problem(functools.partial(fit, evaluate=True))
    train_anchors(solved, 3)
    assert solved.cost.trainings == 3 and solved.training_examples == EXAMPLES
    assert solved.cost.forward_examples == 3 * 10 * EPOCHS
    assert solved.cost.total == pytest.approx(3 + 3 * 10 * EPOCHS / EXAMPLES / 3)


def test_a_longer_training_costs_more_than_the_first():
    lengths = iter([fit, lambda module, seed: (fit(module, seed), fit(module, seed))])
    solved = problem(lambda module, seed: next(lengths)(module, seed))
    train_anchors(solved, 2)
    assert solved.cost.trainings == 3


def test_given_networks_cost_a_training_each_before_one_was_seen():
    state = problem().network(problem().anchor(0)).state_dict()
    solved = problem(networks=state)
    assert solved.training_examples == 0
    with solved.measured() as spent:
        solved.anchor(0)
    assert spent.cost.trainings == 1
    with solved.measured() as spent:
        train_anchors(solved, 2)
    assert spent.cost.trainings == 2 and solved.training_examples == EXAMPLES


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda module: nn.DataParallel(module),
        copy.deepcopy,
        lambda module: nn.Sequential(module, nn.Identity()),
    ],
    ids=["wrapper", "copy", "part"],
)
def test_wrappers_and_copies_of_the_module_are_counted(wrapped):
    def wrapping(module, seed):
        outer = wrapped(module)
        fit(outer, seed)
        inner = outer[0] if isinstance(outer, nn.Sequential) and outer[0] is module else outer
        return None if inner is module else inner

    solved = problem(wrapping)
    weights = solved.anchor(0)
    assert solved.training_examples == EXAMPLES
    assert torch.equal(flat(weights), flat(problem().anchor(0)))


def test_a_module_whose_parts_are_called_is_counted_by_its_parts():
    class Parts(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(torch.relu(self.body(x)))

    module = Parts()
    with watched(module) as evaluations:
        module.head(torch.relu(module.body(X[:7]))).sum().backward()
        with torch.no_grad():
            module.head(module.body(X[:2]))
    assert (evaluations.with_graph, evaluations.without) == (7, 2)


def test_evaluations_are_counted_by_the_first_axis_of_the_first_tensor():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, *, inputs, labels=None):
            return {"loss": None, "logits": self.layer(inputs["x"])}

    module = Named()
    with watched(module) as evaluations:
        module(inputs={"x": X[:9]}, labels=Y[:9])
    assert (evaluations.with_graph, evaluations.without) == (9, 0)
    assert not module._forward_hooks and not module.layer._forward_hooks


def test_sources_are_given_apart_where_the_function_takes_them_apart():
    given = []

    def apart(module, order, augmentation):
        given.append((order, augmentation))
        fit(module, order)

    train_anchors(problem(apart), 2)
    train_anchors(problem(apart, sources=("init", "order")), 2)
    (o0, a0), (o1, a1), (o2, a2), (o3, a3) = given
    assert len({o0, o1, o2, o3}) == 2 and (o0, o1) == (o2, o3)
    assert a0 != a1 and a2 == a3
    assert all(0 <= seed < 2**31 for pair in given for seed in pair)


def test_a_bootstrap_is_drawn_by_its_own_seed():
    given = []

    def bootstrapping(module, order, data):
        given.append(data)
        fit(module, order)

    train_anchors(problem(bootstrapping, sources=("init", "order", "augmentation", "data")), 2)
    assert given[0] != given[1]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (nn.Linear(2, 2), "train got a Linear"),
        (3, "train got a int"),
        (lambda: None, "needs a function train(module, seed)"),
        (lambda module: None, "a function of (module)"),
        (lambda module, loader, seed: None, "a function of (module, loader, seed)"),
        (lambda module, epochs: None, "a function of (module, epochs)"),
        (lambda module, data=X: None, "a function of (module, data)"),
        (lambda module, seed, order: None, "a function of (module, seed, order)"),
    ],
)
def test_what_is_no_training_function_is_refused(function, said):
    with pytest.raises(InputError) as refused:
        problem(function)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "function",
    [
        lambda net, s: fit(net, s),
        lambda net, *, seed: fit(net, seed),
        lambda net, seed, epochs=3: fit(net, seed),
        lambda net, seed=0: fit(net, seed),
        lambda net, seed=0, data="mine": fit(net, seed, evaluate=data != "mine"),
        lambda net, seed, data="mine": fit(net, seed, evaluate=data != "mine"),
        functools.partial(lambda loader, net, seed: fit(net, seed), None),
        functools.partial(
            lambda net, seed, data: fit(net, seed, evaluate=data != "mine"), data="mine"
        ),
    ],
)
def test_other_forms_of_a_training_function(function):
    assert torch.equal(flat(problem(function).anchor(0)), flat(problem().anchor(0)))


def failing(module, seed):
    raise ValueError("no\nsuch file")


def new_one(module, seed):
    other = network()
    fit(other, seed)
    return other


def shrinking(module, seed):
    fit(module, seed)
    module[0] = nn.Linear(6, 3)
    module[2] = nn.Identity()


def nothing(module, seed):
    module(X[:5]).sum().backward()


def diverging(module, seed):
    fit(module, seed)
    module[0].weight.data.fill_(float("nan"))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (failing, "raised ValueError (no such file) in the training with seed"),
        (new_one, "never evaluated the module"),
        (shrinking, "left '0.weight' with the shape (3, 6), and got it with (32, 6)"),
        (nothing, "changed no parameter"),
        (diverging, "not finite"),
    ],
)
def test_a_training_that_fails_says_how(function, said):
    solved = problem(function)
    with pytest.raises(TrainingFailed) as failed:
        solved.anchor(0)
    assert said in str(failed.value) and "\n" not in str(failed.value)
    assert isinstance(failed.value, Diverged) == (function is diverging)


def test_what_was_trained_before_a_failure_is_kept():
    calls = []

    def second_fails(module, seed):
        calls.append(seed)
        if len(calls) == 2:
            raise RuntimeError("out of disk")
        fit(module, seed)

    solved = problem(second_fails)
    with pytest.raises(TrainingFailed):
        train_anchors(solved, 2)
    assert solved.has(0) and not solved.has(1)
    train_anchors(solved, 2)
    assert len(calls) == 3


def best(module, seed):
    """As early stopping: what it returns is better than what the module ends with."""
    fit(module, seed)
    state = {name: t.clone() for name, t in module.state_dict().items()}
    with torch.no_grad():
        module[0].weight.zero_()
    return state


def checkpoint(module, seed):
    return {"epoch": 4, "model": best(module, seed)}, {"loss": torch.tensor([1.0, 0.5])}


def copied(module, seed):
    other = copy.deepcopy(module)
    fit(other, seed)
    return other, {"loss": [1.0, 0.5]}, torch.tensor(0.5)


def averaged(module, seed):
    mean = torch.optim.swa_utils.AveragedModel(module)
    fit(module, seed)
    mean.update_parameters(module)
    return mean


@pytest.mark.parametrize(
    "function", [best, checkpoint, copied, averaged, lambda m, s: (fit(m, s), {"a": 1})]
)
def test_what_it_returns_is_what_was_trained(function):
    solved = problem(function)
    assert torch.equal(flat(solved.anchor(0)), flat(problem().anchor(0)))
    assert solved.training_examples == EXAMPLES


def test_a_returned_state_of_batch_norm_is_taken():
    """It has a number without axes, how many batches it saw."""

    def normed():
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))

    states = []

    def returning(module, seed):
        states.append(best(module, seed))
        return states[-1]

    solved = Problem(normed, train=returning, unlabelled=X[TRAIN:400])
    assert torch.equal(solved.anchor(0).params["0.weight"], states[0]["0.weight"])
    assert not bool((states[0]["0.weight"] == 0).all())


def test_two_returned_networks_are_one_too_many():
    with pytest.raises(TrainingFailed, match="returned 2 networks, needs one"):
        problem(lambda m, s: (fit(m, s), copy.deepcopy(m), copy.deepcopy(m))).anchor(0)


def test_the_default_dtype_is_the_caller_s():
    def double(module, seed):
        torch.set_default_dtype(torch.float64)
        fit(module, seed)

    train_anchors(problem(double), 2)
    assert torch.get_default_dtype() == torch.float32


def test_a_compiler_makes_one_program():
    """A counter that is a number would be another program at each step."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    def compiled(module, seed):
        fit(torch.compile(module, backend=backend, fullgraph=True), seed)

    solved = problem(compiled)
    assert torch.equal(flat(solved.anchor(0)), flat(problem().anchor(0)))
    assert solved.training_examples == EXAMPLES and len(graphs) <= 2


def test_a_regression_on_another_scale_is_told():
    targets = 20 + 10 * X[:, :1]

    def raw(module, seed):
        optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
        for _ in range(60):
            optimizer.zero_grad()
            (module(X[:TRAIN]) - targets[:TRAIN]).square().mean().backward()
            optimizer.step()

    solved = Problem(
        lambda: nn.Linear(6, 1),
        Batches(X[:TRAIN], targets[:TRAIN], size=20),
        outputs=Values(mean=20.0, std=10.0),
        train=raw,
    )
    with pytest.warns(UserWarning, match="is off by"):
        solved.anchor(0)


def test_pairs_of_inputs_are_not_taken_for_inputs_and_labels():
    with pytest.raises(InputError, match="unlabelled gives batches of 2 parts"):
        problem(unlabelled=[(X[TRAIN:200], X[TRAIN:200])])
    problem(unlabelled=[(X[TRAIN:200], Y[TRAIN:200])])


def test_a_mask_before_the_inputs_is_no_batch():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x, mask=None):
            return self.layer(x if mask is None else x * mask)

    module = Masked()
    with watched(module) as evaluations:
        module(mask=torch.ones(6), x=X[:9])
    assert evaluations.with_graph == 9


@pytest.mark.filterwarnings("ignore:torch's random generator is in the same state")
def test_two_trainings_that_are_one_are_an_error():
    def fixed(module, seed):
        torch.manual_seed(0)
        for p in module.parameters():
            p.data.normal_()
        fit(module, 0)

    with pytest.raises(
        InputError, match="trainings 0 and 1 by the training function gave the same"
    ):
        train_anchors(problem(fixed), 2)


def test_a_seed_of_its_own_is_told():
    def fixed(module, seed):
        torch.manual_seed(3)
        by_globals(module, seed)

    solved = problem(fixed)
    solved.anchor(0)
    with pytest.warns(UserWarning, match="in the same state after trainings 0 and 1"):
        solved.anchor(1)


def test_several_processes_give_what_one_gives():
    side_by_side = train_anchors(problem(execution=Execution(jobs=2)), 2)
    assert all(
        torch.equal(flat(one), flat(other))
        for one, other in zip(side_by_side, train_anchors(problem(), 2), strict=True)
    )


@pytest.mark.parametrize("execution", [Execution(stack=2), Execution(compile="default")])
def test_stacks_and_compilation_are_refused(execution):
    with pytest.raises(InputError, match="stack or compile beside a training function"):
        problem(execution=execution)


def test_without_inputs_nobody_knows_what_the_network_reads():
    with pytest.raises(InputError, match="neither unlabelled= nor train_loader="):
        problem(unlabelled=None)


def test_augmentation_alone_needs_its_seed():
    with pytest.raises(InputError, match="sources got 'augmentation' without 'order'"):
        problem(lambda module, order: None, sources=("init", "augmentation"))


@pytest.mark.parametrize("sources", [("data",), ("init", "order")])
def test_sources_that_one_seed_can_not_tell_apart(sources):
    with pytest.raises(InputError, match="sources got"):
        problem(sources=sources)


METHODS = {**explorers(), **baselines()}
BY_ANCHORS = ("deep-ensemble", "narrow-ensemble")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_works_or_says_so_before_anything_is_paid(name):
    calls = []

    def counting(module, seed):
        calls.append(seed)
        fit(module, seed)

    method = METHODS[name](budget=1.0) if name == "narrow-ensemble" else METHODS[name]()
    if name in BY_ANCHORS:
        method.run(problem(counting))
        assert calls
        return
    with pytest.raises(InputError) as refused:
        method.run(problem(counting))
    assert not calls, "something was trained before"
    if name == "mc-dropout":
        return  # nothing drops
    assert "train_loader" in str(refused.value)
    solved = with_loader(counting)
    method.run(solved)
    assert len(calls) == method.anchors and solved.cost.backward_examples > 0
    known = solved.cost.trainings == solved.cost.trainings
    assert known == (method.anchors > 0), "the first training by the function is the unit"


@pytest.mark.parametrize("make", [problem, with_loader])
def test_quantify_trains_narrow_copies_by_the_function(make):
    calls = []

    def counting(module, seed):
        calls.append(sum(p.numel() for p in module.parameters()))
        fit(module, seed)

    solved = make(counting)
    quantified = quantify(solved, X[400:], budget=1.0, draws=10)
    assert len(calls) == 1 + quantified.narrow_copies and len(set(calls)) == 2
    assert 1.5 < quantified.cost.trainings <= 2
    assert bool(torch.isfinite(quantified.predictions.u()).all())


def test_quantify_of_a_given_network_knows_the_unit_from_a_narrow_copy():
    trained = problem()
    state = trained.network(trained.anchor(0)).state_dict()
    given = quantify(problem(networks=state), X[400:], draws=10)
    whole = quantify(trained, X[400:], draws=10)
    assert torch.equal(given.predictions.u(), whole.predictions.u())
    assert given.cost.trainings == pytest.approx(whole.cost.trainings)
    assert given.cost.total == pytest.approx(whole.cost.total)


class Cache(dict):
    def put(self, key, weights, cost):
        self[key] = weights, cost


def test_the_cache_tells_functions_apart():
    cache = Cache()
    solved = problem(cache=cache, identity="test")
    solved.anchor(0)
    again = problem(failing, cache=cache, identity="test")
    assert not again.has(0)
    kept = problem(cache=cache, identity="test")
    assert kept.has(0) and kept.anchor(0) is not None and kept.cost.trainings == 1


def test_what_a_retraining_draws_anew_is_said():
    assert problem().drawn_anew.startswith(
        "init, order, augmentation (all but init as far as train(module, seed) draws them"
    )
    plain = Problem(network, Batches(X[:TRAIN], Y[:TRAIN], size=20))
    assert plain.drawn_anew == "init, order"
    assert with_loader(sources=("order", "augmentation")).drawn_anew.startswith("order, augm")


def test_a_deep_ensemble_of_a_function_is_real_retrainings():
    found = DeepEnsemble(members=3).explore(problem())
    assert len({tuple(flat(point).tolist()) for point in found.points}) == 3
