"""Plans: a good one, and every mistake, which is said in one line that names the key."""

import json
import re
from pathlib import Path

import pytest

import tiny
from thalweg.errors import InputError
from thalweg.study.plan import make_plan, plan_of, read_plan

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.toml"))


def mistake(**changes) -> str:
    with pytest.raises(InputError) as caught:
        tiny.plan(**changes)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("plan: ") and len(message) < 400
    return message


def test_a_good_plan(tmp_path):
    plan = read_plan(
        tiny.write_toml(tmp_path / "mine.toml", {k: v for k, v in tiny.PLAN.items() if k != "name"})
    )
    assert plan.name == plan.title == "mine"
    assert (plan.data.train, plan.recipe.epochs, plan.protocol.reference) == (64, 2.0, 4)
    assert plan.model.model_dump() == {"name": "mlp", "hidden": [8]}
    assert [m.label for m in plan.methods] == [
        "deep-ensemble (members 1)",
        "deep-ensemble (members 2)",
        "learned-line",
        "neighbours on deep-ensemble (members 2)",
    ]
    assert (
        plan.methods[1].method.explorer.members == 2
        and plan.methods[3].method.emulator.neighbours == 40
    )


def test_a_plan_that_is_like_another(tmp_path):
    shared = {k: v for k, v in tiny.PLAN.items() if k != "data"} | {"quick": {"data": {"train": 9}}}
    tiny.write_toml(tmp_path / "shared.toml", shared | {"name": "shared", "title": "All"})
    own = 'like = "shared.toml"\ntitle = "Mine"\n[protocol]\nbases = 3\n[data]\ntrain = 70\n'
    (tmp_path / "mine.toml").write_text(own)
    plan = read_plan(tmp_path / "mine.toml")
    assert (plan.name, plan.title, plan.data.train) == ("mine", "Mine", 70)
    assert (plan.protocol.bases, plan.protocol.reference) == (3, 4)
    assert len(plan.methods) == 4 and plan.model.name == "mlp"
    assert read_plan(tmp_path / "mine.toml", quick=True).data.train == 9


def test_a_network_of_another_name_has_no_settings_of_the_other_plan(tmp_path):
    shared = {**tiny.PLAN, "model": {"name": "cnn", "widths": [4, 8]}}
    tiny.write_toml(tmp_path / "shared.toml", shared)
    own = 'like = "shared.toml"\n[model]\nname = "mlp"\n'
    (tmp_path / "mine.toml").write_text(own)
    assert read_plan(tmp_path / "mine.toml").model.model_dump() == {"name": "mlp"}
    (tmp_path / "mine.toml").write_text(own.replace("mlp", "cnn"))
    assert read_plan(tmp_path / "mine.toml").model.model_dump()["widths"] == [4, 8]


@pytest.mark.parametrize(
    "like, words",
    [
        ('"nowhere.toml"', "nowhere.toml"),
        ('"../shared.toml"', "like got '../shared.toml', needs the name"),
        ("3", "like got 3, needs"),
        ('".."', "like got '..', needs the name"),
        ('""', "like got '', needs the name"),
        ('"mine.toml"', "which is like another plan itself"),
    ],
)
def test_a_plan_that_is_like_nothing(tmp_path, like, words):
    (tmp_path / "mine.toml").write_text(f"like = {like}\n")
    with pytest.raises(InputError, match=re.escape(words)):
        read_plan(tmp_path / "mine.toml")


