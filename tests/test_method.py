"""Methods as values: which parts fit, and that computing one is what its parts do."""

import pytest
import torch

import cases
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.baselines.packed_ensemble import PackedEnsemble
from thalweg.computing import compute
from thalweg.emulators.forest import Forest
from thalweg.emulators.neighbours import Neighbours
from thalweg.emulators.observations import Observations
from thalweg.errors import InputError
from thalweg.explorers.base import explorers
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.explorers.multiswag import MultiSWAG
from thalweg.explorers.restarts import Restarts
from thalweg.explorers.short_ensemble import ShortEnsemble
from thalweg.explorers.swag import SWAG
from thalweg.method import Method
from thalweg.narrow.training import narrow_problem
from thalweg.predicting import predict
from thalweg.quantifying import quantify
from thalweg.seeds import derive

ASKED = cases.task(30, seed=2)[0]
KNOWN = cases.held_out(150)[0]
INPUTS = {"calibration": KNOWN, "asked": ASKED, "others": ASKED[:7] + 1}
COPIES = NarrowEnsemble(width_ratio=0.5, members=2)


@pytest.mark.parametrize("repeat", [1, 2])
@pytest.mark.parametrize("name", explorers())
def test_members_that_are_no_retrainings_count_as_one(name, repeat):
    """How far they are from each other tells no emulator how far retrainings are."""
    explorer = explorers()[name]()
    trained = Method(explorer, repeat=repeat).train(cases.problem("conv-batchnorm"), draws=4)
    everyone = len(trained.members.points)
    assert trained.path == (1 if explorer.retrainings else everyone) and everyone > 0


def test_without_an_emulator_the_networks_speak_for_themselves():
    """Three anchors: their predictions, and nothing but their trainings in the cost."""
    problem = cases.problem()
    computed = compute(Method(DeepEnsemble(3)), problem, INPUTS)
    assert set(computed.predictions) == {"asked", "others"}
    for part, own in computed.predictions.items():
        anchors = [predict(problem, problem.anchor(k), INPUTS[part]).log_probs for k in range(3)]
        assert torch.equal(own.log_probs, torch.cat(anchors)), part
    assert computed.cost.trainings == 3 and computed.evaluations == 3 * (30 + 7)
    assert computed.cost_of_knowing.forward_examples == 0
    assert computed.evaluations_per_input == 3
    size = sum(p.numel() * p.element_size() for p in problem.anchor(0).params.values())
    assert computed.stored_bytes >= 3 * size


def test_narrow_copies_speak_beside_the_anchors():
    """Each as much as 36-4-3 is of 36-8-3: a half."""
    problem = cases.problem()
    computed = compute(Method(DeepEnsemble(1), narrow=COPIES), problem, INPUTS)
    narrow = narrow_problem(problem, 0.5)
    expected = [predict(problem, problem.anchor(0), ASKED).log_probs]
    expected += [predict(narrow, narrow.anchor(k), ASKED).log_probs for k in range(2)]
    assert torch.equal(computed.predictions["asked"].log_probs, torch.cat(expected))
    assert (computed.width_ratio, computed.narrow_trained, computed.narrow_copies) == (0.5, 2, 2)
    assert computed.cost.trainings == pytest.approx(2) and computed.evaluations_per_input == 3
    assert computed.evaluations == (30 + 7) * (1 + 2 * 0.5)
    assert computed.cost_of_knowing.forward_examples == 150 * (1 + 2 * 0.5)


@pytest.mark.parametrize("method", [
    Method(DeepEnsemble(2), emulator=Neighbours(neighbours=20)),
    Method(PackedEnsemble(members=2), emulator=Neighbours(neighbours=20)),
    Method(DeepEnsemble(1), narrow=COPIES, emulator=Forest(trees=5, geometry=False)),
], ids=lambda method: type(method.emulator).__name__)  # fmt: skip
def test_an_emulator_learns_from_what_the_networks_say(method):
    """As where each step is taken by hand."""
    computed = compute(method, cases.problem(), INPUTS, emulator_draws=6, seed=3)
    trained = method.train(cases.problem())
    said = {n: predict(trained.predicting, trained.members, x) for n, x in INPUTS.items()}
    if trained.narrow is not None:
        beside = trained.narrow.problem, trained.narrow.members
        said = {
            name: Observations(own, predict(*beside, INPUTS[name]), 0.5)
            for name, own in said.items()
        }
    expected = method.emulator.emulate(said["calibration"], said["asked"], draws=6, seed=3)
    assert torch.equal(computed.predictions["asked"].log_probs, expected.log_probs)
    assert computed.predictions["asked"].members == 6 and set(computed.predictions) == {
        "asked",
        "others",
    }
    assert computed.cost.emulator_seconds > 0


