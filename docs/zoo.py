"""Fills the page of the zoo from its results: python docs/zoo.py.

With --check it changes nothing, and fails if the page is out of date. With --run it makes the
results anew, which takes some minutes; names of networks limit it to these: `--run 'MLP' 'ViT'`,
and names of methods to those cells: `--run --methods=narrow,align 'MLP'`.
The results, `docs/zoo.json`, are those of `tests/zoo`, which checks every cell against them.
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
    "efficient": "Convolutional: efficient, split, with attention",
    "perceptrons": "Vectors of numbers",
    "tokens": "Tokens, tables, images as tokens",
    "attention": "Attention, as published",
    "texts": "Texts, tables and signals, as published",
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
# the reasons of refusals, by patterns of their lines; the first pattern that matches counts
REASONS = {
    r"no dropout layer": "MC dropout with the network's own dropout needs an `nn.Dropout` or a similar layer. "
    "With a rate it works on any network with a linear layer or a convolution.",
    r"same in all new networks": "Pre-trained weights are never cut: narrow copies would know less than the network. "
    "`quantify` accepts a narrow network of your own, `narrow=`.",
    r"can't be narrowed": "The network's code names its numbers of channels where they can't be changed, or does "
    "other things each time. `quantify` accepts a narrow network of your own, `narrow=`.",
    r"no hidden channels": "All channels are seen by an operation that is not understood, and stay whole. "
    "`quantify` accepts a narrow network of your own, `narrow=`.",
    r"can't be traced": "Alignment reads the network's graph, which `torch.fx` does not find if the "
    "forward pass branches on its inputs.",
    r"in the network's graph": "Alignment follows channels through the network's graph, and refuses an "
    "operation that it doesn't know instead of guessing.",
    r"last-layer-laplace": "Last-layer Laplace concerns the last linear layer, so the network must return that "
    "layer's outputs.",
    r"layer='\.\.\.'": "The features of an input are the inputs of the last linear layer. If the network does "
    "not return such a layer's outputs, `layer=` names the layer whose outputs are the features.",
    r"is (tuple|dict)": "The output must be a single tensor of logits, in training mode, too. A module around the "
    "network can return the one that counts.",
    r"probabilities already": "The outputs must be logits: a second softmax would make probabilities flat.",
    r"ScriptModule": "A scripted module can't be evaluated with other weights; the Python module from which it "
    "was made can.",
    r"changes '.*' while it trains": "A buffer follows the weights in a way that only its author knows, so at a point where "
    "nobody trained it would belong to another point. Methods work if all of their members are "
    "trained.",
    r"in forward mode": "A linearised network is evaluated with derivatives in forward mode, which torch does not have of "
    "some operations.",
    r"again in the backward pass": "What is evaluated again in the backward pass would be evaluated at other weights.",
    r"parametrisation": "BatchEnsemble multiplies the weights of layers, which are computed from other parameters "
    "here.",
    r"no nn.Linear and no convolution|without a linear layer or convolution": "The method changes linear layers or convolutions, and the network has none.",
    r"can't be stacked": "Training several networks as one module relies on `torch.vmap`, which does not support "
    "every operation. Training them one after the other always works.",
}


def outcomes(names: Sequence[str], methods: Sequence[str]) -> dict[str, Any]:
    """Runs every network, or the named ones, with every method, or the named ones, and returns all
    results.
    """
    sys.path[:0] = [str(ROOT / "tests" / "zoo"), str(ROOT / "tests")]
    import cells
    from networks import NETWORKS

    results = read()["networks"]
    for name in names or NETWORKS:
        print(name, flush=True)
        network, known = NETWORKS[name], results.get(name, {"refused": {}})["refused"]
        chosen = methods if methods and name in results else list(cells.METHODS)
        ended = {method: cells.outcome(name, method) for method in chosen}
        refused = {m: [o.refusal, o.way_out] for m, o in ended.items() if o.refusal}
        refused |= {m: line for m, line in known.items() if m not in ended}
        results[name] = {
            "family": network.family,
            "does": network.does,
            "published": network.published,
            "warning": cells.look(name).warning,
            "refused": {m: refused[m] for m in cells.METHODS if m in refused},
        }
    return {
        "methods": list(cells.METHODS),
        "networks": {name: results[name] for name in NETWORKS if name in results},
    }


def read() -> dict[str, Any]:
    """Returns the results: the methods, and what is known of each network.

    That is its family, what is special about it, a warning, and by method the lines of refusals and
    the settings that help.
    """
    results = json.loads(RESULTS.read_text())
    for network in results["networks"].values():
        network["refused"] = {
            m: [results["lines"][line], way] for m, (line, way) in network["refused"].items()
        }
    return results


def write(results: Mapping[str, Any]) -> None:
    """Stores the results, in which each line is written once."""
    lines: dict[str, int] = {}
    networks = {}
    for name, network in results["networks"].items():
        refused = {
            m: [lines.setdefault(line, len(lines)), way]
            for m, (line, way) in network["refused"].items()
        }
        networks[name] = {**network, "refused": refused}
    rows = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(network)}" for name, network in networks.items()
    )
    told = ",\n".join(f"  {json.dumps(line)}" for line in lines)
    RESULTS.write_text(
        f'{{"methods": {json.dumps(results["methods"])},\n "lines": [\n{told}],\n'
        f' "networks": {{\n{rows}}}}}\n'
    )


def tables(results: Mapping[str, Any]) -> str:
    """Returns the generated part of the page."""
    networks, methods = results["networks"], results["methods"]
    refused = {name: network["refused"] for name, network in networks.items()}
    numbers = _numbers(line for by_method in refused.values() for line, _ in by_method.values())
    count = sum(len(by_method) for by_method in refused.values())
    opened = sum(bool(way) for by_method in refused.values() for _, way in by_method.values())
    explorers = [m for m in methods if m not in COLUMNS]
    works = len(networks) * len(methods) - count
    text = [
        f"Of the cells of {len(networks)} networks x {len(methods)} methods, {works} work as they "
        f"are and {count} are refused. Of these, {opened} work with the setting that the line "
        "names (shown beside the number of the reason). There is no other outcome.",
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
                cells = [name, network["does"], _explorers(explorers, refused[name], numbers)]
                cells += [_cell(refused[name].get(m), numbers) for m in COLUMNS]
                text.append("| " + " | ".join(cells) + " |")
        text.append("")
    text += _published(networks, numbers)
    text += ["### Reasons", ""]
    for reason, number in numbers.items():
        lines = {
            name: [line for line, _ in by_method.values() if words(line) == reason]
            for name, by_method in refused.items()
        }
        concerned = [name for name in lines if lines[name]]
        count = "1 network" if len(concerned) == 1 else f"{len(concerned)} networks"
        example = lines[concerned[0]][0]
        text += [f"{number}. {reason} ({count}.) One of the lines:", "", f"   > {example}", ""]
    warned = {name: network["warning"] for name, network in networks.items() if network["warning"]}
    if warned:
        text += [
            "### Warnings when the problem is made",
            "",
            *(f'- {name}: "{line}"' for name, line in warned.items()),
            "",
        ]
    return "\n".join(text)


def _published(networks: Mapping[str, Any], numbers: Mapping[str, int]) -> list[str]:
    """Returns the table of published architectures that narrow by themselves."""
    named = {name: network for name, network in networks.items() if network["published"]}
    narrow = [name for name in named if "narrow-ensemble" not in named[name]["refused"]]
    text = [
        "### Published architectures that narrow by themselves",
        "",
        f"{len(narrow)} of the {len(named)} published architectures in the zoo can be made narrower "
        "without their author's settings, as `quantify` does. Each is a small network of that "
        "architecture; where weights are pre-trained, they are not cut.",
        "",
        "| architecture | network above | narrows by itself |",
        "|---|---|---|",
    ]
    for name, network in named.items():
        told = _cell(network["refused"].get("narrow-ensemble"), numbers).replace("works", "yes")
        text.append(f"| {network['published']} | {name} | {told} |")
    return [*text, ""]


def words(line: str) -> str:
    """Returns the reason of a refusal; empty if `REASONS` has none for its line."""
    return next((reason for pattern, reason in REASONS.items() if re.search(pattern, line)), "")


def _numbers(lines: Iterable[str]) -> dict[str, int]:
    """Numbers the reasons in the order in which they occur."""
    numbers: dict[str, int] = {}
    for line in lines:
        if not words(line):
            sys.exit(f"a refusal has no reason, add one to REASONS in docs/zoo.py: {line}")
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
    """Makes the results, writes the page, or checks it."""
    if "--run" in sys.argv:
        names = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
        asked = [a.removeprefix("--methods=") for a in sys.argv if a.startswith("--methods=")]
        write(outcomes(names, asked[0].split(",") if asked else []))
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
