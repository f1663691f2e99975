"""Networks that read several tensors, or give more than one, each beside a twin that reads one
tensor and gives one: the same layers in the same order, so that both start alike.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thalweg import Batches, Problem, Recipe

WORDS, LENGTH, CLASSES = 12, 7, 3
RECIPE = Recipe(epochs=2, lr=0.05)


class Both(nn.Module):
    """Numbers and a second set of numbers, which are read by layers of their own."""

    def __init__(self, width: int = 10) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, width), nn.Linear(3, width)
        self.norm, self.drop = nn.BatchNorm1d(width), nn.Dropout(0.2)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        seen = self.norm(F.relu(self.first(one) + self.second(other)))
        return self.head(self.drop(seen))


class BothInOne(Both):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, :4].contiguous(), x[:, 4:].contiguous())


@dataclass
class Answer:
    """As those of language models' libraries."""

    logits: Tensor
    states: Tensor
    loss: Tensor | None = None


class Reader(nn.Module):
    """A small transformer that is called as those of language models' libraries: words and a mask
    by name, and labels where it shall compute its loss itself.
    """

    def __init__(self, width: int = 10) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, width), nn.Embedding(LENGTH, width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, CLASSES)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None
    ) -> Any:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        x = self.words(input_ids) + self.places(torch.arange(input_ids.shape[1]))
        scores = self.query(x) @ self.key(x).mT / x.shape[2] ** 0.5
        scores = scores.masked_fill(mask[:, None, :] == 0, float("-inf"))
        x = self.norm(x + scores.softmax(-1) @ self.value(x))
        kept = mask[..., None].to(x)
        logits = self.head((x * kept).sum(1) / kept.sum(1))
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return Answer(logits, x, loss)


class ReaderOfOne(Reader):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, :LENGTH], x[:, LENGTH:]).logits


class WithStates(nn.Module):
    """Logits behind something else, in a tuple."""

    def __init__(self, width: int = 10) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(7, width), nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Any:
        states = self.body(x).relu()
        return states, self.head(states)


class Alone(WithStates):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[1]


def numbers(examples: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Seven numbers an example, of which three tell the class."""
    x = torch.randn(examples, 7, generator=torch.Generator().manual_seed(seed))
    return x, x[:, 2:5].argmax(1)


def sentences(examples: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Words `[examples, length]`, padded with 1, their mask, and labels that the words tell."""
    random = torch.Generator().manual_seed(seed)
    words = torch.randint(2, WORDS, (examples, LENGTH), generator=random)
    lengths = torch.randint(3, LENGTH + 1, (examples,), generator=random)
    mask = (torch.arange(LENGTH) < lengths[:, None]).long()
    words = words.where(mask == 1, 1)
    return words, mask, (words == 2).sum(1).clamp(max=CLASSES - 1)


@dataclass(frozen=True)
class Pair:
    """A network and its twin.

    Attributes:
        model: The network.
        twin: The one that reads and gives one tensor.
        data: Inputs of the network, those of its twin, and labels, of so many examples and a seed.
        pick: What of the network's outputs the logits are.
    """

    model: Any
    twin: Any
    data: Any
    pick: Any = None

    def problem(self, *, twin: bool = False, **settings: Any) -> Problem:
        x, joined, y = self.data(120, 0)
        known, joined_known, _ = self.data(60, 1)
        settings = {"recipe": RECIPE, "unlabelled": joined_known if twin else known, **settings}
        if twin:
            return Problem(self.twin, Batches(joined, y, 30), **settings)
        return Problem(self.model, Batches(x, y, 30), pick=self.pick, **settings)

    def asked(self, *, twin: bool = False) -> Any:
        x, joined, _ = self.data(40, 2)
        return joined if twin else x


def _two(examples: int, seed: int) -> Any:
    x, y = numbers(examples, seed)
    return (x[:, :4].contiguous(), x[:, 4:].contiguous()), x, y


def _named(examples: int, seed: int) -> Any:
    words, mask, y = sentences(examples, seed)
    return {"input_ids": words, "attention_mask": mask}, torch.cat([words, mask], 1), y


def _one(examples: int, seed: int) -> Any:
    x, y = numbers(examples, seed)
    return x, x, y


PAIRS = {
    "two inputs": Pair(Both, BothInOne, _two),
    "a dictionary": Pair(Reader, ReaderOfOne, _named),
    "a tuple of outputs": Pair(WithStates, Alone, _one, pick=1),
}
