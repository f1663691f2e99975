"""What was asked and how: data, network, recipe, protocol, machine, from study.json."""

from typing import Any

from thalweg.report.blocks import Block, Pairs, Paragraph
from thalweg.report.families import is_scale
from thalweg.report.results import Results, need, records, settings
from thalweg.report.tables import size


def subtitle(study: dict[str, Any]) -> str:
    """Data, network and date in one line."""
    title, data, model = (
        need(study, f"plan.{name}") for name in ("title", "data.name", "model.name")
    )
    return f"{title}: {data}, {model}, {str(need(study, 'dates.finished'))[:10]}"


def blocks(results: Results) -> list[Block]:
    """The blocks of the section.

    Raises:
        InputError: `study.json` lacks something.
    """
    study = results.study
    # what was planned, or what of it succeeded where the study says so
    counted = {**need(study, "plan.protocol"), **need(study, "counts")}
    reference, pool, bases = (int(need(counted, name)) for name in ("reference", "pool", "bases"))
    question = (
        "A network that is trained again, with everything but the data drawn anew, predicts "
        "differently. How much of that uncertainty can be had without paying for the trainings? "
        f"Every method below started from the same {bases} bases and was judged against "
        f"{reference} retrainings that it did not see. K_eq says how many real retrainings its "
        "predictions are worth; one real retraining costs 1."
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
    augmented = "customary augmentation" if need(study, "plan.data.augment") else "no augmentation"
    rows = [
        ("Data",
            f"{need(study, 'plan.data.name')}: {counts['classes']} classes, images {shape} "
            f"(channels × height × width). {grouped(counts['train'])} training, "
            f"{grouped(counts['validation'])} validation and {grouped(counts['test'])} test "
            f"images; batches of {need(study, 'plan.data.batch_size')}, {augmented}."),
        ("Network",
            f"{name} {_in_brackets({key: v for key, v in model.items() if key != 'name'})}, "
            f"{grouped(counts['parameters'])} parameters."),
        ("Recipe", listed(need(study, "plan.recipe")) + "."),
    ]  # fmt: skip
    if counts["ood"]:
        rows.insert(
            1,
            (
                "Out of distribution",
                f"{study.get('ood') or need(study, 'plan.data.ood')}: {grouped(counts['ood'])} "
                "images.",
            ),
        )
    return rows


def _method(study: dict[str, Any], reference: int, pool: int, bases: int) -> list[tuple[str, str]]:
    return [
        (
            "Sources of randomness",
            f"{', '.join(need(study, 'plan.protocol.sources'))}: a retraining draws these anew.",
        ),
        (
            "Reference",
            f"{reference} held-out retrainings: the truth that methods are judged against.",
        ),
        (
            "Pool",
            f"{pool} other retrainings: the curves by which K_u and the deep-ensemble "
            "equivalents are read.",
        ),
        (
            "Bases",
            f"{bases} further starts: each method is run from each, and its numbers are means "
            "over them. No network is in two of these groups.",
        ),
        (
            "Splits",
            "Methods see training images and, without labels, validation images; they never see "
            "test images. Every number below is on test images. No epoch is picked by its "
            "result.",
        ),
        (
            "Intervals",
            f"95 %, bootstrap with {int(need(study, 'plan.protocol.replicates'))} replicates "
            "over test inputs, reference retrainings, bases and subsets of the pool together.",
        ),
        (
            "Cost",
            "In trainings: network evaluations with a backward pass, over those of one full "
            "training, counted inside the training loop. Everything that a method uses to "
            "calibrate itself is charged, anchors from the cache too. The total, by which "
            "efficiency is judged, has forward-only evaluations in it, at a third.",
        ),
    ]


def _machine(study: dict[str, Any]) -> list[tuple[str, str]]:
    hardware, dates, counts = (need(study, name) for name in ("hardware", "dates", "counts"))
    return [
        (
            "Versions",
            ", ".join(f"{name} {version}" for name, version in need(study, "versions").items()),
        ),
        (
            "Hardware",
            "; ".join(_computer(hardware)) + f". Trained on {need(study, 'plan.protocol.device')}.",
        ),
        (
            "Dates",
            f"{str(need(dates, 'started'))[:16].replace('T', ' ')} to "
            f"{str(need(dates, 'finished'))[:16].replace('T', ' ')}; "
            f"{grouped(int(need(counts, 'runs', 'counts of results/study.json')))} runs, "
            f"{int(need(counts, 'failed', 'counts of results/study.json'))} failed.",
        ),
    ]


def _computer(hardware: dict[str, Any]) -> list[str]:
    parts = [str(need(hardware, "processor")), f"{need(hardware, 'cores')} cores"]
    parts += [f"{size(hardware['memory'])} memory"] if hardware.get("memory") else []
    return parts + [str(name) for name in hardware.get("accelerators", [])]


def method_settings(results: Results) -> list[tuple[str, str]]:
    """Each method's settings, where the study stored them."""
    if "settings" not in results.methods.columns:
        return []
    rows = []
    for row in records(results.methods[~is_scale(results.methods)]):
        values = settings(row.settings)
        inner = values.get(
            "settings", values
        )  # an explorer's own, where those of an emulator stand beside them
        parts = [" ".join(filter(None, (str(row.explorer), _in_brackets(inner))))]
        if isinstance(row.emulator, str) and row.emulator:
            parts.append(
                " ".join(
                    filter(
                        None,
                        (f"emulator {row.emulator}", _in_brackets(values.get("emulator_settings"))),
                    )
                )
            )
        rows.append((f"{row.number}  {row.method}", ", ".join(parts)))
    return rows


def listed(values: dict[str, Any]) -> str:
    """Settings in one line: names without underscores, and values."""
    return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in values.items())


def grouped(count: int) -> str:
    """A count with its thousands apart."""
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
