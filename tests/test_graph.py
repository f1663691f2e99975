"""The graph of imports between modules, and no dispatch on names, both read from the source."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest

from test_rooms import FILES, LEVEL, room, tree
from thalweg.baselines.base import baselines
from thalweg.emulators.base import emulators
from thalweg.explorers.base import explorers
from thalweg.metrics.info import FACTS
from thalweg.report.families import LOOKS

# What a room may need, directly or by way of others.
NEEDS = {
    "metrics": {"predictions", "outputs", "errors", "registry", "meter", "seeds"}
    | {
        "files",
        "places",
        "remote",
        "formats",
        "arrays",
    },  # of predictions, which are read and written
    "report": {"metrics", "predictions", "outputs", "errors", "registry", "meter", "seeds"}
    | {"files", "places", "remote", "formats", "arrays", "names"},
}
METHODS = {*explorers(), *emulators(), *baselines()}
# "outside" is a field of predictions too, "total" a column of result tables, "thalweg" the package
KINDS = (METHODS | set(LOOKS) | set(FACTS)) - {"outside", "total", "thalweg"}
# Where a name may decide: a plan is read, and so are result tables of 0.1, which name no family.
NAMED = {"registry.py", "study/plan.py", "report/families.py"}
VIEWS = "study/landscape.py"  # its table of what plans can ask to see is named after curves


def module(file: str) -> str:
    return ("thalweg/" + file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module(file): file for file in FILES}


@cache
def needed(file: str) -> frozenset[str]:
    """The modules that a file imports, wherever in it: `from package import module` needs the
    module, not the package's list of names.
    """
    found = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else str(node.module))
    return frozenset(found & set(MODULES))


def graph() -> dict[str, frozenset[str]]:
    return {name: needed(file) for name, file in MODULES.items()}


def reached(start: str) -> set[str]:
    """The modules that a module needs, by way of others too."""
    found, todo = set(), [start]
    while todo:
        new = needed(MODULES[todo.pop()]) - found
        found |= new
        todo += new
    return found


def test_the_graph_is_that_of_the_package():
    arrows = [(one, other) for one, others in graph().items() for other in others]
    assert len(MODULES) > 100 and len(arrows) > 500
    assert ("thalweg.explorers.swag", "thalweg.explorers.base") in arrows
    assert ("thalweg", "thalweg.training.problem") in arrows


def test_no_module_needs_itself():
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" needs ".join(reversed(error.args[1])))


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"thalweg"}))
def test_arrows_point_down(name):
    here = LEVEL[room(MODULES[name])]
    up = [
        other
        for other in needed(MODULES[name])
        if other == "thalweg" or (LEVEL[room(MODULES[other])], other) > (here, "thalweg.~")
    ]
    assert name == "thalweg.cli" or not up, f"{name} needs {up}, which are above it"


@pytest.mark.parametrize("own", NEEDS)
def test_rooms_that_need_little(own):
    for name, file in MODULES.items():
        if room(file) == own:
            rooms = {room(MODULES[other]) for other in reached(name)} - {own}
            assert rooms <= NEEDS[own], f"{name} needs {sorted(rooms - NEEDS[own])}"


def decided(node: ast.AST) -> set[str]:
    """Texts that a comparison, a match, a look at the beginning of a text, or a table by name
    decides by.
    """
    parts: list[ast.AST] = []
    if isinstance(node, ast.Compare):
        literals = (ast.Constant, ast.Tuple, ast.List, ast.Set)
        parts = [side for side in (node.left, *node.comparators) if isinstance(side, literals)]
    elif isinstance(node, ast.MatchValue):
        parts = [node.value]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("startswith", "endswith", "removeprefix", "removesuffix"):
            parts = list(node.args)
    elif isinstance(node, ast.Dict):  # of columns, metrics are keys of many
        texts = [key for key in node.keys if isinstance(key, ast.Constant)]
        return {key.value for key in texts} & METHODS
    constants = [c for part in parts for c in ast.walk(part) if isinstance(c, ast.Constant)]
    return {str(c.value) for c in constants}


@pytest.mark.parametrize("file", [file for file in FILES if file not in NAMED])
def test_nothing_is_told_by_its_name(file):
    """Classes say what they are: their family, whether their members are retrainings, what they
    need. No text decides.
    """
    found = [
        f"{file}:{node.lineno} {ast.unparse(node)[:80]}"
        for node in ast.walk(tree(file))
        if decided(node) & KINDS and not (file == VIEWS and isinstance(node, ast.Dict))
    ]
    assert not found, "ask the class, or the entry of its table, instead"


@pytest.mark.parametrize(
    "text",
    ['x == "swag"', 'x in ("a", "deep-ensemble")', 'x.startswith("spro")', '{"swag": 1}[x]',
     "match x:\n    case 'k_eq':\n        pass"],
)  # fmt: skip
def test_names_that_decide_are_seen(text):
    assert any(decided(node) & KINDS for node in ast.walk(ast.parse(text)))
