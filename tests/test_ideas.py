"""What moves the centre: the formulas on made-up networks of known errors, the command, and what
docs/negative.md claims.
"""

import json
from dataclasses import replace

import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

import tiny
from research.ideas import __main__ as command
from research.ideas import forward, kinds, page
from research.ideas.centre import Pair, Truth, average, least, most, standard_error
from thalweg.emulators.forest import Forest
from thalweg.meter import Meter
from thalweg.seeds import generator
from thalweg.study.context import StudyContext

INPUTS, CLASSES = 20000, 3
V = 0.36  # of a retraining, summed over classes


def noise(*name, variance, shape=()):
    """Of a given variance, summed over classes."""
    return (variance / CLASSES) ** 0.5 * torch.randn(
        *shape, INPUTS, CLASSES, generator=generator(0, *name), dtype=torch.float64
    )


@pytest.fixture(scope="module")
def world():
    """The true mean, and what five retrainings say of it."""
    true = noise("true", variance=2.0)
    return true, Truth.of(true + noise("reference", variance=V, shape=(5,)))


def test_a_retraining_has_error_one_and_the_mean_of_k_one_over_k(world):
    true, truth = world
    assert truth.variance == pytest.approx(V, rel=0.02) and truth.size == 5
    for k in (1, 4):
        centre = (true + noise("more", k, variance=V, shape=(k,))).mean(0)
        assert truth.shared(centre, centre) == pytest.approx(1 / k, abs=0.02)
    assert truth.shared(true, true) == pytest.approx(0, abs=0.01), (
        "the reference's own noise, 1/5, is taken off"
    )


def test_variance_and_bias_of_independent_copies(world):
    true, truth = world
    bias = noise("bias", variance=0.5 * V)
    copies = true + bias + noise("copies", variance=1.4 * V, shape=(3,))
    var, bias2 = truth.moments(copies[:, None])
    assert var == pytest.approx(1.4, rel=0.03) and bias2 == pytest.approx(0.5, abs=0.03)


def test_copies_around_one_anchor_count_as_one_for_the_bias(world):
    true, truth = world
    anchors = noise("anchors", variance=0.8 * V, shape=(3, 1))
    copies = true + anchors + noise("around", variance=0.3 * V, shape=(3, 4))
    var, bias2 = truth.moments(copies)
    assert var == pytest.approx(0.8 + 0.3, rel=0.04) and bias2 == pytest.approx(0, abs=0.04)
    assert truth.moments(copies.flatten(0, 1)[:, None])[1] > 0.15, (
        "as if they were independent, the anchors' noise is a bias"
    )


def test_the_best_mix_of_independent_networks_has_error_q_over_one_plus_q(world):
    true, truth = world
    anchor = true + noise("anchor", variance=V)
    bias, k = noise("bias", variance=0.2 * V), 3
    beside = true + bias + noise("beside", variance=1.2 * V, shape=(k,)).mean(0)
    pair = Pair(
        truth.shared(anchor, anchor), truth.shared(beside, beside), truth.shared(anchor, beside)
    )
    q = 1.2 / k + 0.2
    assert pair.shared == pytest.approx(0, abs=0.02)
    assert pair.best() == pytest.approx(1 / (1 + q), abs=0.02) and pair.mixed(
        pair.best()
    ) == pytest.approx(q / (1 + q), abs=0.02)
    for w in (0.0, 0.3, pair.best(), 1.0):
        mix = (1 - w) * anchor + w * beside
        assert pair.mixed(w) == pytest.approx(truth.shared(mix, mix), abs=1e-9), (
            "the formula, whatever the predictions"
        )


@pytest.mark.parametrize(
    "pair", [Pair(1.0, 0.7, 0.1), Pair(1.0, 9.0, 2.0), Pair(1.0, 0.2, 0.5), Pair(1.0, 1.0, 1.0)]
)
def test_no_weight_is_better_than_the_best(pair):
    least = min(pair.mixed(w / 1000) for w in range(1001))
    assert 0 <= pair.best() <= 1 and pair.mixed(pair.best()) == pytest.approx(least, abs=1e-5)


def test_the_standard_error_is_that_of_a_mean():
    values = [0.8, 0.9, 1.0, 1.3, 0.7, 1.1]
    pairs = [Pair(v, 1e9, 0.0) for v in values]  # the copies get no weight: v is the anchors' mean
    spread = torch.tensor(values).std(correction=0).item() / len(values) ** 0.5
    assert average(pairs).mixed(average(pairs).best()) == pytest.approx(
        sum(values) / len(values), rel=1e-6
    )
    assert standard_error(pairs) == pytest.approx(spread, rel=0.06)
    assert standard_error(pairs[:1]) != standard_error(pairs[:1]), "one base has none"


