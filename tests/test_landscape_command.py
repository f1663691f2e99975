"""`thalweg landscape`: what it draws and says, from a plan, a study's folder and stored weights."""

import json
import re

import pytest
import torch
from plotly.offline import get_plotlyjs

import thalweg as package
import tiny
from thalweg.errors import InputError
from thalweg.explorers import LearnedCurve
from thalweg.files import read_tensors
from thalweg.landscape import RandomPlane, losses
from thalweg.report.landscape_page import Drawn
from thalweg.report.landscape_page import draw as drawn_from
from thalweg.study.context import StudyContext
from thalweg.study.landscape import (
    THROUGH,
    curve_of,
    measured,
    opened,
    profiles,
    view_of,
    view_through,
)
from thalweg.study.looking import look
from thalweg.study.mapping import survey
from thalweg.study.store import Store
from thalweg.weights.coefficients import Chain
from thalweg.weights.distribution import Members
from thalweg.weights.dropout import Dropped
from thalweg.weights.plane import Plane
from thalweg.weights.point import Weights, mix

ONE = [{"explorer": "deep-ensemble", "members": 2}]


def draw(source, **options) -> Drawn:
    return drawn_from(look(source, **options))


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studied")
    tiny.study(folder, methods=ONE)
    return folder


@pytest.fixture(scope="module")
def context():
    return StudyContext(tiny.plan(methods=ONE))


@pytest.fixture(scope="module")
def drawn(studied):
    """The segment between two anchors of a study."""
    before = sorted(p.name for p in (studied / "anchors").iterdir())
    found = draw(studied, through="segment", grid=3)
    assert sorted(p.name for p in (studied / "anchors").iterdir()) == before, (
        "its anchors are read, not trained"
    )
    return studied / "landscape/segment", found


def written(tmp_path, **changes):
    return tiny.write_toml(tmp_path / "plan.toml", tiny.raw(**{"methods": ONE} | changes))


def test_the_command(thalweg, tmp_path):
    code, out, err = thalweg(
        "landscape", written(tmp_path), "--through", "segment", "--grid", 3, "--output", "pictures"
    )
    assert code == 0 and not err and "\x1b" not in out
    assert len(list((tmp_path / "results/tiny/anchors").glob("*.safetensors"))) == 2, (
        "kept where the study has its own"
    )
    names = (
        "landscape.png",
        "landscape.svg",
        "paths.png",
        "paths.svg",
        "landscape.html",
        "landscape.json",
    )
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == sorted(names)
    assert all(f"wrote pictures/{name}" in out for name in names)
    barrier = json.loads((tmp_path / "pictures/landscape.json").read_text())["paths"][
        "straight segment"
    ]["barrier"]
    row = next(line for line in out.splitlines() if "straight segment" in line)
    assert f" {barrier:#.3g} " in row


def test_numbers_are_stored(drawn, studied):
    folder, found = drawn
    stored = json.loads((folder / "landscape.json").read_text())
    assert (
        stored["about"]
        == "two anchors, and a random direction across the segment between them (base 0)"
    )
    assert (
        stored["point_names"] == ["anchor 0", "anchor 1"]
        and len(stored["plane"]["train_loss"]) == 3
    )
    path, profile = stored["paths"]["straight segment"], found.profiles["straight segment"]
    assert path["barrier"] == profile.barrier and path["highest_loss"] == profile.highest == max(
        path["loss"]
    )
    context, _ = opened(studied)
    problem = context.problem("base 0", Store(studied))
    ends = losses(
        problem, [problem.anchor(0), problem.anchor(1)]
    )  # of all 64 images, as the picture is
    assert [path["loss"][0], path["loss"][-1]] == pytest.approx(ends.tolist(), rel=1e-5)


