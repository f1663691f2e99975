"""Networks of the zoo that are built or normalised in unusual ways: what users bring beside plain architectures."""

import copy
import functools

import torch
from networks import CLASSES, network
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils import weight_norm as old_weight_norm
from torch.utils.checkpoint import checkpoint


def normed(norm: nn.Module, *, channels: int = 6) -> nn.Module:
    """A convolution, a norm and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1), norm, nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4 * channels, CLASSES)
    )


@network("Group norm", "images", "two groups")
def group_norm() -> nn.Module:
    return normed(nn.GroupNorm(2, 6))


@network("Instance norm", "images", "without running statistics")
def instance_norm() -> nn.Module:
    return normed(nn.InstanceNorm2d(6, affine=True))


@network("Instance norm with running statistics", "images", "`track_running_stats=True`: they are not valid at a mixed point")
def instance_norm_running() -> nn.Module:
    return normed(nn.InstanceNorm2d(6, affine=True, track_running_stats=True))


@network("Batch norm of all devices", "images", "nn.SyncBatchNorm")
def sync_batch_norm() -> nn.Module:
    return normed(nn.SyncBatchNorm(6))


@network("Batch norm, momentum None", "images", "a cumulative average")
def momentum_none() -> nn.Module:
    return normed(nn.BatchNorm2d(6, momentum=None))


@network("Batch norm without running statistics", "images", "predictions depend on their batch")
def no_statistics() -> nn.Module:
    return normed(nn.BatchNorm2d(6, track_running_stats=False))


@network("Batch norm without scale and shift", "images", "`affine=False`")
def no_affine() -> nn.Module:
    return normed(nn.BatchNorm2d(6, affine=False))


class Reused(nn.Module):
    """One batch norm in two places, as in networks with a shared encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU()), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat([self.encoder(x[:, :3]), self.encoder(x[:, 3:])], 1))


network("Siamese", "numbers", "one encoder with batch norm, used twice in a forward")(Reused)


class OwnNorm(nn.Module):
    """A batch norm that its user wrote, with running statistics in buffers of other names."""

    average: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("average", torch.zeros(features))
        self.scale = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            mean = x.detach().mean(0)
            with torch.no_grad():
                self.average.lerp_(mean, 0.1)
        else:
            mean = self.average
        return (x - mean) * self.scale


@network("A norm of the user's own", "numbers", "running mean in a buffer that only its author knows")
def own_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), OwnNorm(12), nn.ReLU(), nn.Linear(12, CLASSES))


class FrozenBackbone(nn.Module):
    """A pretrained part that is frozen: no gradients, and evaluation mode even in training."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(5)
            self.backbone = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.backbone.requires_grad_(False)
        self.backbone[1].running_mean.fill_(0.25)
        self.backbone[1].running_var.fill_(2.0)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(96, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, CLASSES))

    def train(self, mode: bool = True) -> "FrozenBackbone":
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


def statistics_stay(module: nn.Module) -> None:
    """The pretrained statistics are as they were."""
    norm = module.get_submodule("backbone.1")
    assert (norm.running_mean == 0.25).all(), "the frozen running mean has moved"
    assert (norm.running_var == 2.0).all(), "the frozen running variance has moved"


network("Frozen backbone", "images", "no gradients, batch norm in evaluation mode while it trains", holds=statistics_stay)(
    FrozenBackbone
)


class LowRank(nn.Module):
    """A frozen linear layer and a trained product of rank two beside it."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down, self.up = nn.Linear(base.in_features, 2, bias=False), nn.Linear(2, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


@network("LoRA", "numbers", "frozen layers with trained additions of low rank; the head is trained")
def low_rank() -> nn.Module:
    return nn.Sequential(LowRank(nn.Linear(6, 12)), nn.ReLU(), LowRank(nn.Linear(12, 12)), nn.ReLU(), nn.Linear(12, CLASSES))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 10), nn.Linear(10, 10), nn.Linear(10, 10)
        self.third.weight = self.second.weight
        self.head = nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.second(F.relu(self.first(x))))
        return self.head(F.relu(self.third(x)))


network("Tied weights", "numbers", "two layers with one weight")(Tied)


def dense(wrap) -> nn.Module:
    """A perceptron whose hidden layers are wrapped."""
    return nn.Sequential(wrap(nn.Linear(6, 10)), nn.ReLU(), wrap(nn.Linear(10, 10)), nn.ReLU(), nn.Linear(10, CLASSES))


@network("Weight norm", "numbers", "torch.nn.utils.parametrizations.weight_norm")
def weight_norm() -> nn.Module:
    return dense(parametrizations.weight_norm)


@network("Weight norm, old", "numbers", "torch.nn.utils.weight_norm: a hook that sets the weight")
def weight_norm_old() -> nn.Module:
    return dense(old_weight_norm)


def norm_is_one(module: nn.Module) -> None:
    """The layer's weight has a spectral norm of about 1: the power iteration follows the weights."""
    module.eval()
    module(torch.zeros(2, 6))  # the old hook makes the weight when it is called
    found = float(torch.linalg.matrix_norm(module[2].weight.detach(), 2))
    assert 0.7 < found < 1.4, f"the spectral norm is {found:.2f}, not 1"


