"""Engression: a generator trained with the energy score draws residuals (Shen and Meinshausen 2024,
arXiv 2307.00835).

Of n networks, anchors and proxies alike, each in turn is left out: a small generator network that
reads what the others know of a calibration input, and noise, learns to draw what the one left out
predicts. At asked inputs it draws about the mean of all n.

Deviations: what is generated are residuals of logits, centred over classes, about the others' mean,
with classes in descending order of the others' mean probability, so that they share statistics; the
energy score is that of probabilities, after the softmax, as in logits the classes that do not
matter would outweigh the others. A residual about the mean of n - 1 networks scatters by sqrt(1 +
1/(n - 1)) more than retrainings do about their own mean: the generator's output is multiplied by
that in training, its scatter by sqrt(1 + 1/n) in draws and by nothing in u. What it has learned of
where the others' mean errs is an error of variance 1/(n - 1), and 1/n of it is left in the mean of
all: so is its shift. Whatever it knows of the mean it takes from the scatter, but u is about the
retrainings' own mean: u is scaled to have, at calibration inputs, the networks' mean variance.
Noise enters at the first layer (the authors' code: at every layer); no batch norm; AdamW with a
cosine schedule. Proxies count as much as anchors, and their residuals are not scaled, though they
vary more: u is that of the mixture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from thalweg.emulators.base import Ask, Learner, register_emulator
from thalweg.emulators.observations import Observations
from thalweg.errors import check_range, whole
from thalweg.meter import Meter
from thalweg.outputs import Outputs, Probabilities, log_softmax
from thalweg.predictions import Predictions
from thalweg.seeds import derive, generator, seeded
from thalweg.training.batches import Batches
from thalweg.training.loop import train
from thalweg.training.recipe import Recipe

_FLOOR = (
    -12.0
)  # of log-probabilities in a context: below it logits tell apart what no probability shows
_DRAWS = 256  # behind u
_BLOCK = 256  # inputs at a time: bounded memory


@register_emulator("engression")
@dataclass(frozen=True)
class Engression(Learner):
    """Draws of a generator network with two hidden layers.

    Attributes:
        noise: Dimension of the noise.
        hidden: Units of a hidden layer.
        epochs: Passes over the calibration inputs; in each, every network is left out once.
    """

    takes: ClassVar[type[Outputs]] = Probabilities

    noise: int = 16
    hidden: int = 64
    epochs: float = 20.0

    def __post_init__(self) -> None:
        whole("engression.noise", self.noise, 1)
        whole("engression.hidden", self.hidden, 1)
        check_range("engression.epochs", self.epochs, 1e-9)

    @property
    def uses_features(self) -> bool:
        return True

    def learn(self, known: Observations, seed: int) -> Ask:
        network = self._trained(known, seed)
        random = generator(seed, "engression", "u")
        common = torch.randn(
            _DRAWS, 1, self.noise, generator=random
        )  # the same at all inputs: u is there to compare them
        contexts, _ = _context(known, range(known.members))
        squares = torch.cat(
            [network.about(context, common)[2].square() for context in contexts.split(_BLOCK)]
        )
        scale = float(
            (known.log_probs.exp().var(0).sum(-1).mean() / squares.mean().clamp_min(1e-30)).sqrt()
        )
        return lambda own, draws, seed: _drawn(network, own, common, scale, draws, seed)

    def _trained(self, known: Observations, seed: int) -> "_Network":
        n = known.members
        contexts, targets = [], []
        for left_out in range(n):
            context, order = _context(known, [k for k in range(n) if k != left_out])
            contexts.append(context)
            targets.append(known.log_probs[left_out].gather(1, order).float())
        seen = torch.cat(contexts)
        batches = Batches(
            seen,
            torch.cat(targets),
            128,
            order_seed=derive(seed, "engression", "order"),
        )
        with seeded(seed, "engression"):
            network = _Network(seen, known.columns, n, self.hidden, self.noise)
            train(
                network,
                batches,
                Recipe(self.epochs, lr=0.002, optimizer="adamw"),
                Meter(),
                loss=_energy_score,
            )
        return network.requires_grad_(requires_grad=False)


def _drawn(
    network: "_Network", asked: Observations, common: Tensor, scale: float, draws: int, seed: int
) -> Predictions:
    contexts, order = _context(asked, range(asked.members))
    random = generator(seed, "engression", "draws")
    log_probs, u = [], []
    for context, ranks in zip(contexts.split(_BLOCK), order.split(_BLOCK), strict=True):
        mean, shift, unscaled = network.about(context, common)
        half = torch.randn(draws - draws // 2, len(context), common.shape[2], generator=random)
        noise = torch.cat([half, -half])[
            :draws
        ]  # in opposite pairs, whose mean is nearer to that of all
        ranked = log_softmax(
            mean + math.sqrt(1 + 1 / asked.members) * (network.residuals(context, noise) - shift)
        )
        log_probs.append(torch.empty_like(ranked).scatter_(2, ranks.expand_as(ranked), ranked))
        u.append((scale * unscaled).clamp(max=1))  # no probabilities scatter by more
    return Predictions(torch.cat(log_probs, 1), torch.cat(u), outputs=asked.outputs)


class _Network(nn.Module):
    """From contexts `[batch, numbers]`, whose first are mean logits, to two draws of
    log-probabilities `[2, batch, classes]`.
    """

    def __init__(
        self, contexts: Tensor, classes: int, members: int, hidden: int, noise: int
    ) -> None:
        super().__init__()
        self.classes, self.members, self.noise = classes, members, noise
        self.width = math.sqrt(1 + 1 / (members - 1))
        scale = contexts.std(0, correction=0)
        self.mean, self.scale = (
            contexts.mean(0),
            torch.where(scale > 1e-6, scale, 1.0),
        )  # what never varies tells nothing
        self.of_context, self.of_noise = (
            nn.Linear(contexts.shape[1], hidden),
            nn.Linear(noise, hidden, bias=False),
        )
        self.rest = nn.Sequential(
            nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, classes)
        )

    def forward(self, context: Tensor) -> Tensor:
        noise = torch.randn(2, len(context), self.noise)
        return log_softmax(context[:, : self.classes] + self.width * self.residuals(context, noise))

    def residuals(self, context: Tensor, noise: Tensor) -> Tensor:
        """Residuals of logits `[draws, batch, classes]` for noise `[draws, batch or 1, noise]`."""
        known = self.of_context((context - self.mean) / self.scale)
        residuals: Tensor = self.rest(known + self.of_noise(noise))
        return residuals

    def about(self, context: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What many draws say of contexts of all members, one more than in training.

        Returns:
            The shifted mean logits and the residuals' mean, each `[batch, classes]`, and u before
            it is scaled `[batch]`.
        """
        residuals = self.residuals(context, noise)
        shift = residuals.mean(0)
        mean = context[:, : self.classes] + (1 - 1 / self.members) * self.width * shift
        return mean, shift, log_softmax(mean + residuals - shift).exp().var(0).sum(-1).sqrt()


