import math
import pickle
import sys

import pytest
import torch
from torch import nn

from thalweg.errors import InputError
from thalweg.models import MODELS, find_model, model_factory
from thalweg.models.resnet import Block
from thalweg.models.resnet9 import Residual


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("spec", MODELS)
@pytest.mark.parametrize("inputs", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 9, 13)])
def test_logits_for_every_shape(spec, inputs):
    module = model_factory(spec, inputs=inputs, classes=7)()
    out = module(torch.randn(3, *inputs))
    assert out.shape == (3, 7) and out.isfinite().all()
    assert out.std(0).min() > 0  # depends on the input


# He et al., table 6: 0.27M, 1.7M, 0.85M; Zagoruyko and Komodakis: 2.7M, 36.5M, 0.6M
@pytest.mark.parametrize(
    ("spec", "settings", "parameters"),
    [
        ("resnet", {}, 269_722),
        ("resnet", {"depth": 110}, 1_727_962),
        ("resnet", {"depth": 56}, 853_018),
        ("wrn", {}, 2_748_890),
        ("wrn", {"depth": 28, "widen": 10}, 36_479_194),
        ("wrn", {"depth": 40, "widen": 1}, 563_930),
    ],
)
def test_published_numbers_of_parameters(spec, settings, parameters):
    with torch.device("meta"):
        assert (
            count(model_factory(spec, inputs=(3, 32, 32), classes=10, settings=settings)())
            == parameters
        )


def test_number_of_parameters_of_mlp_and_cnn():
    assert (
        count(model_factory("mlp", inputs=(1, 28, 28), classes=10)())
        == 784 * 128 + 128 + 128 * 128 + 128 + 128 * 10 + 10
    )
    assert (
        count(model_factory("mlp", inputs=(1, 8, 8), classes=10, settings={"hidden": []})()) == 650
    )
    assert count(
        model_factory("cnn", inputs=(1, 28, 28), classes=10, settings={"norm": "none"})()
    ) == (9 * 32 + 32 + 9 * 32 * 64 + 64 + 64 * 49 * 10 + 10)


def test_number_of_parameters_of_resnet9():
    def by_hand(channels, classes, width, norms):
        """Layer by layer: (from, to) in widths; the residual blocks keep theirs."""
        layers = [(1, 2), (2, 2), (2, 2), (2, 4), (4, 8), (8, 8), (8, 8)]
        convolutions = 9 * channels * width + sum(9 * a * b * width**2 for a, b in layers)
        return convolutions + norms * width * (1 + sum(b for _, b in layers)) + 8 * width * classes

    def counted(channels=3, classes=10, **settings):
        with torch.device("meta"):
            return count(
                model_factory(
                    "resnet9", inputs=(channels, 32, 32), classes=classes, settings=settings
                )()
            )

    assert counted() == by_hand(3, 10, 64, 2) == 6_573_120  # 6,568,640 without norms
    assert counted(width=5, channels=1, classes=7) == by_hand(1, 7, 5, 2)
    assert counted(norm="group") == counted() and counted(norm="none") == by_hand(
        3, 10, 64, 1
    )  # biases instead


def test_resnet9_halves_images_three_times_and_scales_its_outputs():
    network = model_factory(
        "resnet9", inputs=(3, 32, 32), classes=10, settings={"width": 4}
    )().eval()
    shapes = []
    for module in network:
        if isinstance(module, Residual | nn.AdaptiveMaxPool2d):
            module.register_forward_hook(lambda _, given, __: shapes.append(tuple(given[0].shape)))
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        out = network(x)
        assert shapes == [(2, 8, 16, 16), (2, 32, 4, 4), (2, 32, 4, 4)]
        assert torch.allclose(out, network[:-1](x) / 8, rtol=0, atol=1e-6)
    kinds = [type(m).__name__ for m in network.modules()]
    assert (
        kinds.count("Conv2d") == kinds.count("BatchNorm2d") == 8
        and kinds.count("Linear") == 1
        and network[-2].bias is None
    )


def test_a_residual_block_whose_branch_is_dead_changes_nothing():
    block = Residual(4, "none")
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(1, 4, 6, 6)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("spec", ["cnn", "resnet", "resnet9"])
@pytest.mark.parametrize(
    ("norm", "kind"), [("batch", nn.BatchNorm2d), ("group", nn.GroupNorm), ("none", None)]
)
def test_norms(spec, norm, kind):
    module = model_factory(spec, inputs=(1, 8, 8), classes=3, settings={"norm": norm})()
    found = {type(m) for m in module.modules() if isinstance(m, nn.BatchNorm2d | nn.GroupNorm)}
    assert found == ({kind} if kind else set())
    with pytest.raises(InputError, match="did you mean 'batch'"):
        model_factory(spec, inputs=(1, 8, 8), classes=3, settings={"norm": "batsh"})()


def test_a_block_with_dead_convolutions_is_its_shortcut():
    block = Block(2, 4, 2, "none")
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = torch.rand(1, 2, 6, 6)
    out = block(x)
    assert torch.equal(out[:, 1:3], x[:, :, ::2, ::2]) and not out[:, [0, 3]].any()


