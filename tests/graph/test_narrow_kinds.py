"""Narrow copies of many kinds of networks are those of the same class with smaller settings: the
same shapes, the same initial distribution, and with the same weights the same function.
"""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thalweg.errors import InputError
from thalweg.graph.narrowing import least_share, narrowed

WORDS = torch.randint(50, (3, 7), generator=torch.Generator().manual_seed(0))
IMAGES = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Attention(nn.Module):
    """Heads, their size and the scale are attributes."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size, self.scale = heads, width // heads, (width // heads) ** -0.5
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, length, width = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)
        weights = (qkv[0] @ qkv[1].mT * self.scale).softmax(-1)
        return self.out((weights @ qkv[2]).transpose(1, 2).reshape(n, length, width))


class ViT(nn.Module):
    """All weights are normal with standard deviation 0.02, as published."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token, self.positions = (
            nn.Parameter(torch.empty(1, n, width).normal_(std=0.02)) for n in (1, 5)
        )
        self.norm, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.head = nn.Linear(width, 3)
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = self.patches(x).flatten(2).mT
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        x = x + self.attention(self.norm(x))
        return self.head((x + self.mlp(x))[:, 0])


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], width: int, hidden: int, **settings) -> None:
        super().__init__()
        self.words = nn.Embedding(50, width)
        self.recurrent = kind(width, hidden, batch_first=True, **settings)
        self.head = nn.Linear(hidden * (2 if self.recurrent.bidirectional else 1), 3)

    def forward(self, x):
        return self.head(self.recurrent(self.words(x))[0][:, -1])


class Encoder(nn.Module):
    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.words = nn.Embedding(50, width)
        layer = nn.TransformerEncoderLayer(width, heads, inner, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.encoder(self.words(x)).mean(1))


class Generated(nn.Module):
    """Words are both read and told by one table; its own convolution and norm as functions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(50, width))
        self.kernel = nn.Parameter(torch.randn(width, width, 3) / math.sqrt(3 * width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))
        self.mix = nn.Parameter(torch.randn(width, width) / math.sqrt(width))

    def forward(self, x):
        x = F.conv1d(F.embedding(x, self.table).mT, self.kernel, padding=1)
        x = F.batch_norm(x, self.mean, self.var, training=self.training)
        x = torch.einsum("bct,dc->bd", x.relu(), self.mix)
        return F.linear(F.layer_norm(x, x.shape[-1:]), self.table)


def convolutional(width: int, groups: int) -> nn.Module:
    """Kaiming's rule by outputs, as residual networks have it; groups, one of each channel too."""
    network = nn.Sequential(
        nn.Conv2d(3, width, 3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, groups=groups, bias=False),
        nn.Conv2d(width, width, 3, groups=width, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 1, bias=False),
        nn.GroupNorm(2, 2 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, 3),
    )
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network


def upwards(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 2, 2),
        nn.ConvTranspose2d(width, width // 2, 2, 2),
        nn.PixelUnshuffle(2),
        nn.Conv2d(2 * width, width, 1),
        nn.Flatten(2),
        nn.Conv1d(width, 4 * width, 1),
        nn.Unflatten(1, (4, width)),
        nn.Flatten(1, 2),
        nn.AdaptiveMaxPool1d(1),
        nn.Flatten(),
        nn.utils.parametrizations.weight_norm(nn.Linear(4 * width, width)),
        nn.Linear(width, 3),
    )


