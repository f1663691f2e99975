"""Distributions: how members come up, and that what is stored comes back."""

import pytest
import torch

import cases
import contract
from thalweg import files
from thalweg.errors import InputError
from thalweg.weights.coefficients import Bezier, Chain, Complex, Simplex
from thalweg.weights.distribution import Members, Mixture, WeightDistribution, load, save
from thalweg.weights.dropout import Dropped
from thalweg.weights.gaussian import LowRankGaussian, Moments
from thalweg.weights.laplace import LastLayerGaussian
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace


def members(n: int) -> Members:
    return Members(tuple(Weights.of(cases.conv_batchnorm()) for _ in range(n)))


def gaussian(rank: int) -> LowRankGaussian:
    moments = Moments(rank)
    for point in members(4).points:
        moments.add(point)
    return moments.gaussian(0.5)


def which(found: Members, drawn: list[Weights]) -> list[int]:
    return [next(i for i, p in enumerate(found.points) if p is w) for w in drawn]


def test_members_come_in_whole_rounds():
    found = members(3)
    assert which(found, contract.draw_all(found, 3)) == [0, 1, 2]
    assert which(found, contract.draw_all(found, 6)) == [0, 1, 2, 0, 1, 2]
    counts = [which(found, contract.draw_all(found, 5, seed)) for seed in range(40)]
    assert all(sorted(c)[:3] != [0, 0, 0] and len(set(c)) == 3 for c in counts)
    assert {tuple(c[3:]) for c in counts} == {(0, 1), (0, 2), (1, 2)}


def test_a_mixture_shares_its_draws_evenly():
    first, second = members(2), members(3)
    found = Mixture((first, second))
    assert found.size == 5 and Mixture((first, gaussian(2))).size is None
    drawn = contract.draw_all(found, 5)
    assert sum(any(w is p for p in first.points) for w in drawn) == 3


def test_the_parts_of_a_mixture_draw_independently():
    """Also of what another seed draws: seeds are derived by name, not counted on."""
    vertices = members(3).points
    found = Mixture((Subspace(vertices), Subspace(vertices)))
    first = contract.draw_all(found, 4, seed=0)
    second = contract.draw_all(found, 4, seed=1)
    seen = [float(w.params["0.weight"].sum()) for w in first + second]
    assert len(set(seen)) == len(seen)


DISTRIBUTIONS = {
    "members": lambda: members(3),
    "simplex": lambda: Subspace(members(3).points),
    "bezier": lambda: Subspace(members(3).points, Bezier()),
    "chain": lambda: Subspace(members(3).points, Chain()),
    "complex": lambda: Subspace(members(4).points, Complex(((0, 1), (1, 2, 3)))),
    "layerwise": lambda: Subspace(members(3).points, Simplex(), layerwise=True),
    "gaussian": lambda: gaussian(3),
    "diagonal": lambda: gaussian(0),
    "mixture": lambda: Mixture(
        (members(2), Subspace(members(2).points), Mixture((gaussian(2), members(1))))
    ),
    "drawn": lambda: Members(tuple(Subspace(members(2).points).draw(2, seed=0))),
    "dropped": lambda: Dropped(members(1).points[0], 0.1),
    "last layer": lambda: LastLayerGaussian(
        members(1).points[0], "8.weight", "8.bias", torch.eye(111)
    ),
    "no buffers": lambda: Members((Weights.of(cases.no_norm()),)),
}


@pytest.mark.parametrize("kind", DISTRIBUTIONS)
def test_what_is_stored_comes_back(kind, tmp_path):
    found = DISTRIBUTIONS[kind]()
    save(found, tmp_path / "a.safetensors")
    again = load(str(tmp_path / "a.safetensors"))
    assert type(again) is type(found) and again.size == found.size
    for seed in (0, 1):
        contract.assert_same(contract.draw_all(found, 7, seed), contract.draw_all(again, 7, seed))
    save(again, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_every_kind_of_distribution_is_tried_here():
    assert {type(make()).__name__ for make in DISTRIBUTIONS.values()} == set(
        WeightDistribution.kinds
    )


def test_bad_files(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(InputError, match="does not exist"):
        load(path)
    files.write_tensors(path, {"a": torch.zeros(2)}, {"kind": "Memberz", "settings": {}})
    with pytest.raises(InputError, match="did you mean 'Members'"):
        load(path)
    files.write_tensors(path, {"a": torch.zeros(2)})
    with pytest.raises(InputError, match="holds no weight distribution"):
        load(path)
    save(members(2), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged or truncated") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_no_members():
    with pytest.raises(InputError, match="one or more"):
        Members(())
    with pytest.raises(InputError, match="one or more"):
        Mixture(())
