"""The posterior of the mean of u: against integrals, and on networks whose law is known."""

import math
from dataclasses import replace

import pytest
import torch
from scipy import integrate, stats

from thalweg.atlas.learned import learned
from thalweg.emulators.atlas import Atlas
from thalweg.emulators.level import Clue, Level, clues_of, level_from, level_of, name_of, signs
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group
from thalweg.errors import InputError
from thalweg.outputs import Classes, Values
from thalweg.predictions import Predictions
from thalweg.sensitivity import Sensitivity

LAW = learned().facts["level"]


def integral(clues: tuple[Clue, ...]) -> tuple[float, float]:
    """Mean and deviation of the product of the densities."""

    def density(x: float) -> float:
        return math.prod(
            stats.norm.pdf(x, clue.log_level, clue.scale)
            if math.isinf(clue.freedom)
            else stats.t.pdf(x, clue.freedom, clue.log_level, clue.scale)
            for clue in clues
        )

    low = min(clue.log_level - 30 * clue.scale for clue in clues)
    high = max(clue.log_level + 30 * clue.scale for clue in clues)
    marks = {clue.log_level + z * clue.scale for clue in clues for z in (-10, -3, 0, 3, 10)}
    points = sorted(marks)

    def moment(k: int, about: float = 0.0) -> float:
        return integrate.quad(
            lambda x: (x - about) ** k * density(x), low, high, points=points, limit=500
        )[0]

    total = moment(0)
    mean = moment(1) / total
    return mean, math.sqrt(moment(2, mean) / total)


@pytest.mark.parametrize(
    "told",
    [
        [(-2.0, 0.3), (-2.1, 0.3)],
        [(-3.0, 0.5), (-2.5, 0.1), (-2.6, 0.12)],
        [(0.5, 0.1), (-0.5, 0.1)],
        [(-3.0, 0.6), (-1.0, 0.05), (-1.1, 0.2), (-4.0, 0.2)],
        [(-3.0, 0.4, math.inf), (-2.0, 0.1), (-2.4, 0.2)],
        [(-3.0, 0.4, math.inf), (-2.0, 0.3, math.inf)],
        [(-3.0, 0.5), (-2.0, 0.01)],
        [(-9.0, 2.3), (-2.0, 0.007)],
        [(-9.0, 2.3, math.inf), (-2.0, 0.002), (-2.003, 0.004)],
        [(-4.0, 0.5), (-2.0, 0.002), (-1.0, 0.001)],
    ],
)
def test_the_posterior_is_the_integral(told):
    clues = tuple(Clue("some", *of) for of in told)
    found, (mean, deviation) = level_of(clues), integral(clues)
    assert found.log_level == pytest.approx(mean, abs=2e-3)
    # the grid ends twelve scales away, where a Student's square is not yet all there
    assert found.deviation == pytest.approx(deviation, rel=0.02)
    assert found.clues == clues and found.value == math.exp(found.log_level)


def test_normal_clues_are_averaged_by_their_precisions():
    found = level_of((Clue("a", 0.0, 0.5, math.inf), Clue("b", 1.0, 0.25, math.inf)))
    assert found.log_level == pytest.approx(0.8) and found.deviation == pytest.approx(20**-0.5)


def test_one_clue_is_its_own_level():
    found = level_of((Clue("one", -1.7, 0.4),))
    assert found.log_level == pytest.approx(-1.7, abs=1e-9)
    assert 0.4 < found.deviation < 0.4 * math.sqrt(3)  # that of all of the Student's


def test_clues_that_agree_make_it_narrow_and_contradiction_makes_it_wide():
    one = level_of((Clue("a", 0.0, 0.1),))
    agree = level_of((Clue("a", 0.0, 0.1), Clue("b", 0.0, 0.1)))
    apart = level_of((Clue("a", 0.0, 0.1), Clue("b", 1.0, 0.1)))
    assert agree.deviation < one.deviation < apart.deviation
    assert apart.log_level == pytest.approx(0.5, abs=1e-6) and apart.deviation > 0.4


