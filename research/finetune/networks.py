"""Two small networks, each a backbone and a head, and the factory that fine-tuning needs: the
backbone's weights are read from a file, and the head is new at every call.

Plans name them as `research.finetune.networks:fine_tuned`.
"""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thalweg import files
from thalweg.errors import InputError, unknown
from thalweg.weights.distribution import Members, load
from thalweg.weights.point import Weights

VARIABLE = "THALWEG_FINETUNE"


class Convolutions(nn.Sequential):
    """Images `[batch, channels, height, width]` to features `[batch, 64]`: strided 3 x 3
    convolutions with batch norm, and a mean over places.
    """

    features = 64

    def __init__(self, inputs: tuple[int, int, int]) -> None:
        layers: list[nn.Module] = []
        before = inputs[0]
        for after in (16, 32, self.features):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Block(nn.Module):
    """Attention and a layer in two parts, each with layer norm before it: `[batch, tokens,
    width]` to the same.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        shape = n, tokens, 3, self.heads, width // self.heads
        q, k, v = self.qkv(self.norm1(x)).reshape(shape).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(n, tokens, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Images `[batch, channels, height, width]` to features `[batch, tokens x 48]`: patches of 7 x
    7 pixels as tokens, two blocks, and all tokens side by side.
    """

    def __init__(self, inputs: tuple[int, int, int], side: int = 7, wide: int = 48) -> None:
        super().__init__()
        channels, height, width = inputs
        self.patches = nn.Conv2d(channels, wide, side, stride=side)
        tokens = (height // side) * (width // side)
        self.places = nn.Parameter(0.02 * torch.randn(1, tokens, wide))
        self.blocks = nn.Sequential(Block(wide, 4), Block(wide, 4))
        self.norm = nn.LayerNorm(wide)
        self.features = tokens * wide

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        return self.norm(self.blocks(tokens)).flatten(1)


class Frozen(nn.Module):
    """A backbone that is not trained: its parameters are frozen, and it stays in evaluation mode,
    so that the statistics of its batch norm are those of pre-training.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(requires_grad=False).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(x)

    def train(self, mode: bool = True) -> "Frozen":  # noqa: FBT001, FBT002  as nn.Module has it
        return super().train(mode=False)


BACKBONES: dict[str, Any] = {"cnn": Convolutions, "vit": Transformer}


def pre_training(inputs: tuple[int, int, int], classes: int, *, backbone: str) -> nn.Sequential:
    """A new network: a backbone and a head, both with random weights.

    Raises:
        InputError: An unknown backbone.
    """
    if backbone not in BACKBONES:
        raise unknown("backbone", backbone, BACKBONES)
    made = BACKBONES[backbone](inputs)
    return nn.Sequential(made, nn.Linear(made.features, classes))


def fine_tuned(
    inputs: tuple[int, int, int],
    classes: int,
    *,
    backbone: str,
    source: str,
    digest: str,
    head_only: bool = False,
) -> nn.Sequential:
    """A network whose backbone is pre-trained, and whose head has new random weights.

    Args:
        inputs: The shape of an image: (channels, height, width).
        classes: The number of outputs.
        backbone: `cnn` or `vit`.
        source: The data set of the pre-training.
        digest: The first letters of the SHA-256 of the file of weights, so that results belong to
            these weights and no others.
        head_only: Whether the backbone is frozen.

    Raises:
        InputError: There are no such weights, or others.
    """
    network = pre_training(inputs, classes, backbone=backbone)
    file = weights_file(backbone, source)
    remedy = f"run 'python -m research.finetune pretrain {backbone}-{source}'"
    if not file.exists():
        raise InputError(f"{file} is not there: {remedy}")
    found = files.digest(file.read_bytes())
    if not found.startswith(digest) or len(digest) < 8:
        raise InputError(
            f"{file} has the digest {found[:12]}, and the plan asks for '{digest}': {remedy}, or "
            "write its digest into the plan, and measure anew"
        )
    weights = stored(file)
    state = {**weights.params, **(weights.buffers or {})}
    body = {name[2:]: tensor for name, tensor in state.items() if name.startswith("0.")}
    network[0].load_state_dict(body)
    if head_only:
        network[0] = Frozen(network[0])
    return network


def stored(file: Path) -> Weights:
    """The network that a file of weights holds.

    Raises:
        InputError: It is missing or damaged, or holds no network.
    """
    found = load(file)
    if not isinstance(found, Members):
        raise InputError(f"{file} holds no network: delete it, and pre-train again")
    return found.points[0]


def weights_file(backbone: str, source: str) -> Path:
    """The file of pre-trained weights: in the folder of THALWEG_FINETUNE, or in the user's cache.
    It can be made anew, and is in no repository.
    """
    folder = Path(os.environ.get(VARIABLE) or "~/.cache/thalweg-finetune").expanduser()
    return folder / f"{backbone}-{source}.safetensors"
