"""What the atlas looks at: the place of an input as one network sees it, in numbers that mean the
same on every task, whatever the number and the order of its classes, and its units.

Of an input there are logarithms of its probabilities (odds of the first class, its margin, that of
the second, impurity, entropy, the norm of diag(p) - p p'), the features of `thalweg.features`, and
for many of these their rank among the unlabelled inputs. Distances, leverages and what else has a
unit are taken relative to the median over the unlabelled inputs. What a task lacks is NaN.

The *offset* is a first guess of u up to a factor, which the atlas corrects: the last-layer Laplace
deviation of the probabilities (`laplace-softmax`), of values the leverage's root; without features
the norm of diag(p) - p p', and 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.features import names_of
from thalweg.outputs import Outputs, multinomial

Found = Mapping[str, Tensor]

_LEAST = 1e-12
_DISTANCES = ("nearest", "mean", "farthest")
_AROUND = ("share", "entropy", "agreement")
_PROBABILITIES = ("odds", "margin", "third", "impurity", "entropy", "norm")
_GEOMETRY = (
    *("laplace", "laplace-softmax", "leverage", "logits", "top"),
    *(f"{space}-{what}" for space in ("features", "inputs") for what in (*_DISTANCES, *_AROUND)),
)
_SPACES = (
    "leverage",
    *(f"{space}-{what}" for space in ("features", "inputs") for what in _DISTANCES),
)
_RELATIVE = {
    *("laplace", "leverage", "logits", "top"),
    *(f"{space}-{what}" for space in ("features", "inputs") for what in _DISTANCES),
}
_RANKED = {
    *("odds", "margin", "impurity", "norm", "laplace", "laplace-softmax", "leverage", "logits"),
    *("top", "features-mean", "features-nearest", "inputs-mean", "inputs-nearest"),
}


def columns_of(*, simplex: bool, geometry: bool) -> tuple[str, ...]:
    """The names of the columns, of probabilities or of values, with features or without."""
    seen = _PROBABILITIES * simplex
    if geometry:
        seen += _GEOMETRY if simplex else _SPACES
    return (*seen, *(f"rank {name}" for name in seen if name in _RANKED))


def look(
    outputs: Outputs, stored: Tensor, features: Tensor | None, mean: Tensor | None = None
) -> dict[str, Tensor]:
    """What a network says of inputs, by name.

    Args:
        outputs: What it predicts.
        stored: What is stored of its predictions `[inputs, columns]`.
        features: Its features of the inputs `[inputs, features]`, or None.
        mean: The mean probabilities of several networks `[inputs, columns]`, which take the place
            of its own: u is that about the mean of retrainings, to which they are nearer.

    Returns:
        Each `[inputs]`, in double precision.
    """
    found: dict[str, Tensor] = {}
    if outputs.simplex:
        mean = outputs.values(stored.double()) if mean is None else mean
        found |= _of_probabilities(mean)
    if features is None:
        return found
    names = names_of(outputs, stored.shape[1], features.shape[1])
    known = dict(zip(names, features.double().T, strict=True))
    found |= _of_geometry(known)
    if outputs.simplex:
        found["laplace-softmax"] = found["laplace"] + found["norm"]
        logits = torch.stack([known[name] for name in names if name.startswith("logit-")])
        found["logits"], found["top"] = _log(logits.var(0)) / 2, logits[0]
    return found


def _of_geometry(known: Found) -> dict[str, Tensor]:
    scales = ("laplace", "leverage")
    found = {name: known[name] / 2 for name in scales if name in known}  # not of variances
    for space in ("features", "inputs"):
        distances = [f"{space}-{what}" for what in _DISTANCES if f"{space}-{what}" in known]
        around = [f"{space}-{what}" for what in _AROUND if f"{space}-{what}" in known]
        found |= {name: _log(known[name]) for name in distances}
        found |= {name: known[name] for name in around}
    return found


def _of_probabilities(p: Tensor) -> dict[str, Tensor]:
    ranked = p.sort(1, descending=True).values
    logs = _log(ranked)
    impurity, norm = multinomial(p)
    found = {
        "odds": logs[:, 0] - _log(ranked[:, 1:].sum(1)),
        "margin": logs[:, 0] - logs[:, 1],
        "impurity": _log(impurity),
        "entropy": _log(-(ranked * logs).sum(1)),
        "norm": _log(norm.sqrt()),
    }
    if p.shape[1] > 2:
        found["third"] = logs[:, 1] - logs[:, 2]
    return found


def _log(x: Tensor) -> Tensor:
    return x.clamp_min(_LEAST).log()


@dataclass(frozen=True, eq=False)
class Typical:
    """What is typical of a task's inputs, as one network sees them: others are compared with it.

    Attributes:
        columns: The names of the columns.
        offset_name: What the offset is, or nothing.
        medians: By name, the medians of what is relative.
        ranked: By name, what is ranked, sorted `[known inputs]`.
        offset_level: Logarithm of the mean of the offset's exponential.
    """

    columns: tuple[str, ...]
    offset_name: str
    medians: dict[str, Tensor]
    ranked: dict[str, Tensor]
    offset_level: Tensor

    @staticmethod
    def of(outputs: Outputs, known: Found) -> "Typical":
        """From what a network says of unlabelled inputs."""
        geometry = "leverage" in known
        columns = columns_of(simplex=outputs.simplex, geometry=geometry)
        name = ("laplace-softmax" if geometry else "norm") if outputs.simplex else "leverage"
        offset = name if name in known else ""
        size = known[offset].exp().mean().log() if offset else torch.zeros(())
        medians = {name: known[name].median() for name in _RELATIVE if name in known}
        ranked = {name: known[name].sort().values for name in _RANKED if name in known}
        return Typical(columns, offset, medians, ranked, size)

    def offset(self, found: Found, inputs: int) -> Tensor:
        """The offset of inputs `[inputs]`, a logarithm: the mean of its exponential is 1 over the
        unlabelled inputs.
        """
        if not self.offset_name:
            return torch.zeros(inputs, dtype=torch.float64)
        return found[self.offset_name] - self.offset_level

    def rows(self, found: Found, inputs: int) -> Tensor:
        """The columns of inputs `[inputs, columns]`; NaN where the task has no such thing."""
        absent = torch.full((inputs,), torch.nan, dtype=torch.float64)
        if not self.columns:
            return absent[:, None][:, :0]
        return torch.stack([self._column(name, found, absent) for name in self.columns], 1)

    def _column(self, name: str, found: Found, absent: Tensor) -> Tensor:
        plain = name.removeprefix("rank ")
        if plain not in found:
            return absent
        if plain != name:
            among, values = self.ranked[plain], found[plain].contiguous()
            low = torch.searchsorted(among, values)
            return (low + torch.searchsorted(among, values, right=True)) / (2 * len(among))
        return found[name] - self.medians[name] if name in self.medians else found[name]
