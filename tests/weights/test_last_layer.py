"""The Gaussian of the last layer: draws against the inverse of the precision, and storage."""

import pytest
import torch
from torch import Tensor

import cases
import contract
from thalweg.errors import InputError
from thalweg.weights.distribution import load, save
from thalweg.weights.laplace import LastLayerGaussian
from thalweg.weights.point import Weights


def precision(d: int) -> Tensor:
    """A positive definite matrix `[d, d]`."""
    a = torch.randn(d, 2 * d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return a @ a.T


def small(*, bias: bool) -> LastLayerGaussian:
    """Of two classes and three features, in double precision."""
    random = torch.Generator().manual_seed(1)
    params = {
        "first": torch.ones(4, dtype=torch.float64),
        "w": torch.randn(2, 3, generator=random, dtype=torch.float64),
    }
    if bias:
        params["b"] = torch.randn(2, generator=random, dtype=torch.float64)
    mean = Weights(params, {"counter": torch.tensor(3)})
    return LastLayerGaussian(
        mean, "w", "b" if bias else None, torch.linalg.cholesky(precision(8 if bias else 6))
    )


def vector(weights: Weights) -> Tensor:
    """The last layer `[d]`, each class's weights followed by its bias."""
    rows = [weights.params["w"]] + ([weights.params["b"][:, None]] if "b" in weights.params else [])
    return torch.cat(rows, 1).flatten()


def test_the_covariance_of_draws_is_the_inverse_of_the_precision():
    found, n = small(bias=True), 20_000
    drawn = torch.stack([vector(w) for w in found.draw(n, seed=0)])
    expected = torch.linalg.inv(precision(8))
    scale = expected.diag()
    standard_error = ((expected**2 + scale[:, None] * scale[None, :]) / n).sqrt()
    assert ((torch.cov(drawn.T) - expected).abs() < 5 * standard_error).all()
    assert ((drawn.mean(0) - vector(found.mean)).abs() < 5 * (scale / n).sqrt()).all()


def test_everything_else_stays():
    found = small(bias=True)
    for weights in found.draw(3, seed=0):
        assert (
            weights.params["first"] is found.mean.params["first"]
            and weights.buffers is found.mean.buffers
        )
        assert list(weights.params) == list(found.mean.params)


def test_the_first_draws_do_not_depend_on_how_many_there_are():
    found = small(bias=True)
    contract.assert_same(list(found.draw(40, seed=3))[:3], list(found.draw(3, seed=3)))
    assert len(list(found.draw(40, seed=3))) == 40


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_stored(bias, tmp_path):
    found = small(bias=bias)
    save(found, tmp_path / "found.safetensors")
    again = load(tmp_path / "found.safetensors")
    assert isinstance(again, LastLayerGaussian) and again.size is None
    contract.assert_same(list(again.draw(3, seed=0)), list(found.draw(3, seed=0)))


def test_a_factor_that_does_not_fit():
    with pytest.raises(
        InputError,
        match=r"factor of shape \(26, 26\), needs \(27, 27\) for '3.weight' of shape \(3, 8\)",
    ):
        LastLayerGaussian(Weights.of(cases.no_norm()), "3.weight", "3.bias", torch.eye(26))