def test_the_page_opens_offline(drawn):
    page, library = (drawn[0] / "landscape.html").read_text(), get_plotlyjs()
    loaded = r"""\bsrc=|href=["']?(https?:)?//|@import|url\(["']?http"""
    assert library in page and not re.search(loaded, page.replace(library, ""))
    data = {
        name: json.loads(text)
        for name, text in re.findall(r'id="data-(\w+)">(.*?)</script>', page, re.DOTALL)
    }
    assert set(data) == {"surface", "contours", "paths"}
    surface = data["surface"]["data"][0]
    assert surface["type"] == "surface" and len(surface["text"]) == len(surface["text"][0]) == 3
    stored = json.loads((drawn[0] / "landscape.json").read_text())["plane"]
    assert f"training loss {stored['train_loss'][2][0]:.4g} nats" in surface["text"][2][0]
    assert (
        f"validation error {100 * stored['validation_error'][2][0]:.1f} %" in surface["text"][2][0]
    )
    shown, loss = 10 ** torch.tensor(surface["z"]), torch.tensor(stored["train_loss"])
    torch.testing.assert_close(
        shown, loss.clamp_max(shown.max()), rtol=1e-4, atol=0
    )  # walls above the path are cut


def test_the_same_files_again(drawn, studied, tmp_path):
    draw(studied, through="segment", grid=3, output=tmp_path)
    for path in drawn[0].iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("through", THROUGH)
def test_every_view(through, context, studied):
    view = view_of(context, Store(studied), through)
    tensors, facts = measured(context, view, 3)
    assert tensors["train_loss"].shape == tensors["validation_error"].shape == (3, 3)
    assert all(torch.isfinite(t).all() for t in tensors.values())
    count = {"random": 1, "segment": 2}.get(through, 3)
    assert len(facts["point_names"]) == len(tensors["points"]) == count and facts["about"].endswith(
        "(base 0)"
    )
    names = {
        "random": set(),
        "segment": {"straight segment"},
        "anchors": {"anchor 0 to anchor 1", "anchor 1 to anchor 2", "anchor 0 to anchor 2"},
        "thalweg": {f"{way} to member {k}" for way in ("path", "straight") for k in (0, 1)},
    }
    assert set(view.paths) == names.get(through, {"curve", "straight segment"})
    x, y = tensors["x"], tensors["y"]
    for at in (*tensors["points"].tolist(), *tensors["path"].tolist()):
        assert x[0] <= at[0] <= x[-1] and y[0] <= at[1] <= y[-1], "the picture holds it"
    if through == "random":
        assert x.tolist() == y.tolist() == [-1, 0, 1]
        problem = context.problem("base 0", Store(studied))
        assert float(tensors["train_loss"][1, 1]) == pytest.approx(
            float(losses(problem, [problem.anchor(0)])), rel=1e-5
        )


def test_a_curve_and_the_segment_have_the_same_ends(context, studied):
    found = profiles(context, view_of(context, Store(studied), "connecting-curve"))
    curve, straight = found["curve"], found["straight segment"]
    assert curve.loss[0] == straight.loss[0] and curve.loss[-1] == straight.loss[-1]
    assert not torch.equal(curve.loss, straight.loss)


def test_paths_that_are_led_end_where_the_members_are(context, studied):
    view = view_of(context, Store(studied), "thalweg")
    found = profiles(context, view)
    for k in (0, 1):
        path, straight = (found[f"{way} to member {k}"] for way in ("path", "straight"))
        assert path.loss[0] == straight.loss[0] and path.loss[-1] == straight.loss[-1]
    assert {name: len(said) for name, said in view.functions.items()} == {
        "anchor": 1,
        "retrainings": 2,
        "ends of free parts": 8,
        "members": 8,
        "targets": 8,
    }
    problem = context.problem("base 0", Store(studied))
    apart = view.functions["retrainings"] - view.functions["anchor"]
    assert float(apart.norm(dim=-1).mean()) > 0 and problem.anchor(1) is not None
    bent = [float(x) for x in re.findall(r"\d+\.\d", view.made.split("paths are")[1])]
    assert len(bent) == 2 and min(bent) >= 1
    sums = torch.cat([said.double().sum(-1) for said in view.functions.values()])
    assert torch.allclose(sums, torch.ones_like(sums), atol=1e-4)
    assert view.path[0].tolist() == pytest.approx(view.points[1].tolist(), abs=1e-5)
    assert view.path[-1].tolist() == pytest.approx(view.points[2].tolist(), abs=1e-5)


