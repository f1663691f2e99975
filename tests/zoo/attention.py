"""Networks of the zoo with attention as it is published, for images, texts and tables."""

import math

import torch
from efficient import DropPath
from networks import CLASSES, TOKENS, network
from torch import Tensor, nn
from torch.nn import functional as F


class TimmAttention(nn.Module):
    """As in libraries of image models: sizes and the scale are attributes."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = heads, width // heads
        self.scale = self.head_dim**-0.5
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        weights = ((q * self.scale) @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(n, length, width))


class DeiTBlock(nn.Module):
    """Attention and a perceptron with layer scale, left out at random."""

    def __init__(self, width: int, heads: int, attention: type[nn.Module] = TimmAttention) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = attention(width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.gamma1, self.gamma2 = (nn.Parameter(0.1 * torch.ones(width)) for _ in range(2))
        self.drop = DropPath(0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop(self.gamma1 * self.attention(self.norm1(x)))
        return x + self.drop(self.gamma2 * self.mlp(self.norm2(x)))


class DeiT(nn.Module):
    """Two more tokens, whose classifiers are averaged; truncated normal weights."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.tokens = nn.Parameter(torch.zeros(1, 2, 8))
        self.positions = nn.Parameter(torch.zeros(1, 6, 8))
        self.blocks = nn.Sequential(DeiTBlock(8, 2), DeiTBlock(8, 2))
        self.norm, self.head, self.distilled = nn.LayerNorm(8), nn.Linear(8, 3), nn.Linear(8, 3)
        for tensor in (self.tokens, self.positions):
            nn.init.trunc_normal_(tensor, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.tokens.expand(x.shape[0], -1, -1), x], 1) + self.positions
        x = self.norm(self.blocks(x))
        return (self.head(x[:, 0]) + self.distilled(x[:, 1])) / 2


network(
    "DeiT", "images", "two tokens, layer scale; head size and scale are attributes of its modules",
    random=True, published="DeiT and CaiT (Touvron et al. 2021)",
)(DeiT)  # fmt: skip


