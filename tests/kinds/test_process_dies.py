"""Dying process: strided 1x1 convolutions with few channels never get channels-last weights on a
CPU.

torch 2.13's backward pass of these writes outside of its memory, on processors (or with libraries
limited to them) that have AVX2 and not AVX-512. A process of its own tries it, with the library
limited so.
"""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

import thalweg
from thalweg.errors import InputError
from thalweg.training.building import unsafe_channels_last

NETWORKS = '''
import sys, warnings
import torch
from torch import nn
import thalweg
torch.set_num_threads(1)

class Block(nn.Module):
    def __init__(self, i, o, stride, pre):
        super().__init__()
        self.pre, self.norms = pre, nn.ModuleList([nn.BatchNorm2d(i if pre else o), nn.BatchNorm2d(o)])
        self.first, self.second = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(i, o, 1, stride, bias=False)
    def forward(self, x):
        if self.pre:
            x = self.norms[0](x).relu()
            return self.second(self.norms[1](self.first(x)).relu()) + self.shortcut(x)
        return (self.norms[1](self.second(self.norms[0](self.first(x)).relu())) + self.shortcut(x)).relu()

class Shuffled(nn.Module):
    """Its first convolution is a strided 1x1 one, and its author has ordered the weights."""
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 1, 2), nn.ReLU(),
                                    nn.Conv2d(width, 2 * width + 3, 1, 2), nn.ReLU()).to(memory_format=torch.channels_last)
        self.head = nn.Linear(2 * width + 3, 10)
    def forward(self, x):
        return self.head(self.layers(x).mean((2, 3)))

class Function(nn.Module):
    """A strided 1x1 convolution that no layer holds."""
    def __init__(self):
        super().__init__()
        self.first, self.weight = nn.Conv2d(3, 4, 3, 1, 1), nn.Parameter(0.3 * torch.randn(8, 4, 1, 1))
        self.head = nn.Linear(8, 10)
    def forward(self, x):
        x = nn.functional.conv2d(self.first(x).relu(), self.weight, stride=2)
        return self.head(x.relu().mean((2, 3)))

def resnet(width, pre):
    return nn.Sequential(nn.Conv2d(3, width, 3, 1, 1), Block(width, 2 * width, 2, pre), Block(2 * width, 4 * width, 2, pre),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, 10))

torch.manual_seed(0)
x, y = torch.randn(64, 32, 32, 3).permute(0, 3, 1, 2), torch.arange(64) % 10  # as from NumPy: channels are last in memory
made = {"option B, wider": lambda: resnet(16, False), "pre-activation": lambda: resnet(6, True),
        "ordered by its author": lambda: Shuffled(5), "a function": Function}[sys.argv[1]]
problem = thalweg.Problem(made, thalweg.Batches(x, y, 32), thalweg.Recipe(epochs=2), unlabelled=x[:40] + 0.1)
explorer = {"spro": thalweg.explorers.SPRO(vertices=1, share=0.5, draws=2), "ensemble": thalweg.explorers.DeepEnsemble(2)}.get(sys.argv[2])
if explorer is None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = thalweg.quantify(problem, x[:8], budget=1.0, draws=5).predictions
else:
    found = thalweg.predict(problem, explorer.explore(problem), x[:8], draws=2)
assert torch.isfinite(found.log_probs).all()
print("done")
'''


@pytest.mark.parametrize(
    ("network", "method"),
    [
        ("option B, wider", "quantify"),
        ("pre-activation", "spro"),
        ("ordered by its author", "ensemble"),
        ("a function", "ensemble"),
    ],
)
def test_it_runs(network, method):
    limited = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", NETWORKS, network, method]
    run = subprocess.run(command, env=limited, capture_output=True, text=True, check=False)
    assert run.returncode == 0 and run.stdout.strip() == "done", (
        f"exit {run.returncode}: {run.stderr[-400:]}"
    )


def strided(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, channels, 3),
        nn.Conv2d(channels, 2 * channels, 1, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * channels, 3),
    )


def images() -> thalweg.Batches:
    return thalweg.Batches(torch.randn(12, 1, 8, 8), torch.arange(12) % 3, 6)


def test_the_layer_is_known_and_others_are_left_alone():
    assert (
        unsafe_channels_last(strided(4), "cpu") == "1"
        and unsafe_channels_last(strided(4), "cuda") is None
    )
    assert unsafe_channels_last(strided(16), "cpu") is None
    assert thalweg.Problem(lambda: strided(16), images()).inspection.channels_last
    found = thalweg.Problem(lambda: strided(4), images())
    assert not found.inspection.channels_last and found.inspection.unsafe_layer == "1"
    assert all(p.is_contiguous() for p in found.build("a").parameters())


def test_weights_of_functions_are_known_and_scales_of_channels_left_alone():
    class Own(nn.Module):
        def __init__(self, *shape):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(*shape))

    assert unsafe_channels_last(nn.Sequential(Own(8, 4, 1, 1)), "cpu") == "0.weight"
    for shape in ((16, 32, 1, 1), (1, 8, 1, 1), (8, 1, 1, 1), (8, 4, 3, 3)):
        assert unsafe_channels_last(nn.Sequential(Own(*shape)), "cpu") is None


def test_asking_for_it_is_one_line():
    with pytest.raises(
        InputError, match=r"channels_last got True, and layer '1' is a strided 1x1 convolution"
    ):
        thalweg.Problem(
            lambda: strided(4), images(), execution=thalweg.Execution(channels_last=True)
        )
