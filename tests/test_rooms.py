"""The house rules, read from the source: every file has its room, and each dangerous thing has one
place. `test_graph.py` holds the imports to the order of the rooms.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "thalweg"
FILES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))

# Each room uses only rooms of earlier lines.
ROOMS = [
    ["stopping"],
    ["errors", "formats"],
    ["registry", "names"],
    ["seeds", "meter"],
    ["remote"],
    ["places"],
    ["files", "progress", "trees"],
    ["processes"],
    ["outputs", "arrays"],
    ["predictions"],
    ["metrics"],
    ["weights"],
    ["graph"],
    ["training"],
    ["engines"],
    ["predicting"],
    ["averaging", "features", "inputs", "narrow", "sensitivity"],
    ["atlas"],
    ["landscape"],
    ["emulators"],
    ["observing"],
    ["explorers", "baselines"],
    ["method"],
    ["asking"],
    ["computing"],
    ["choosing"],
    ["finetuning", "spending"],
    ["looking", "fitting", "planning"],
    ["storing"],
    ["quantifier", "sources"],
    ["quantifying", "loading"],
    ["estimators"],
    ["data", "models"],
    ["study"],
    ["report"],
    ["statement"],
    ["glossary"],
    ["commands"],
    ["cli"],
]
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((SOURCE / file).read_text())


def room(file: str) -> str:
    return file.split("/")[0].removesuffix(".py")


def modules(file: str) -> set[str]:
    """Modules that a file imports, whole names."""
    found = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


def names(file: str) -> list[tuple[str, int]]:
    """Everything that is read from something by a dot, or called by a plain name, with its line.

    Not strings, not comments.
    """
    found = []
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Attribute):
            found.append((ast.unparse(node), node.lineno))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.append((node.func.id, node.lineno))
    return found


def places(pattern: str, *allowed: str) -> list[str]:
    """Where a name occurs that must occur in the allowed files only."""
    return [
        f"{file}:{line} {name}"
        for file in FILES
        if file not in allowed
        for name, line in names(file)
        if re.search(pattern, name)
    ]


def test_every_room_has_its_level():
    unknown = {room(file) for file in FILES} - set(LEVEL) - {"__init__", "__main__"}
    assert not unknown, f"not in the list of rooms: {unknown}"


def test_gradients_and_optimizers_have_one_place():
    assert not places(
        r"\.backward$|autograd\.grad$",
        "training/loop.py",
        "weights/observing.py",  # looks at one backward pass; nothing is trained
        "sensitivity.py",  # looks at gradients; nothing is trained
        "explorers/adversaries.py",  # counts evaluations, which the loop goes back through
        "explorers/thalweg.py",  # likewise
    )
    assert not [
        file
        for file in FILES
        if file not in ("training/recipe.py",) and any("torch.optim" in m for m in modules(file))
    ]
    assert not places(r"\boptim\.", "training/recipe.py")


def test_seeding_has_one_place():
    assert not places(
        r"manual_seed$|random\.seed$|default_rng$|RandomState$|fork_rng$|set_rng_state$|set_state$|setstate$",
        "seeds.py",
    )


def test_generators_are_made_in_one_place():
    made = [
        f"{file}:{node.lineno}"
        for file in FILES
        if file != "seeds.py"
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Generator")
    ]
    assert not made
    assert not [file for file in FILES if file != "seeds.py" and "random" in modules(file)]


def test_clocks_have_one_place():
    assert not [file for file in FILES if file != "meter.py" and {"time", "timeit"} & modules(file)]
    assert not places(
        r"\.perf_counter$|\.monotonic$|datetime\.(now|utcnow|today)$|date\.today$", "meter.py"
    )


def test_running_statistics_have_one_place():
    assert not places(
        r"running_mean$|running_var$|reset_running_stats$|track_running_stats$|num_batches_tracked$|\.momentum$",
        "weights/statistics.py",
        "training/recipe.py",
        "training/stack.py",  # asks for the momentum
        "explorers/_parts/sgmcmc.py",  # that of SGD
        "explorers/csghmc.py",
    )


def test_probabilities_have_one_place():
    assert not places(r"\.(log_)?softmax$|Softmax$|softmin$", "outputs/probabilities.py")
    assert not places(
        r"cross_entropy(_with_logits)?$|CrossEntropyLoss$",
        "outputs/classes.py",
        "outputs/binary.py",
        "explorers/spro.py",
        "training/problem.py",
    )


def test_files_have_one_place():
    written = (
        r"\.(write_bytes|write_text|to_parquet|to_csv|to_json|to_pickle|savefig|mkstemp|NamedTemporaryFile)$"
        r"|^(torch|np|numpy|pickle|json)\.(save|savez|dump)$"
    )
    allowed = {"files.write_bytes", "files.write_json", "files.write_record", "files.write_tensors"}
    found = [
        place
        for place in places(written, "files.py")
        if place.split()[1] not in allowed and not in_memory(place)
    ]
    found = [
        place for place in found if "clear_refs" not in line(place)
    ]  # the kernel's switch, no file
    assert not found
    opened = []
    for file in FILES:
        for node in ast.walk(tree(file)):
            if (
                file != "files.py"
                and isinstance(node, ast.Call)
                and ast.unparse(node.func).split(".")[-1] == "open"
            ):
                modes = [
                    a.value
                    for a in [*node.args, *(k.value for k in node.keywords)]
                    if isinstance(a, ast.Constant) and isinstance(a.value, str)
                ]
                opened += [
                    f"{file}:{node.lineno}"
                    for mode in modes
                    if re.fullmatch(r"[rbt]*[wax+][rbtwax+]*", mode)
                ]
    assert not opened


def line(place: str) -> str:
    file, number = place.split()[0].split(":")
    return (SOURCE / file).read_text().splitlines()[int(number) - 1]


def in_memory(place: str) -> bool:
    """Bytes made in memory, for `files.write_bytes`: `to_parquet(None)`, or a buffer."""
    return bool(
        re.search(
            r"(to_parquet|to_csv|to_json)\((None)?[,)]|(to_parquet|savefig|save)\((buffer|memory|stream)",
            line(place),
        )
    )


def test_nothing_is_unpickled():
    assert not places(r"^(torch|np|numpy|pickle|joblib|dill)\.loads?$", "files.py")
    loaded = [
        {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        for node in ast.walk(tree("files.py"))
        if isinstance(node, ast.Call)
        and re.fullmatch(r"(torch|np|pickle)\.loads?", ast.unparse(node.func))
    ]
    safe = ({"weights_only": "True"}, {"allow_pickle": "False"})
    assert loaded and all(any(own.items() <= given.items() for own in safe) for given in loaded)
    between = (
        "processes/crew.py",
        "processes/sending.py",
        "processes/worker.py",
    )  # our own processes, never from a file
    assert not [
        file
        for file in FILES
        if file not in between and {"pickle", "cloudpickle", "dill", "joblib"} & modules(file)
    ]
    assert not [file for file in FILES if {"dill", "joblib", "shelve"} & modules(file)]


def test_processes_have_one_place():
    tools = {"multiprocessing", "subprocess", "concurrent"}
    assert {
        room(file) for file in FILES if tools & {name.split(".")[0] for name in modules(file)}
    } == {"processes", "stopping"}
    assert not places(
        r"^os\.(fork|forkpty|spawn\w*|exec\w*|system|popen)$|\.Process$", "processes/crew.py"
    )
    assert not places(r"in_processes$", "training/executor.py")  # and that one asks for them


def test_engines_have_one_place():
    """Each is imported by its own file alone, and only where it is used."""
    allowed = {"engines/ray.py", "engines/cluster.py", "engines/jobs.py"}
    users = {
        file
        for file in FILES
        if {"ray", "submitit"} & {name.split(".")[0] for name in modules(file)}
    }
    assert users == allowed
    for file in allowed:
        at_once = [
            node for node in tree(file).body if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        names = {a.name for node in at_once for a in node.names} | {
            getattr(node, "module", "") for node in at_once
        }
        assert not {"ray", "submitit"} & {name.split(".")[0] for name in names}


@pytest.mark.parametrize("file", [file for file in FILES if not file.endswith("__init__.py")])
def test_files_say_what_they_are(file):
    assert ast.get_docstring(tree(file)), "the first line says what it is"
    assert Path(file).stem not in ("utils", "helpers", "common", "misc")


@pytest.mark.parametrize("file", FILES)
def test_users_are_not_answered_with_assert(file):
    assert not [node.lineno for node in ast.walk(tree(file)) if isinstance(node, ast.Assert)]
