"""Networks of the zoo with norms of all kinds, and with parts that are frozen."""

import torch
from networks import CLASSES, network
from torch import Tensor, nn


def normed(norm: nn.Module, *, channels: int = 6) -> nn.Module:
    """A convolution, a norm and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1),
        norm,
        nn.ReLU(),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(4 * channels, CLASSES),
    )


@network("Group norm", "images", "two groups")
def group_norm() -> nn.Module:
    return normed(nn.GroupNorm(2, 6))


@network("Instance norm", "images", "without running statistics")
def instance_norm() -> nn.Module:
    return normed(nn.InstanceNorm2d(6, affine=True))


@network(
    "Instance norm with running statistics",
    "images",
    "`track_running_stats=True`: they are not valid at a mixed point",
)
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
        self.encoder, self.head = (
            nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU()),
            nn.Linear(16, CLASSES),
        )

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


@network(
    "A norm of the user's own", "numbers", "running mean in a buffer that only its author knows"
)
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
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(96, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, CLASSES)
        )

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


network(
    "Frozen backbone",
    "images",
    "no gradients, batch norm in evaluation mode while it trains",
    holds=statistics_stay,
)(FrozenBackbone)
