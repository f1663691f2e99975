"""Permutation symmetries: the function stays, in double precision; which channels form groups; what
is refused.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional
from written import CLASSES, NETWORKS, SHAPE, lived_in

from thalweg.errors import InputError
from thalweg.graph.alignment import permuted
from thalweg.graph.symmetry import symmetries
from thalweg.weights.point import Weights


def inputs(dtype=torch.float64) -> torch.Tensor:
    return torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_permuted_network_has_the_same_function(name, dtype, error):
    """In evaluation (with statistics that are no 0 and 1), and in training."""
    network = lived_in(NETWORKS[name]().to(dtype))
    weights, x = Weights.of(network), inputs(dtype)
    found = permuted(network, weights, 1)
    assert any(not torch.equal(found.params[key], p) for key, p in weights.params.items())
    other = NETWORKS[name]().to(dtype)
    found.load_into(other)
    with torch.no_grad():
        expected, got = network.eval()(x), other.eval()(x)
        assert expected.std(0).min() > 1e-4, "else there is nothing to see"
        assert (got - expected).abs().max() <= error * expected.abs().max()
        for module in (network, other):
            for layer in module.modules():
                layer.training = not isinstance(layer, nn.Dropout)
            module.training = name != "functional"  # its dropout draws other masks
        expected, got = network(x), other(x)
        assert (got - expected).abs().max() <= 10 * error * expected.abs().max()


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_lost(name):
    """The permuted tensors have the same numbers, and stale buffers are permuted as valid ones
    are.
    """
    network = lived_in(NETWORKS[name]())
    weights = Weights.of(network)
    found = permuted(network, weights, 2)
    for one, other in ((weights.params, found.params), (weights.buffers, found.buffers)):
        assert list(one) == list(other)
        assert all(
            torch.equal(one[key].flatten().sort().values, other[key].flatten().sort().values)
            for key in one
        )
    stale = permuted(network, Weights(weights.params, stale=weights.buffers), 2)
    assert stale.buffers is None and all(
        torch.equal(stale.stale[key], b) for key, b in found.buffers.items()
    )


def sizes(network: nn.Module) -> list[int]:
    return [group.channels for group in symmetries(network)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mlp", [7, 6]),
        ("cnn", [5, 8]),
        (
            "cnn-group",
            [8] + [2] * 8,
        ),  # eight groups of one channel each are no groups; then eight of two
        (
            "resnet-8",
            [6, 6, 12, 6, 24, 12],
        ),  # the stream, inside of blocks, what is new in a stage: 12 - 6, 24 - 12
        ("wide-resnet", [16, 16, 32, 32, 64, 64]),
        ("resnet-9", [4, 8, 8, 16, 32, 32]),
        ("functional", [6, 8, 10]),
        ("reshaped", [6, 7]),
        ("residual", [9]),
        ("dense", [5, 4, 6, 3]),
        ("separable", [6, 8, 5]),
        ("grouped", [5]),
        ("tied", [8]),  # inputs and outputs of one weight
        ("sequence", [6, 8]),
    ],
)
def test_groups(name, expected):
    assert [group.channels for group in symmetries(NETWORKS[name]())] == expected


def test_a_flattened_channel_is_consecutive_inputs_of_the_next_layer():
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, CLASSES))
    (group,) = symmetries(network)
    places = {(place.tensor, place.axis): place.index.tolist() for place in group.places}
    assert places == {
        ("0.weight", 0): [[0], [1], [2]],
        ("0.bias", 0): [[0], [1], [2]],
        ("3.weight", 1): [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]],
    }


def test_channels_between_padded_ones_are_those_of_the_stage_before():
    """Option A: new channels come in halves, before and after the old ones."""
    groups = symmetries(NETWORKS["resnet-8"]())
    first, new = groups[0], groups[3]
    of = {place.tensor: place.index.flatten().tolist() for place in first.places if place.axis == 0}
    assert of["0.weight"] == list(range(6)) and of["4.conv2.weight"] == list(range(3, 9))
    assert of["5.conv2.weight"] == list(range(9, 15))
    of = {place.tensor: place.index.flatten().tolist() for place in new.places if place.axis == 0}
    assert of["4.conv2.weight"] == [0, 1, 2, 9, 10, 11] and of["5.conv2.weight"] == [
        6,
        7,
        8,
        15,
        16,
        17,
    ]


def test_a_network_without_hidden_channels_has_no_symmetry():
    assert (
        symmetries(nn.Linear(4, 3)) == ()
        and symmetries(nn.Sequential(nn.Flatten(), nn.Linear(4, 3))) == ()
    )


def test_channels_that_are_added_to_inputs_are_fixed():
    class Shortcut(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(2, 3)

        def forward(self, x):
            return self.head((x + self.conv(x)).mean((2, 3)))

    assert symmetries(Shortcut()) == ()


class Does(nn.Module):
    """A network with one questionable step between its layers."""

    def __init__(self, step) -> None:
        super().__init__()
        self.conv, self.step, self.head = (
            nn.Conv2d(2, 8, 3, padding=1),
            step,
            nn.Linear(8 * 9 * 8, CLASSES),
        )
        self.table = nn.Parameter(torch.rand(8, 1, 1))

    def forward(self, x):
        return self.head(self.step(self, self.conv(x)).flatten(1))


def split(self, x):
    a, b = x.chunk(2, 1)
    return a * b


def branch(self, x):
    return x if x.sum() > 0 else -x


REFUSED = {
    "a part of the channels": (
        lambda self, x: x[:, :4],
        "takes a part of the batch or of the channels",
    ),
    "an example": (lambda self, x: x + x[:1], "takes a part of the batch"),
    "a flip": (lambda self, x: x.flip(1), "calls flip"),
    "chunks": (split, "calls chunk"),
    "a transposition": (lambda self, x: x.transpose(1, 2), "calls transpose"),
    "an own parameter": (
        lambda self, x: x * self.table,
        "uses a parameter or buffer outside of a layer",
    ),
    "a shift of channels": (
        lambda self, x: (
            functional.pad(x, (0, 0, 0, 0, 0, 1)) + functional.pad(x, (0, 0, 0, 0, 1, 0))
        ),
        "added to themselves",
    ),
    "a mean over channels": (lambda self, x: x.mean(1), "an axis that is not spatial"),
    "a mean of everything": (lambda self, x: x - x.mean(), "name the spatial ones"),
    "a matrix product": (lambda self, x: x @ x, "calls matmul"),
    "pixels as features": (
        lambda self, x: nn.functional.linear(x, self.table),
        "outside of a layer",
    ),
    "vectors and images": (lambda self, x: x + x.mean((2, 3)), "2 and 0 spatial axes"),
    "pixels among channels": (
        lambda self, x: x.reshape(x.size(0), 16, -1),
        "channels have no axis of their own",
    ),
    "examples among pixels": (lambda self, x: x.view(4, -1), "something other than"),
    "shuffled pixels": (lambda self, x: functional.pixel_shuffle(x, 2), "calls pixel_shuffle"),
    "an index": (lambda self, x: x[:, :, [0, 2]], "is indexed by a tensor"),
    "flattened batch": (lambda self, x: x.flatten(0, 1), "flattens some of the axes"),
    "sorted": (lambda self, x: x.sort(1).values, "calls sort"),
    "negative padding": (
        lambda self, x: functional.pad(x, (0, 0, 0, 0, -1, 1)),
        "pads channels by something other",
    ),
    "a branch": (branch, "can't be traced"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused(name):
    step, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        symmetries(Does(step))
    told = str(caught.value)
    assert "\n" not in told and "permutations" not in told and "alignment" in told


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (nn.MultiheadAttention(8, 2), "MultiheadAttention"),
        (nn.ConvTranspose2d(8, 8, 1), "ConvTranspose2d"),
        (nn.LocalResponseNorm(2), "LocalResponseNorm"),
        (nn.PixelUnshuffle(2), "PixelUnshuffle"),
        (nn.ChannelShuffle(2), "ChannelShuffle"),
        (nn.Unflatten(1, (2, 4)), "Unflatten"),
        (nn.MaxPool2d(2, return_indices=True), "gives indices"),
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 1)), "Conv2d"),
    ],
)
def test_layers_that_are_not_understood_are_refused(layer, name):
    with pytest.raises(InputError, match=name):
        symmetries(nn.Sequential(nn.Conv2d(2, 8, 3), layer, nn.ReLU()))


def test_layers_with_hooks_are_refused():
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    handle = network[1].register_forward_hook(lambda module, args, out: out.flip(1))
    with pytest.raises(InputError, match="ReLU that has hooks"):
        symmetries(network)
    handle.remove()
    assert len(symmetries(network)) == 1


def test_a_vector_per_token_is_refused_where_tokens_are_mixed():
    """Linear layers are taken to read [batch, features]; where that shows to be wrong, nothing is
    guessed.
    """
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 6, 3))
    assert network(torch.zeros(2, 5, 4)).shape == (2, 3)
    with pytest.raises(InputError, match="reads 30 channels where 6 come"):
        symmetries(network)


def test_the_network_is_left_as_it_is():
    network = NETWORKS["resnet-8"]().eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    permuted(network, Weights.of(network), 0)
    assert not network.training and all(
        torch.equal(value, before[key]) for key, value in network.state_dict().items()
    )
