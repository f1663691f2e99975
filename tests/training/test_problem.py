"""Problems: which randomness a retraining draws anew, what anchors cost, where they are kept."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import cases
import contract
from thalweg.errors import InputError
from thalweg.meter import Cost, Meter
from thalweg.training.recipe import Recipe
from thalweg.weights.point import Weights


class Kept:
    def __init__(self):
        self.found = {}

    def get(self, key):
        return self.found.get(key)

    def put(self, key, weights, cost):
        self.found[key] = (weights, cost)


def same(first: Weights, second: Weights) -> bool:
    return all(torch.equal(p, second.params[name]) for name, p in first.params.items())


def initial(problem, k) -> Weights:
    return Weights.of(problem.build("anchor", k))


def seen(problem, *name, epochs=1, **settings) -> torch.Tensor:
    """The inputs that a training for a purpose reads, in order."""
    read = []

    def loss(outputs, _):
        return outputs.square().mean()

    class Eyes(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            read.append(x)
            return x.flatten(1)[:, :3] * self.w

    problem.fit(Eyes(), Recipe(epochs=epochs), *name, loss=loss, **settings)
    return torch.cat(read)


@pytest.mark.parametrize("source", ["init", "order", "augmentation"])
def test_only_the_named_source_is_drawn_anew(source):
    problem = cases.problem("no-norm", "augmented", sources=(source,))
    assert same(initial(problem, 0), initial(problem, 1)) == (source != "init")
    assert same(
        initial(problem, 0),
        initial(cases.problem("no-norm", "augmented", sources=(source,), seed=5), 0),
    ) == (source != "init")
    a, b = seen(problem, "anchor", 0), seen(problem, "anchor", 1)
    assert torch.equal(a, b) == (source == "init")
    # the noise of augmentation is small: which images come, without it
    x = cases.task()[0] - 0.2
    order = [torch.cdist(part.flatten(1), x.flatten(1)).argmin(1).tolist() for part in (a, b)]
    assert (order[0] == order[1]) == (source != "order")
    assert not same(problem.anchor(0), problem.anchor(1))


def test_no_source_gives_the_same_network_again():
    problem = cases.problem("conv-batchnorm", sources=())
    assert same(problem.anchor(0), problem.anchor(1))
    assert same(problem.anchor(0), cases.problem("conv-batchnorm", sources=(), seed=3).anchor(4))


def test_bootstrapped_data():
    problem = cases.problem(sources=("data",))
    a, b = seen(problem, "anchor", 0, epochs=2), seen(problem, "anchor", 1)
    assert not torch.equal(a[:95], b)
    assert torch.equal(a[:95].flatten(1).unique(dim=0), a[95:].flatten(1).unique(dim=0)), (
        "every epoch has the same examples"
    )
    assert 45 < len(a[:95].flatten(1).unique(dim=0)) < 75  # 63 % of 95


def test_what_explores_around_an_anchor_sees_its_bootstrap():
    """In all of its parts, and an exploration from scratch that of anchor 0; order and augmentation
    are its own.
    """
    problem = cases.problem(sources=("order", "data"))

    def examples(*name, **settings):
        return seen(problem, *name, **settings).flatten(1).sort(0).values

    first = examples("anchor", 0)
    for name in (("swag", "beginning"), ("swag", "collect"), ("spro", 0, 1), ("learned-line",)):
        assert torch.equal(examples(*name), first), name
    assert torch.equal(
        examples("anchor", "swag 1", "beginning"), examples("anchor", "swag 1", "collect")
    )
    assert torch.equal(
        examples("spro", 1, 0, data_of=1), examples("anchor", 1)
    ) and not torch.equal(examples("anchor", 1), first)
    assert not torch.equal(seen(problem, "swag", "collect"), seen(problem, "swag", "beginning"))


@pytest.mark.parametrize("loader", ["tuples", "own-generator", "dictionaries"])
def test_a_users_loader_has_another_order_for_each_training(loader):
    problem = cases.problem("no-norm", loader)
    a, b = seen(problem, "anchor", 0), seen(problem, "anchor", 1)
    assert not torch.equal(a, b) and torch.equal(a, seen(problem, "anchor", 0))
    again = cases.problem("no-norm", loader, sources=("init",))
    assert torch.equal(seen(again, "anchor", 0), seen(again, "anchor", 1))


def test_a_users_loader_keeps_its_own_state():
    problem = cases.problem("no-norm", "own-generator")
    before = problem.train_loader.generator.get_state()
    problem.anchor(0)
    assert torch.equal(problem.train_loader.generator.get_state(), before)


def test_anchors_are_trained_once_and_count_once_in_each_result():
    problem = cases.problem()
    first = problem.anchor(0)
    cost = problem.cost
    assert (
        cost.trainings == 1
        and cost.backward_examples == 5 * 95
        and cost.seconds > 0
        and cost.peak_memory > 0
    )
    with problem.measured() as own:
        assert problem.anchor(0) is first and problem.anchor(0) is first
    assert (own.cost.trainings, own.cost.seconds) == (1, cost.seconds) and problem.cost == cost


def test_a_cache_hit_costs_the_same_and_gives_the_same():
    cache = Kept()
    first = cases.problem("conv-batchnorm", cache=cache, identity="a")
    weights = first.anchor(2)
    second = cases.problem("conv-batchnorm", cache=cache, identity="a")
    assert same(second.anchor(2), weights) and len(cache.found) == 1
    assert second.cost == first.cost
    assert same(weights, cases.problem("conv-batchnorm").anchor(2)), (
        "and the same as without a cache"
    )


def test_the_key_holds_all_that_changes_a_training():
    problem = cases.problem(cache=Kept(), identity="a")
    keys = {problem.fingerprint(0), problem.fingerprint(1)}
    for change in (
        {"seed": 1},
        {"recipe": replace(cases.RECIPE, lr=0.03)},
        {"sources": ("init",)},
        {"identity": "b"},
    ):
        keys.add(cases.problem(**{"cache": Kept(), "identity": "a", **change}).fingerprint(0))
    assert len(keys) == 6
    assert cases.problem(identity="a", sources=("order", "init", "augmentation")).fingerprint(
        0
    ) == problem.fingerprint(0)
    assert cases.problem(identity="a", networks=problem.anchor(0)).fingerprint(
        1
    ) == problem.fingerprint(1)


def test_a_problem_that_is_changed_forgets_its_anchors():
    problem = cases.problem()
    first = problem.anchor(0)
    changed = replace(problem, seed=1)
    assert not same(changed.anchor(0), first)


def test_time_is_counted_once_inside_a_clock():
    cache = Kept()
    problem = cases.problem("conv-batchnorm", cache=cache, identity="a")
    with problem.meter.clock():
        problem.anchor(0)
    ((_, kept),) = cache.found.values()
    assert kept.seconds > 0 and kept.peak_memory > 0, "what is kept says how long it took"
    assert kept.seconds <= problem.cost.seconds < 1.5 * kept.seconds + 0.1


def test_a_cost_of_fractions_of_an_epoch():
    for epochs, examples in ((0.5, 48), (1.5, 95 + 48)):
        assert cases.problem(recipe=Recipe(epochs=epochs)).training_examples == examples
    problem = cases.problem(recipe=Recipe(epochs=1.5))
    problem.anchor(0)
    assert problem.cost.trainings == 1.0


def test_given_weights_are_the_first_anchor():
    mine = cases.problem(seed=8).anchor(0)
    problem = cases.problem(networks=mine)
    assert same(problem.anchor(0), mine) and problem.cost.trainings == 1
    assert not same(problem.anchor(1), mine) and same(problem.anchor(1), cases.problem().anchor(1))


def good() -> dict:
    return cases.no_norm().state_dict()


BAD_STARTS = {
    "missing": (
        lambda: {k: v for k, v in good().items() if k != "3.bias"},
        "state_dict does not fit the model: missing '3.bias'",
    ),
    "empty": (dict, r"networks\[0\]: it holds no state_dict \(it has nothing\)"),
    "extra": (lambda: {**good(), "module.x": torch.zeros(2)}, "unexpected 'module.x'"),
    "shape": (
        lambda: {**good(), "3.bias": torch.zeros(9)},
        r"'3.bias' has shape \(9,\), the model needs \(3,\)",
    ),
    "another network": (
        lambda: Weights.of(cases.layernorm()),
        "weights does not fit|weights do not fit",
    ),
    "no statistics": (lambda: Weights(Weights.of(cases.no_norm()).params), "batch-norm statistics"),
    "a factory": (lambda: cases.no_norm, r"networks\[0\]: got a function, needs a trained network"),
    "not finite": (
        lambda: {**good(), "3.bias": torch.full((3,), float("nan"))},
        "'3.bias' is not finite",
    ),
}


@pytest.mark.parametrize("case", BAD_STARTS)
def test_a_bad_start_is_found_before_anything_is_trained(case):
    start, message = BAD_STARTS[case]
    with pytest.raises(InputError, match=message) as caught:
        cases.problem(networks=start())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cache": Kept()}, "got no identity"),
        ({"sources": ("init", "ordre")}, "ordre"),
        ({"sources": ("data",), "loader": "tuples"}, "'data' with a loader of your own"),
        ({"sources": ("order",), "loader": "tuples"}, "can't tell them apart"),
        ({"bn_examples": 0}, "problem.bn_examples got 0"),
        ({"execution": "cuda"}, r"execution got a str, needs a thalweg.Execution"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        cases.problem(**settings)
    assert "\n" not in str(caught.value)


def test_the_callers_random_state_is_untouched():
    before = contract.states()
    problem = cases.problem("conv-batchnorm", "tuples")
    problem.network(problem.anchor(0))
    problem.build("a")
    contract.assert_states(before)


def test_a_meter_of_ones_own():
    meter = Meter()
    cases.problem(meter=meter).anchor(0)
    assert meter.cost.trainings == 1 and isinstance(meter.cost, Cost)


def test_where_init_is_not_drawn_anew_retrainings_share_it_and_the_vertices_of_a_subspace_do_not():
    fixed = [cases.problem(sources=("order", "augmentation"), seed=s) for s in (0, 1)]
    retrainings = [Weights.of(p.build("anchor", k)) for p in fixed for k in (0, 1)]
    assert all(same(retrainings[0], other) for other in retrainings[1:])
    vertices = [Weights.of(fixed[0].build("learned-line", k)) for k in (0, 1)]
    assert not same(*vertices)
    assert same(vertices[0], Weights.of(fixed[1].build("learned-line", 0)))


def test_a_recipe_is_one():
    with pytest.raises(InputError, match="recipe got a int"):
        cases.problem(recipe=10)


def test_a_meter_has_one_unit():
    """A copy with another recipe would count in other trainings than the original."""
    problem = cases.problem()
    problem.anchor(0)
    with pytest.raises(
        InputError, match=r"trainings of 475 examples, this problem's have 95: .* meter=Meter\(\)"
    ):
        replace(problem, recipe=replace(problem.recipe, epochs=1))
    assert problem.cost.trainings == 1
    assert replace(problem, seed=1).meter is problem.meter, "of the same unit"


@pytest.mark.parametrize("loader", cases.LOADERS)
def test_unlabelled_inputs_are_those_of_the_training_set_where_none_are_given(loader):
    """As the network reads them, not augmented where that can be told, the same ones each time."""
    problem = cases.problem("no-norm", loader)
    found = problem.inputs(40)
    known = cases.task()[0] - (0.2 if loader == "augmented" else 0)
    assert found.shape == (40, 1, 6, 6) and torch.equal(found, problem.inputs(40))
    assert all((known == x).flatten(1).all(1).any() for x in found)
    assert len(problem.inputs()) == cases.EXAMPLES


@pytest.mark.parametrize(
    "make", [lambda x: x, lambda x: x.split(7), lambda x: [(part, 0) for part in x.split(7)]]
)
def test_unlabelled_inputs_of_the_users(make):
    x, _ = cases.held_out()
    assert torch.equal(cases.problem(unlabelled=make(x)).inputs(20), x[:20])


@pytest.mark.parametrize("loader", cases.LOADERS)
def test_a_part_of_the_training_set_has_all_classes(loader):
    """Also where the loader gives one class after the other."""
    x, y = cases.task()
    order = y.argsort()
    sorted_batches = list(zip(x[order].split(cases.SIZE), y[order].split(cases.SIZE), strict=True))
    problem = cases.problem(
        "no-norm", **({"train_loader": sorted_batches} if loader == "list" else {"loader": loader})
    )
    labels = torch.cat([y for _, y in problem.training_part(40)])
    assert 40 <= len(labels) < 60 and len(labels.unique()) == cases.CLASSES


def test_a_part_of_a_users_loader_is_read_a_batch_at_a_time():
    """Of fifty batches two are kept, and those after the last that is wanted are not read."""
    read = []

    class Loader:
        def __len__(self):
            return 50

        def __iter__(self):
            for k in range(50):
                read.append(k)
                yield torch.full((4, 36), float(k)), torch.arange(4) % cases.CLASSES

    problem = cases.problem(train_loader=Loader())
    read.clear()
    found = problem.training_part(8)
    assert [float(x[0, 0]) for x, _ in found] == [0, 25] and read == list(range(26))