def test_the_most_that_a_centre_allows():
    assert most(1.25) == pytest.approx(2) and most(0.0) == float("inf")


@pytest.mark.parametrize(
    ("cost", "copies"),
    [(1.0, 1), (1.4, 1), (0.5, 2), (198 / 790, 4), (0.26, 3), (0.1, 10), (0.0, 1)],
)
def test_copies_that_one_training_buys(cost, copies):
    assert kinds.affordable(cost) == copies


@pytest.fixture
def asked():
    context = StudyContext(tiny.plan(recipe={"epochs": 10}))
    return context.problem("base 0", None), context.loader(context.splits.test)


def test_dropout_is_there_while_it_trains_and_not_when_it_predicts(asked):
    problem, test = asked
    without, rare, often = (
        kinds.trained(replace(problem, meter=Meter()), test, dropout=rate)
        for rate in (0.0, 1e-9, 0.5)
    )
    torch.testing.assert_close(without, rare)
    assert (without - often).abs().max() > 1e-3
    torch.testing.assert_close(
        often, kinds.trained(replace(problem, meter=Meter()), test, dropout=0.5), rtol=0, atol=0
    )


def test_prefixes_are_those_of_the_anchor(asked, monkeypatch):
    problem, test = asked
    collected = kinds.collect
    last = problem.recipe.steps(len(problem.train_loader)) - 1
    monkeypatch.setattr(kinds, "collect", lambda *given, steps: collected(*given, steps={last}))
    anchor = kinds.predict(problem, problem.anchor(0), test).mean()
    torch.testing.assert_close(kinds.prefixes(problem, test), anchor, rtol=0, atol=0)


def test_affine_maps_find_what_is_affine(asked, monkeypatch):
    problem, test = asked
    true = kinds.predict

    def made(
        problem, weights, inputs
    ):  # the second network's logits are three times the first one's
        found = true(problem, problem.anchor(0), inputs)
        return (
            found
            if weights is problem.anchor(0)
            else type(found)(torch.log_softmax(3 * found.log_probs, -1))
        )

    monkeypatch.setattr(kinds, "predict", made)
    first = true(problem, problem.anchor(0), test).log_probs[0].double()
    expected = (
        torch.softmax(3 * first, -1) + torch.softmax(first, -1)
    ) / 2  # each mapped to the other
    assert (kinds.mapped(problem, test) - expected).abs().max() < 0.02


