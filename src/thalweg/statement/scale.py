"""The scale on which a measurand's distribution is Student's: values as they are, probabilities as
log-odds, log p - log(1 - p), so that no interval leaves 0 .. 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.outputs import Outputs
from thalweg.statement.freedom import student_probability, student_quantile

_MOST = 40.0  # log-odds of a probability that is exactly 1 in double precision


def log_odds(log_probs: Tensor) -> Tensor:
    """Log-odds of each class `[..., classes]`, exact where one probability is nearly 1.

    Example:
        >>> log_odds(torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64).log())
        tensor([ 0.0000, -1.0986, -1.0986], dtype=torch.float64)
    """
    own = log_probs.double()
    top = own.argmax(-1, keepdim=True)
    rest = own.scatter(-1, top, -torch.inf).logsumexp(-1, keepdim=True)
    less = torch.log1p(-own.exp().clamp(max=1 - 1e-16))
    against = less.scatter(-1, top, rest)
    return (own - against).clamp(-_MOST, _MOST)


def to_line(outputs: Outputs, stored: Tensor) -> Tensor:
    """What is stored of predictions `[..., columns]` on the scale, in double precision."""
    return log_odds(stored) if outputs.simplex else stored.double()


def values_to_line(values: Tensor, *, simplex: bool) -> Tensor:
    """Values of any shape on the scale, each by itself."""
    if not simplex:
        return values.double()
    return torch.logit(values.double().clamp(0, 1)).clamp(-_MOST, _MOST)


def from_line(line: Tensor, *, simplex: bool) -> Tensor:
    """Values of numbers on the scale, of any shape."""
    return torch.sigmoid(line) if simplex else line


@dataclass(frozen=True, eq=False)
class Located:
    """A distribution of the measurand, scaled and shifted Student's on the scale (JCGM 101:2008,
    6.4.9).

    Attributes:
        centre: `[inputs, columns]`.
        scale: `[inputs, columns]`, 0 or more.
        freedom: Degrees of freedom `[inputs, columns]`.
        simplex: Whether values are probabilities.

    Example:
        >>> one = torch.zeros(1, 1, dtype=torch.float64)
        >>> normal = Located(one, one + 1, one + torch.inf, simplex=False)
        >>> normal.quantile(0.975), normal.below(1.0)
        (tensor([[1.9600]], dtype=torch.float64), tensor([[0.8413]], dtype=torch.float64))
    """

    centre: Tensor
    scale: Tensor
    freedom: Tensor
    simplex: bool

    def quantile(self, probability: float) -> Tensor:
        """Values that it is below with a probability `[inputs, columns]`."""
        return from_line(self.on_line(probability), simplex=self.simplex)

    def on_line(self, probability: float) -> Tensor:
        """The same on the scale."""
        student = student_quantile(probability, self.freedom)
        return torch.where(self.scale > 0, self.centre + self.scale * student, self.centre)

    def below(self, limit: float) -> Tensor:
        """The probability that the measurand is at most `limit` `[inputs, columns]`; where its
        scale is 0, whether its centre is.
        """
        if self.simplex and not 0 < limit < 1:
            return torch.full_like(self.centre, float(limit >= 1))
        where = values_to_line(torch.tensor(limit), simplex=self.simplex) - self.centre
        share = student_probability(where / self.scale.clamp_min(1e-300), self.freedom)
        return torch.where(self.scale > 0, share, (where >= 0).to(share.dtype))