TABLES = {
    "an unknown table": (
        {"recipes": {}},
        r"recipes is not known: did you mean 'recipe'\? \(known: .*methods",
    ),
    "an unknown key of data": (
        {"data": {"trian": 5}},
        r"data\.trian is not known: did you mean 'train'\?",
    ),
    "an unknown key of the protocol": (
        {"protocol": {"refrence": 5}},
        r"protocol\.refrence is not known: did you mean 'reference'\?",
    ),
    "an unknown key of the recipe": (
        {"recipe": {"epoch": 5}},
        r"recipe\.epoch is not known: did you mean 'epochs'\?",
    ),
    "a wrong type": ({"data": {"train": "many"}}, r"data\.train got 'many', .*integer"),
    "a wrong type in the recipe": (
        {"recipe": {"epochs": "ten"}},
        r"recipe\.epochs got 'ten', .*number",
    ),
    "a number that is none": ({"protocol": {"bases": 2.5}}, r"protocol\.bases got 2\.5, .*integer"),
    "a table that is none": ({"protocol": 3}, r"protocol got 3, "),
    "too few": (
        {"protocol": {"reference": 3}},
        r"protocol\.reference got 3, .*greater than or equal to 4",
    ),
    "out of range in the recipe": (
        {"recipe": {"lr": -1}},
        r"recipe\.lr got -1\.0, needs 0 or more",
    ),
    "an unknown choice": (
        {"protocol": {"landscape": "plane"}},
        r"protocol\.landscape got 'plane', .*'learned-curve', 'anchors', 'thalweg' or 'none'",
    ),
    "an unknown source": (
        {"protocol": {"sources": ["init", "luck"]}},
        r"protocol\.sources\.1 got 'luck', .*'init'",
    ),
    "no source": ({"protocol": {"sources": []}}, r"protocol\.sources got "),
    "an unknown schedule": (
        {"recipe": {"schedule": "cosin"}},
        r"recipe\.schedule got 'cosin', .*'cosine'",
    ),
    "anchors that no method has": (
        {"protocol": {"landscape": "anchors"}},
        r"protocol\.landscape got 'anchors', but no method has three",
    ),
    "an unknown key of the execution": (
        {"execution": {"stacks": 5}},
        r"execution\.stacks is not known: did you mean 'stack'\?",
    ),
    "a stack of none": (
        {"execution": {"stack": 0}},
        r"execution\.stack got 0, .*greater than or equal to 1",
    ),
    "an unknown mode": (
        {"execution": {"compile": "yes"}},
        r"execution\.compile got 'yes', .*'no', 'default' or",
    ),
    "a text that looks like a number": (
        {"data": {"train": "64"}},
        r"data\.train got '64', .*integer",
    ),
    "a text in the recipe": ({"recipe": {"epochs": "3"}}, r"recipe\.epochs got '3', .*number"),
    "a whole number with a point": (
        {"protocol": {"bases": 2.0}},
        r"protocol\.bases got 2\.0, .*integer",
    ),
    "a truth that is a number": ({"data": {"augment": 1}}, r"data\.augment got 1, .*boolean"),
    "a number that is a truth": ({"recipe": {"lr": True}}, r"recipe\.lr got True, .*number"),
    "no methods": ({"methods": []}, r"methods got \[\], .*at least 1"),
}


@pytest.mark.parametrize("what", TABLES)
def test_mistakes_in_tables(what):
    changes, expected = TABLES[what]
    assert re.search(expected, mistake(**changes))