@pytest.mark.filterwarnings("ignore:the network is NOT like", "ignore:quantify got 150")
def test_quantify_is_one_call_of_it():
    forest = Forest(trees=10)
    method = Method(DeepEnsemble(1), narrow=COPIES, emulator=forest)
    computed = compute(method, cases.problem(), INPUTS, emulator_draws=9, seed=4, check=True)
    found = quantify(
        cases.problem(unlabelled=KNOWN),
        ASKED,
        width_ratio=0.5,
        budget=1.0,
        draws=9,
        seed=4,
        emulator=forest,
    )
    assert torch.equal(found.predictions.log_probs, computed.predictions["asked"].log_probs)
    assert torch.equal(found.predictions.u(), computed.predictions["asked"].u())
    assert (found.width_ratio, found.narrow_copies) == (0.5, computed.narrow_copies)
    assert found.transfer is not None and found.transfer == computed.check


def test_copies_have_seeds_of_their_own():
    """The first is what it is alone; the others are those of another seed."""
    problem = cases.problem(seed=7)
    predicting, mixture = Method(DeepEnsemble(1), repeat=3).explore(problem)
    assert predicting is problem and mixture.size == 3 and problem.cost.trainings == 3
    drawn = list(mixture.draw(3, seed=0))
    for k, weights in enumerate(drawn):
        seed = 7 if k == 0 else derive(7, "repeat", k)
        alone = cases.problem(seed=seed).anchor(0)
        assert all(torch.equal(p, alone.params[name]) for name, p in weights.params.items())


def test_a_given_network_is_an_anchor_of_the_first_copy_only():
    start = cases.problem(seed=5).anchor(0)
    problem = cases.problem(networks=start)
    _, mixture = Method(DeepEnsemble(1), repeat=2).explore(problem)
    first, second = mixture.draw(2, seed=0)
    for name, p in start.params.items():
        assert torch.equal(first.params[name], p) and not torch.equal(second.params[name], p)


def test_a_multiswag_is_a_mixture_of_independent_swags():
    """Of other iterates each, as a training from another beginning has."""
    settings = {"share": 0.5, "collect": 3, "rank": 3}
    mixture = MultiSWAG(members=2, **settings).explore(cases.problem())
    alone = SWAG(**settings).explore(cases.problem())
    first, second = mixture.parts
    assert type(first) is type(alone)
    for one, other in ((first, second), (first, alone), (second, alone)):
        assert not torch.equal(
            next(iter(one.mean.params.values())), next(iter(other.mean.params.values()))
        )


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ({"explorer": PackedEnsemble(), "narrow": COPIES}, "PackedEnsemble trains another network"),
        ({"explorer": PackedEnsemble(), "emulator": Forest()}, "look at features.*give an expl"),
        ({"narrow": COPIES, "emulator": Neighbours()}, "Neighbours learns from full trainings"),
        ({"emulator": Neighbours()}, "Neighbours learns from .* 2 networks .* gives 1"),
        ({"explorer": ShortEnsemble(1), "emulator": Neighbours()}, "ShortEnsemble gives 1"),
        ({"repeat": 0}, "repeat got 0"),
    ],
)
def test_parts_that_do_not_fit(parts, match):
    with pytest.raises(InputError, match=match) as caught:
        Method(**{"explorer": DeepEnsemble(1), **parts})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("parts", [
    {"explorer": DeepEnsemble(1), "repeat": 2},
    {"explorer": Restarts(members=1, keep_anchor=True)},
    {"explorer": SWAG()},
    {"explorer": MultiSWAG(members=1)},
])  # fmt: skip
def test_networks_enough_for_an_emulator(parts):
    assert Method(**parts, emulator=Neighbours()).family == "emulator"


@pytest.mark.parametrize("settings", [
    {"members": 1}, {"members": 2, "keep_anchor": True}, {"members": 1, "calibrate": True},
    {"members": 1, "calibrate": True, "keep_anchor": True},
])  # fmt: skip
def test_an_explorer_s_size_is_what_it_finds(settings):
    explorer = Restarts(share=0.2, **settings)
    assert explorer.explore(cases.problem(unlabelled=KNOWN)).size == explorer.size


def test_inputs_that_are_missing():
    with pytest.raises(InputError, match=r"got inputs \['calibration'\], needs some"):
        compute(Method(DeepEnsemble(1)), cases.problem(), {"calibration": KNOWN})
    method = Method(DeepEnsemble(2), emulator=Neighbours())
    problem = cases.problem()
    with pytest.raises(InputError, match="Neighbours got no inputs 'calibration' to learn from"):
        compute(method, problem, {"asked": ASKED})
    assert problem.cost.trainings == 0, "found before anything is trained"
