"""How the cost of a retraining equivalent grows: prices, exponents, tasks, what the page says."""

import json
import math

import pytest

from research.atlas import digest
from research.growth import page
from research.growth.__main__ import main, named
from research.growth.answer import answer, exponents
from research.growth.figure import LINES, drawn
from research.growth.prices import Price, exponent, prices
from research.growth.tasks import AXES, BASE, first_classes, merged, tasks
from research.skeleton import stored
from thalweg.data import load

FOUND = {result["name"]: result for result in stored(page.RESULTS)}
TABLE = {
    "methods": {
        "deep-ensemble (members 1)": {"total": 1.0, "k_eq": [1, 0.8, 1.25], "k_u": [1, 1, 1]},
        "deep-ensemble (members 2)": {"total": 2.0, "k_eq": [2, 1.6, 2.5], "k_u": [2, 1, 4]},
        "within": {"total": 1.5, "k_eq": [3, 2, 5], "k_u": [6, 3, 10]},
        "beyond": {"total": 1.5, "k_eq": [3, 2, math.inf], "k_u": [math.inf, 20, math.inf]},
        "below": {"total": 1.5, "k_eq": [0.3, 0.2, 0.5], "k_u": [1, 1, 1.2]},
        "near": {"total": 1.5, "k_eq": [1, 0.5, 2], "k_u": [1.2, 1, 1.5]},
        "undefined": {"total": 1.5, "k_eq": 3 * [math.nan], "k_u": 3 * [math.nan]},
    }
}


def test_prices_are_those_of_a_table_by_hand():
    assert {label: price.text() for label, price in prices(TABLE, "k_u").items()} == {
        "deep-ensemble (members 1)": "1.00 (1.00 to 1.00)",
        "deep-ensemble (members 2)": "1.00 (0.50 to 2.00)",
        "within": "0.25 (0.15 to 0.50)",
        "beyond": "< 0.07",
        "below": "> 1.25",
        "near": "1.25 (1.00 or more)",
        "undefined": "n/a",
    }
    assert {label: price.text() for label, price in prices(TABLE, "k_eq").items()} == {
        "deep-ensemble (members 1)": "1.00 (0.80 to 1.25)",
        "deep-ensemble (members 2)": "1.00 (0.80 to 1.25)",
        "within": "0.50 (0.30 to 0.75)",
        "beyond": "< 0.75",
        "below": "5.00 (3.00 to 7.50)",
        "near": "1.50 (0.75 to 3.00)",
        "undefined": "n/a",
    }


def law(power: float, width: float = 1.2) -> list[tuple[float, Price]]:
    values = {x: 0.3 * x**power for x in (1, 2, 4, 8)}
    return [(x, Price(y, y / width, y * width)) for x, y in values.items()]


@pytest.mark.parametrize("power", [-0.5, 0.0, 1.0])
def test_an_exponent_is_found_and_bounds_are_left_out(power):
    points = [*law(power), (16, Price(9.0, 0.0, 9.0, "<")), (32, Price(9.0, 9.0, math.inf, ">"))]
    found = exponent(points)
    assert found.value == pytest.approx(power, abs=1e-9) and found.count == 4
    deviation = math.log(1.2) / 1.96  # least squares of equal weights, by the textbook
    expected = 1.96 * deviation / (math.log(2) * math.sqrt(5))
    assert found.high - found.value == pytest.approx(expected)
    assert ("**" in found.text()) == (power != 0)


def test_prices_that_scatter_widen_the_interval():
    up, down = 1.5, 1 / 1.5
    scattered = [
        (x, Price(y * p.value, y * p.low, y * p.high))
        for (x, p), y in zip(law(0.0), (up, down, up, down), strict=True)
    ]
    narrow, wide = exponent(law(0.0)), exponent(scattered)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_two_values_have_no_exponent():
    assert exponent(law(0.5)[:2]) is None


def test_a_task_changes_one_thing_of_the_base_of_its_axis():
    for key, axis in AXES.items():
        changes = [axis.change(value) for value in axis.values]
        flat = [{(t, k): str(v) for t, own in c.items() for k, v in own.items()} for c in changes]
        changed = {name for name in flat[0] if len({own[name] for own in flat}) > 1}
        assert len(changed) == 1 and len(axis.values) >= 4, key
        assert axis.values[-1] >= 8 * axis.values[0]
    assert [task.axis for task in tasks() if task.name == "base"] == ["width", "images", "epochs"]
    assert named("base")[0].tables() == merged(BASE, {})
    assert len({task.name for task in named("all")}) == len(named("all"))


def test_led_paths_are_left_out_of_short_trainings():
    def labels(name):
        return [row.label for row in named(name)[0].plan().methods]

    assert "led paths" in labels("base") and "led paths" not in labels("epochs-3")


def test_the_first_classes_of_a_data_set():
    whole = load("digits")
    part = first_classes(whole, 3)
    assert (
        part.classes == 3
        and part.name == "digits-3"
        and set(part.test_labels.tolist())
        == {
            0,
            1,
            2,
        }
    )
    assert len(part.train) == int((whole.train_labels < 3).sum())


