"""What a statement says in words, in its language; every number is one of the statement's."""

import torch

from thalweg.statement.held import Stated, root_mean_square
from thalweg.statement.rounding import uncertainty
from thalweg.statement.tolerance import ACCEPT, DEFER, REJECT
from thalweg.statement.words import decimal, percent, words


def measurand(statement: Stated, lang: str) -> str:
    """The measurand and the estimate, in two sentences."""
    own = words(lang)
    kind = "networks" if statement.networks else "draws"
    members = own[f"members_{kind}"].format(n=statement.members)
    estimate = own["estimate_mean" if statement.corrected else "estimate_network"]
    return f"{own[f'{statement.measurand}_measurand']} {estimate.format(members=members)}"


def of_answers(statement: Stated, given: torch.Tensor | None = None) -> torch.Tensor:
    """u, or whatever is given `[inputs, columns]`, of the most probable class `[inputs, 1]`; of
    values as it is.
    """
    values = statement.u if given is None else given
    return values.gather(1, statement.answers()[:, None]) if statement.simplex else values


def typical(statement: Stated, lang: str) -> str:
    """How large u is over the inputs."""
    own, comma = words(lang), lang == "fr"
    which = own["of_answer"] if statement.simplex else ""
    units = own["of_units"].format(units=statement.units) if statement.units else ""
    found = []
    for u, name in zip(of_answers(statement).T, statement.columns, strict=False):
        low, high = torch.quantile(u, torch.tensor([0.05, 0.95], dtype=u.dtype)).tolist()
        part = own["typical_part"].format(
            u=uncertainty(root_mean_square(u), comma=comma) + units,
            low=uncertainty(low, comma=comma),
            high=uncertainty(high, comma=comma),
        )
        several = not statement.simplex and len(statement.columns) > 1
        found.append(f"{part} [{name}]" if several else part)
    return own["typical"].format(inputs=len(statement.inputs), found=", ".join(found), which=which)


def expanded(statement: Stated, lang: str) -> str:
    """What k and U are."""
    own = words(lang)
    given = bool((statement.coverage != statement.level).any())
    k = decimal(f"{float(statement.k.median()):.2f}", lang)
    level = float(statement.coverage.median())
    digits = 0 if abs(100 * level - round(100 * level)) < 1e-6 else 1
    key = "k_said" if given else "expanded_said"
    return own[key].format(k=k, level=percent(level, lang, digits))


def decided(statement: Stated, lang: str) -> str:
    """How many inputs were decided how; empty without a decision."""
    found = statement.decision
    if found is None:
        return ""
    shares = {name: percent(found.share(name), lang) for name in (ACCEPT, REJECT, DEFER)}
    return words(lang)["decided_said"].format(
        accepted=shares[ACCEPT], rejected=shares[REJECT], deferred=shares[DEFER]
    )


def rule(statement: Stated, lang: str) -> str:
    """The tolerance and how it is decided, in two sentences."""
    own, found = words(lang), statement.decision
    if found is None:
        return ""
    tolerance = found.tolerance
    low, high = (decimal(f"{end:g}", lang) if end is not None else "" for end in tolerance.ends())
    named = tolerance.output is None and statement.simplex
    output = statement.columns[int(found.column[0])]
    what = own["what_answer"] if named else own["what_output"].format(output=output)
    key = "rule_both" if low and high else "rule_low" if low else "rule_high"
    conforms = own[key].format(what=what, low=low, high=high)
    if tolerance.risk is not None:
        return f"{conforms} {own['rule_risk'].format(risk=percent(tolerance.risk, lang, 1))}"
    guard = decimal(f"{tolerance.guard:g}", lang)
    return f"{conforms} {own['rule_guard'].format(guard=guard)}"


def flagged(statement: Stated, lang: str) -> str:
    """What to know before the numbers are used."""
    own = words(lang)
    all_flags = statement.flags()
    found = []
    for name in ("check", "outside", "boundary", "zero"):
        count = sum(name in flags for flags in all_flags)
        if count:
            found.append(own[f"flag_{name}"].format(n=count))
    separator = {"en": "; ", "fr": " ; "}[lang]
    return own["flagged"].format(flags=separator.join(found) if found else own["no_flags"])


def summary(statement: Stated, lang: str) -> str:
    """The whole statement in a few lines."""
    parts = (measurand, typical, expanded, decided, flagged)
    return "\n".join(text for part in parts if (text := part(statement, lang)))
