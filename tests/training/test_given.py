"""Networks that are there already: every form in which a user can have them, and what none is."""

import argparse
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

import cases
import thalweg
from thalweg.errors import InputError
from thalweg.meter import Cost
from thalweg.weights.point import Weights


def trained(seed: int, kind: str = "no-norm") -> nn.Module:
    given = cases.problem(kind, seed=seed)
    return given.network(given.anchor(0))


FIRST, SECOND, THIRD = (trained(seed) for seed in (5, 6, 7))
STATE = FIRST.state_dict()


def is_first(weights: Weights) -> bool:
    return all(torch.equal(weights.params[name], STATE[name]) for name in STATE)


def named(prefix: str) -> dict:
    return {prefix + name: tensor for name, tensor in STATE.items()}


class Lit(nn.Module):
    """Stands for a trainer's module around the network."""

    def __init__(self) -> None:
        super().__init__()
        self.net = FIRST


FORMS = {
    "a module": lambda: FIRST,
    "in DataParallel": lambda: nn.DataParallel(FIRST),
    "in a trainer's module": Lit,
    "Weights": lambda: Weights.of(FIRST),
    "a state_dict": lambda: STATE,
    "module.": lambda: named("module."),
    "_orig_mod.": lambda: named("_orig_mod."),
    "_orig_mod.module.": lambda: named("_orig_mod.module."),
    "model.": lambda: named("model."),
    "compiled inside": lambda: {
        f"model.{name.replace('.', '._orig_mod.', 1)}": tensor for name, tensor in STATE.items()
    },
    "a checkpoint": lambda: {
        "epoch": 3,
        "best": torch.tensor(0.9),
        "state_dict": named("module."),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
    },
    "a checkpoint in two steps": lambda: {"ema": {"model": STATE, "decay": 0.9}, "step": 7},
    "beside another network": lambda: {
        "generator": trained(5, "layernorm").state_dict(),
        "discriminator": STATE,
    },
    "double precision": lambda: {name: tensor.double() for name, tensor in STATE.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_first_anchor(form):
    problem = cases.problem(networks=FORMS[form]())
    assert problem.given == 1 and is_first(problem.anchor(0)) and problem.cost.trainings == 1
    assert problem.anchor(0).params["1.weight"].dtype == torch.float32


@pytest.mark.parametrize(
    "name", ["net.pt", "net.pth", "net.ckpt", "old.pt", "net.safetensors", "trainer.ckpt"]
)
@pytest.mark.parametrize("as_path", [str, Path])
def test_files(name, as_path, tmp_path):
    content = {"epoch": 3, "state_dict": named("model.")} if name == "trainer.ckpt" else STATE
    if name.endswith(".safetensors"):
        safetensors.torch.save_file(dict(content), tmp_path / name)
    else:
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=name != "old.pt")
    assert is_first(cases.problem(networks=as_path(tmp_path / name)).anchor(0))


def test_several_are_the_first_anchors_and_cost_one_training_each(tmp_path):
    torch.save(SECOND.state_dict(), tmp_path / "second.pt")
    problem = cases.problem(networks=[FIRST, tmp_path / "second.pt", Weights.of(THIRD)])
    points = thalweg.explorers.DeepEnsemble(members=4).explore(problem).points
    for network, point in zip((FIRST, SECOND, THIRD), points, strict=False):
        assert all(torch.equal(p, point.params[name]) for name, p in network.named_parameters())
    plain = cases.problem().anchor(3)
    assert all(torch.equal(p, points[3].params[name]) for name, p in plain.params.items())
    assert problem.cost.trainings == 4
    assert isinstance(problem.networks, tuple) and len(problem.networks) == problem.given == 3


def test_a_tensor_with_two_names_may_be_stored_once(tmp_path):
    network = trained(5, "tied")
    state = {k: v for k, v in network.state_dict().items() if k != "third.weight"}
    safetensors.torch.save_file(state, tmp_path / "tied.safetensors")
    anchor = cases.problem("tied", networks=tmp_path / "tied.safetensors").anchor(0)
    assert torch.equal(anchor.params["second.weight"], state["second.weight"])


def test_the_users_own_networks_are_copied():
    problem = cases.problem(networks=[FIRST])
    with torch.no_grad():
        problem.anchor(0).params["1.weight"].zero_()
    assert FIRST.get_parameter("1.weight").any()


def test_no_cache_gives_or_gets_them():
    """Another session with another network of the user's must not take it for its own."""

    class Cache(dict):
        get = dict.get

        def put(self, key: str, weights: Weights, cost: Cost) -> None:
            self[key] = weights, cost

    cache = Cache()
    settings = {"cache": cache, "identity": "a"}
    plain = cases.problem(**settings)
    own = plain.anchor(0)
    one, other = (cases.problem(networks=n, **settings) for n in (FIRST, SECOND))
    assert is_first(one.anchor(0)) and not is_first(other.anchor(0)) and not is_first(own)
    assert len(cache) == 1
    one.anchor(1)
    assert len(cache) == 2 and set(cache) == {plain.fingerprint(0), plain.fingerprint(1)}
    assert len({p.fingerprint(0) for p in (plain, one, other)}) == 3
    assert cases.problem(networks=STATE, **settings).fingerprint(0) == one.fingerprint(0)


@pytest.mark.filterwarnings("ignore")
def test_quantify_starts_from_all_of_them():
    unlabelled, asked = cases.held_out(150)[0], cases.task(20, seed=2)[0]
    problem = cases.problem(networks=[FIRST, SECOND], unlabelled=unlabelled)
    found = thalweg.quantify(problem, asked, budget=1.0, draws=3)
    assert found.cost.trainings == pytest.approx(2 + 1, rel=1e-3)
    assert thalweg.quantify(problem, asked, anchors=1, draws=3).cost.trainings == pytest.approx(2)


def stored(content, tmp_path: Path) -> Path:
    torch.save(content, tmp_path / "net.pt")
    return tmp_path / "net.pt"


REFUSED = {
    "twice the same": (lambda _: [FIRST, SECOND, STATE], r"twice \(numbers 0 and 2\)"),
    "two that fit": (
        lambda _: {"model": STATE, "ema": SECOND.state_dict()},
        r"holds several networks that fit the model \('model', 'ema'\): read it with",
    ),
    "two that do not fit": (
        lambda _: {"a": cases.layernorm().state_dict(), "b": cases.groupnorm().state_dict()},
        r"none of which fits the model \('a', 'b'\)",
    ),
    "another network in a checkpoint": (
        lambda _: {"epoch": 1, "model": cases.layernorm().state_dict()},
        "state_dict does not fit the model: missing '3.bias', '3.weight'; unexpected '2.bias'",
    ),
    "the second": (lambda _: [FIRST, {}], r"networks\[1\]: it holds no state_dict"),
    "no weights": (lambda _: {"epoch": 3, "lr": 0.1}, r"no state_dict \(it has 'epoch', 'lr'\)"),
    "a number": (lambda _: [3], r"networks\[0\]: got a int, needs a trained network"),
    "no file": (lambda path: path / "absent.pt", "does not exist"),
    "a pickled network": (
        lambda path: stored(FIRST, path),
        r"holds a torch\.nn\.modules\.container\.Sequential beside tensors.*"
        r"torch\.save\(network\.state_dict\(\), path\)",
    ),
    "settings of a trainer's": (
        lambda path: stored({"args": argparse.Namespace(), "model": STATE}, path),
        r"holds a argparse\.Namespace beside tensors",
    ),
    "a tensor": (
        lambda path: stored(torch.zeros(3), path),
        "net.pt holds a Tensor, needs a state_dict",
    ),
    "a cut file": (
        lambda path: (
            (path / "cut.pt").write_bytes(stored(STATE, path).read_bytes()[:900])
            and path / "cut.pt"
        ),
        "cut or damaged, .*give a whole copy",
    ),
    "arrays": (
        lambda path: (path / "a.npy").write_bytes(b"\x93NUMPY") and path / "a.npy",
        "is a NumPy array, needs safetensors or a checkpoint",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_network_is_one_line(case, tmp_path):
    given, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        cases.problem(networks=given(tmp_path))
    assert "\n" not in str(caught.value) and "weights_only=False" not in str(caught.value)


def test_what_thalweg_saved_is_given_as_its_points(tmp_path):
    thalweg.save(thalweg.Members((Weights.of(FIRST), Weights.of(SECOND))), tmp_path / "members")
    with pytest.raises(InputError, match=r"holds a Members .*networks=thalweg\.load\('") as caught:
        cases.problem(networks=tmp_path / "members")
    assert str(tmp_path / "members") in str(caught.value)
    assert cases.problem(networks=thalweg.load(tmp_path / "members").points).given == 2