def test_the_kernel_regression_is_the_textbooks(asked, monkeypatch):
    problem, test = asked
    monkeypatch.setattr(kinds, "_as_sharp", lambda problem, test, outputs: outputs)
    x, y = (
        torch.cat([part[i] for part in replace(problem.train_loader, shuffle=False, augment=None)])
        for i in range(2)
    )
    x, new = x.flatten(1), torch.cat([inputs for inputs, _ in test]).flatten(1)
    width = torch.cdist(x, x).median()
    near, far = (torch.exp(-torch.cdist(own, x) / width).double().numpy() for own in (x, new))
    labels = torch.nn.functional.one_hot(y.long(), 10).double().numpy()
    model = KernelRidge(alpha=0.03, kernel="precomputed").fit(near, labels - labels.mean(0))
    torch.testing.assert_close(
        kinds.kernel(problem, test),
        torch.from_numpy(model.predict(far) + labels.mean(0)),
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.mark.parametrize("method", [kinds.kernel, kinds.ridge])
def test_regressions_give_probabilities_that_know_the_labels(method, asked):
    problem, test = asked
    probs = method(problem, test)
    torch.testing.assert_close(probs.sum(1), torch.ones(len(probs)).double())
    labels = StudyContext(tiny.plan(recipe={"epochs": 10})).splits.test_labels
    assert probs.min() > 0 and (probs.argmax(1) == labels).double().mean() > 0.6


PLAN = tiny.raw(recipe={"epochs": 10})


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ideas")
    tiny.write_toml(folder / "tiny.toml", PLAN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert command.main(["tiny.toml", "--bases", "2", "--results", "found"]) == 0
    return folder


def test_every_kind_is_measured_from_every_base_at_its_cost(measured):
    found = json.loads((measured / "found" / "tiny.json").read_text())
    own = found["kinds"]
    assert set(own) == set(kinds.KINDS) and found["reference"] == 4 and found["inputs"] == 60
    assert all(len(kind["bases"]) == 2 for kind in own.values())
    anchors = {tuple(base["anchor"] for base in kind["bases"]) for kind in own.values()}
    assert len(anchors) == 1 and len(set(anchors.pop())) == 2, (
        "every kind stands beside the same anchors, another in each base"
    )
    costs = {name: (round(kind["cost"], 2), kind["copies"]) for name, kind in own.items()}
    assert (
        costs["a retraining"]
        == costs["midpoint of a learned line"]
        == costs["trunk and two branches"]
        == (1, 1)
    )
    assert costs["1/2 of the epochs"] == costs["SWA from the anchor, 0.5"] == (0.5, 2)
    assert costs["restart, 0.2 of a training"] == (0.2, 5) and costs["prefixes of the anchor"] == (
        0,
        1,
    )
    assert costs["affine maps of logits"] == (1, 1)
    assert (
        0.4 < costs["narrow, 0.5 of the channels"][0] < 0.6
    )  # 64-8-10: all but the inputs and outputs is halved
    assert own["Laplace kernel of the pixels"]["var"] < 0.2 < own["a retraining"]["var"]


def test_what_starts_at_an_anchor_shares_its_error(measured):
    own = json.loads((measured / "found" / "tiny.json").read_text())["kinds"]
    shared = {name: sum(base["shared"] for base in kind["bases"]) for name, kind in own.items()}
    assert shared["prefixes of the anchor"] > shared["a retraining"]


def test_less_forward_work_for_features(tmp_path, monkeypatch, capsys):
    """A row a kind of features; what each evaluates is what it costs."""
    tiny.write_toml(tmp_path / "tiny.toml", PLAN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(forward, "Forest", lambda **settings: Forest(trees=5, **settings))
    assert forward.main(["tiny.toml", "--bases", "1"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    totals = {name: float(total) for _, name, total, *_ in rows}
    assert list(totals) == list(forward.VARIANTS)
    one = (64 + 2) / 3 / 640  # the training set, and two inputs to find the layer, of a network
    networks, asked = 1 + 2 * 0.5, (40 + 60 + 20) / 3 / 640
    plain = totals["none"]
    assert totals["all training inputs"] - plain == pytest.approx(networks * one, abs=0.011)
    assert totals["of the anchor alone"] - plain == pytest.approx(one, abs=0.011)
    assert totals["and 4 shifts"] - totals["all training inputs"] == pytest.approx(
        4 * networks * asked, abs=0.011
    )
    assert (
        forward.main(["no.toml"]) == 2 and "can't read the plan no.toml" in capsys.readouterr().err
    )


def test_images_are_moved_and_their_edges_repeated():
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert forward.shifted(x, 0, 1).tolist() == [[[[0, 0, 1], [3, 3, 4]]]]
    assert forward.shifted(x, -1, 0).tolist() == [[[[3, 4, 5], [3, 4, 5]]]]


def test_what_is_measured_is_not_measured_again(measured, monkeypatch, capsys):
    monkeypatch.chdir(measured)
    before = (measured / "found" / "tiny.json").read_bytes()
    command.main(["tiny.toml", "--bases", "2", "--results", "found"])
    assert not capsys.readouterr().out and (measured / "found" / "tiny.json").read_bytes() == before


@pytest.mark.parametrize(("arguments", "words"), [
    (["no.toml"], "can't read the plan no.toml"),
    (["tiny.toml", "--quick"], "--quick got no --results"),
    (["tiny.toml", "--bases", "1", "--results", "found"], "--bases got 1"),
    (["other.toml", "--results", "found"], "was measured with another plan"),
])  # fmt: skip
def test_mistakes_are_one_line(arguments, words, measured, monkeypatch, capsys):
    monkeypatch.chdir(measured)
    tiny.write_toml(measured / "other.toml", tiny.raw(recipe={"epochs": 11}))
    before = (measured / "found" / "tiny.json").read_bytes()
    assert command.main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert (measured / "found" / "tiny.json").read_bytes() == before


def test_tables_are_filled_between_their_marks(measured, tmp_path, monkeypatch, capsys):
    (tmp_path / "one.md").write_text("# One\n\n<!-- ideas narrow -->\nold\n<!-- end -->\nprose\n")
    (tmp_path / "two.md").write_text("# Two\n")
    new = page.stale(measured / "found", tmp_path)
    assert set(new) == {tmp_path / "one.md"}
    text = new[tmp_path / "one.md"]
    assert (
        text.count("| tiny | ") == 4
        and "old" not in text
        and text.endswith("<!-- end -->\nprose\n")
    )
    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page.stale, "__defaults__", (page.RESULTS, tmp_path))
    assert command.main(["page", "--check", "--results", str(measured / "found")]) == 1
    assert (
        command.main(["page", "--results", str(measured / "found")]) == 0
        and (tmp_path / "one.md").read_text() == text
    )
    assert command.main(["page", "--check", "--results", str(measured / "found")]) == 0
    (tmp_path / "one.md").write_text("<!-- ideas nonsense -->\n<!-- end -->\n")
    assert command.main(["page", "--check"]) == 2 and "nonsense" in capsys.readouterr().err


def test_a_row_says_what_was_measured():
    control = {
        "cost": 1.0,
        "copies": 1,
        "var": 1.0,
        "bias2": 0.0,
        "bases": [{"anchor": 1.0, "copies": 1.0, "shared": 0.0}] * 3,
    }
    kind = {
        "cost": 0.5,
        "copies": 2,
        "var": 1.4,
        "bias2": 0.1,
        "bases": [{"anchor": 1.0, "copies": 0.8, "shared": 0.0}] * 3,
    }
    study = {"name": "study", "kinds": {"a retraining": control, "FGE": kind}}
    row = [
        "study",
        "FGE",
        "0.50",
        "2",
        "1.40",
        "0.10",
        "0.00",
        "0.56",
        "0.467",
        "0.444 ± 0.000",
        "-0.056 ± 0.000",
        "5.0",
    ]
    assert page.cells(study, "FGE") == row
    assert page.cells(study, "a retraining")[-3:] == ["0.500 ± 0.000", "", "4.4"]


def test_what_all_rows_of_a_base_have_in_common_is_no_error_of_their_difference():
    control = [Pair(v, 1.0, 0.0) for v in (0.8, 1.2, 1.5)]
    assert standard_error(control, control) == 0 < standard_error(control)


def test_the_tables_are_those_of_the_results():
    assert not page.stale(), "run: python -m research.ideas page"


STUDIES = [json.loads(path.read_text()) for path in sorted(page.RESULTS.glob("*.json"))]


@pytest.fixture(params=STUDIES, ids=lambda study: study["name"])
def measures(request):
    """A committed study: a kind's numbers, how far its best mix is above a second training, and the
    standard error of that.
    """
    rows = request.param["kinds"]
    pairs = {name: [Pair(**base) for base in kind["bases"]] for name, kind in rows.items()}
    control = pairs["a retraining"]
    return {
        name: (rows[name], least(own) - least(control), standard_error(own, control))
        for name, own in pairs.items()
    }


def test_committed_studies_have_enough_references_and_bases():
    assert {"fashion-mlp", "explorers"} <= {study["name"] for study in STUDIES}
    assert all(
        study["reference"] >= 30 and len(kind["bases"]) >= 5
        for study in STUDIES
        for kind in study["kinds"].values()
    )


def test_two_trainings_measure_what_two_trainings_have(measures):
    control, _, _ = measures["a retraining"]
    assert control["var"] + control["bias2"] == pytest.approx(1, abs=0.1)
    assert least([Pair(**base) for base in control["bases"]]) == pytest.approx(0.5, abs=0.04)


def test_what_the_page_of_negative_results_claims(measures):
    def has(name, claim):
        return name not in measures or claim(*measures[name])

    half, above, _ = measures["1/2 of the epochs"]
    assert half["var"] < 0.9 and above > measures["narrow, 0.5 of the channels"][1], (
        "narrow networks are better than short ones"
    )
    assert has(
        "1/2 of the epochs, rate x 2",
        lambda own, over, error: own["var"] > half["var"] + 0.2 and over > above,
    )
    assert has(
        "1/4 of the epochs",
        lambda own, over, error: own["bias2"] > 2 * half["bias2"] and over > above,
    )
    for name in [name for name in measures if kinds.KINDS[name].family == "anchored"]:
        assert has(name, lambda own, over, error: over > 3 * error)
    assert has(
        "SWA from the anchor, 0.5",
        lambda own, over, error: average([Pair(**b) for b in own["bases"]]).shared > 0.9,
    )
    for name in ("midpoint of a learned line", "snapshots, 5 cycles"):
        assert has(name, lambda own, over, error: own["bias2"] > 0.8 and over > 2 * error)
    for name in ("FGE", "trunk and two branches", "dropout 0.1 while it trains"):
        assert has(name, lambda own, over, error: over > -2 * error), "not better than a training"
    assert has("affine maps of logits", lambda own, over, error: over > 0)
    for name in ("Laplace kernel of the pixels", "ridge on untrained networks"):
        assert has(name, lambda own, over, error: own["bias2"] > 2 and over > 3 * error)
