"""The question and the protocol of a study: data, network, recipe, cost and machine."""

from typing import Any

from thalweg.report.blocks import Block, Pairs, Paragraph
from thalweg.report.families import is_scale
from thalweg.report.fitness import RULE
from thalweg.report.results import Results, need, records, settings
from thalweg.report.tables import size


def subtitle(study: dict[str, Any]) -> str:
    """Returns the title, the data, the network and the date in one line."""
    title, data, model = (
        need(study, f"plan.{name}") for name in ("title", "data.name", "model.name")
    )
    return f"{title}: {data}, {model}, {str(need(study, 'dates.finished'))[:10]}"


def blocks(results: Results) -> list[Block]:
    """Returns the blocks of the section.

    Raises:
        InputError: `study.json` lacks something that is needed.
    """
    study = results.study
    # the planned numbers, replaced by the numbers of successful runs if the study has them
    counted = {**need(study, "plan.protocol"), **need(study, "counts")}
    reference, pool, bases = (int(need(counted, name)) for name in ("reference", "pool", "bases"))
    question = (
        "A network predicts differently when it is trained again with everything except the data "
        "drawn anew. How much of this uncertainty can be found without paying for the trainings? "
        f"Every method below started from the same {bases} bases and was evaluated against "
        f"{reference} retrainings that it did not see. K_eq says how many real retrainings the "
        "method's predictions are worth. One real retraining costs 1."
    )
    return [
        Paragraph(question),
        Pairs(tuple(_setting(study))),
        Pairs(tuple(_method(study, reference, pool, bases))),
        Pairs(tuple(_machine(study))),
    ]


def _setting(study: dict[str, Any]) -> list[tuple[str, str]]:
    counts = {
        name: int(need(study, f"counts.{name}"))
        for name in ("train", "validation", "test", "ood", "parameters", "classes")
    }
    shape = " × ".join(str(n) for n in need(study, "shape"))
    model = dict(need(study, "plan.model"))
    name = need(model, "name")
    augmentation = "the customary" if need(study, "plan.data.augment") else "no"
    batches = f"batches of {need(study, 'plan.data.batch_size')} with {augmentation} augmentation."
    of_images = (
        f"{need(study, 'plan.data.name')}: {counts['classes']} classes; images of {shape} "
        f"(channels × height × width); {grouped(counts['train'])} training, "
        f"{grouped(counts['validation'])} validation and {grouped(counts['test'])} test images; "
        f"{batches}"
    )
    setting = study.get("setting")  # what else than images the data are
    rows = [("Data", f"{setting!s} {batches.capitalize()}" if setting else of_images)]
    if counts["ood"]:
        ood = study.get("ood") or need(study, "plan.data.ood")
        rows.append(("Out of distribution", f"{ood}: {grouped(counts['ood'])} images."))
    inner = _in_brackets({key: v for key, v in model.items() if key != "name"})
    rows.append(("Network", f"{name} {inner}, {grouped(counts['parameters'])} parameters."))
    rows.append(("Recipe", listed(need(study, "plan.recipe")) + "."))
    return rows


def _method(study: dict[str, Any], reference: int, pool: int, bases: int) -> list[tuple[str, str]]:
    things = "rows" if study.get("setting") else "images"
    return [
        (
            "Sources of randomness",
            f"A retraining draws {', '.join(need(study, 'plan.protocol.sources'))} anew.",
        ),
        (
            "Reference",
            f"{reference} held-out retrainings are the truth that methods are evaluated against.",
        ),
        (
            "Pool",
            f"{pool} other retrainings give the curves from which K_u and the deep-ensemble "
            "equivalents are read.",
        ),
        (
            "Bases",
            f"Each method is run from {bases} further starting points, and its numbers are means "
            "over these. No network belongs to two of these groups.",
        ),
        (
            "Splits",
            f"Methods see the training {things} and, without labels, the validation {things}. They "
            f"never see the test {things}, on which every number below is measured. No epoch is "
            "selected by its result.",
        ),
        (
            "Intervals",
            "The intervals are 95 % bootstrap intervals with "
            f"{int(need(study, 'plan.protocol.replicates'))} replicates, which resample test "
            "inputs, reference retrainings, bases and subsets of the pool together.",
        ),
        (
            "Cost",
            "The unit is one training. The cost is the number of network evaluations with a "
            "backward pass, counted inside the training loop, over that of one full training. "
            "Everything that a method uses to calibrate itself is charged, and so are anchors that "
            "were read from the cache. The total cost, by which efficiency is computed, includes "
            "forward-only evaluations at a third each.",
        ),
        ("Recommendation", RULE),
    ]


def _machine(study: dict[str, Any]) -> list[tuple[str, str]]:
    hardware, dates, counts = (need(study, name) for name in ("hardware", "dates", "counts"))
    versions = [f"{name} {version}" for name, version in need(study, "versions").items()]
    device = str(need(study, "plan.protocol.device"))
    trained = f"The networks were trained on the device {device}."
    begun, ended = (str(need(dates, n))[:16].replace("T", " ") for n in ("started", "finished"))
    runs, failed = (
        int(need(counts, name, "counts of results/study.json")) for name in ("runs", "failed")
    )
    told = f"{begun} to {ended}; {grouped(runs)} runs, of which {failed or 'none'} failed."
    return [
        ("Versions", ", ".join(versions)),
        ("Hardware", "; ".join(_computer(hardware)) + f". {trained}"),
        ("Dates", told),
    ]


def _computer(hardware: dict[str, Any]) -> list[str]:
    parts = [str(need(hardware, "processor")), f"{need(hardware, 'cores')} cores"]
    parts += [f"{size(hardware['memory'])} of memory"] if hardware.get("memory") else []
    return parts + [str(name) for name in hardware.get("accelerators", [])]


def method_settings(results: Results) -> list[tuple[str, str]]:
    """Returns each method's settings, if the study stored them."""
    if "settings" not in results.methods.columns:
        return []
    rows = []
    for row in records(results.methods[~is_scale(results.methods)]):
        values = settings(row.settings)
        inner = values.get("settings", values)  # the explorer's, if an emulator's are stored, too
        text = f"{row.explorer} {_in_brackets(inner)}".strip()
        if isinstance(row.emulator, str) and row.emulator:
            text += f", emulator {row.emulator} {_in_brackets(values.get('emulator_settings'))}"
        rows.append((f"{row.number}  {row.method}", text.strip()))
    return rows


def listed(values: dict[str, Any]) -> str:
    """Returns settings in one line, with their names and values.

    Example:
        >>> listed({"final_lr": 0.0, "nesterov": False})
        'final lr 0, nesterov no'
    """
    return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in values.items())


def grouped(count: int) -> str:
    """Returns a count with its thousands separated, from 10 000 on.

    Example:
        >>> grouped(4000), grouped(118282)
        ('4000', '118 282')
    """
    return f"{count:,}".replace(",", " ") if count >= 10_000 else str(count)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return f"({listed(value)})"
    if isinstance(value, list | tuple):
        return "-".join(_plain(v) for v in value) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in_brackets(values: dict[str, Any] | None) -> str:
    return f"({listed(values)})" if values else ""
