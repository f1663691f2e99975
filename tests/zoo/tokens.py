"""Networks of the zoo that read tokens, tables, and images as tokens: recurrent ones, transformers,
mixers.
"""

import torch
from networks import CLASSES, TOKENS, network
from torch import Tensor, nn
from torch.nn import functional as F


class Tabular(nn.Module):
    """Embeddings of codes beside numbers, batch norm, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(5, 3) for _ in range(2))
        self.norm = nn.BatchNorm1d(4)
        self.layers = nn.Sequential(
            nn.Linear(10, 12),
            nn.ReLU(),
            nn.BatchNorm1d(12),
            nn.Dropout(0.1),
            nn.Linear(12, CLASSES),
        )

    def forward(self, x: Tensor) -> Tensor:
        codes = [embedding(x[:, k].long()) for k, embedding in enumerate(self.embeddings)]
        return self.layers(torch.cat([*codes, self.norm(x[:, 2:])], 1))


network(
    "Table with embeddings",
    "table",
    "codes are embedded, numbers normalised",
    published="Entity embeddings (Guo and Berkhahn 2016)",
    random=True,
)(Tabular)


class Recurrent(nn.Module):
    """An embedding, a recurrent layer, its last state."""

    def __init__(self, kind: type[nn.RNNBase], **settings: object) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, 6)
        self.recurrent = kind(6, 8, batch_first=True, **settings)
        self.head = nn.Linear(16 if self.recurrent.bidirectional else 8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.recurrent(self.embedding(x))
        return self.head(states[:, -1])


@network(
    "LSTM",
    "tokens",
    "embedding and last state; whole numbers as inputs",
    published="LSTM (Hochreiter and Schmidhuber 1997)",
)
def lstm() -> nn.Module:
    return Recurrent(nn.LSTM)


@network(
    "LSTM, two layers with dropout",
    "tokens",
    "dropout inside the LSTM, which is no layer of its own",
    random=True,
)
def lstm_dropout() -> nn.Module:
    return Recurrent(nn.LSTM, num_layers=2, dropout=0.3)


@network("GRU, bidirectional", "tokens", "both directions", published="GRU (Cho et al. 2014)")
def gru() -> nn.Module:
    return Recurrent(nn.GRU, bidirectional=True)


class Cell(nn.Module):
    """A recurrent cell, called in a loop over time."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(2, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 8)
        for t in range(x.shape[2]):
            state = self.cell(x[:, :, t], state)
        return self.head(state)


network("GRU cell in a loop", "signals", "one layer, used at every time")(Cell)


class BagOfWords(nn.Module):
    """The mean of embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(TOKENS, 8, mode="mean"), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.bag(x))


network("Bag of words", "tokens", "EmbeddingBag", published="fastText (Joulin et al. 2016)")(
    BagOfWords
)


class Encoder(nn.Module):
    """Torch's own transformer layers, with a token that is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.positions = (
            nn.Embedding(TOKENS, 8),
            nn.Parameter(0.1 * torch.randn(7, 8)),
        )
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), self.embedding(x)], 1) + self.positions
        return self.head(self.encoder(x)[:, 0])


network(
    "Transformer encoder",
    "tokens",
    "nn.TransformerEncoder, dropout in layers and attention",
    published="Transformer (Vaswani et al. 2017)",
    random=True,
)(Encoder)


class Attention(nn.Module):
    """Self-attention written by hand, with normalisation first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = (
            self.qkv(self.norm1(x))
            .reshape(n, length, 3, self.heads, width // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, length, width))
        return x + self.wide(self.norm2(x))


class VisionTransformer(nn.Module):
    """Patches, positions, attention, the mean of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.positions = nn.Conv2d(3, 8, 4, 4), nn.Parameter(0.1 * torch.randn(4, 8))
        self.blocks = nn.Sequential(Attention(8, 2), Attention(8, 2))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.blocks(x)).mean(1))


network(
    "ViT",
    "images",
    "patches, scaled dot-product attention, layer norm first",
    published="ViT (Dosovitskiy et al. 2021)",
)(VisionTransformer)


class MixerBlock(nn.Module):
    """Linear layers along tokens, then along channels."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.along = nn.Sequential(nn.Linear(tokens, 8), nn.GELU(), nn.Linear(8, tokens))
        self.across = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.along(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.across(self.norm2(x))


class Mixer(nn.Module):
    """Patches, mixed by linear layers alone."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.blocks = (
            nn.Conv2d(3, 8, 4, 4),
            nn.Sequential(MixerBlock(4, 8), MixerBlock(4, 8)),
        )
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


network(
    "MLP-Mixer",
    "images",
    "linear layers along tokens and channels",
    published="MLP-Mixer (Tolstikhin et al. 2021)",
)(Mixer)


class RootMeanSquare(nn.Module):
    """As language models today: RMS norm, gated linear units, rotary positions, weights of input
    and output tied.
    """

    angles: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, 8)
        self.norm1, self.norm2 = nn.RMSNorm(8), nn.RMSNorm(8)
        self.query, self.key, self.value = (nn.Linear(8, 8, bias=False) for _ in range(3))
        self.gate, self.up, self.down = (
            nn.Linear(8, 12, bias=False),
            nn.Linear(8, 12, bias=False),
            nn.Linear(12, 8, bias=False),
        )
        self.head = nn.Linear(8, CLASSES, bias=False)
        self.register_buffer(
            "angles",
            torch.arange(6)[:, None] / torch.tensor([1.0, 3.0, 10.0, 30.0]),
            persistent=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x)
        y = self.norm1(x)
        x = x + F.scaled_dot_product_attention(
            self._turned(self.query(y)), self._turned(self.key(y)), self.value(y)
        )
        y = self.norm2(x)
        x = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return self.head(x.mean(1))

    def _turned(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, -1)
        sin, cos = self.angles.sin(), self.angles.cos()
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


network(
    "RMS norm and gated units",
    "tokens",
    "as language models today: RMSNorm, SwiGLU, rotary positions",
    published="LLaMA (Touvron et al. 2023)",
)(RootMeanSquare)