KINDS = {
    "ViT": (ViT, (64,), (32,), IMAGES),
    "ViT, more heads than channels in each": (ViT, (64, 16), (32, 8), IMAGES),
    "LSTM": (lambda *w: Recurrent(nn.LSTM, *w), (64, 64), (32, 32), WORDS),
    "LSTM of two layers": (
        lambda *w: Recurrent(nn.LSTM, *w, num_layers=2), (64, 64), (32, 32), WORDS,
    ),
    "GRU, both ways": (
        lambda *w: Recurrent(nn.GRU, *w, bidirectional=True), (32, 64), (16, 32), WORDS,
    ),
    "RNN": (lambda *w: Recurrent(nn.RNN, *w), (32, 64), (16, 32), WORDS),
    "encoder": (Encoder, (64, 4, 96), (32, 4, 48), WORDS),
    "functions": (Generated, (64,), (32,), WORDS),
    "two groups": (convolutional, (64, 2), (32, 2), IMAGES),
    "groups of two": (convolutional, (64, 32), (32, 16), IMAGES),
    "upwards": (upwards, (32,), (16,), IMAGES),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_network_is_one_of_half_the_settings(kind):
    make, wide, narrow, x = KINDS[kind]
    torch.manual_seed(0)
    whole, expected = make(*wide), make(*narrow)
    found = narrowed(whole, 0.5, x)
    assert [(name, p.shape) for name, p in found.named_parameters()] == [
        (name, p.shape) for name, p in expected.named_parameters()
    ]
    for (name, one), other in zip(found.named_parameters(), expected.parameters(), strict=True):
        if one.numel() > 3:
            few = 0.6 if one.numel() < 200 else 0.2 if one.numel() < 1000 else 0.06
            found_std, std = (float(p.detach().std(correction=0)) for p in (one, other))
            assert found_std == pytest.approx(std, rel=few, abs=1e-6), name
    expected.load_state_dict(found.state_dict())
    for mode in (True, False):
        torch.testing.assert_close(found.train(mode)(x), expected.train(mode)(x))
    assert [p.shape for p in whole.parameters()] == [p.shape for p in make(*wide).parameters()]


@pytest.mark.parametrize("ratio", [0.7, 0.35, 0.25, 0.1])
@pytest.mark.parametrize("kind", KINDS)
def test_other_widths(kind, ratio):
    """All have fewer parameters, and the outputs that they should have."""
    make, wide, _, x = KINDS[kind]
    whole = make(*wide)
    found = narrowed(whole, ratio, x)
    counts = [sum(p.numel() for p in network.parameters()) for network in (found, whole)]
    assert counts[0] < counts[1]
    assert found.train()(x).shape == found.eval()(x).shape == whole(x).shape
    assert 0 < least_share(whole, x) < 0.2


def test_what_is_not_understood_stays_whole():
    """The rest is narrower all the same."""

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            x = torch.fft.rfft(self.first(x)).abs()
            x = torch.cat([x, x[:, :3]], 1)
            return self.head(self.second(x).relu())

    found = narrowed(Odd(), 0.5, torch.randn(3, 4))
    assert found.first.weight.shape == (8, 4)
    assert found.second.weight.shape == (4, 8) and found.head.weight.shape == (3, 4)


SIZES = {
    "view": (lambda x, n: x.view(-1, n), 12),
    "reshape to a tuple": (lambda x, n: x.reshape((-1, n)), 12),
    "slices": (lambda x, n: x[:, : n // 2].relu() * x[:, n // 2 :], 6),
    "slices from the end": (lambda x, n: x[..., : -n // 2] - x[..., -n // 2 :], 6),
    "split": (lambda x, n: torch.stack(x.split(n // 2, 1)).amax(0), 6),
    "split into a list": (lambda x, n: torch.split(x, [n // 2, n // 2], dim=-1)[1].relu(), 6),
    "unflatten": (lambda x, n: x.unflatten(1, (2, n // 2)).tanh().sum(1), 6),
    "layer norm": (lambda x, n: F.layer_norm(x, (n,)), 12),
    "zeros": (lambda x, n: torch.maximum(x.new_zeros(len(x), n), x), 12),
    "padding": (lambda x, n: x + F.pad(x[:, : n // 2], (n // 2, 0)), 12),
    "expanded": (lambda x, n: x * x.mean(1, keepdim=True).expand(-1, n), 12),
}


@pytest.mark.parametrize("kind", SIZES)
def test_sizes_that_the_code_names(kind):
    """They are changed in the network's graph, to those of the code that its author would have
    written.
    """
    does, width = SIZES[kind]

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(4, 12), nn.Linear(width, 3)

        def forward(self, x):
            return self.head(does(self.first(x), 12))

    x = torch.randn(5, 4)
    found = narrowed(Named(), 0.5, x)
    assert found.first.weight.shape == (6, 4) and found.head.weight.shape == (3, width // 2)
    torch.testing.assert_close(found(x), found.head(does(found.first(x), 6)))


@pytest.mark.parametrize("root", ["attribute", "literal"])
def test_a_scale_goes_with_the_size_of_heads(root):
    """Where it is an attribute, and where it stands in the code."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.head = nn.Linear(4, 32), nn.Linear(4, 32), nn.Linear(8, 2)
            self.scale = 16**-0.5

        def forward(self, x):
            q, k = (layer(x).view(3, 8, 2, -1).mT.mT for layer in (self.query, self.key))
            scores = q @ k.mT * (self.scale if root == "attribute" else 0.25)
            return self.head(scores.sum((2, 3)))

    found = narrowed(Scaled(), 0.5, torch.randn(3, 8, 4))
    assert found.query.weight.shape == (16, 4)
    if root == "attribute":
        assert found.scale == 8**-0.5
    else:
        assert str(8**-0.5) in found.code


def test_settings_of_a_library():
    """A network that is made of a configuration is made again, of a smaller one; pre-trained
    weights are not.
    """

    class Model(nn.Module):
        def __init__(self, config) -> None:
            super().__init__()
            self.config = config
            self.body = Encoder(config.hidden_size, config.num_attention_heads, config.inner)

        def forward(self, words):
            return {"logits": self.body(words)}

    whole = Model(SimpleNamespace(hidden_size=24, num_attention_heads=3, inner=20))
    found = narrowed(whole, 0.5, WORDS)
    assert found.config.hidden_size == 12 and found.config.inner == 20
    assert found.body.words.weight.shape == (50, 12) and whole.config.hidden_size == 24
    with pytest.raises(InputError, match="never cut"):
        narrowed(whole, 0.5, WORDS, stored=("body.head.weight",))


def test_pretrained_weights_are_never_cut():
    """Positions, which are added, are no weights."""
    network = ViT(8)
    for name in ("patches.weight", "attention.qkv.weight", "head.weight"):
        with pytest.raises(InputError, match=f"'{name}' is the same in all new networks"):
            narrowed(network, 0.5, IMAGES, stored=(name,))
    assert narrowed(network, 0.5, IMAGES, stored=("positions",)).positions.shape == (1, 5, 4)


def test_the_network_and_the_caller_s_random_numbers_are_left_as_they_were():
    network = convolutional(8, 2)
    state, before = torch.get_rng_state(), {k: v.clone() for k, v in network.state_dict().items()}
    narrowed(network, 0.5, IMAGES)
    assert torch.equal(state, torch.get_rng_state()) and network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


class Temperature(nn.Module):
    """Its number of channels and a constant are the same number."""

    def __init__(self, multiplied: float) -> None:
        super().__init__()
        self.first, self.last, self.by = nn.Linear(6, 64), nn.Linear(64, 3), multiplied

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x).relu()) * self.by


@pytest.mark.parametrize("number", [64, 64.0, 1 / 64, 63])
def test_a_factor_that_may_be_a_number_of_channels_is_refused(number):
    with pytest.raises(InputError, match="multiplies or divides by"):
        narrowed(Temperature(number), 0.5, torch.randn(2, 6))
    assert narrowed(Temperature(3.0), 0.5, torch.randn(2, 6)).first.out_features == 32


def test_a_network_in_which_nothing_can_be_narrowed_is_refused():
    class Sorted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 32), nn.Linear(32, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.first(x).sort(-1).values)

    with pytest.raises(InputError, match="no hidden channels that could be fewer"):
        narrowed(Sorted(), 0.5, torch.randn(2, 6))


class Sizes:
    hidden_size, num_attention_heads = 32, 2


class Configured(nn.Module):
    def __init__(self, config: Sizes, rate: float = 0.0) -> None:
        super().__init__()
        self.config, self.first = config, nn.Linear(6, config.hidden_size)
        self.drop, self.last = nn.Dropout(rate), nn.Linear(config.hidden_size, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(self.first(x).relu()))


def test_what_a_factory_did_beside_the_configuration_stays():
    network = Configured(Sizes(), rate=0.5)
    network.first.requires_grad_(False)
    nn.init.constant_(network.last.bias, 7.0)
    found = narrowed(network, 0.5, torch.randn(4, 6))
    assert found.first.out_features == 16 and found.drop.p == 0.5
    assert not found.first.weight.requires_grad and found.last.weight.requires_grad
    assert found.last.bias.tolist() == [7.0] * 3
