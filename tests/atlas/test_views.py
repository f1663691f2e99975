"""What the atlas looks at means the same on every task."""

import pytest
import torch
from seen import ASKED, KINDS, KNOWN, seen
from torch import Tensor

from thalweg.atlas.views import Typical, columns_of, look
from thalweg.errors import InputError
from thalweg.features import names_of
from thalweg.outputs import Binary, Classes, Values


def looked(
    outputs, known: tuple[Tensor, Tensor | None], asked: tuple[Tensor, Tensor | None]
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Rows and offsets of asked inputs, and the names of the columns."""
    typical = Typical.of(outputs, look(outputs, *known))
    found = look(outputs, *asked)
    count = len(asked[0])
    return typical.rows(found, count), typical.offset(found, count), typical.columns


def of(kind: str, *, features: bool = True, order: Tensor | None = None):
    own = seen(kind)
    stored = own.stored if order is None else own.stored[:, order]
    parts = [(stored[part], own.features[part] if features else None) for part in (KNOWN, ASKED)]
    return looked(own.outputs, *parts)


def same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("features", [True, False])
@pytest.mark.parametrize("kind", ["classes", "binary", "words"])
def test_the_order_of_classes_is_nothing(kind, features):
    order = torch.arange(seen(kind).stored.shape[1]).flip(0)
    one, other = of(kind, features=features), of(kind, features=features, order=order)
    assert same(one[0], other[0]) and same(one[1], other[1])


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_s_place_hangs_on_unlabelled_inputs_alone_and_not_on_their_order(kind):
    own = seen(kind)
    rows, offset, _ = of(kind)
    shuffled = torch.randperm(150, generator=torch.Generator().manual_seed(0))
    known = own.stored[KNOWN][shuffled], own.features[KNOWN][shuffled]
    asked = own.stored[ASKED][7:9], own.features[ASKED][7:9]
    found, beside, _ = looked(own.outputs, known, asked)
    assert same(found, rows[7:9]) and same(beside, offset[7:9])
    assert not same(rows[7], rows[8])


@pytest.mark.parametrize("kind", KINDS)
def test_distances_leverages_and_values_have_no_units(kind):
    """Distances 1000 times as large, and a larger unit of the leverage, which is a logarithm."""
    own = seen(kind)
    features = own.features.double()
    for number, name in enumerate(own.names):
        if name.endswith(("-nearest", "-mean", "-farthest")):
            features[:, number] *= 1000
        elif name == "leverage":
            features[:, number] += 5
    stored = own.stored if own.outputs.simplex else 1000 * own.stored
    found = looked(own.outputs, *((stored[part], features[part]) for part in (KNOWN, ASKED)))
    rows, offset, names = of(kind)
    for number, name in enumerate(names):
        assert torch.allclose(
            found[0][:, number], rows[:, number], rtol=1e-4, atol=1e-4, equal_nan=True
        ), name
    assert torch.allclose(found[1], offset, rtol=1e-4, atol=1e-4)


def test_what_a_task_lacks_is_nan():
    for kind, absent in (("words", "inputs-"), ("binary", "third"), ("classes", "nothing")):
        rows, _, names = of(kind)
        for number, name in enumerate(names):
            missing = name.removeprefix("rank ").startswith(absent)
            assert bool(rows[:, number].isnan().all()) == missing, name
            assert missing or bool(rows[:, number].isfinite().all()), name


def test_the_columns_of_probabilities_are_what_they_say():
    p = torch.tensor([[0.2, 0.7, 0.1], [0.4, 0.3, 0.3]], dtype=torch.float64)
    found = look(Classes(), p.log(), None)
    expected = {
        "odds": [(0.7 / 0.3, 1), (0.4 / 0.6, 1)],
        "margin": [(0.7 / 0.2, 1), (0.4 / 0.3, 1)],
        "third": [(0.2 / 0.1, 1), (1.0, 1)],
        "impurity": [(1 - 0.49 - 0.04 - 0.01, 1), (1 - 0.16 - 0.09 - 0.09, 1)],
    }
    for name, values in expected.items():
        truth = torch.tensor([value for value, _ in values], dtype=torch.float64).log()
        assert torch.allclose(found[name], truth), name
    norm = (torch.diag_embed(p) - p[:, :, None] * p[:, None]).norm(dim=(1, 2))
    assert torch.allclose(found["norm"].exp(), norm)
    assert torch.allclose(found["entropy"].exp(), -(p * p.log()).sum(1))


def test_ranks_are_shares_of_unlabelled_inputs_below():
    rows, _, names = of("classes")
    own = seen("classes")
    for name in ("norm", "leverage", "inputs-mean"):
        every = look(own.outputs, own.stored, own.features)[name]
        known, asked = every[KNOWN], every[ASKED]
        below = [(known < x).double().mean() + (known == x).double().mean() / 2 for x in asked]
        assert torch.allclose(rows[:, names.index(f"rank {name}")], torch.stack(below))


@pytest.mark.parametrize("kind", KINDS)
def test_the_offset_has_mean_one_over_unlabelled_inputs(kind):
    own = seen(kind)
    known = own.stored[KNOWN], own.features[KNOWN]
    _, offset, _ = looked(own.outputs, known, known)
    assert float(offset.exp().mean()) == pytest.approx(1)
    assert float(offset.std()) > 0.01


def test_values_without_features_have_nothing():
    rows, offset, names = of("values", features=False)
    assert rows.shape == (50, 0) and names == () and not offset.any()
    assert columns_of(simplex=False, geometry=False) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_those_of_the_features(kind):
    own = seen(kind)
    assert names_of(own.outputs, own.stored.shape[1], own.features.shape[1]) == own.names
    assert any(name.startswith("inputs-") for name in own.names) == (kind != "words")


def test_names_of_too_many_features():
    for outputs, columns in ((Classes(), 4), (Binary(), 2), (Values(), 1)):
        with pytest.raises(InputError, match=r"got 99 features .* needs those") as caught:
            names_of(outputs, columns, 99)
        assert "\n" not in str(caught.value)


def test_several_networks_mean_takes_the_place_of_one_s():
    one, other = seen("classes"), seen("classes", 1)
    mean = (one.stored.exp().double() + other.stored.exp().double()) / 2
    found = look(Classes(), one.stored, one.features, mean)
    alone, plain = look(Classes(), mean.log(), None), look(Classes(), one.stored, one.features)
    assert torch.allclose(found["odds"], alone["odds"])
    assert torch.equal(found["leverage"], plain["leverage"])
    assert torch.allclose(
        found["laplace-softmax"] - found["norm"], plain["laplace-softmax"] - plain["norm"]
    )
