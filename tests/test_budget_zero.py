"""A budget of 0: u and draws from the network that is there, and nothing is trained."""

import warnings

import pytest
import torch
from sklearn.base import clone
from torch import Tensor, nn

import cases
import thalweg
from test_fine_tuned import X
from test_fine_tuned import problem as fine_tuned
from test_progress import terminal  # noqa: F401  a fixture
from test_quantifier import same, state
from test_quantify import Own
from thalweg import looking, planning, spending
from thalweg.emulators.atlas import Atlas
from thalweg.emulators.forest import Forest
from thalweg.emulators.neighbours import Neighbours
from thalweg.errors import InputError
from thalweg.quantifier import Quantifier
from thalweg.training.problem import Problem

KNOWN = cases.held_out(400)[0]
ASKED = cases.task(30, seed=2)[0]
GIVEN = cases.problem(seed=5)
LOOKED = 100 * cases.CLASSES  # evaluations with a backward pass, for the sensitivity
LOOK = LOOKED / (cases.RECIPE.epochs * cases.EXAMPLES)  # in trainings, which are tiny here


@pytest.fixture(scope="module")
def trained() -> tuple[dict[str, Tensor], ...]:
    """Two networks that a user has."""
    return state(GIVEN, 0), state(GIVEN, 1)


@pytest.fixture
def no_training(monkeypatch):
    """Whoever trains, or looks at narrower networks, fails."""
    monkeypatch.setattr("thalweg.training.problem.train", None)
    for module in (looking, planning, spending):
        for name in ("narrow_problem", "relative_cost"):
            monkeypatch.setattr(module, name, None)


def problem(**settings) -> Problem:
    return cases.problem(**{"unlabelled": KNOWN, **settings})