METHODS = {
    "no explorer": (
        {"members": 2},
        r"methods\[0\]\.explorer .*needs the name of an explorer \(see 'thalweg explorers'\)",
    ),
    "a baseline as an explorer": (
        {"explorer": "batch-ensemble"},
        r"methods\[0\]\.explorer: unknown explorer 'batch-ensemble'",
    ),
    "an unknown baseline": (
        {"baseline": "batch-ensembl"},
        r"methods\[0\]\.baseline: .*did you mean 'batch-ensemble'\?",
    ),
    "a baseline that is no name": (
        {"baseline": 3},
        r"methods\[0\]\.baseline got 3, needs the name of a baseline",
    ),
    "both": (
        {"baseline": "batch-ensemble", "explorer": "swag"},
        r"methods\[0\] has an explorer and a baseline, needs one",
    ),
    "a repetition that is no number": (
        {"explorer": "swag", "repeat": "2"},
        r"methods\[0\]\.repeat got '2', needs a whole",
    ),
    "no repetition": (
        {"explorer": "swag", "repeat": [1, 0]},
        r"methods\[0\]\.repeat got 0, needs a whole number, 1 or more",
    ),
    "an unknown explorer": (
        {"explorer": "swagg"},
        r"methods\[0\]\.explorer: unknown explorer 'swagg': did you mean 'swag'\?",
    ),
    "an unknown setting": (
        {"explorer": "deep-ensemble", "member": 2},
        r"methods\[0\]\.member is not known: did you mean 'members'\?",
    ),
    "a wrong type": (
        {"explorer": "deep-ensemble", "members": "two"},
        r"methods\[0\]\.members got 'two', .*integer",
    ),
    "a text": (
        {"explorer": "deep-ensemble", "members": "2"},
        r"methods\[0\]\.members got '2', .*integer",
    ),
    "out of range": (
        {"explorer": "deep-ensemble", "members": 0},
        r"methods\[0\].*members got 0, needs a whole number",
    ),
    "one of several": (
        {"explorer": "deep-ensemble", "members": [2, 0]},
        r"methods\[0\].*members got 0, needs",
    ),
    "an empty list": (
        {"explorer": "deep-ensemble", "members": []},
        r"methods\[0\]\.members got \[\], needs",
    ),
    "an unknown emulator": (
        {"explorer": "deep-ensemble", "emulator": "neighbour"},
        r"methods\[0\]\.emulator: unknown emulator 'neighbour': did you mean 'neighbours'\?",
    ),
    "an unknown setting of the emulator": (
        {"explorer": "deep-ensemble", "emulator": {"name": "neighbours", "neighbors": 4}},
        r"methods\[0\]\.emulator\.neighbors is not known: did you mean 'neighbours'\?",
    ),
    "an emulator that is none": (
        {"explorer": "deep-ensemble", "emulator": 3},
        r"methods\[0\]\.emulator got 3, needs a name, or a table",
    ),
}


@pytest.mark.parametrize("what", METHODS)
def test_mistakes_in_methods(what):
    entry, expected = METHODS[what]
    assert re.search(expected, mistake(methods=[entry]))


def test_the_methods_number_is_told():
    assert "methods[1]" in mistake(methods=[{"explorer": "swag"}, {"explorer": "spri"}])


def test_no_methods_at_all():
    with pytest.raises(InputError, match="plan: methods is missing: give it a value"):
        make_plan({k: v for k, v in tiny.PLAN.items() if k != "methods"})


@pytest.mark.parametrize("methods", [
    [{"explorer": "swag"}, {"explorer": "swag"}],
    [{"explorer": "swag", "label": "a"}, {"explorer": "spro", "label": "a"}],
    [{"explorer": "deep-ensemble", "members": [2, 2]}],
])  # fmt: skip
def test_equal_labels(methods):
    assert "twice: change a setting, or give one of them a label" in mistake(methods=methods)


def test_repeated_rows_and_baselines_come_back_from_their_facts():
    plan = tiny.plan(
        methods=[
            {"explorer": "swag", "repeat": [1, 2]},
            {"baseline": "batch-ensemble"},
            {"explorer": "snapshot"},
        ]
    )
    assert [m.label for m in plan.methods] == [
        "swag (repeat 1)",
        "swag (repeat 2)",
        "batch-ensemble",
        "snapshot",
    ]
    assert plan_of(plan.facts()) == plan
    assert [m.method.trainings for m in plan.methods[:2]] == [1, 2]


def test_whole_numbers_are_fractions_too():
    plan = tiny.plan(recipe={"epochs": 3, "lr": 1, "clip": 2})
    assert [type(v) for v in (plan.recipe.epochs, plan.recipe.lr, plan.recipe.clip)] == [float] * 3


def test_how_the_work_is_done():
    assert tiny.plan().execution.model_dump() == {
        "stack": 1,
        "compile": "no",
        "channels_last": None,
    }


def test_a_plan_of_earlier_days_has_no_execution():
    facts = tiny.plan().facts()
    del facts["execution"]
    assert plan_of(facts) == tiny.plan()


def test_no_toml(tmp_path):
    path = tmp_path / "a.toml"
    for text in (b"[data\nname = 3", b"\xff\x00", b"a = 1\na = 2\n"):
        path.write_bytes(text)
        with pytest.raises(InputError, match=r"a\.toml is no (TOML|UTF-8)") as caught:
            read_plan(path)
        assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(
            InputError, match=r"can't read the plan .*: give the path of a TOML file"
        ):
            read_plan(path)


