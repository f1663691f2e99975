"""A network as timm has them: depthwise convolutions, squeeze and excitation, stochastic depth."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import thalweg

images, labels = (torch.tensor(a) for a in load_digits(return_X_y=True))
x, y = images.float().view(-1, 1, 8, 8) / 16, labels[:800]


class Block(nn.Module):
    def __init__(self, width, drop=0.1):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm, self.pointwise = nn.BatchNorm2d(width), nn.Conv2d(width, width, 1)
        self.squeeze, self.excite = nn.Conv2d(width, width // 4, 1), nn.Conv2d(width // 4, width, 1)
        self.drop = drop

    def forward(self, x):
        h = nn.functional.silu(self.norm(self.depthwise(x)))
        h = h * self.excite(self.squeeze(h.mean((2, 3), keepdim=True)).relu()).sigmoid()
        h = self.pointwise(h)
        if self.drop and self.training:
            h = h * h.new_empty(h.shape[0], 1, 1, 1).bernoulli_(1 - self.drop) / (1 - self.drop)
        return x + h


def network(width: int = 32) -> nn.Module:
    """The architecture; a new initialisation at every call."""
    stem, pool = nn.Conv2d(1, width, 3, padding=1), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(stem, Block(width), Block(width), pool, nn.Flatten(), nn.Linear(width, 10))


def train(module: nn.Module, seed: int) -> None:
    optimizer = torch.optim.AdamW(module.train().parameters(), lr=5e-3, weight_decay=0.05)
    for batch in (batch for _ in range(15) for batch in torch.randperm(800).split(32)):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x[batch]), y[batch], label_smoothing=0.1).backward()
        optimizer.step()


problem = thalweg.Problem(model=network, train=train, unlabelled=x[800:1400])
found = thalweg.quantify(problem, x[1400:], budget=1.0)  # trains the network, too: none is given
print(found)
u = found.predictions.u()
print(f"least sure of input {int(u.argmax())}: over retrainings its probabilities scatter")
print(f"by about {u.max():.2f}")
