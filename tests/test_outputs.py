"""What outputs mean: one contract, held by classes, one logit and values alike."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from thalweg.baselines.base import baselines
from thalweg.computing import compute
from thalweg.emulators.engression import Engression
from thalweg.errors import Diverged, InputError
from thalweg.explorers.base import explorers
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.explorers.restarts import Restarts
from thalweg.files import read_tensors
from thalweg.landscape import extent, profile
from thalweg.method import Method
from thalweg.metrics.scoring import scoring_of
from thalweg.outputs import Binary, Classes, Values, outputs_of
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.quantifying import quantify
from thalweg.study.judged import judged_of
from thalweg.training.anchors import train_anchors
from thalweg.training.batches import Batches
from thalweg.training.execution import Execution
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import Members

KINDS = {
    "classes": (Classes(), 3),
    "binary": (Binary(), 1),
    "value": (Values("mg/l", 20.0, 5.0), 1),
    "values": (Values("K", (300.0, 10.0), (50.0, 2.0)), 2),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def targets(outputs, n: int, count: int) -> Tensor:
    """Targets that can be learned from inputs `random(count, 4)`."""
    x = random(count, 4)
    if isinstance(outputs, Values):
        found = torch.stack([x[:, 0] * x[:, 1], x[:, 2].abs()], 1)[:, :n]
        return found * torch.tensor(outputs.std) + torch.tensor(outputs.mean)
    return ((x[:, 0] > 0).long() + (x[:, 1] > 0).long()).clamp(max=max(n - 1, 1))


def problem(kind, *, y: Tensor | None = None, model=None, **settings) -> Problem:
    outputs, n = kind

    def network() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, n))

    y = targets(outputs, n, 120) if y is None else y
    y = y.float() if y.dtype == torch.float64 else y
    settings = {"outputs": outputs, "recipe": Recipe(epochs=8, lr=0.05), **settings}
    return Problem(model or network, Batches(random(120, 4).float(), y, size=16), **settings)


def test_the_hessian_is_that_of_the_loss_of_one_input(kind):
    outputs, n = kind
    raw, y = random(5, n), targets(outputs, n, 5)
    for i in range(5):
        exact = torch.autograd.functional.hessian(
            lambda row, i=i: outputs.loss()(row[None], y[i : i + 1]), raw[i]
        )
        assert torch.allclose(outputs.hessian(raw)[i], exact, rtol=0, atol=1e-12)


def test_the_loss_of_draws_is_the_mean_of_theirs(kind):
    outputs, n = kind
    raw, y = random(3, 7, n), targets(outputs, n, 7)
    expected = torch.stack([outputs.loss()(own, y) for own in raw]).mean()
    assert torch.allclose(outputs.loss()(raw, y), expected, rtol=1e-12, atol=0)


def test_losses_are_those_of_the_textbook():
    z, y = random(9, 1), torch.arange(9) % 2
    p = 1 / (1 + torch.exp(-z[:, 0]))
    expected = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
    assert torch.allclose(Binary().loss()(z, y), expected)
    assert torch.allclose(Classes().loss()(torch.cat([0 * z, z], 1), y), expected)
    values = Values(mean=3.0, std=2.0)
    raw, t = random(9, 2), random(9, 2, seed=1)
    assert torch.allclose(values.loss()(raw, t), ((raw - (t - 3) / 2) ** 2).mean())


def test_the_dispersion_makes_of_the_loss_minus_the_log_likelihood():
    """Of a Gaussian whose variance is that of the residuals, the constant apart."""
    raw, t = random(50, 2), random(50, 2, seed=1)
    loss = float(Values().loss()(raw, t))
    variance = float((raw - t).square().mean())
    one = float(Values().loss()(raw[:1], t[:1])) / Values().dispersion(loss, 2)
    assert one == pytest.approx(float((raw[0] - t[0]).square().sum()) / (2 * variance))
    assert Classes().dispersion(loss, 2) == Binary().dispersion(loss, 1) == 1


def test_values_are_what_outputs_mean(kind):
    outputs, n = kind
    raw = random(2, 6, n)
    found = outputs.values(outputs.store(raw))
    expected = {
        "classes": lambda: raw.exp() / raw.exp().sum(-1, keepdim=True),
        "binary": lambda: torch.cat([1 / (1 + raw.exp()), 1 / (1 + (-raw).exp())], -1),
        "values": lambda: raw * torch.tensor(outputs.std) + torch.tensor(outputs.mean),
    }[outputs.kind]()
    assert torch.allclose(found, expected, rtol=1e-6, atol=0)
    assert found.shape[-1] == outputs.columns(n)
    assert outputs.simplex == bool(torch.allclose(found.sum(-1), torch.ones(2, 6).double()))
    assert torch.allclose(outputs.average(outputs.store(raw)), found.mean(0))


def test_values_far_from_zero_keep_their_differences():
    """Single precision has steps of 128 s at 1.7e9 s: u would be 0 or a multiple of 64."""
    dates = Values("s", mean=1.7e9, std=1000.0)
    raw = torch.tensor([[[0.100]], [[0.102]]])
    found = Predictions(dates.store(raw), outputs=dates)
    assert found.u().item() == pytest.approx(math.sqrt(2), rel=1e-4)
    assert dates.errors(raw[0], torch.tensor([1.7e9 + 90], dtype=torch.float64)).item() == (
        pytest.approx(10, rel=1e-4)
    )
    assert Values(mean=300.0, std=10.0).store(raw).dtype == torch.float32


def test_whole_numbers_far_from_zero_are_standardised_exactly():
    dates, y = Values("s", mean=1.7e9, std=1000.0), torch.tensor([1_700_000_010, 1_699_999_990])
    assert dates.aligned(torch.zeros(2, 1), y)[:, 0].tolist() == pytest.approx([0.01, -0.01])


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (Values(mean=300.7, std=2.0), torch.tensor([302.0]).bfloat16()),
        (Values(mean=300.7, std=2.0), torch.tensor([302.0]).half()),
        (Values(mean=1_700_000_050.0, std=100.0), torch.tensor([1_700_000_128.0])),
    ],
)
def test_the_mean_that_is_subtracted_is_the_one_that_is_added(outputs, targets):
    """In the precision of such targets it is another number, by which predictions would be off."""
    standardised = outputs.aligned(torch.zeros(1, 1), targets)
    assert outputs.store(standardised).item() == pytest.approx(targets.item(), abs=1e-3)


def test_residuals_are_added_on_a_line(kind):
    outputs, n = kind
    stored = outputs.store(random(2, 6, n))
    assert torch.allclose(outputs.back(outputs.line(stored)), stored)
    half = outputs.values(outputs.between(stored[0], stored[1], 0.25))
    expected = 0.75 * outputs.values(stored[0]) + 0.25 * outputs.values(stored[1])
    assert torch.allclose(half, expected)


def test_draws_have_the_centre_as_mean_and_take_residuals_of_others(kind):
    outputs, n = kind
    columns = outputs.columns(n)
    centre = outputs.values(outputs.store(random(6, n)))
    drawn = outputs.values(outputs.draws(centre, 0.3 * random(6, 40, columns, seed=1)))
    assert torch.allclose(drawn.mean(1), centre, rtol=0, atol=1e-6)
    assert outputs.residuals(centre, centre).abs().max() < 1e-12
    assert (outputs.residuals(drawn[:, 0], centre).abs().sum(1) > 0).all()


def test_answers_are_those_of_the_mean():
    assert Predictions.from_logits(random(3, 5, 4)).answers().dtype == torch.int64
    found = Predictions.from_binary([[0.9, 0.2], [0.8, 0.4]])
    assert found.answers().tolist() == [True, False]
    assert torch.allclose(found.mean()[:, 1], torch.tensor([0.85, 0.3], dtype=torch.float64))
    values = Predictions.from_values([[[1.0], [2.0]], [[3.0], [2.0]]], units="K")
    assert values.answers().tolist() == [[2], [2]] and values.u().tolist() == [math.sqrt(2), 0]


def test_predictions_of_a_truth_value_are_exact_where_it_is_nearly_certain():
    found = Predictions.from_binary(logits=torch.tensor([[40.0, -200.0]], dtype=torch.float64))
    assert found.log_probs[0, 0, 0].item() == pytest.approx(-40)
    assert found.log_probs[0, 1, 1].item() == pytest.approx(-200)


def test_files_say_what_they_are_of(kind, tmp_path):
    outputs, n = kind
    found = Predictions(outputs.store(random(2, 6, n)), outputs=outputs)
    found.save(tmp_path / "p.safetensors")
    again = Predictions.load(tmp_path / "p.safetensors")
    assert again.outputs == found.outputs and torch.equal(again.stored, found.stored)
    assert outputs_of(found.outputs.facts()) == found.outputs
    # those of classes are what they were before there was anything else
    assert ("outputs" in read_tensors(tmp_path / "p.safetensors")[1]) == (outputs != Classes())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Predictions.from_values(torch.tensor([[[math.nan]]])), "NaN or infinite"),
        (lambda: Predictions.from_values(torch.zeros(3)), r"\[members, inputs, outputs\]"),
        (lambda: Predictions.from_probabilities([[[0.5, 0.6]]]), "to 1.1 over classes"),
        (lambda: Predictions.from_probabilities([[[-0.5, 1.5]]]), "outside of 0 .. 1"),
        (lambda: Predictions.from_binary([[1.5]]), "outside of 0 .. 1"),
        (lambda: Predictions.from_binary(), "one of them"),
        (lambda: Predictions.from_values(torch.zeros(1, 2, 1)).probs(), "have no probabilities"),
        (lambda: Predictions(torch.zeros(1, 2, 1), outputs="values"), "needs Classes"),
        (lambda: Values(std=0.0), "above 0"),
        (lambda: Values(mean="a"), "finite number"),
        (lambda: Values(3), "needs text"),
        (lambda: outputs_of({"kind": "value"}), "values"),
        (lambda: outputs_of("values"), "needs the facts"),
    ],
)
def test_what_can_t_be_predictions_is_refused(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_network_of_each_kind_is_trained_and_predicts(kind):
    outputs, n = kind
    made = problem(kind, recipe=Recipe(epochs=40, lr=0.05))
    found = predict(made, made.anchor(0), random(120, 4).float())
    y = targets(outputs, n, 120)
    untrained = made.build("untrained")(random(120, 4).float()).detach()
    before = float(outputs.errors(untrained, y).double().mean())
    answers = found.answers()
    wrong = (
        (answers != y).double().mean()
        if outputs.simplex
        else (answers - y.reshape(120, -1)).norm(dim=-1).mean()
    )
    assert float(wrong) < 0.5 * before
    assert found.outputs == outputs.predicted and found.columns == outputs.columns(n)


@pytest.mark.filterwarnings("ignore:.*gives the same weights")
@pytest.mark.parametrize("how", ["usual", "own"])
def test_targets_with_and_without_an_axis_train_the_same_network(how):
    """The silent error: outputs [batch, 1] less targets [batch] are [batch, batch]."""
    kind = KINDS["value"]
    y = targets(*kind, 120)
    loss = None if how == "usual" else nn.functional.mse_loss
    weights = [problem(kind, y=own, loss=loss).anchor(0) for own in (y[:, 0], y)]
    assert all(torch.equal(weights[0].params[k], p) for k, p in weights[1].params.items())


def test_a_loss_of_one_s_own_gets_targets_in_the_shape_of_the_outputs():
    for name in ("binary", "value"):
        seen = []

        def loss(outputs, y, seen=seen):
            seen.append((outputs.shape, y.shape, y.dtype))
            return (outputs - y).square().mean()

        y = targets(*KINDS[name], 120).reshape(120)
        problem(KINDS[name], y=y, loss=loss).anchor(0)
        assert all(a == b and kind == torch.float32 for a, b, kind in seen) and seen


def test_the_loss_of_values_refuses_to_broadcast():
    with pytest.raises(InputError, match="needs one for each output"):
        Values().loss()(torch.zeros(4, 2), torch.zeros(4))
    with pytest.raises(InputError, match="needs one for each output"):
        Values().loss()(torch.zeros(4, 1), torch.zeros(4, 4))


def one(n: int) -> nn.Module:
    return nn.Linear(4, n)


@pytest.mark.parametrize(
    ("outputs", "n", "y", "message"),
    [
        (None, 1, torch.zeros(120).long(), r"one logit each.*outputs=Binary\(\).*outputs=Values"),
        (None, 3, torch.zeros(120), r"float32.*outputs=Values\(\).*outputs=Binary\(\)"),
        (Values(), 1, torch.full((120,), math.nan), "NaN or infinite targets"),
        (Values(), 2, torch.zeros(120), r"2 outputs: needs \[batch, 2\]"),
        (Values(), 1, torch.zeros(120, 2), r"1 outputs: needs \[batch, 1\] or \[batch\]"),
        (Values(), 1, torch.zeros(120, 1, 1), r"\[batch\] or \[batch, outputs\]"),
        (Values(mean=(0.0, 1.0, 2.0)), 2, torch.zeros(120, 2), "3 numbers, and the network 2"),
        (Binary(), 1, torch.arange(120) % 3, "label 2, needs 0 or 1"),
        (Binary(), 2, torch.arange(120) % 2, r"needs \[batch, 1\]"),
        ("values", 1, torch.zeros(120), r"say outputs=Values\(\)"),  # a name of logits
        (Values, 1, torch.zeros(120), "the class Values, needs thalweg.Classes"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_before_anything_is_trained(
    outputs, n, y, message
):
    with pytest.raises(InputError, match=message) as caught:
        Problem(lambda: one(n), Batches(torch.randn(120, 4), y, size=16), outputs=outputs)
    assert "\n" not in str(caught.value)


def test_a_sigmoid_and_smoothed_values_are_refused():
    model = lambda: nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())  # noqa: E731
    with pytest.raises(InputError, match="take the last sigmoid out"):
        problem(KINDS["binary"], model=model)
    problem(KINDS["value"], model=model)  # numbers may come from anywhere
    with pytest.raises(InputError, match=r"label_smoothing.*no labels"):
        problem(KINDS["value"], recipe=Recipe(label_smoothing=0.1))


@pytest.mark.filterwarnings("ignore:the targets have a root mean square")
def test_values_that_are_not_standardised_diverge_with_advice():
    y = 1e4 * targets(*KINDS["value"], 120)
    far = problem(KINDS["value"], y=y, outputs=Values("mg/l"), recipe=Recipe(epochs=8, lr=0.5))
    with pytest.raises(Diverged, match=r"fits the scale of the targets.*mean and std") as caught:
        far.anchor(0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("register", [scoring_of, judged_of])
def test_a_kind_without_scores_or_tables_is_told_where_they_go(register):
    with pytest.raises(InputError, match=r"'ranks' have no (scores|tables): "):
        register(SimpleNamespace(kind="ranks"))


def test_a_stack_trains_as_each_alone(kind):
    alone, stacked = (problem(kind, execution=Execution(stack=stack)) for stack in (1, 2))
    for one, other in zip(train_anchors(alone, 2), train_anchors(stacked, 2), strict=True):
        assert all(
            torch.allclose(p, other.params[name], atol=2e-4) for name, p in one.params.items()
        )


@pytest.mark.filterwarnings("ignore:the targets have a root mean square")  # of Values() alone
def test_another_kind_is_another_training():
    y = targets(*KINDS["value"], 120)
    found = {
        problem(KINDS["value"], y=y, outputs=own).fingerprint(0)
        for own in (Values(), Values("K"), Values(mean=1.0), Values(std=2.0))
    }
    assert len(found) == 4


@pytest.mark.parametrize("name", ["binary", "value"])
@pytest.mark.parametrize("method", sorted(explorers()))
def test_every_explorer_takes_every_kind(method, name):
    outputs, n = KINDS[name]
    made = problem(KINDS[name], recipe=Recipe(epochs=2, lr=0.02))
    found = predict(made, explorers()[method]().explore(made), random(9, 4).float(), draws=3)
    assert found.stored.shape == (3, 9, outputs.columns(n)) and found.outputs == outputs.predicted


def test_paths_and_extents_are_measured_of_every_kind(kind):
    """Of values, distances are in their units, and no class can change."""
    made = problem(kind, recipe=Recipe(epochs=2, lr=0.02))
    ends = [made.anchor(0), made.anchor(1)]
    segment = profile(made, ends, points=3)
    values = predict(made, Members(tuple(ends)), made.inputs()).values().double()
    expected = float((values[1] - values[0]).abs().sum(-1).mean()) / 2
    assert float(segment.total_variation[-1]) == pytest.approx(expected)
    assert bool(segment.disagreement.isnan().all()) == isinstance(made.outputs, Values)
    assert extent(made, Members(tuple(ends))).function_dimension == pytest.approx(1)


def test_an_emulator_of_probabilities_is_refused_before_anything_is_trained():
    made = problem(KINDS["value"], unlabelled=random(300, 4, seed=3).float())
    asked = random(9, 4).float()
    with pytest.raises(InputError, match="Engression got predictions of Values"):
        quantify(made, asked, emulator=Engression())
    method = Method(DeepEnsemble(members=2), emulator=Engression())
    with pytest.raises(InputError, match="learns from probabilities only"):
        compute(method, made, {"calibration": random(20, 4).float(), "asked": asked})
    assert made.cost.trainings == 0


@pytest.mark.parametrize("name", ["binary", "value"])
def test_restarts_are_calibrated_on_every_kind(name):
    made = problem(KINDS[name], unlabelled=random(50, 4, seed=3).float())
    found = Restarts(members=1, share=0.25, calibrate=True, tolerance=10.0).explore(made)
    assert found.size == 2


@pytest.mark.parametrize("name", ["binary", "value"])
@pytest.mark.parametrize("method", sorted(baselines()))
def test_every_baseline_takes_every_kind(method, name):
    made = problem(KINDS[name], recipe=Recipe(epochs=2, lr=0.02))
    other, found = baselines()[method]().train(made)
    predicted = predict(other, found, random(9, 4).float())
    assert predicted.outputs == KINDS[name][0].predicted


@pytest.mark.filterwarnings("ignore:the network is NOT like")  # of eight epochs
@pytest.mark.parametrize("name", ["binary", "value", "values"])
def test_quantify_says_u_of_every_kind(name):
    """In the units of the targets: as large as two retrainings differ, within a factor of three."""
    outputs, n = KINDS[name]
    made = problem(
        KINDS[name],
        model=lambda: nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, n)),
        unlabelled=random(300, 4, seed=3).float(),
    )
    asked = random(40, 4, seed=4).float()
    found = quantify(made, asked, draws=20).predictions
    assert found.outputs == outputs.predicted
    assert found.stored.shape == (20, 40, outputs.columns(n))
    retrained = predict(made, Members(train_anchors(made, 5)), asked).u().mean()
    assert 1 / 3 < float(found.u().mean() / retrained) < 3


def far_targets(offset: float = 500.0):
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    return x, offset + 50 * x[:, 0]


def line() -> nn.Module:
    return nn.Linear(4, 1)


def test_targets_that_nobody_standardised_are_said():
    x, y = far_targets()
    with pytest.warns(UserWarning, match=r"root mean square of 49\d.*give Values\(mean=..., std="):
        Problem(line, Batches(x, y, 32), outputs=Values("K"))
    Problem(line, Batches(x, y, 32), outputs=Values("K", mean=500.0, std=50.0))  # without a warning


def test_a_given_network_of_raw_targets_is_said():
    """A warning is an error in tests: the network of standardised targets gives none."""
    x, y = far_targets()
    network = line()
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        network.bias.zero_()
    outputs = Values("K", mean=500.0, std=50.0)
    Problem(line, Batches(x, y, 32), outputs=outputs, networks=network.state_dict())
    with torch.no_grad():
        network.weight.mul_(50)
        network.bias.fill_(500.0)
    with pytest.warns(UserWarning, match="trained on targets that were not standardised"):
        Problem(line, Batches(x, y, 32), outputs=outputs, networks=network.state_dict())