def _context(evidence: Observations, members: Sequence[int]) -> tuple[Tensor, Tensor]:
    """What some networks know on average.

    Returns:
        Mean logits in descending order of mean probability, the same in the classes' own order, and
        mean features `[inputs, 2 classes + features]`; and the order, which class has which rank
        `[inputs, classes]`.
    """
    log_probs = evidence.log_probs[list(members)]
    order = log_probs.logsumexp(0).argsort(dim=-1, descending=True, stable=True)
    logits = log_probs.clamp_min(_FLOOR)
    mean = (logits - logits.mean(-1, keepdim=True)).mean(0)
    parts = [mean.gather(1, order), mean]
    if evidence.features is not None:
        parts.append(evidence.features[list(members)].mean(0))
    return torch.cat([part.float() for part in parts], 1), order


def _energy_score(drawn: Tensor, observed: Tensor) -> Tensor:
    """|y - g|/2 + |y - g'|/2 - |g - g'|/2 of probabilities, averaged over a batch.

    Args:
        drawn: Log-probabilities of two draws g and g' `[2, batch, classes]`.
        observed: Log-probabilities of what they are draws of, y `[batch, classes]`.
    """
    (first, second), target = drawn.exp(), observed.exp()
    to_first, to_second, between = (
        (a - b).norm(dim=-1) for a, b in ((target, first), (target, second), (first, second))
    )
    return ((to_first + to_second - between) / 2).mean()
