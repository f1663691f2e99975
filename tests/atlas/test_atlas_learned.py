"""What was learned: the ceiling of u, small networks, and the file that they are in."""

import pytest
import torch
from seen import ASKED, KNOWN, seen
from torch import nn

from thalweg import files
from thalweg.atlas.learned import (
    CEILING,
    FILE,
    VERSION,
    Learned,
    Shape,
    bounded,
    learned,
    read,
    standard,
    unbounded,
    with_mean,
)
from thalweg.atlas.views import columns_of, look
from thalweg.errors import InputError

KINDS = [(True, True), (True, False), (False, True), (False, False)]


def test_u_has_a_ceiling_that_small_u_does_not_see():
    u = torch.logspace(-6, 3, 100, dtype=torch.float64)
    found = bounded(u)
    assert torch.allclose(1 / found.square(), 1 / u.square() + 1 / CEILING**2)
    assert (found < CEILING).all() and (found.diff() > 0).all()
    assert torch.allclose(found[u < 1e-3], u[u < 1e-3], rtol=1e-4)


def test_unbounded_is_the_inverse_below_the_ceiling():
    u = torch.linspace(0, 0.95, 50, dtype=torch.float64) * CEILING
    assert torch.allclose(bounded(unbounded(u)), u)
    above = unbounded(torch.tensor([0.96 * CEILING, CEILING, 1.0], dtype=torch.float64))
    assert torch.isfinite(above).all() and torch.allclose(above, unbounded(u[-1:]))


@pytest.mark.parametrize("level", [1e-12, 1e-3, 0.1, 0.28])
@pytest.mark.parametrize("scatter", [0.0, 1.0, 5.0])
def test_a_factor_reaches_the_mean(level, scatter):
    random = torch.Generator().manual_seed(0)
    log_u = scatter * torch.randn(500, generator=random, dtype=torch.float64) - 3
    factor = with_mean(log_u, level)
    assert float(bounded((log_u + factor).exp()).mean()) == pytest.approx(level, rel=1e-6)


def test_a_mean_above_the_ceiling_is_the_largest_there_is():
    log_u = torch.zeros(10, dtype=torch.float64)
    found = bounded((log_u + with_mean(log_u, 5.0)).exp())
    assert float(found.mean()) == pytest.approx(0.9 * CEILING)


def test_a_shape_is_the_mean_of_plain_networks():
    torch.manual_seed(0)
    twins = [nn.Sequential(nn.Linear(5, 7), nn.SiLU(), nn.Linear(7, 1)).double() for _ in range(3)]
    centre, scale = torch.randn(5).double(), torch.rand(5).double() + 0.5
    layers = tuple(
        (
            torch.stack([twin[k].weight for twin in twins]).detach(),
            torch.stack([twin[k].bias for twin in twins]).detach(),
        )
        for k in (0, 2)
    )
    rows = torch.randn(20, 5, dtype=torch.float64)
    rows[3, 2] = torch.nan
    with torch.no_grad():
        x = (rows - centre) / scale
        x[3, 2] = 0
        expected = torch.stack([twin(x.clamp(-3, 3))[:, 0] for twin in twins]).mean(0)
    assert torch.allclose(Shape(centre, scale, layers)(rows), expected, rtol=1e-12, atol=1e-12)
    huge = ((layers[0][0], layers[0][1]), (1e6 * layers[1][0], layers[1][1]))
    assert float(Shape(centre, scale, huge)(rows).abs().max()) <= 4


def test_columns_far_away_count_as_three_deviations():
    rows = torch.tensor([[2.0, torch.nan, 1e9, -1e9]])
    found = standard(rows, torch.ones(4), torch.full((4,), 2.0))
    assert found.tolist() == [[0.5, 0, 3, -3]]


def test_the_file_of_the_package_fits_its_columns_and_is_small():
    found = learned()
    assert found is learned() and found.facts["version"] == VERSION
    assert FILE.stat().st_size <= 2_000_000
    for simplex, geometry in KINDS:
        shape = found.shapes[simplex, geometry]
        names = columns_of(simplex=simplex, geometry=geometry)
        assert len(shape.centre) == len(shape.scale) == len(names)
        assert (shape.scale > 0).all() and shape.layers[0][0].shape[2] == len(names)
        said = shape(torch.randn(4, len(names), dtype=torch.float64))
        assert said.shape == (4,) and torch.isfinite(said).all()
        assert names or not said.any()
    assert len(found.facts["tasks"]) == len(set(found.facts["tasks"])) > 20


@pytest.mark.parametrize("kind", ["classes", "binary", "values", "words"])
@pytest.mark.parametrize("geometry", [True, False])
def test_a_view_gives_the_logarithm_of_u(kind, geometry):
    own, book = seen(kind), learned()
    known, asked = (
        (own.stored[part], own.features[part] if geometry else None) for part in (KNOWN, ASKED)
    )
    view = book.view(own.outputs, *known)
    found = view.log_u(*asked)
    rows = view.typical.rows(look(own.outputs, *asked), 50)
    offset = view.typical.offset(look(own.outputs, *asked), 50)
    assert torch.equal(found, offset + book.shapes[own.outputs.simplex, geometry](rows))
    assert found.shape == (50,) and torch.isfinite(found).all()


def changed(tmp_path, facts=None, without=""):
    tensors, own = files.read_tensors(FILE)
    file = tmp_path / "atlas.safetensors"
    kept = {name: tensor for name, tensor in tensors.items() if name != without}
    files.write_tensors(file, kept, {**own, **(facts or {})})
    return file


def test_what_was_written_is_read(tmp_path):
    found = read(changed(tmp_path))
    assert isinstance(found, Learned) and found.facts == learned().facts
    for kind in KINDS:
        rows = torch.randn(3, len(found.shapes[kind].centre), dtype=torch.float64)
        assert torch.equal(found.shapes[kind](rows), learned().shapes[kind](rows))


def test_files_that_are_none_are_one_line(tmp_path):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(FILE.read_bytes()[:-7])
    flipped = tmp_path / "flipped.safetensors"
    content = bytearray(FILE.read_bytes())
    content[-5] ^= 64
    flipped.write_bytes(content)
    for file, line in (
        (changed(tmp_path, {"version": VERSION + 1}), f"of version {VERSION + 1}, needs {VERSION}"),
        (damaged, "damaged or truncated"),
        (flipped, "damaged or truncated.*checksum"),
        (tmp_path / "nowhere.safetensors", "does not exist"),
    ):
        with pytest.raises(InputError, match=line) as caught:
            read(file)
        assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    for without in ("classes scale", "values with features weights 0"):
        with pytest.raises(InputError, match="is damaged: it lacks"):
            read(changed(tmp_path, without=without))