def test_a_short_form_runs_goes_on_and_fills_a_page(tmp_path):
    given = ["--quick", "--store", str(tmp_path / "store"), "--results", str(tmp_path)]
    assert main([*given, "width-32"]) == 0
    file = tmp_path / "width-32.json"
    result = json.loads(file.read_text())
    assert set(LINES) < set(result["methods"]) and not result["failed"]
    assert result["plan"]["model"]["hidden"] == [32, 32] and result["mean_u"] > 0
    assert prices(result, "k_eq")["deep-ensemble (members 1)"].value > 0
    file.unlink()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "store").rglob("run.json")}
    assert main([*given, "width-32"]) == 0  # what was trained is not trained again
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "store").rglob("run.json")}
    (tmp_path / "figures").mkdir()
    marks = "".join(f"<!-- growth {name} -->\n<!-- end -->\n" for name in page.TABLES)
    (tmp_path / "growth.md").write_text(marks)
    text, picture = page.pages(tmp_path, tmp_path).values()
    assert "| units per hidden layer | 32 |" in text and picture.startswith("<svg")


def test_a_mistake_is_one_line(tmp_path, capsys):
    assert main(["widht-32", "--results", str(tmp_path)]) == 2
    assert "did you mean 'width-32'?" in capsys.readouterr().err
    assert main(["base", "--quick"]) == 2


def test_the_figure_is_drawn_in_two_languages():
    english, french = (drawn(FOUND, lang) for lang in ("en", "fr"))
    assert english.startswith("<svg") and french.startswith("<svg") and english != french
    assert english == drawn(FOUND, "en")


# what the page says


def test_the_page_and_the_figure_are_up_to_date():
    for path, text in page.pages().items():
        assert path.read_text() == text, "run: python -m research.growth page"


def test_what_is_measured_is_of_these_tasks_and_did_not_fail():
    assert set(FOUND) <= {task.name for task in tasks()} and "base" in FOUND
    for name, result in FOUND.items():
        assert not result["failed"] and {o["bases"] for o in result["methods"].values()} == {5}, (
            name
        )
        assert result["plan"] == named(name)[0].tables(), name


def test_the_atlas_knows_neither_these_data_nor_such_a_network():
    tasks_of = {name: digest.read(name) for name in digest.stored()}
    for name, result in FOUND.items():
        data = AXES[named(name)[0].axis].data
        known = [tasks_of[task] for task in result["atlas"]]
        assert len(known) > 30
        assert all(task.data != data and task.network != "mlp" for task in known)


def test_a_deep_ensemble_has_the_price_of_one():
    """Or its 95 % interval holds 1, which may fail for 5 % of them."""
    found = [
        prices(result, metric)[f"deep-ensemble (members {members})"]
        for result in FOUND.values()
        for metric in ("k_u", "k_eq")
        for members in (1, 2, 5)
    ]
    far = [own for own in found if abs(own.value - 1) > 0.2 and not own.low <= 1 <= own.high]
    assert len(far) <= 0.05 * len(found), far
    assert all(abs(own.value - 1) < 0.3 for own in found if not own.side)


def test_what_the_answer_says_is_what_the_exponents_say():
    said = answer(FOUND)
    (images,) = (line for line in said.splitlines() if line.startswith("- **Images**"))
    by_u = images[images.index("By K_u") : images.index("By K_eq")]
    found = exponents("images", "k_u", FOUND)
    assert found["restarts"].low > 0 and "rises for *restarts* (+" in by_u
    assert found["led paths"].high < 0 and "falls for *led paths* (-" in by_u
    for label in ("atlas, one network", "atlas, budget 0.5", "forest, budget 0.5"):
        assert found[label].low < 0 < found[label].high
        assert f"*{label}*" in by_u[by_u.index("no trend") :]


def test_an_axis_with_few_values_has_no_sentence():
    few = {name: FOUND["base"] for name in ("base",)}
    assert all("too few for a sentence" in line for line in answer(few).splitlines())


def test_what_the_page_says_of_images_and_of_narrow_copies():
    images = [FOUND[name] for name in ("images-500", "images-1000", "base", "images-4000")]
    for result in images:
        by_u, by_eq = (prices(result, metric) for metric in ("k_u", "k_eq"))
        for label in ("atlas, one network", "atlas, budget 0.5", "forest, budget 0.5"):
            assert by_u[label].value < 0.25 and 0.3 < by_eq[label].value < 0.6
    few, many = images[0]["methods"], images[-1]["methods"]
    led, restarts, hot = "led paths", "restarts", "restarts, twice the rate"
    assert [f"{own[led]['total']:.1f}" for own in (few, many)] == ["4.1", "2.0"]
    assert [f"{own[led]['k_u'][0]:.1f}" for own in (few, many)] == ["2.3", "2.6"]
    spreads = {
        name: [own[name]["spread_ratio"][0] for own in (few, many)] for name in (restarts, hot)
    }
    assert [f"{x:.2f}" for x in spreads[restarts]] == ["0.88", "1.61"]
    assert [f"{x:.2f}" for x in spreads[hot]] == ["1.34", "2.35"] and many[hot]["k_u"][0] == 1
    narrow = prices(FOUND["width-32"], "k_u")
    assert f"{narrow['atlas, budget 0.5'].value:.2f}" == "0.58"
    assert f"{narrow['atlas, one network'].value:.2f}" == "0.21"
    ratio = FOUND["width-32"]["methods"]["atlas, budget 0.5"]["spread_ratio"][0]
    assert ratio == pytest.approx(7 / 6, abs=0.02)