def test_a_path_out_of_the_plane_is_seen_from_above(context):
    """A chain of four vertices: its ends and third vertex span the plane, the second is
    projected.
    """
    problem = context.problem("base 0", None)
    vertices = tuple(Weights.of(problem.build("point", k)) for k in range(4))
    view = view_through(problem, package.weights.Subspace(vertices, Chain()), "a chain")
    begin, end, third = view.points.tolist()
    assert view.path[0].tolist() == pytest.approx(begin) and view.path[
        -1
    ].tolist() == pytest.approx(end)
    assert min((view.path - torch.tensor(third)).norm(dim=1)) < 0.05 * view.points.max()


def test_what_a_study_shows_is_stored_as_before(context, studied, tmp_path):
    """The plane of the plan: names, shapes and types of the stored file, and its numbers by
    hand.
    """
    own = StudyContext(
        tiny.plan(
            methods=[{"explorer": "deep-ensemble", "members": 3}], protocol={"landscape": "anchors"}
        )
    )
    survey(own, Store(studied), tmp_path / "plane.safetensors")
    tensors, facts = read_tensors(tmp_path / "plane.safetensors")
    assert {name: (tuple(t.shape), t.dtype) for name, t in tensors.items()} == {
        "x": ((17,), torch.float64),
        "y": ((17,), torch.float64),
        "train_loss": ((17, 17), torch.float32),
        "validation_error": ((17, 17), torch.float32),
        "points": ((3, 2), torch.float64),
        "path": ((120, 2), torch.float64),
    }
    assert facts.pop("of") == tmp_path.name
    assert facts == {
        "about": "three anchors and the straight segments between them (base 0)",
        "training_images": 64,
        "point_names": ["anchor 0", "anchor 1", "anchor 2"],
        "validation_images": 40,
    }
    problem = own.problem("base 0", Store(studied))
    plane = Plane(tuple(problem.anchor(k) for k in range(3)))
    point = plane.at(torch.stack([tensors["x"][4], tensors["y"][11]]))
    assert float(tensors["train_loss"][11, 4]) == pytest.approx(
        float(losses(problem, [point])), rel=1e-5
    )
    images, labels = own.splits.validation, own.splits.validation_labels
    predicted = package.predict(problem, point, own.loader(images)).log_probs[0].argmax(1)
    assert float(tensors["validation_error"][11, 4]) == pytest.approx(
        float((predicted != labels).double().mean())
    )


def test_the_plans_own_explorer_is_drawn(context):
    own = tiny.plan(methods=[{"explorer": "learned-curve", "beta": 0.25}])
    assert (
        curve_of(own, LearnedCurve).beta == 0.25 and curve_of(context.plan, LearnedCurve).beta == 1
    )


def test_stored_weights(studied, tmp_path):
    problem = opened(studied)[0].problem("base 0", Store(studied))
    package.save(Members((problem.anchor(0), problem.anchor(1))), tmp_path / "found.safetensors")
    found = draw(studied, weights=tmp_path / "found.safetensors", grid=3)
    assert (studied / "landscape/found/landscape.png") in found.paths
    same = view_of(opened(studied)[0], Store(studied), "segment")
    expected = profiles(opened(studied)[0], same)["straight segment"]
    assert found.profiles["straight segment"].loss.tolist() == expected.loss.tolist()


# mistakes