def test_signals_keep_their_size_through_a_deep_residual_network():
    torch.manual_seed(0)
    out = model_factory("wrn", inputs=(3, 32, 32), classes=10, settings={"widen": 1})()(
        torch.randn(32, 3, 32, 32)
    )
    assert 0.01 < out.std() < 10


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        ("resnet", {"depth": 21}, "got depth 21, needs 6n"),
        ("resnet", {"width": 0}, "width 0"),
        ("resnet9", {"width": 0}, "resnet9 got width 0, needs 1 or more"),
        ("wrn", {"depth": 20}, "got depth 20, needs 6n"),
        ("wrn", {"dropout": 1.0}, "dropout 1.0"),
        ("mlp", {"hidden": [0]}, r"hidden \[0\]"),
        ("mlp", {"hidden": 64}, "TypeError"),
        ("mlp", {"hidden": "big"}, "TypeError"),
        ("cnn", {"widths": []}, "needs one or more"),
        ("cnn", {"widths": [1, 1, 1, 1]}, "give fewer widths"),
    ],
)
def test_bad_values_are_one_line(spec, settings, message):
    with pytest.raises(InputError, match=message) as error:
        model_factory(spec, inputs=(1, 8, 8), classes=3, settings=settings)()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("inputs", [(1, 7, 8), (3, 8, 4)])
def test_resnet9_needs_eight_pixels(inputs):
    with pytest.raises(
        InputError, match=f"images of {inputs[1]} x {inputs[2]} pixels, needs 8 or more"
    ) as error:
        model_factory("resnet9", inputs=inputs, classes=3)()
    assert "\n" not in str(error.value)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(InputError, match="did you mean 'resnet'"):
        find_model("resnet20")
    with pytest.raises(
        InputError,
        match=r"unknown setting 'hiden' of model 'mlp': did you mean 'hidden'\? \(known: hidden\)",
    ):
        model_factory("mlp", inputs=(1, 8, 8), classes=3, settings={"hiden": [3]})
    with pytest.raises(InputError, match="comes from the data set"):
        model_factory("mlp", inputs=(1, 8, 8), classes=3, settings={"classes": 4})


SOURCE = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, width=3):
        super().__init__()
        self.layer = nn.Linear(4, classes * width)

def anything(**settings):
    return nn.Linear(settings["features"], 2)

def needy(inputs, *, depth):
    return nn.Linear(inputs[0], depth)

def wrong():
    return 3

def failing():
    raise RuntimeError("two\\nlines")

number = 5
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A user's modules in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_networks.py").write_text(SOURCE)
    (tmp_path / "my_broken.py").write_text("def f(:\n")
    (tmp_path / "my_needs.py").write_text("import my_absent_package")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


def test_a_users_own_network(mine):
    path = list(sys.path)
    factory = model_factory("my_networks:Net", inputs=(1, 2, 2), classes=5, settings={"width": 2})
    assert factory().layer.out_features == 10 and sys.path == path
    again = pickle.loads(pickle.dumps(factory))
    assert again == factory and type(again()).__name__ == "Net"
    assert (
        model_factory(
            "my_networks:anything", inputs=(1, 2, 2), classes=5, settings={"features": 3}
        )().in_features
        == 3
    )
    assert (
        model_factory(
            "my_networks:needy", inputs=(6, 2, 2), classes=5, settings={"depth": 3}
        )().in_features
        == 6
    )
    assert model_factory("torch.nn:Identity", inputs=(6, 2, 2), classes=5)() is not None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("my_nowhere:Net", "no module 'my_nowhere'"),
        ("my_networks.inner:Net", "my_networks"),
        ("my_broken:f", "SyntaxError"),
        ("my_needs:f", "needs 'my_absent_package', which is not installed"),
        ("my_networks:Nett", "did you mean 'Net'"),
        ("my_networks:number", "is of type int, needs a class or a function"),
        (":Net", "failed"),
        ("my_networks:", "unknown name"),
    ],
)
def test_a_users_network_that_is_not_there(mine, spec, message):
    with pytest.raises(InputError, match=message) as error:
        find_model(spec)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        ("my_networks:Net", {"widht": 3}, "did you mean 'width'"),
        ("my_networks:needy", {}, "needs the setting 'depth'"),
        ("my_networks:wrong", {}, "of type int, needs a torch.nn.Module"),
        ("my_networks:failing", {}, "RuntimeError: two lines"),
    ],
)
def test_a_users_network_that_does_not_work(mine, spec, settings, message):
    with pytest.raises(InputError, match=message) as error:
        model_factory(spec, inputs=(1, 2, 2), classes=5, settings=settings)()
    assert "\n" not in str(error.value)


def test_identity_changes_with_whatever_changes_the_network(mine):
    def identity(spec, **settings):
        return model_factory(spec, inputs=(1, 8, 8), classes=3, settings=settings).identity()

    first = identity("my_networks:Net")
    assert (
        len(
            {
                first,
                identity("my_networks:Net", width=5),
                identity("mlp"),
                identity("mlp", hidden=[3]),
            }
        )
        == 4
    )
    assert identity("mlp", hidden=[3]) == identity("mlp", hidden=(3,))
    (mine / "my_networks.py").write_text(SOURCE + "# changed\n")
    assert identity("my_networks:Net") != first


def test_mlp_is_its_formula():
    module = model_factory("mlp", inputs=(1, 2, 2), classes=3, settings={"hidden": [5]})()
    first, last = (m for m in module if isinstance(m, nn.Linear))
    x = torch.randn(1, 1, 2, 2)

    def layer(linear, values):
        rows = zip(linear.weight.tolist(), linear.bias.tolist(), strict=True)
        return [math.fsum(w * v for w, v in zip(row, values, strict=True)) + b for row, b in rows]

    out = layer(last, [max(0.0, value) for value in layer(first, x.flatten().tolist())])
    assert module(x).flatten().tolist() == pytest.approx(out, abs=1e-5)