def test_the_order_of_clues_is_nothing_and_all_may_move_together():
    clues = (Clue("a", -1.0, 0.3), Clue("b", -1.5, 0.1), Clue("c", -0.5, 0.6))
    found, turned = level_of(clues), level_of(clues[::-1])
    moved = level_of(tuple(replace(clue, log_level=clue.log_level + 5) for clue in clues))
    assert turned.log_level == pytest.approx(found.log_level)
    assert moved.log_level == pytest.approx(found.log_level + 5)
    assert moved.deviation == pytest.approx(found.deviation)


def test_it_says_itself_with_its_interval():
    assert str(Level(math.log(0.1), 0.5, ())) == "mean u 0.1 (0.03753 to 0.2664)"


def values(members: int, scale: float = 1.0, outputs: int = 1) -> torch.Tensor:
    mean = 3 * torch.randn(1, 3000, outputs, generator=torch.Generator().manual_seed(9))
    noise = torch.randn(members, 3000, outputs, generator=torch.Generator().manual_seed(1))
    return (mean + scale * noise).double()


def told(observed: Observations, sensitivity: Sensitivity | None = None) -> dict[str, Clue]:
    found = clues_of(LAW, Group.of(observed), observed.stored[0], sensitivity)
    assert len({clue.name for clue in found}) == len(found)
    return {clue.name: clue for clue in found}


def observed(given: torch.Tensor, anchors: int, ratio: float = 1.0, kind=None) -> Observations:
    outputs = kind or Values()
    rest = Predictions(given[anchors:], outputs=outputs) if anchors < len(given) else None
    return Observations(Predictions(given[:anchors], outputs=outputs), rest, ratio)


def test_what_is_there_tells():
    given = values(5)
    assert set(told(observed(given[:1], 1))) == {"network"}
    assert set(told(observed(given[:3], 3))) == {"network", "trainings"}
    assert set(told(observed(given[:2], 1, 0.5))) == {"network", "apart"}
    assert set(told(observed(given, 2, 0.5))) == {"network", "trainings", "apart", "scatter"}


def of_atlas(observed: Observations) -> dict[str, Clue]:
    """What the atlas' level rests on."""
    return {clue.name: clue for clue in Atlas().level(observed).clues}


def test_networks_along_one_path_are_no_trainings():
    """They tell nothing by their own distances, and are one whole network beside copies."""
    given = values(5)
    path = replace(observed(given[:3], 3), path=3)
    assert set(of_atlas(path)) == {"network"} and of_atlas(path)["network"].freedom == math.inf
    copies = replace(observed(given, 3, 0.5), path=3)
    merged = torch.cat([given[:3].mean(0)[None], given[3:]])
    expected = of_atlas(observed(merged, 1, 0.5))
    assert set(of_atlas(copies)) == {"network", "apart", "scatter"}
    for name in ("apart", "scatter"):
        assert of_atlas(copies)[name].log_level == pytest.approx(expected[name].log_level)


def test_a_training_beside_a_path_is_told_by_its_distance_from_the_path_s_mean():
    given = values(4)
    path = of_atlas(replace(observed(given, 4), path=3))["trainings"]
    merged = torch.cat([given[:3].mean(0)[None], given[3:]])
    assert path.log_level == pytest.approx(of_atlas(observed(merged, 2))["trainings"].log_level)
    assert path.scale == pytest.approx(LAW["trainings"]["scale"])


@pytest.mark.parametrize("path", [0, 4, 1.5])
def test_a_path_of_other_than_the_networks_that_are_there_is_refused(path):
    with pytest.raises(InputError, match="path"):
        replace(observed(values(3), 3), path=path)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_trainings_tell_the_mean_of_u(count):
    """Values that scatter by 0.5 everywhere: its logarithm, ever more surely."""
    found = told(observed(values(count, 0.5), count))["trainings"]
    assert found.log_level == pytest.approx(math.log(0.5), abs=0.03)
    assert found.scale == pytest.approx(LAW["trainings"]["scale"] / math.sqrt(count - 1))


def test_copies_tell_it_by_the_law_of_width():
    """Copies of the ratio 1 are retrainings; narrower ones are told less surely."""
    given = values(6, 0.5)
    same = told(observed(given, 1, 1.0))
    for name in ("apart", "scatter"):
        assert same[name].log_level == pytest.approx(math.log(0.5), abs=0.03)
        assert same[name].scale == pytest.approx(LAW[name]["least"])
    scales = [told(observed(given, 1, ratio))["scatter"].scale for ratio in (0.7, 0.5, 0.35)]
    assert same["scatter"].scale < scales[0] < scales[1] < scales[2]


