"""Sensitivity: closed forms, what it costs, and the networks that have none."""

import math
import random
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cases
import thalweg
from test_quantifier import same, state
from thalweg.emulators.atlas import Atlas
from thalweg.emulators.observations import Observations
from thalweg.errors import InputError
from thalweg.method import Method
from thalweg.quantifier import Quantifier
from thalweg.seeds import numpy_position, position
from thalweg.sensitivity import INPUTS, sensitivity
from thalweg.storing import fits
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.weights.point import Weights

KNOWN = cases.held_out(130)[0]
ASKED = cases.task(20, seed=2)[0]


def linear(features: int, outputs: int, *, bias: bool = True) -> nn.Module:
    return nn.Linear(features, outputs, bias=bias, dtype=torch.float64)


def problem_of(model, x: Tensor, y: Tensor, **settings) -> Problem:
    torch.manual_seed(0)
    return Problem(model, Batches(x, y, 10), networks=model(), **settings)


def inputs(count: int, features: int) -> Tensor:
    random = torch.Generator().manual_seed(3)
    return torch.randn(count, features, generator=random, dtype=torch.float64)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_linear_softmax_network(classes):
    """dp/dW = J x' and dp/db = J with J = diag(p) - p p', so |dp/dw| = |J| sqrt(|x|^2 + 1)."""
    x = inputs(40, 4)
    own = problem_of(lambda: linear(4, classes), x, torch.arange(40) % classes)
    weights = own.anchor(0)
    p = own.network(weights)(x).softmax(1).detach()
    jacobian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    expected = jacobian.flatten(1).norm(dim=1) * (x.square().sum(1) + 1).sqrt()
    found = sensitivity(own, weights, x)
    assert found.mean == pytest.approx(float(expected.mean()), rel=1e-9)
    assert found.parameters == 5 * classes
    columns = weights.params["weight"].square().mean(0)  # of each input, a unit
    bias = float(weights.params["bias"].square().mean())
    norm = (x.square() @ columns + bias).sqrt()
    relative = float((jacobian.flatten(1).norm(dim=1) * norm).mean())
    assert found.relative == pytest.approx(relative, rel=1e-9)


def test_units_of_inputs_leave_the_relative_kind_as_it_is():
    """Without a bias, a network of inputs in thousandths has weights that are thousands; of each
    input by itself.
    """
    x, found = inputs(40, 4), []
    own = problem_of(lambda: linear(4, 3, bias=False), x, torch.arange(40) % 3)
    network = own.network(own.anchor(0))
    for unit in (torch.ones(4).double(), torch.tensor([1000.0, 1.0, 1e-3, 30.0]).double()):
        same = linear(4, 3, bias=False)
        same.weight.data = network.weight.detach() / unit
        made = Problem(lambda: linear(4, 3, bias=False), own.train_loader, networks=same)
        found.append(sensitivity(made, made.anchor(0), x * unit))
    assert found[1].relative == pytest.approx(found[0].relative, rel=1e-9)
    assert found[1].mean > 100 * found[0].mean


def test_one_logit():
    """The two probabilities move by p (1 - p) each."""
    x = inputs(30, 4)
    own = problem_of(lambda: linear(4, 1), x, torch.arange(30) % 2, outputs=thalweg.Binary())
    p = own.network(own.anchor(0))(x).sigmoid().detach()[:, 0]
    expected = 2**0.5 * p * (1 - p) * (x.square().sum(1) + 1).sqrt()
    found = sensitivity(own, own.anchor(0), x)
    assert found.mean == pytest.approx(float(expected.mean()), rel=1e-9)


def test_a_linear_regression():
    """In units: the values are the outputs times their standard deviations."""
    x, std = inputs(30, 4), (2.0, 5.0)
    own = problem_of(lambda: linear(4, 2), x, x[:, :2], outputs=thalweg.Values(units="mg", std=std))
    expected = 29**0.5 * (x.square().sum(1) + 1).sqrt()
    found = sensitivity(own, own.anchor(0), x)
    assert found.mean == pytest.approx(float(expected.mean()), rel=1e-9)
    assert found.parameters == 10


