"""Code in plans: a plan runs its code only if the user allows it; comparing and reporting build no
network.
"""

import sys
from pathlib import Path

import pytest

import tiny
from stored import ONE, one_line
from thalweg.errors import InputError
from thalweg.study import compare as _compare  # noqa: F401  so that it is imported before anything is counted
from thalweg.study.compare import compare
from thalweg.study.context import StudyContext
from thalweg.study.landscape import opened
from thalweg.study.plan import make_plan, plan_of, read_plan
from thalweg.training import problem

SOURCE = """
from pathlib import Path
from torch import nn
Path({mark!r}).touch()
def make(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
"""


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that leaves a mark where it is imported; gives plan and mark."""
    mark, name = tmp_path / "run", f"trap_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(SOURCE.format(mark=str(mark)))
    monkeypatch.chdir(tmp_path)
    plan = tiny.write_toml(
        tmp_path / "plan.toml",
        tiny.raw(model={"name": f"{name}:make", "hidden": None}, methods=ONE),
    )
    yield plan, mark, name
    sys.modules.pop(name, None)


REFUSED = "is code that the plan would run: give --model"


@pytest.mark.parametrize(
    "arguments",
    [
        ("study", "plan.toml", "--dry-run"),
        ("study", "plan.toml", "--jobs", "1"),
        ("study", "plan.toml", "--quick", "--dry-run"),
        ("landscape", "plan.toml"),
    ],
)
def test_code_that_a_plan_names_is_not_run(arguments, trap, thalweg):
    code, _, err = thalweg(*arguments)
    assert code == 2 and REFUSED in err and len(err.splitlines()) == 1
    assert not trap[1].exists()


@pytest.mark.parametrize("name", ["subprocess:check_output", "os:system", "builtins:exec", "a.b:c"])
def test_whatever_it_is(name, tmp_path):
    path = tiny.write_toml(tmp_path / "plan.toml", tiny.raw(model={"name": name, "hidden": None}))
    with pytest.raises(InputError, match=REFUSED) as caught:
        StudyContext(read_plan(path)).check()
    one_line(caught)


@pytest.mark.parametrize("flag", ["--model", "--trust-plan"])
def test_it_runs_where_its_user_says_so(flag, trap, thalweg):
    extra = (flag, f"{trap[2]}:make") if flag == "--model" else (flag,)
    code, out, err = thalweg("study", "plan.toml", "--dry-run", *extra)
    assert code == 0 and not err and "12 of 12 runs" in out and trap[1].exists()


def test_from_python_too(trap):
    assert (
        not read_plan(trap[0]).trusted
        and read_plan(trap[0], trust=True).trusted
        and read_plan(trap[0], model="mlp").trusted
    )
    own = make_plan(
        tiny.raw(model={"name": f"{trap[2]}:make", "hidden": None})
    )  # no file: the caller wrote it
    assert own.trusted and not plan_of(own.facts()).trusted


@pytest.fixture
def studied(trap, tmp_path):
    """The folder of a study of that network, as a stranger may send it."""
    tiny.study(tmp_path / "out", model={"name": f"{trap[2]}:make", "hidden": None}, methods=ONE)
    trap[1].unlink()
    del sys.modules[trap[2]]
    return tmp_path / "out", trap[1]


def test_comparing_and_reporting_build_no_network(studied, thalweg, monkeypatch):
    """Nor do they import its module, which may be gone."""
    folder, mark = studied

    def built(*_):
        raise AssertionError("a network was built")

    monkeypatch.setattr(problem.Problem, "build", built)
    monkeypatch.setattr(problem.Problem, "__post_init__", built)
    for path in Path().glob("trap_*.py"):
        path.unlink()
    assert len(compare(folder)) > 10
    assert thalweg("compare", folder)[0] == 0
    assert not mark.exists()


def test_nor_does_a_look_at_its_landscape_unless_it_is_trusted(studied, thalweg):
    folder, mark = studied
    code, _, err = thalweg("landscape", folder, "--through", "segment", "--grid", 2)
    assert code == 2 and REFUSED in err and not mark.exists()
    assert opened(folder, trust=True)[0].plan.trusted
    with pytest.raises(InputError, match=REFUSED):
        opened(folder)[0].check()