def test_levels_have_the_units_of_values():
    given = values(4, 0.3, outputs=2)
    one, other = (told(observed(unit * given, 2, 0.5)) for unit in (1.0, 1000.0))
    for name, clue in one.items():
        assert other[name].log_level == pytest.approx(clue.log_level + math.log(1000))
        assert other[name].scale == clue.scale


def logits(members: int = 1, sharp: float = 2.0, classes: int = 4) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    given = sharp * torch.randn(members, 400, classes, generator=random, dtype=torch.float64)
    return given.log_softmax(-1)


def test_signs_are_what_they_are_called():
    stored = logits()[0]
    p = stored.exp()
    norm = float((torch.diag_embed(p) - p[:, :, None] * p[:, None]).norm(dim=(1, 2)).mean())
    alone, sensitive = (
        signs(Classes(), stored, own) for own in (None, Sensitivity(2.5, 10.0, 700))
    )
    expected = {
        "offset": math.log(norm),
        "classes": math.log(4),
    }
    assert alone == pytest.approx(expected)
    more = {
        "offset": math.log(5.0),
        "parameters": math.log(700),
    }
    assert sensitive == pytest.approx({**expected, **more})
    turned = signs(Classes(), stored[:, [2, 0, 3, 1]], None)
    assert turned == pytest.approx(alone)


def test_signs_of_values():
    """Their sensitivity has their units; over their scatter it has none."""
    given = values(1, outputs=2)[0]
    scatter = math.log(float(given.double().std(0).norm()))
    assert signs(Values(), given, None) == pytest.approx({"offset": scatter})
    expected = {"offset": math.log(5.0), "steepness": math.log(5.0) - scatter}
    found = signs(Values(), given, Sensitivity(2.5, 10.0, 700))
    assert found == pytest.approx({**expected, "parameters": math.log(700)})


def test_the_law_knows_all_signs_and_a_known_sensitivity_tells_more_surely():
    for kind, stored in ((Classes(), logits()[0]), (Values(), values(1)[0])):
        law = LAW["probabilities" if kind.simplex else "values"]
        for own in (None, Sensitivity(1.0, 1.0, 100)):
            before = law[name_of(sensitivity=own is not None)]
            found = set(signs(kind, stored, own))
            assert "offset" in before["slopes"] and set(before["slopes"]) <= found
            free = set() if own is not None and kind.simplex else {"offset"}  # it has units
            assert set(before["ranges"]) == found - free
            assert before["slopes"]["offset"] == 1 and before["scale"] > 0
    own = LAW["probabilities"]
    assert own[name_of(sensitivity=True)]["scale"] < own[name_of(sensitivity=False)]["scale"]


def test_one_network_yields_to_trainings_that_contradict_it():
    given = values(20, 1e-3) / 100
    group = Group(given, 20, 1.0, outputs=Values())
    found = level_from(LAW, group, given[0].float(), None)
    assert found.value == pytest.approx(1e-5, rel=0.1)


def test_a_sensitivity_beyond_all_tasks_is_left_out():
    seen = observed(logits(), 1, kind=Classes())
    group, stored = Group.of(seen), seen.stored[0]
    alone = level_from(LAW, group, stored, None)
    far = level_from(LAW, group, stored, Sensitivity(1e4, 1e4, 3000))
    assert far.log_level == pytest.approx(alone.log_level)
    assert far.deviation > 1.5 * alone.deviation and not alone.unlike
    assert far.unlike[0].startswith("sensitivity of predictions to weights")
    assert level_from(LAW, group, stored, Sensitivity(4.0, 4.0, 3000)).unlike == ()


def test_twice_as_sensitive_is_twice_the_level():
    seen = observed(logits(), 1, kind=Classes())
    one, other = (told(seen, Sensitivity(own, own, 500))["network"] for own in (1.0, 2.0))
    assert other.log_level - one.log_level == pytest.approx(math.log(2))