class WindowAttention(nn.Module):
    """Attention in windows of 2 x 2, with a table of relative positions; shifted or not."""

    index: Tensor

    def __init__(self, width: int, heads: int, side: int, shift: int) -> None:
        super().__init__()
        self.heads, self.side, self.shift = heads, side, shift
        self.scale = (width // heads) ** -0.5
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.table = nn.Parameter(0.1 * torch.randn(9, heads))
        at = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(2), indexing="ij")).flatten(1)
        apart = (at[:, :, None] - at[:, None]).permute(1, 2, 0) + 1
        self.register_buffer("index", 3 * apart[..., 0] + apart[..., 1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        s = self.side
        x = torch.roll(x.view(n, s, s, width), (-self.shift, -self.shift), (1, 2))
        x = x.view(n, s // 2, 2, s // 2, 2, width).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, width)
        qkv = self.qkv(x).reshape(-1, 4, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        bias = self.table[self.index.view(-1)].view(4, 4, -1).permute(2, 0, 1)
        weights = (q * self.scale @ k.transpose(-2, -1) + bias.unsqueeze(0)).softmax(-1)
        x = self.proj((weights @ v).transpose(1, 2).reshape(-1, 4, width))
        x = x.view(n, s // 2, s // 2, 2, 2, width).permute(0, 1, 3, 2, 4, 5).reshape(n, s, s, width)
        return torch.roll(x, (self.shift, self.shift), (1, 2)).view(n, length, width)


class SwinBlock(nn.Module):
    """Attention in windows, and a perceptron."""

    def __init__(self, width: int, heads: int, side: int, shift: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads, side, shift)
        self.mlp = nn.Sequential(nn.Linear(width, 12), nn.GELU(), nn.Linear(12, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Swin(nn.Module):
    """Windows, shifted windows, patches merged."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 2, 2)
        self.first = nn.Sequential(SwinBlock(6, 2, 4, 0), SwinBlock(6, 2, 4, 1))
        self.norm, self.merge = nn.LayerNorm(24), nn.Linear(24, 12, bias=False)
        self.second = SwinBlock(12, 4, 2, 0)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.patches(x).flatten(2).transpose(1, 2))
        x = x.view(x.shape[0], 4, 4, -1)
        parts = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        x = self.merge(self.norm(torch.cat(parts, -1)).flatten(1, 2))
        return self.head(self.second(x).mean(1))


network(
    "Swin", "images", "attention in shifted windows, relative positions, merged patches",
    published="Swin Transformer (Liu et al. 2021)",
)(Swin)  # fmt: skip


class BertLayer(nn.Module):
    """Separate query, key and value, normalisation last."""

    def __init__(self, width: int, heads: int, wide: int) -> None:
        super().__init__()
        self.heads, self.head_size = heads, width // heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out, self.norm1 = nn.Linear(width, width), nn.LayerNorm(width)
        self.up, self.down, self.norm2 = (
            nn.Linear(width, wide), nn.Linear(wide, width), nn.LayerNorm(width),
        )  # fmt: skip
        self.dropout = nn.Dropout(0.1)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.size()[:-1], self.heads, self.head_size).permute(0, 2, 1, 3)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(self.head_size) + mask
        mixed = self.dropout(scores.softmax(-1)) @ v
        mixed = mixed.permute(0, 2, 1, 3).contiguous()
        mixed = mixed.view(*mixed.size()[:-2], self.heads * self.head_size)
        x = self.norm1(x + self.dropout(self.out(mixed)))
        return self.norm2(x + self.dropout(self.down(F.gelu(self.up(x)))))


class Bert(nn.Module):
    """Words, positions and kinds, a mask of padding, a pooler of the first token."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions, self.kinds = (nn.Embedding(n, 8) for n in (TOKENS, 6, 2))
        self.norm, self.dropout = nn.LayerNorm(8), nn.Dropout(0.1)
        self.layers = nn.ModuleList(BertLayer(8, 2, 16) for _ in range(2))
        self.pooler, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        mask = (x == 0).float()[:, None, None] * -1e4
        places = torch.arange(x.shape[1], device=x.device)
        x = self.words(x) + self.positions(places) + self.kinds(torch.zeros_like(x))
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            x = layer(x, mask)
        return self.head(self.dropout(torch.tanh(self.pooler(x[:, 0]))))


network(
    "BERT", "tokens", "a mask of padding, sizes as attributes, normal weights of 0.02",
    random=True, published="BERT (Devlin et al. 2019)",
)(Bert)  # fmt: skip


class TransposedLinear(nn.Module):
    """A linear layer whose weight is `[inputs, outputs]`."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.weight = nn.Parameter(0.02 * torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        size = (*x.size()[:-1], self.outputs)
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(size)


class GPTBlock(nn.Module):
    """Causal attention; its weights are transposed."""

    bias: Tensor

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.proj = TransposedLinear(3 * width, width), TransposedLinear(width, width)
        self.up, self.down = TransposedLinear(2 * width, width), TransposedLinear(width, 2 * width)
        self.register_buffer("bias", torch.tril(torch.ones(6, 6, dtype=torch.bool)))

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q, k, v = (
            part.view(n, length, self.heads, self.width // self.heads).transpose(1, 2)
            for part in self.attn(self.norm1(x)).split(self.width, dim=2)
        )
        scores = q @ k.transpose(-1, -2) / math.sqrt(k.size(-1))
        scores = scores.masked_fill(~self.bias[:length, :length], float("-inf"))
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, self.width)
        x = x + self.proj(mixed)
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    """The last token is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(TOKENS, 8), nn.Embedding(6, 8)
        self.blocks, self.norm = nn.Sequential(GPTBlock(8, 2), GPTBlock(8, 2)), nn.LayerNorm(8)
        self.head = nn.Linear(8, CLASSES, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(0, x.size(1), device=x.device)
        return self.head(self.norm(self.blocks(self.words(x) + self.positions(places)))[:, -1])


network(
    "GPT-2", "tokens", "causal attention, weights [inputs, outputs] in layers of its own",
    published="GPT-2 (Radford et al. 2019)",
)(GPT)  # fmt: skip