@network("Spectral norm", "numbers", "a parametrisation whose buffers follow the weights", holds=norm_is_one)
def spectral_norm() -> nn.Module:
    return dense(functools.partial(parametrizations.spectral_norm, n_power_iterations=5))


@network("Spectral norm, old", "numbers", "torch.nn.utils.spectral_norm: a hook and buffers", holds=norm_is_one)
def spectral_norm_old() -> nn.Module:
    return dense(functools.partial(old_spectral_norm, n_power_iterations=5))


@network("Orthogonal", "numbers", "torch.nn.utils.parametrizations.orthogonal")
def orthogonal() -> nn.Module:
    return dense(parametrizations.orthogonal)


@network("Pruned", "numbers", "torch.nn.utils.prune: a mask in a buffer and a hook")
def pruned() -> nn.Module:
    return dense(lambda layer: prune.l1_unstructured(layer, "weight", 0.3))


@network("Lazy layers", "images", "shapes are known at the first evaluation")
def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(6, 3, 2, 1), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(CLASSES))


class Checkpointed(nn.Module):
    """Its middle is computed again in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 10), nn.Linear(10, CLASSES)
        self.middle = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        return self.head(x + checkpoint(self.middle, x, use_reentrant=False))


network("Checkpointed", "numbers", "torch.utils.checkpoint: evaluated again in the backward pass")(Checkpointed)


class Auxiliary(nn.Module):
    """A tuple of two outputs in training mode, one in evaluation mode, as Inception and GoogLeNet have."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head, self.side = nn.Linear(6, 12), nn.Linear(12, CLASSES), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = F.relu(self.trunk(x))
        return (self.head(x), self.side(x)) if self.training else self.head(x)


network("Auxiliary head", "numbers", "two outputs in training, one in evaluation")(Auxiliary)


class Records(nn.Module):
    """Its output is a dictionary, as those of language models' libraries."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.layers(x)}


network("Dictionary of outputs", "numbers", "outputs by name")(Records)


@network("Ends in a softmax", "numbers", "outputs are probabilities already")
def probabilities() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES), nn.Softmax(dim=1))


@network("Compiled", "numbers", "torch.compile in the factory")
def compiled() -> nn.Module:
    return torch.compile(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES)), backend="eager")


@network("Data parallel", "numbers", "nn.DataParallel in the factory")
def data_parallel() -> nn.Module:
    return nn.DataParallel(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES)))


@network("Scripted", "numbers", "torch.jit.script in the factory")
def scripted() -> nn.Module:
    return torch.jit.script(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES)))


@network("Double precision", "numbers", "parameters and inputs are float64", double=True)
def double() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, CLASSES)).double()


class FunctionalDropout(nn.Module):
    """Dropout as a function, which no list of layers shows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(F.relu(self.first(x)), 0.2, self.training)
        return self.head(F.dropout(F.relu(self.second(x)), 0.2, self.training))


network("Functional dropout", "numbers", "F.dropout, which no list of layers shows", random=True)(FunctionalDropout)


class StochasticDepth(nn.Module):
    """Residual blocks are left out at random, by example."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 12), nn.Linear(12, CLASSES)
        self.blocks = nn.ModuleList(nn.Linear(12, 12) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            y = F.relu(block(x))
            if self.training:
                y = y * (torch.rand(len(x), 1, device=x.device) < 0.8) / 0.8
            x = x + y
        return self.head(x)


network("Stochastic depth", "numbers", "blocks are left out at random", random=True)(StochasticDepth)


class Noisy(nn.Module):
    """Gaussian noise in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x + 0.1 * torch.randn_like(x)
        return self.head(F.relu(self.first(x)))


network("Noise at the input", "numbers", "Gaussian noise in training", random=True)(Noisy)


class Counting(nn.Module):
    """Counts its evaluations in a plain attribute, and keeps its last features: a state beside parameters and buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 12), nn.Linear(12, CLASSES)
        self.calls, self.last = 0, None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x = F.relu(self.first(x))
        self.last = x
        return self.head(x)


network("Keeps its features", "numbers", "an attribute with a tensor of the graph, which can't be deep-copied")(Counting)


@functools.cache
def _pretrained() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(11)
        return copy.deepcopy(nn.Linear(6, 12).state_dict())


@network("Fine-tuned", "numbers", "the first layer starts from stored weights, the head afresh")
def fine_tuned() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES))
    network[0].load_state_dict(_pretrained())
    return network


@network("Unused layer", "numbers", "a layer that no forward reads gets no gradient")
def unused() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES))
    network[0].register_module("spare", nn.Linear(4, 4))
    return network


class Scaled(nn.Module):
    """A learned temperature, a parameter without axes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, CLASSES))
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) * self.scale


network("Learned temperature", "numbers", "a parameter without axes scales the outputs: no linear layer is the last")(Scaled)


class Cosine(nn.Module):
    """Outputs are scaled cosines between features and prototypes."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.prototypes = nn.Linear(6, 12), nn.Parameter(torch.randn(CLASSES, 12))

    def forward(self, x: Tensor) -> Tensor:
        return 5 * F.normalize(F.relu(self.features(x)), dim=1) @ F.normalize(self.prototypes, dim=1).T


network("Cosine classifier", "numbers", "prototypes as parameters of no layer")(Cosine)