def test_lists_make_rows():
    plan = tiny.plan(methods=[{"explorer": "snapshot", "cycles": [2, 3], "lr_ratio": [1.0, 2.0]}])
    assert [(m.method.explorer.cycles, m.method.explorer.lr_ratio) for m in plan.methods] == [
        (2, 1),
        (2, 2),
        (3, 1),
        (3, 2),
    ]
    assert len({m.label for m in plan.methods}) == 4
    labelled = tiny.plan(methods=[{"explorer": "deep-ensemble", "members": [1, 2], "label": "DE"}])
    assert [m.label for m in labelled.methods] == ["DE, members 1", "DE, members 2"]


def test_quick_values_go_over_the_others(tmp_path):
    quick = {"data": {"train": 32}, "recipe": {"epochs": 1}, "protocol": {"bases": 1}}
    path = tiny.write_toml(tmp_path / "a.toml", tiny.PLAN | {"quick": quick})
    whole, short = read_plan(path), read_plan(path, quick=True)
    assert (whole.name, whole.data.train, whole.recipe.epochs, whole.protocol.bases) == (
        "tiny",
        64,
        2,
        2,
    )
    assert (short.name, short.data.train, short.recipe.epochs, short.protocol.bases) == (
        "tiny-quick",
        32,
        1,
        1,
    )
    assert short.data.validation == 40 and short.methods == whole.methods


@pytest.mark.parametrize(("quick", "expected"), [
    ({"data": {"trian": 5}}, r"data\.trian is not known: did you mean 'train'\?"),
    ({"rec": {"epochs": 1}}, r"rec is not known"),
])  # fmt: skip
def test_a_mistake_in_quick_is_found_at_once(quick, expected, tmp_path):
    path = tiny.write_toml(tmp_path / "a.toml", tiny.PLAN | {"quick": quick})
    for short in (False, True):
        with pytest.raises(InputError, match=rf"a\.toml \[quick\]: {expected}"):
            read_plan(path, quick=short)


def test_quick_that_is_no_table(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("quick = 3\n[[methods]]\nexplorer = 'swag'\n")
    with pytest.raises(InputError, match=r"a\.toml: quick got 3, needs a table"):
        read_plan(path, quick=True)


def test_a_model_instead_of_the_plans(tmp_path):
    path = tiny.write_toml(tmp_path / "a.toml", tiny.PLAN)
    assert read_plan(path, model="mine.nets:make").model.model_dump() == {"name": "mine.nets:make"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "methods": [
                {"explorer": "swag", "label": "mine"},
                {"explorer": "espro"},
                {"explorer": "spro", "form": "paper"},
            ]
        },
        {"execution": {"stack": 8, "compile": "default", "channels_last": False}},
        {"recipe": {"clip": 1.0, "optimizer": "adamw"}, "protocol": {"sources": ["order", "data"]}},
        {
            "methods": [
                {
                    "explorer": "deep-ensemble",
                    "members": 2,
                    "emulator": {"name": "neighbours", "neighbours": 7},
                }
            ]
        },
    ],
)
def test_a_plan_comes_back_from_its_facts(changes):
    plan = tiny.plan(**changes)
    assert plan_of(json.loads(json.dumps(plan.facts()))) == plan


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_plans_that_come_with_thalweg(path, quick):
    plan = read_plan(path, quick=quick)
    assert plan_of(json.loads(json.dumps(plan.facts()))) == plan
    if not quick:
        assert plan.protocol.bases >= 5 and plan.protocol.reference >= 20


def test_there_are_plans():
    assert {"digits", "mnist-mlp", "fashion-cnn", "cifar10-resnet20", "cifar100-resnet20"} <= {
        path.stem for path in STUDIES
    }


def test_an_emulator_of_too_few_members_is_found_before_anything_is_trained():
    with pytest.raises(
        InputError,
        match=r"methods\[0\]: Neighbours learns from the differences of 2 networks or more, and",
    ):
        make_plan(
            {"methods": [{"explorer": "deep-ensemble", "members": 1, "emulator": "neighbours"}]}
        )