def test_the_five_leading_directions_are_nearly_all_of_it():
    x = inputs(20, 4)
    own = problem_of(lambda: linear(4, 8), x, torch.arange(20) % 8)
    p = own.network(own.anchor(0))(x).softmax(1).detach()
    jacobian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    norm = torch.linalg.svdvals(jacobian)[:, :5].norm(dim=1)
    found = sensitivity(own, own.anchor(0), x)
    expected = float((norm * (x.square().sum(1) + 1).sqrt()).mean())
    assert found.mean == pytest.approx(expected, rel=1e-9)
    assert expected > 0.8 * float((jacobian.flatten(1).norm(dim=1)).mean())


@pytest.mark.parametrize("outputs", [3, 20])
def test_of_many_values_five_directions_stand_for_all(outputs):
    """In closed form: |dp/dw|^2 = sum std^2 (|x|^2 + 1)."""
    x = inputs(40, 4)
    kind = thalweg.Values(units="mg", std=(2.0,) * outputs)
    own = problem_of(lambda: linear(4, outputs), x, torch.ones(40, outputs).double(), outputs=kind)
    found = sensitivity(own, own.anchor(0), x)
    expected = float((x.square().sum(1) + 1).sqrt().mean()) * 2 * outputs**0.5
    assert found.mean == pytest.approx(expected, rel=1e-9)


def test_half_precision_is_no_matter_where_values_are_large():
    x = inputs(30, 4).half()
    kind = thalweg.Values(units="mg", std=1e6)
    own = problem_of(lambda: nn.Linear(4, 1, dtype=torch.float16), x, x[:, :1], outputs=kind)
    found = sensitivity(own, own.anchor(0), x)
    expected = float((x.double().square().sum(1) + 1).sqrt().mean()) * 1e6
    assert found.mean == pytest.approx(expected, rel=2e-3)


def test_frozen_parameters_do_not_count():
    def model() -> nn.Module:
        network = nn.Sequential(linear(4, 6), nn.Tanh(), linear(6, 3, bias=False))
        network[0].requires_grad_(False)
        return network

    x = inputs(20, 4)
    own = problem_of(model, x, torch.arange(20) % 3)
    network = own.network(own.anchor(0))
    hidden = network[:2](x).detach()
    p = network(x).softmax(1).detach()
    jacobian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    expected = jacobian.flatten(1).norm(dim=1) * hidden.norm(dim=1)
    found = sensitivity(own, own.anchor(0), x)
    assert found.parameters == 18
    assert found.mean == pytest.approx(float(expected.mean()), rel=1e-9)