def test_one_network_is_enough(trained, no_training):
    """And nobody is warned of anything."""
    given = problem(networks=trained[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = thalweg.quantify(given, ASKED, budget=0, draws=7)
    assert found.predictions.probs().shape == (7, 30, 3)
    u = found.predictions.u()
    assert torch.isfinite(u).all() and (u > 0).all() and float(u.std()) > 0
    assert (found.width_ratio, found.narrow_copies, found.bought) == (1.0, 0, ())
    assert found.transfer is None
    assert found.cost.backward_examples == LOOKED and found.cost.given == 1
    assert found.cost.trainings == 1 + LOOK and found.cost.total > 1 + LOOK
    _, second, third, fourth = str(found).splitlines()
    assert fourth == f"over the unlabelled inputs, 95 %: {found.level}"
    assert found.level.value > 0
    assert second.startswith("no narrow copies; cost: 1.63 trainings, the network's own among them")
    assert third == "not checked: there are no narrow copies"


def test_forward_work_is_that_of_looking(trained, no_training):
    """The training set and the unlabelled inputs at the fit, what is asked about at the question;
    no part of the training set for a check that there is not.
    """
    given = problem(networks=trained[0])
    quantifier = Quantifier(budget=0).fit(given)
    assert quantifier.cost_.forward_examples == pytest.approx(cases.EXAMPLES + 400, abs=2)
    alone = problem(networks=trained[0])
    found = thalweg.quantify(alone, ASKED, budget=0, emulator=Atlas(geometry=False))
    assert found.cost.forward_examples == 400 + 30


def test_without_a_network_one_is_trained():
    given = problem()
    found = thalweg.quantify(given, ASKED, budget=0, draws=3)
    assert found.cost.trainings == 1 + LOOK and given.has(0) and not given.has(1)
    assert given.narrowed == {}


def test_all_given_networks_are_anchors(trained, no_training):
    quantifier = Quantifier(budget=0.0).fit(problem(networks=list(trained)))
    assert quantifier.networks_.size == 2 and quantifier.cost_.trainings == 2 + LOOK
    assert quantifier.predict(ASKED).inputs == 30
    one = Quantifier(budget=0.0, anchors=1).fit(problem(networks=list(trained)))
    assert one.networks_.size == 1 and one.cost_.trainings == 1 + LOOK


def test_more_anchors_than_are_given_are_trained(trained):
    given = problem(networks=trained[0])
    found = thalweg.quantify(given, ASKED, budget=0, anchors=2, emulator=Forest(trees=10))
    assert found.cost.trainings == 2 and found.cost.given == 1
    assert found.bought == () and found.narrow_copies == 0


def test_a_network_that_can_t_be_narrowed(no_training):
    torch.manual_seed(0)
    own = Problem(lambda: Own(8), cases.batches(), cases.RECIPE, unlabelled=KNOWN, networks=Own(8))
    assert thalweg.quantify(own, ASKED, budget=0, draws=3).predictions.members == 3


def test_a_pre_trained_network_is_as_any_other():
    given = fine_tuned()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "quantify got 200 unlabelled")
        found = thalweg.quantify(given, X[300:], budget=0, draws=3)
    assert found.cost.backward_examples == 600 + LOOKED and found.predictions.inputs == 100


def trains_never(module, seed):
    raise AssertionError


def test_without_the_training_set_predictions_alone_are_looked_at(trained):
    own = Problem(cases.no_norm, train=trains_never, networks=trained[0], unlabelled=KNOWN)
    quantifier = Quantifier(budget=0, draws=3).fit(own)
    assert quantifier.predict(ASKED).members == 3
    assert quantifier.request(own).emulator_for(own) == Atlas(geometry=False)
    assert quantifier.cost_.given == 1
    mine = Quantifier(budget=0, emulator=Forest(), anchors=2).request(own)
    assert mine.emulator_for(own) == Forest(geometry=False)


@pytest.mark.parametrize(
    ("outputs", "columns", "kind"),
    [(1, 2, thalweg.Binary()), (2, 2, thalweg.Values(units="mg", std=3.0))],
    ids=["binary", "values"],
)
def test_other_outputs(outputs, columns, kind, no_training):
    x, y = cases.task()
    targets = (y > 0).long() if outputs == 1 else x.flatten(1)[:, :2]

    def model():
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, outputs))

    torch.manual_seed(0)
    own = Problem(
        model,
        thalweg.Batches(x, targets, 16),
        cases.RECIPE,
        outputs=kind,
        networks=model(),
        unlabelled=KNOWN,
    )
    found = thalweg.quantify(own, ASKED, budget=0, draws=4).predictions
    assert found.stored.shape == (4, 30, columns)
    assert torch.isfinite(found.stored).all() and (found.u() > 0).all()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"budget": -1}, "budget got -1, needs 0 to 100"),
        ({"budget": float("nan")}, "budget got nan"),
        (
            {"budget": 0, "width_ratio": 0.5},
            r"got width_ratio with a budget of 0, which trains no narrow copies: leave it out, or "
            r"give a budget, such as budget=1\.0",
        ),
        (
            {"budget": 0, "width_ratio": 0.5, "narrow": cases.no_norm},
            "got narrow and width_ratio with a budget of 0, which trains no narrow copies: leave "
            "them out",
        ),
        ({"budget": 0, "narrow": cases.no_norm}, "got narrow with a budget of 0"),
        (
            {"budget": 0, "emulator": Forest()},
            r"got 1 network and a budget of 0, and Forest learns from the differences of 2 "
            r"networks or more: give more \(networks= of the problem, or anchors=2\), a budget, or "
            r"an emulator that needs one, such as Atlas\(\)",
        ),
        (
            {"budget": 0, "emulator": Neighbours()},
            "and Neighbours learns from the differences of 2",
        ),
        ({"budget": 0, "layer": "elsewhere"}, "elsewhere"),
        ({"budget": 0, "anchors": 0}, "anchors got 0"),
    ],
)
def test_what_can_not_be_is_one_line_before_anything_is_done(settings, line, trained):
    given = problem(networks=trained[0])
    for ask in (
        lambda: thalweg.quantify(given, ASKED, **settings),
        lambda: Quantifier(**settings).fit(given),
        lambda: Quantifier(**settings).plan(given),
    ):
        with pytest.raises(InputError, match=line) as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert (given.cost.backward_examples, given.cost.forward_examples) == (0, 0)


def test_unlabelled_inputs_are_needed_here_too(trained):
    for unlabelled, line in (
        (None, r"without unlabelled inputs.*give Problem\(unlabelled=\.\.\.\)"),
        (KNOWN[:5], "unlabelled got 5 inputs, needs 10 or more.*they say what is typical"),
    ):
        with pytest.raises(InputError, match=line):
            thalweg.quantify(cases.problem(networks=trained[0], unlabelled=unlabelled), ASKED,
                             budget=0)  # fmt: skip
    with pytest.warns(UserWarning, match="got 20 unlabelled inputs: they say what is typical, "):
        Quantifier(budget=0).fit(problem(networks=trained[0], unlabelled=KNOWN[:20]))


def test_emulators_that_need_two_networks_take_two(trained, no_training):
    """Those among them that make nothing of narrow copies: there are none."""
    for emulator in (Forest(trees=10), Neighbours()):
        given = problem(networks=list(trained))
        found = thalweg.quantify(given, ASKED, budget=0, draws=5, emulator=emulator)
        method = thalweg.Method(thalweg.explorers.DeepEnsemble(2), emulator=emulator)
        expected = thalweg.compute(
            method,
            problem(networks=list(trained)),
            {"calibration": KNOWN, "asked": ASKED},
            emulator_draws=5,
        )
        assert same(found.predictions, expected.predictions["asked"])


