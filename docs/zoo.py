"""The page of the zoo, from its results: python docs/zoo.py (--check: fails where it is out of
date; --run: finds them anew).

The results, `docs/zoo.json`, are those of `tests/zoo`, which holds every cell to them. Finding all
takes some minutes; of a few networks they are found with their names, `--run 'MLP' 'ViT'`.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE, RESULTS = ROOT / "docs" / "zoo.md", ROOT / "docs" / "zoo.json"
BLOCK = re.compile(r"(<!-- zoo -->\n).*?(<!-- end -->)", re.DOTALL)
FAMILIES = {
    "convolutional": "Convolutional: plain, residual, dense, depthwise",
    "branches": "Convolutional: gates, groups, branches, volumes, signals",
    "perceptrons": "Vectors of numbers",
    "tokens": "Tokens, tables, images as tokens",
    "norms": "Norms and frozen parts",
    "parametrised": "Weights that are made of others, shared, made late, or used again",
    "unusual": "Unusual outputs, wrappers, randomness, states and starts",
}
COLUMNS = {
    "batch-ensemble": "batch ensemble",
    "packed-ensemble": "packed ensemble",
    "narrow-ensemble": "narrow ensemble",
    "stack": "stacked trainings",
    "align": "alignment",
    "narrow": "narrowing",
    "features": "features",
    "forest": "forest",
    "quantify": "`quantify`",
    "mc-dropout, own": "MC dropout, the network's own",
}
# what a refusal's line says, in other words; the first that its line matches
REASONS = {
    r"no dropout layer": "MC dropout with the network's own dropout needs an `nn.Dropout` or its kin; with a "
    "rate it works on any network with a linear layer or convolution.",
    r"convolution with groups": "A convolution with several channels a group has its channels fixed by their groups: it "
    "can't be narrowed. `quantify` takes a narrow network of your own, `narrow=`.",
    r"can't be traced": "Alignment and narrowing read the network's graph, which `torch.fx` does not find where "
    "a forward branches on its inputs or calls `len`. `quantify` takes a narrow network of "
    "your own, `narrow=`.",
    r"in the network's graph": "Alignment and narrowing follow channels through the network's graph, and refuse an "
    "operation that they don't know rather than guess. `quantify` takes a narrow network of "
    "your own, `narrow=`.",
    r"last-layer-laplace": "Last-layer Laplace is about the last linear layer: the network must return what it "
    "gives.",
    r"layer='\.\.\.'": "Features of inputs are those that the last linear layer reads. Where the network does "
    "not return what such a layer gives, `layer=` names the one whose output they are.",
    r"is (tuple|dict)": "Outputs must be one tensor of logits, in training mode too: a module around the "
    "network can return the one that counts.",
    r"probabilities already": "Outputs must be logits: of probabilities, a second softmax would make flat ones.",
    r"ScriptModule": "A scripted module can't be evaluated with other weights; the Python module that it was "
    "made from can.",
    r"changes '.*' while it trains": "A buffer follows the weights in a way that only its author knows, so that at a point "
    "where nobody trained it would be that of another point. Methods all of whose members "
    "are trained work.",
    r"again in the backward pass": "What is evaluated again in the backward pass would be so at other weights.",
    r"parametrisation": "BatchEnsemble multiplies the weights of layers, which here are made of other "
    "parameters.",
    r"no nn.Linear and no convolution|without a linear layer or convolution": "The method changes linear layers or convolutions, and the network has none.",
    r"can't be stacked": "Several trainings as one module rest on `torch.vmap`, which does not know every "
    "operation; one after the other they always work.",
}


def found(names: Sequence[str]) -> dict[str, Any]:
    """What comes of every network with every method: of the named ones found anew, or of all."""
    sys.path[:0] = [str(ROOT / "tests" / "zoo"), str(ROOT / "tests")]
    import cells
    from networks import NETWORKS

    results = read()["networks"] if names else {}
    for name in names or NETWORKS:
        print(name, flush=True)
        outcomes = {method: cells.outcome(name, method) for method in cells.METHODS}
        refused = {method: [o.refusal, o.way_out] for method, o in outcomes.items() if o.refusal}
        network = NETWORKS[name]
        results[name] = {
            "family": network.family,
            "does": network.does,
            "warning": cells.look(name).warning,
            "refused": refused,
        }
    return {"methods": list(cells.METHODS), "networks": {name: results[name] for name in NETWORKS}}


def read() -> dict[str, Any]:
    """The results: methods, and by network its family, what is special, a warning, and refusals
    with their ways out by method.
    """
    results = json.loads(RESULTS.read_text())
    for network in results["networks"].values():
        network["refused"] = {
            m: [results["lines"][line], way] for m, (line, way) in network["refused"].items()
        }
    return results


def write(results: Mapping[str, Any]) -> None:
    """Keeps them, each line once."""
    lines: dict[str, int] = {}
    networks = {}
    for name, network in results["networks"].items():
        own = {
            m: [lines.setdefault(line, len(lines)), way]
            for m, (line, way) in network["refused"].items()
        }
        networks[name] = {**network, "refused": own}
    rows = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(network)}" for name, network in networks.items()
    )
    told = ",\n".join(f"  {json.dumps(line)}" for line in lines)
    RESULTS.write_text(
        f'{{"methods": {json.dumps(results["methods"])},\n "lines": [\n{told}],\n'
        f' "networks": {{\n{rows}}}}}\n'
    )


def tables(results: Mapping[str, Any]) -> str:
    """The generated part of the page."""
    networks, methods = results["networks"], results["methods"]
    refused = {name: network["refused"] for name, network in networks.items()}
    numbers = _numbers(line for own in refused.values() for line, _ in own.values())
    count = sum(len(own) for own in refused.values())
    opened = sum(bool(way) for own in refused.values() for _, way in own.values())
    explorers = [m for m in methods if m not in COLUMNS]
    works = len(networks) * len(methods) - count
    text = [
        f"{len(networks)} networks x {len(methods)} methods: {works} cells work as they are; of "
        f"the {count} that are refused, {opened} work with the setting that the line names "
        "(shown beside the number of the reason). None is anything else.",
        "",
    ]
    head = (
        f"| network | what is special | {len(explorers)} explorers | "
        + " | ".join(COLUMNS.values())
        + " |"
    )
    for family, title in FAMILIES.items():
        text += [f"### {title}", "", head, "|---|---|---|" + "---|" * len(COLUMNS)]
        for name, network in networks.items():
            if network["family"] == family:
                own = refused[name]
                cells = [_cell(own.get(m), numbers) for m in COLUMNS]
                text.append(
                    f"| {name} | {network['does']} | {_explorers(explorers, own, numbers)} | "
                    + " | ".join(cells)
                    + " |"
                )
        text.append("")
    text += ["### Reasons", ""]
    for reason, number in numbers.items():
        lines = [
            line for own in refused.values() for line, _ in own.values() if words(line) == reason
        ]
        who = [
            name
            for name, own in refused.items()
            if any(words(line) == reason for line, _ in own.values())
        ]
        count = "1 network" if len(who) == 1 else f"{len(who)} networks"
        text += [f"{number}. {reason} ({count}.) One of its lines:", "", f"   > {lines[0]}", ""]
    warned = {name: network["warning"] for name, network in networks.items() if network["warning"]}
    if warned:
        text += [
            "### Warnings when the problem is made",
            "",
            *(f'- {name}: "{line}"' for name, line in warned.items()),
            "",
        ]
    return "\n".join(text)


def words(line: str) -> str:
    """The reason of a refusal in other words; empty for one that has none yet."""
    return next((reason for pattern, reason in REASONS.items() if re.search(pattern, line)), "")


def _numbers(lines: Iterable[str]) -> dict[str, int]:
    """Reasons by the order in which they are met."""
    numbers: dict[str, int] = {}
    for line in lines:
        if not words(line):
            sys.exit(f"no words for a refusal, add them to REASONS in docs/zoo.py: {line}")
        numbers.setdefault(words(line), len(numbers) + 1)
    return numbers


def _cell(refused: list[str] | None, numbers: Mapping[str, int]) -> str:
    if refused is None:
        return "works"
    line, way = refused
    return f"[{numbers[words(line)]}]" + (f" works with `{way}`" if way else "")


def _explorers(
    explorers: list[str], refused: Mapping[str, list[str]], numbers: Mapping[str, int]
) -> str:
    out = {m: numbers[words(refused[m][0])] for m in explorers if m in refused}
    if not out:
        return "all work"
    if len(out) == len(explorers):
        return ", ".join(f"[{n}]" for n in sorted(set(out.values())))
    return "all but " + "; ".join(
        f"{', '.join(m for m in out if out[m] == n)} [{n}]" for n in sorted(set(out.values()))
    )


def main() -> int:
    """Finds, writes, or checks."""
    if "--run" in sys.argv:
        names = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
        write(found(names))
    text = PAGE.read_text()
    filled = BLOCK.sub(lambda m: m[1] + tables(read()) + m[2], text)
    if filled != text and "--check" in sys.argv:
        print("docs/zoo.md is out of date: run python docs/zoo.py")
        return 1
    if filled != text:
        PAGE.write_text(filled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
