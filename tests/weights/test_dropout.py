"""Dropout while predicting: which units are dropped and how often, against closed forms and torch's
own layers.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn

import cases
from thalweg.errors import InputError
from thalweg.meter import Meter
from thalweg.predicting import predict
from thalweg.weights.batchnorm import refresh
from thalweg.weights.distribution import Members, load, pack, save, unpack
from thalweg.weights.dropout import Dropped
from thalweg.weights.masks import Masks, active, insert
from thalweg.weights.point import Weights


def evaluate(network: nn.Module, x: torch.Tensor, masks: Masks, batch: int = 0) -> torch.Tensor:
    network.eval()
    with torch.no_grad(), active(network, masks, batch, cases.behaviour(network, x)):
        return network(x)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_mean_and_variance_of_a_linear_network(rate):
    """Of two linear layers: the mean is that without dropout, the variance sum_j (w_j h_j)^2 rate /
    (1 - rate).
    """
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 6), nn.Linear(6, 2)).double()
    x = torch.randn(1, 3, dtype=torch.float64)
    with torch.no_grad():
        hidden, whole = network[0](x)[0], network(x)[0]
        expected = (network[1].weight * hidden).square().sum(1) * rate / (1 - rate)
    found = evaluate(network, x.repeat(20_000, 1), Masks(0, rate))
    assert ((found.mean(0) - whole).abs() < 5 * (expected / 20_000).sqrt()).all()
    assert found.var(0).tolist() == pytest.approx(expected.tolist(), rel=0.1)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_whole_channels_are_dropped_before_convolutions(dimensions):
    convolution = getattr(nn, f"Conv{dimensions}d")
    network = nn.Sequential(convolution(1, 50, 1, bias=False), convolution(50, 50, 1, bias=False))
    for layer, weight in zip(network, (torch.ones(50, 1), torch.eye(50)), strict=True):
        nn.init.zeros_(layer.weight)
        layer.weight.data += weight.reshape(layer.weight.shape)
    found = evaluate(network, torch.ones(40, 1, *[3] * dimensions), Masks(0, 0.2)).flatten(
        2
    )  # [inputs, channels, pixels]
    assert torch.equal(found, found[..., :1].expand_as(found)), "all pixels alike"
    assert set(found.unique().tolist()) == {0.0, 1.25}
    kept = (found[..., 0] > 0).double()
    assert kept.mean().item() == pytest.approx(0.8, abs=0.04)
    assert not torch.equal(kept[0], kept[1]), "inputs have masks of their own"


def test_the_inputs_of_the_first_layer_are_whole_but_not_of_the_only_one():
    two, one = (
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)),
        nn.Sequential(nn.Flatten(), nn.Linear(4, 2)),
    )
    for network, dropped in ((two, [False, True]), (one, [True])):
        hooks = insert(network, 0.3)
        assert [
            bool(m._forward_pre_hooks) for m in network.modules() if isinstance(m, nn.Linear)
        ] == dropped
        for hook in hooks:
            hook.remove()
        assert not any(m._forward_pre_hooks for m in network.modules())


class Named(nn.Module):
    """Calls its layers by the names of their arguments, or as usual."""

    def __init__(self, *, named: bool) -> None:
        super().__init__()
        self.named = named
        self.first, self.second, self.third = (
            nn.Conv2d(1, 3, 3),
            nn.ConvTranspose2d(3, 3, 3, stride=2),
            nn.Linear(3 * 100, 2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        if self.named:
            return self.third(input=self.second(input=x, output_size=(10, 10)).flatten(1))
        return self.third(self.second(x, (10, 10)).flatten(1))


def test_layers_that_are_called_by_name():
    usual, named = Named(named=False), Named(named=True)
    named.load_state_dict(usual.state_dict())
    x = cases.held_out()[0]
    found = evaluate(named, x, Masks(5, 0.3))
    assert torch.equal(found, evaluate(usual, x, Masks(5, 0.3)))
    assert not torch.equal(found, named(x))


def test_inserted_dropout_is_that_of_torchs_layers_in_the_same_places():
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3)
    )
    own = nn.Sequential(*plain[:2], nn.Dropout2d(0.3), *plain[2:5], nn.Dropout(0.3), plain[5])
    x = cases.held_out()[0]
    found = evaluate(plain, x, Masks(5, 0.3), batch=2)
    assert torch.equal(found, evaluate(own, x, Masks(5), batch=2))
    assert not torch.equal(found, evaluate(plain, x, Masks(6, 0.3), batch=2))
    assert not torch.equal(found, evaluate(plain, x, Masks(5, 0.3), batch=3))


def test_only_dropout_leaves_evaluation_mode():
    network = cases.conv_batchnorm()
    x = cases.held_out()[0]
    network(x)  # running statistics
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.eval()
    with torch.no_grad():
        whole = network(x)
        assert torch.equal(evaluate(network, x, Masks(0, 0.0)), whole)
        with active(network, Masks(0), 0, cases.behaviour(network)):
            assert [type(m).__name__ for m in network.modules() if m.training] == ["Dropout"]
            assert not torch.allclose(network(x), whole)
    assert not any(m.training for m in network.modules())
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


def test_all_is_as_it_was_after_an_error():
    network = cases.conv_batchnorm().eval()
    for masks in (Masks(0), Masks(0, 0.5)):
        with pytest.raises(KeyError), active(network, masks, 0, cases.behaviour(network)):
            raise KeyError
    assert not any(m.training or m._forward_pre_hooks for m in network.modules())
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize(
    "kind", [nn.Dropout, nn.Dropout1d, nn.AlphaDropout, nn.FeatureAlphaDropout]
)
def test_all_kinds_of_dropout_layers_are_found(kind):
    assert cases.behaviour(
        nn.Sequential(nn.Linear(2, 2), nn.Sequential(kind(0.5))), torch.ones(8, 2)
    ).dropping() == ("1.0",)


@pytest.mark.parametrize("rate", [None, 0.4])
def test_transformers_drop_too(rate):
    """Torch's fast path would skip it."""
    torch.manual_seed(0)
    network = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.4, batch_first=True)
    x = torch.randn(3, 5, 8)
    first, again, second = (evaluate(network, x, Masks(seed, rate)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.allclose(first, second)


def test_predictions_follow_from_the_masks():
    problem = cases.problem("conv-batchnorm")
    x = cases.held_out()[0]
    found = Dropped(problem.anchor(0), 0.3)
    first, second = found.draw(2, seed=0)
    both = predict(problem, found, x, draws=2, seed=0).log_probs
    assert not torch.equal(both[0], both[1])
    for n, drawn in enumerate((first, second)):
        assert torch.equal(predict(problem, drawn, x).log_probs[0], both[n])
    whole = predict(problem, problem.anchor(0), x).log_probs
    assert torch.equal(predict(problem, replace(first, masks=Masks(3, 0.0)), x).log_probs, whole)
    halves = predict(problem, first, x.split(30)).log_probs
    assert torch.equal(predict(problem, first, x[:30]).log_probs, halves[:, :30])
    assert not torch.equal(predict(problem, first, x[30:]).log_probs, halves[:, 30:]), (
        "each batch has masks of its own"
    )


@pytest.mark.parametrize("masks", [None, Masks(2**63 - 1), Masks(0, 0.1)])
def test_masks_are_stored_and_kept(masks, tmp_path):
    network = cases.conv_batchnorm()
    weights = replace(Weights.of(network), masks=masks)
    assert unpack(pack([weights, weights]))[1].masks == masks
    save(Members((weights,)), tmp_path / "members.safetensors")
    assert next(load(tmp_path / "members.safetensors").draw(1, seed=0)).masks == masks
    assert weights.to("cpu").masks == masks
    new = replace(weights, buffers=None, stale=weights.buffers)
    assert (
        refresh(network, [new], [cases.task()], Meter(), cases.behaviour(network))[0].masks == masks
    )


@pytest.mark.parametrize("rate", [None, 0.25])
def test_a_dropped_network_is_stored(rate, tmp_path):
    found = Dropped(Weights.of(cases.conv_batchnorm()), rate)
    save(found, tmp_path / "dropped.safetensors")
    again = load(tmp_path / "dropped.safetensors")
    assert isinstance(again, Dropped) and again.size is None
    assert [w.masks for w in again.draw(3, seed=1)] == [w.masks for w in found.draw(3, seed=1)]
    assert (
        len({w.masks for w in found.draw(3, seed=1)} | {w.masks for w in found.draw(3, seed=2)})
        == 6
    )


def test_what_can_not_be_dropped():
    with pytest.raises(InputError, match=r"^the network has no dropout layer"):
        predict(cases.problem(), Dropped(Weights.of(cases.no_norm())), cases.held_out()[0])
    with pytest.raises(InputError, match=r"has no nn\.Linear and no convolution"):
        evaluate(nn.Flatten(), cases.held_out()[0], Masks(0, 0.1))
    with pytest.raises(InputError, match=r"rate got 1\.5, needs 0 to 1"):
        Dropped(Weights({}, {}), 1.5)