def test_the_network_is_kept_whatever_goes_wrong(monkeypatch):
    def fails(*_):
        raise InputError("no luck")

    monkeypatch.setattr(Atlas, "learn", fails)
    given = problem()
    with pytest.raises(InputError, match=r"no luck \(nothing is lost: the network is kept with"):
        thalweg.quantify(given, ASKED, budget=0)
    assert given.has(0)


def test_habits_of_scikit_learn(trained):
    quantifier = Quantifier(budget=0, draws=4)
    assert repr(quantifier) == "Quantifier(budget=0, draws=4)"
    found = clone(quantifier).fit(problem(networks=trained[0]))
    assert found.get_params()["emulator"] is None and found.bought_ == () and found.check_ is None
    assert found.predict(ASKED).members == 4
    assert str(found).startswith("no narrow copies; cost: 1.63 trainings")


def test_saved_and_loaded_it_says_the_same(trained, no_training, tmp_path):
    quantifier = Quantifier(budget=0, draws=5, seed=3).fit(problem(networks=trained[0]))
    expected = quantifier.predict(ASKED)
    quantifier.save(tmp_path)
    found = thalweg.load(tmp_path, model=cases.no_norm)
    assert same(found.predict(ASKED), expected) and str(found) == str(quantifier)
    assert found.get_params() == {**quantifier.get_params(), "emulator": Atlas()}
    assert found.cost_ == quantifier.cost_ and (found.bought_, found.check_) == ((), None)
    found.save(tmp_path / "again")
    assert same(thalweg.load(tmp_path / "again", model=cases.no_norm).predict(ASKED), expected)


def test_one_more_network_later_is_as_if_it_had_been_there(trained, no_training, tmp_path):
    both = Quantifier(budget=0, draws=5).fit(problem(networks=list(trained)))
    quantifier = Quantifier(budget=0, draws=5).fit(problem(networks=trained[0]))
    quantifier.save(tmp_path)
    for found in (quantifier, thalweg.load(tmp_path, model=cases.no_norm)):
        assert found.update(trained[1]) is found and found.networks_.size == 2
        assert same(found.predict(ASKED), both.predict(ASKED))
        assert (found.cost_.trainings, found.cost_.given) == (2 + LOOK, 2)
        assert found.cost_.forward_examples == both.cost_.forward_examples


def test_a_folder_keeps_it(trained, tmp_path, monkeypatch):
    def fit(**settings) -> Quantifier:
        given = problem(networks=trained[0])
        return Quantifier(**{"budget": 0, "draws": 5, "folder": tmp_path, **settings}).fit(given)

    expected = fit().predict(ASKED)
    assert same(expected, fit(folder=None).predict(ASKED))
    (tmp_path / "quantifier.json").write_text("{")  # damaged: from the network again
    assert same(fit().predict(ASKED), expected)
    with monkeypatch.context() as patched:
        patched.setattr("thalweg.quantifier.spend", None)  # it is read
        assert same(fit().predict(ASKED), expected)
    for other in ({"budget": 1.0}, {"emulator": Atlas(geometry=False)}):
        with pytest.raises(InputError, match=f"with other settings .*{next(iter(other))}="):
            fit(**other)


def test_a_plan_has_nothing_to_do(trained, no_training):
    given = problem(networks=trained[0])
    plan = Quantifier(budget=0).plan(given)
    assert (plan.anchors, plan.copies, plan.width_ratio, plan.kept) == (1, 0, 1.0, 1)
    assert (plan.trainings, plan.more) == (0.0, 0.0)
    assert plan.seconds is not None and 0 < plan.seconds < 10 and plan.memory > 1e7
    assert str(plan).startswith("1 network, 1 of them trained already: 0.00 trainings to do, about")
    assert (given.cost.backward_examples, given.cost.forward_examples) == (0, 0)


def test_a_plan_of_a_network_that_is_not_there():
    plan = Quantifier(budget=0).plan(problem())
    assert (plan.kept, plan.trainings, plan.copies) == (0, 1.0, 0)


def test_a_terminal_is_told(trained, no_training, terminal, capsys):  # noqa: F811
    Quantifier(budget=0).fit(problem(networks=trained[0]))
    out, err = capsys.readouterr()
    assert not out
    assert "to fit: 1 network, 1 of them trained already: 0.00 trainings to do" in err
    assert "looking at the training set" in err and "narrow" not in err
