"""What every registered emulator must fulfil; a new one needs no new test here."""

import ast
import dataclasses
import inspect

import pytest
import torch

import contract
from thalweg.emulators.base import Emulator, emulators, find_emulator
from thalweg.errors import InputError
from thalweg.predictions import Predictions


def anchors(members=2, inputs=50, classes=4, seed=0) -> Predictions:
    random = torch.Generator().manual_seed(seed)
    mean = 2 * torch.randn(1, inputs, classes, generator=random)
    return Predictions(
        (mean + 0.5 * torch.randn(members, inputs, classes, generator=random)).log_softmax(-1)
    )


@pytest.mark.parametrize("members", [2, 5])
@pytest.mark.parametrize("name", emulators())
def test_contract(name, members):
    emulator = find_emulator(name)()
    calibration, asked = anchors(members), anchors(members, inputs=30, seed=1)
    before = contract.states()
    found = emulator.emulate(calibration, asked, draws=6, seed=0)
    contract.assert_states(before)
    assert found.inputs == 30 and found.classes == 4 and found.members in (6, members)
    assert torch.allclose(found.probs().sum(-1), torch.ones(found.members, 30), atol=1e-5)
    assert torch.isfinite(found.u()).all() and (found.u() >= 0).all()
    again = emulator.emulate(calibration, asked, draws=6, seed=0)
    assert torch.equal(found.log_probs, again.log_probs) and torch.equal(found.u(), again.u())


@pytest.mark.parametrize("name", emulators())
def test_it_is_a_documented_frozen_dataclass(name):
    cls = find_emulator(name)
    assert (
        dataclasses.is_dataclass(cls)
        and cls.__dataclass_params__.frozen
        and isinstance(cls(), Emulator)
    )
    assert ast.get_docstring(ast.parse(inspect.getsource(inspect.getmodule(cls))))
    assert all(f"{field.name}:" in (cls.__doc__ or "") for field in dataclasses.fields(cls))


@pytest.mark.parametrize("name", emulators())
def test_bad_anchors(name):
    emulator = find_emulator(name)()
    few = [(anchors(1), anchors(1), "got 1 anchor, needs 2 or more")]
    for calibration, asked, message in [
        *(few if emulator.least_members > 1 else []),
        (anchors(2), anchors(3), r"\[2, inputs, 4\].*\[3, inputs, 4\]"),
        (anchors(2), anchors(2, classes=5), r"\[2, inputs, 5\]"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            emulator.emulate(calibration, asked, draws=3, seed=0)
        assert "\n" not in str(caught.value)
    for draws in (0, -1):
        with pytest.raises(InputError):
            emulator.emulate(anchors(), anchors(), draws=draws, seed=0)


@pytest.mark.parametrize("name", emulators())
def test_without_features_it_is_the_same_but_for_these(name):
    emulator = find_emulator(name)()
    alone = emulator.without_features()
    assert type(alone) is type(emulator) and alone.without_features() == alone
    if hasattr(emulator, "geometry"):
        assert emulator.uses_features and not alone.uses_features
        assert dataclasses.replace(alone, geometry=True) == emulator
    else:  # there is nothing that can be turned off
        assert alone is emulator


@pytest.mark.parametrize("name", [n for n, own in emulators().items() if own.least_members == 1])
def test_one_network_is_enough_where_an_emulator_says_so(name):
    emulator = find_emulator(name)()
    found = emulator.emulate(anchors(1), anchors(1, inputs=30, seed=1), draws=6, seed=0)
    assert found.stored.shape == (6, 30, 4) and torch.isfinite(found.u()).all()


def test_by_name():
    assert set(emulators()) >= {"neighbours", "trivial"}
    with pytest.raises(InputError, match="unknown emulator 'neighbour': did you mean 'neighbours'"):
        find_emulator("neighbour")
    for name, settings in (("neighbours", {"neighbours": 0}), ("trivial", {"power": -1})):
        with pytest.raises(InputError, match="got"):
            find_emulator(name)(**settings)
