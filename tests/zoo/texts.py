"""Networks of the zoo for texts, tables and signals, as they are published."""

import torch
from networks import CLASSES, TOKENS, network
from torch import Tensor, nn
from torch.nn import functional as F


class TextCNN(nn.Module):
    """Convolutions of several widths over embedded words, the maximum over time."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(TOKENS, 6)
        self.convs = nn.ModuleList(nn.Conv2d(1, 5, (width, 6)) for width in (2, 3))
        self.dropout, self.head = nn.Dropout(0.2), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.words(x).unsqueeze(1)
        found = [F.relu(layer(x)).squeeze(3).amax(2) for layer in self.convs]
        return self.head(self.dropout(torch.cat(found, 1)))


network(
    "Text CNN", "tokens", "convolutions over words and all their features",
    random=True, published="CNN for sentences (Kim 2014)",
)(TextCNN)  # fmt: skip


class FeatureTokens(nn.Module):
    """Every number is a token: its value times a vector, plus another."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(0.3 * torch.randn(6, 8)) for _ in range(2))
        self.token = nn.Parameter(0.3 * torch.randn(1, 1, 8))
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.up, self.down = nn.Linear(8, 24), nn.Linear(12, 8)
        self.head = nn.Sequential(nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(-1) * self.weight + self.bias
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        value, gate = self.up(x).chunk(2, dim=-1)
        return self.head((x + self.down(value * F.relu(gate)))[:, 0])


network(
    "FT-Transformer", "numbers", "numbers as tokens, nn.MultiheadAttention, gated units",
    random=True, published="FT-Transformer (Gorishniy et al. 2021)",
)(FeatureTokens)  # fmt: skip


class WaveNet(nn.Module):
    """Dilated causal convolutions with gates; the outputs of all are summed."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.width, self.first = width, nn.Conv1d(2, width, 1)
        self.dilated = nn.ModuleList(nn.Conv1d(width, 2 * width, 2, dilation=d) for d in (1, 2))
        self.both = nn.ModuleList(nn.Conv1d(width, 2 * width, 1) for _ in range(2))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(width, 8, 1), nn.ReLU(), nn.Flatten(1))
        self.out = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.first(x), 0
        for dilated, both in zip(self.dilated, self.both, strict=True):
            y = dilated(F.pad(x, (dilated.dilation[0], 0)))
            y = torch.tanh(y[:, : self.width]) * torch.sigmoid(y[:, self.width :])
            rest, skip = torch.split(both(y), [self.width, self.width], dim=1)
            x, total = x + rest, total + skip
        return self.out(self.head(total.mean(2, keepdim=True)))


network(
    "WaveNet", "signals", "gates and skips cut out of channels at numbers that its code keeps",
    published="WaveNet (van den Oord et al. 2016)",
)(WaveNet)  # fmt: skip


class Attentive(nn.Module):
    """A bidirectional LSTM whose states are weighed by attention."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(TOKENS, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 5, bidirectional=True, batch_first=True)
        self.score, self.query = nn.Linear(10, 8), nn.Linear(8, 1, bias=False)
        self.head = nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.lstm(self.words(x))
        weights = self.query(torch.tanh(self.score(states))).softmax(1)
        return self.head((weights * states).sum(1))


network(
    "LSTM with attention", "tokens", "both directions, states weighed by a small network",
    published="Attention-based BiLSTM (Zhou et al. 2016)",
)(Attentive)  # fmt: skip


class LinearAttention(nn.Module):
    """Attention without a softmax over pairs: products in another order, by einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.heads = nn.Embedding(TOKENS, 8), 2
        self.qkv, self.out = nn.Linear(8, 24, bias=False), nn.Linear(8, 8)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.words(x)
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(self.norm(x)).chunk(3, -1)
        )
        q, k = F.elu(q) + 1, F.elu(k) + 1
        context = torch.einsum("bhnd,bhne->bhde", k, v)
        total = torch.einsum("bhnd,bhd->bhn", q, k.sum(2))
        mixed = torch.einsum("bhnd,bhde->bhne", q, context) / total.unsqueeze(-1)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return self.head(x.mean(1))


network(
    "Linear attention", "tokens", "products of keys and values first, by einsum",
    published="Linear Transformer (Katharopoulos et al. 2020)",
)(LinearAttention)  # fmt: skip