@pytest.mark.parametrize(("count", "counted"), [(30, 30), (130, INPUTS)])
def test_it_costs_a_backward_pass_for_each_direction_of_inputs_that_are_spread(count, counted):
    own = cases.problem(networks=cases.no_norm(), unlabelled=KNOWN)
    weights = own.anchor(0)
    before = own.cost
    found = sensitivity(own, weights, KNOWN[:count])
    assert own.cost.backward_examples - before.backward_examples == 3 * counted
    assert own.cost.forward_examples == before.forward_examples
    assert own.cost.seconds > before.seconds
    spread = [k * count // counted for k in range(counted)]
    assert found == sensitivity(own, weights, KNOWN[spread])


def test_many_inputs_are_thinned_and_may_be_sorted():
    """Of 700 all parts count alike, so that sorting them changes little."""
    own = cases.problem(networks=cases.no_norm())
    weights, x = (
        own.anchor(0),
        torch.linspace(-2, 2, 700)[:, None, None, None].expand(-1, *KNOWN.shape[1:]),
    )
    up, down = (sensitivity(own, weights, given.clone()).mean for given in (x, x.flip(0)))
    assert up == pytest.approx(down, rel=0.05)
    assert up == pytest.approx(sensitivity(own, weights, x[::7].clone()).mean, rel=0.05)


def test_batches_do_not_matter_and_nobody_s_state_is_touched():
    own = cases.problem("conv-batchnorm", networks=cases.conv_batchnorm())
    weights = own.anchor(0)
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    states = position(), numpy_position()
    with torch.no_grad():  # a user may have switched gradients off
        found = sensitivity(own, weights, KNOWN)
    assert (position(), numpy_position()) == states
    for batches in ([(b,) for b in KNOWN.split(7)], list(KNOWN.split(33)), KNOWN.numpy()):
        assert sensitivity(own, weights, batches) == found
    after = Weights.of(own.network(weights))
    assert all(torch.equal(after.buffers[name], weights.buffers[name]) for name in after.buffers)


def test_a_network_that_is_random_when_it_predicts():
    own = Problem(cases.Noisy, cases.batches(), cases.RECIPE, networks=cases.Noisy())
    found = [sensitivity(own, own.anchor(0), KNOWN) for _ in range(2)]
    assert found[0] == found[1] and found[0].mean > 0


class Pair(nn.Module):
    """Two inputs, by place or by name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.layer(torch.cat([a, b], 1))


def test_inputs_of_several_tensors():
    a, b, y = torch.randn(40, 2), torch.randn(40, 3), torch.arange(40) % 3
    network, found = Pair(), []
    for x in ((a, b), {"a": a, "b": b}):
        own = Problem(Pair, Batches(x, y, 10), networks=network)
        found.append(sensitivity(own, own.anchor(0), x))
    plain = Problem(lambda: nn.Linear(5, 3), Batches(torch.cat([a, b], 1), y, 10),
                    networks=network.layer)  # fmt: skip
    expected = sensitivity(plain, plain.anchor(0), torch.cat([a, b], 1))
    assert found[0] == found[1] and found[0].mean == pytest.approx(expected.mean, rel=1e-6)


class NoGradient(nn.Module):
    """Its layer has no backward pass when it predicts, as some recurrent ones on a GPU."""

    def __init__(self, what: str = "raises") -> None:
        super().__init__()
        self.what, self.layer = what, nn.Linear(36, cases.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x.flatten(1))
        if self.training:
            return out
        if self.what == "batches" and len(x) == 1:
            raise RuntimeError("two inputs or more")
        if self.what == "squeezes":
            return out.squeeze(0)
        if self.what == "detaches":
            return out.detach()
        return _Refuses.apply(out) if self.what == "raises" else out


class _Refuses(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        raise RuntimeError("backward can only be called in training mode")


def all_frozen() -> nn.Module:
    return cases.no_norm().requires_grad_(False)


@pytest.mark.parametrize("what", ["raises", "batches", "squeezes", "detaches"])
def test_networks_that_have_none(what):
    model = lambda: NoGradient(what)  # noqa: E731
    own = Problem(model, cases.batches(), cases.RECIPE, networks=model(), unlabelled=KNOWN)
    assert sensitivity(own, own.anchor(0), KNOWN) is None


def test_a_network_that_is_not_trained_has_none():
    own = Problem(all_frozen, networks=all_frozen(), unlabelled=KNOWN)
    assert sensitivity(own, own.anchor(0), KNOWN) is None
    assert own.cost.backward_examples == 0


def test_a_loader_that_shuffles_is_refused():
    own = cases.problem(networks=cases.no_norm())
    with pytest.raises(InputError, match="shuffles"):
        sensitivity(own, own.anchor(0), cases.batches())


# what emulators get


@pytest.fixture
def seen(monkeypatch) -> list[tuple[Observations, ...]]:
    """What the atlas learns from, and is asked about."""
    found: list[Observations] = []
    learn = Atlas.learn

    def watched(self, known, seed):
        ask = learn(self, known, seed)
        found.append(known)

        def asked(observed, draws, seed):
            found.append(observed)
            return ask(observed, draws, seed)

        return asked

    monkeypatch.setattr(Atlas, "learn", watched)
    return found


TRAINED = state(cases.problem(seed=5), 0), state(cases.problem(seed=5), 1)


def quiet(function, *given, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*given, **settings)


def test_a_fit_gives_that_of_the_first_network(seen, tmp_path):
    own = cases.problem(networks=list(TRAINED), unlabelled=KNOWN)
    quantifier = quiet(Quantifier(budget=0, draws=5).fit, own)
    expected = quantifier.predict(ASKED)
    of_first = sensitivity(own, own.anchor(0), KNOWN)
    assert [said.sensitivity for said in seen] == [of_first] * 2
    assert quantifier.cost_.backward_examples == 3 * INPUTS
    quantifier.save(tmp_path)
    found = quiet(thalweg.load, tmp_path, model=cases.no_norm)
    assert same(found.predict(ASKED), expected)
    assert [said.sensitivity for said in seen] == [of_first] * 4
    assert found.cost_ == quantifier.cost_


def test_a_fit_that_was_saved_before_can_be_read(seen, tmp_path, monkeypatch):
    """It has none, and says so by None."""
    write = fits._of_witness

    def as_before(own):
        tensors, facts = write(own)
        del facts["sensitivity"]
        return tensors, facts

    monkeypatch.setattr(fits, "_of_witness", as_before)
    own = cases.problem(networks=TRAINED[0], unlabelled=KNOWN)
    quiet(Quantifier(budget=0, draws=5).fit, own).save(tmp_path)
    found = quiet(thalweg.load, tmp_path, model=cases.no_norm).predict(ASKED)
    assert seen[-1].sensitivity is None and torch.isfinite(found.u()).all()


def test_another_network_later_leaves_it_as_it_is(seen):
    one = quiet(Quantifier(budget=0).fit, cases.problem(networks=TRAINED[0], unlabelled=KNOWN))
    spent = one.cost_.backward_examples
    quiet(one.update, TRAINED[1])
    assert seen[0].sensitivity == seen[1].sensitivity != None  # noqa: E711
    assert one.cost_.backward_examples == spent == 3 * INPUTS


def test_with_narrow_copies_too(seen):
    own = cases.problem(networks=TRAINED[0], unlabelled=KNOWN)
    quantifier = quiet(Quantifier(budget=1.0, emulator=Atlas(trees=5), draws=3).fit, own)
    assert quantifier.narrow_copies_ and seen[0].members > 1
    assert seen[0].sensitivity == sensitivity(own, own.anchor(0), KNOWN)


@pytest.mark.parametrize("geometry", [True, False])
def test_compute_gives_the_same(geometry, seen):
    emulator = Atlas(trees=5, geometry=geometry)
    own = cases.problem(networks=list(TRAINED), unlabelled=KNOWN)
    found = quiet(thalweg.quantify, own, ASKED, budget=0, emulator=emulator, draws=4)
    method = Method(thalweg.explorers.DeepEnsemble(2), emulator=emulator)
    computed = thalweg.compute(
        method,
        cases.problem(networks=list(TRAINED)),
        {"calibration": KNOWN, "asked": ASKED},
        emulator_draws=4,
    )
    assert seen[0].sensitivity == seen[2].sensitivity and seen[0].sensitivity.mean > 0
    assert same(found.predictions, computed.predictions["asked"])
    assert computed.cost.backward_examples == found.cost.backward_examples == 3 * INPUTS


class Records(dict):
    """What a study keeps of networks."""

    def recorded(self, name, *, features):
        return self.get(name)

    def keep(self, name, record):
        self[name] = record


def test_a_study_that_goes_on_gets_the_same(seen):
    """What networks said is kept there; their sensitivity is found anew, at the same cost."""
    method, records, found = (
        Method(thalweg.explorers.DeepEnsemble(1), emulator=Atlas()),
        Records(),
        [],
    )
    inputs = {"calibration": KNOWN, "asked": ASKED}
    for _ in range(2):
        own = cases.problem(networks=TRAINED[0], identity="a task")
        found.append(thalweg.compute(method, own, inputs, emulator_draws=3, store=records))
    assert len(records) == 1 and seen[0].sensitivity == seen[2].sensitivity != None  # noqa: E711
    assert same(*(own.predictions["asked"] for own in found))
    assert [own.cost.backward_examples for own in found] == [3 * INPUTS] * 2
    assert found[0].cost.forward_examples == found[1].cost.forward_examples


def test_other_emulators_do_not_ask(monkeypatch):
    for module in ("fitting", "asking"):
        monkeypatch.setattr(f"thalweg.{module}.sensitivity_if_any", None)
    own = cases.problem(networks=list(TRAINED), unlabelled=KNOWN)
    emulator = thalweg.emulators.Forest(trees=5)
    found = quiet(thalweg.quantify, own, ASKED, budget=0, emulator=emulator, draws=3)
    assert found.cost.backward_examples == 0


@pytest.mark.parametrize("model", [NoGradient, all_frozen])
def test_networks_without_it_are_quantified_all_the_same(model, seen, tmp_path):
    own = Problem(model, networks=model(), unlabelled=KNOWN)
    quantifier = quiet(Quantifier(budget=0, draws=3).fit, own)
    expected = quantifier.predict(ASKED)
    assert seen[0].sensitivity is None and (expected.u() > 0).all()
    quantifier.save(tmp_path)
    assert same(quiet(thalweg.load, tmp_path, model=model).predict(ASKED), expected)


@pytest.mark.parametrize("model", [NoGradient, all_frozen])
def test_without_it_the_level_says_so_and_one_warning(model):
    def warned(own: Problem) -> tuple[Quantifier, list[str]]:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            made = Quantifier(budget=0, draws=3).fit(own)
            made.predict(ASKED)
        lines = [line for line in told if "gradients" in str(line.message)]
        assert all(line.category is UserWarning for line in lines)
        return made, [str(line.message) for line in lines]

    quantifier, lines = warned(Problem(model, networks=model(), unlabelled=KNOWN))
    assert len(lines) == 1 and "predictions alone" in lines[0] and "docs/atlas.md" in lines[0]
    assert "predictions alone" in str(quantifier.level_) and str(quantifier.level_) in str(
        quantifier
    )
    usual, lines = warned(cases.problem(networks=TRAINED[0], unlabelled=KNOWN))
    assert not lines and not usual.level_.weaker and "alone" not in str(usual.level_)


def test_computing_warns_of_it_too():
    method = Method(thalweg.explorers.DeepEnsemble(1), emulator=Atlas(geometry=False))
    own = Problem(NoGradient, cases.batches(), cases.RECIPE, networks=NoGradient())
    with pytest.warns(UserWarning, match="no gradients"):
        thalweg.compute(method, own, {"calibration": KNOWN, "asked": ASKED}, emulator_draws=3)


@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_that_of_values_has_their_unit(unit, seen):
    """In thousandths, sensitivity, level and u are a thousand times what they were."""
    x, y = cases.task()[0], cases.task()[0].flatten(1)[:, : cases.CLASSES]

    network = NoGradient("nothing")

    def own(unit: float) -> Problem:
        return Problem(
            lambda: NoGradient("nothing"),
            Batches(x, y, 16),
            cases.RECIPE,
            networks=network,
            unlabelled=KNOWN,
            outputs=thalweg.Values(units="mg", std=3.0 * unit),
        )

    quantifiers = [
        quiet(Quantifier(budget=0, draws=3, emulator=Atlas(geometry=False)).fit, own(factor))
        for factor in (1.0, unit)
    ]
    one, other = quantifiers
    assert other.level_.value == pytest.approx(unit * one.level_.value, rel=1e-5)
    assert torch.allclose(other.predict(ASKED).u(), unit * one.predict(ASKED).u(), rtol=1e-3)
    found = [said.sensitivity.mean for said in seen if said.sensitivity is not None]
    assert max(found) == pytest.approx(unit * min(found))
    assert other.cost_.backward_examples == cases.CLASSES * INPUTS
    assert not other.level_.weaker


def test_a_training_function_without_a_loader(seen):
    def train(module: nn.Module, seed: int) -> None:
        raise AssertionError

    own = Problem(cases.no_norm, train=train, networks=TRAINED[0], unlabelled=list(KNOWN.split(9)))
    quantifier = quiet(Quantifier(budget=0, draws=3).fit, own)
    assert seen[0].sensitivity == sensitivity(own, own.anchor(0), KNOWN)
    assert quantifier.cost_.given == 1
    assert (
        "cost: 1 network trained elsewhere, evaluated on 130 inputs, and on 300 with a backward "
        "pass" in str(quantifier)
    )


@pytest.mark.parametrize("network", sorted(cases.NETWORKS))
def test_every_network_can_be_looked_at_and_stays_what_it_is(network):
    own = cases.problem(network)
    weights = own.anchor(0)
    kept = {name: tensor.clone() for name, tensor in (weights.params | weights.buffers).items()}
    found = sensitivity(own, weights, cases.held_out(12)[0])
    assert math.isfinite(found.mean) and found.mean > 0
    for name, tensor in (weights.params | weights.buffers).items():
        assert torch.equal(tensor, kept[name]), name


def test_a_fit_of_an_earlier_atlas_is_refused_as_such(tmp_path, monkeypatch):
    """Its networks hold other numbers, which would look like damage."""
    own = cases.problem(networks=TRAINED[0], unlabelled=KNOWN)
    quantifier = quiet(Quantifier(budget=0, draws=3, emulator=Atlas()).fit, own)
    plain = fits.asdict

    def earlier(own):
        if isinstance(own, Atlas):
            return plain(own) | {"version": 1}
        return {"mean": own.mean, "parameters": 9} if hasattr(own, "relative") else plain(own)

    monkeypatch.setattr(fits, "asdict", earlier)
    quantifier.save(tmp_path)
    monkeypatch.undo()
    with pytest.raises(InputError, match="version got 1, needs 2"):
        thalweg.load(tmp_path, model=cases.no_norm)