@pytest.fixture
def refused(thalweg):
    def command(*arguments) -> str:
        code, out, err = thalweg("landscape", *arguments)
        assert code == 2 and "Traceback" not in out, (code, out, err)
        assert len(err.splitlines()) == 1 and err.startswith("thalweg: "), err
        return err

    return command


def test_mistakes(refused, studied, tmp_path):
    plan = written(tmp_path)
    assert "unknown landscape 'segmnt': did you mean 'segment'?" in refused(
        plan, "--through", "segmnt"
    )
    assert not list(tmp_path.glob("results/*/anchors/*")), "found before anything is trained"
    line = refused(plan, "--through", "random", "--weights", "found.safetensors")
    assert "--through got 'random' beside --weights found.safetensors, needs one of them" in line
    assert "--quick got the study's folder" in refused(studied, "--quick")
    assert "has no plan.json: give a plan, or a folder that 'thalweg study' wrote" in refused(
        tmp_path
    )
    assert "can't read the plan" in refused(tmp_path / "none.toml")
    assert "none.safetensors does not exist" in refused(
        plan, "--weights", tmp_path / "none.safetensors"
    )
    assert "grid" in refused(plan, "--grid", 1)


def test_weights_of_another_network(refused, studied, tmp_path):
    package.save(Members((Weights.of(torch.nn.Linear(3, 2)),)), tmp_path / "other.safetensors")
    assert "does not fit the model" in refused(
        studied, "--weights", tmp_path / "other.safetensors", "--grid", 3
    )


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"plan": {}, "environment": {}}'])
def test_a_damaged_plan(text, tmp_path):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(InputError, match=r"plan\.json") as caught:
        opened(tmp_path)
    assert "\n" not in str(caught.value)


def test_points_on_a_line(studied, tmp_path):
    problem = opened(studied)[0].problem("base 0", Store(studied))
    one, other = (problem.anchor(k) for k in range(2))
    package.save(
        Members((one, mix((one, other), (0.5, 0.5)), other)), tmp_path / "line.safetensors"
    )
    with pytest.raises(InputError, match=r"three points of the landscape are on one line"):
        draw(studied, weights=tmp_path / "line.safetensors", grid=3)


def test_points_that_are_the_same_count_once(context, studied):
    """A segment of two different ones; a random plane around draws that differ in their dropout
    only.
    """
    problem = context.problem("base 0", Store(studied))
    one, other = (problem.anchor(k) for k in range(2))
    assert list(view_through(problem, Members((one, other, one)), "").paths) == ["straight segment"]
    dropped = view_through(problem, Dropped(one, 0.1), "")
    assert isinstance(dropped.plane, RandomPlane) and not dropped.paths
    broken = Weights({name: p * float("nan") for name, p in one.params.items()}, one.buffers)
    with pytest.raises(InputError, match="not finite"):
        view_through(problem, Members((one, broken)), "")


@pytest.mark.parametrize(("epochs", "expected"), [(1e-3, True), (40, False)])
def test_networks_that_know_nothing_are_told(epochs, expected, tmp_path, thalweg):
    (tmp_path / "plan.toml").write_text(f"""
        [data]
        name = "digits"
        train = 200
        [model]
        name = "mlp"
        hidden = [16]
        [recipe]
        epochs = {epochs}
        [[methods]]
        explorer = "deep-ensemble"
        members = 2
    """)
    code, out, _ = thalweg(
        "landscape",
        tmp_path / "plan.toml",
        "--through",
        "segment",
        "--grid",
        2,
        "--output",
        tmp_path / "out",
    )
    stored = json.loads((tmp_path / "out" / "landscape.json").read_text())
    assert code == 0 and stored["chance"] == expected == ("no better than chance" in out)
    cost = stored["cost"]
    assert (
        cost["trainings"] == 2
        and cost["forward_trainings"] > 0
        and cost["total"] == 2 + cost["forward_trainings"] / 3
    )
    assert (
        f"cost: 2.00 trainings (stored ones included), {cost['total']:.2f} with forward evaluations"
        in out
    )
