"""A loop of your own, with Adam, mixup and a schedule: what would another training predict?"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

import thalweg

images, labels = (torch.tensor(a) for a in load_digits(return_X_y=True))
x, y = images[:800].float() / 16, labels[:800]
unlabelled, asked = images[800:1400].float() / 16, images[1400:].float() / 16


def network() -> nn.Module:
    """The architecture; a new initialisation at every call."""
    hidden = (nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
    return nn.Sequential(*hidden, nn.Linear(64, 10))


def train(module: nn.Module, seed: int) -> None:
    """The loop as it always was: torch, NumPy and random are seeded before each call."""
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    for _ in range(20):
        for batch in torch.randperm(len(x)).split(32):
            other, share = batch[torch.randperm(len(batch))], np.random.beta(1, 1)  # noqa: NPY002
            outputs = module(share * x[batch] + (1 - share) * x[other])
            losses = [cross_entropy(outputs, y[part]) for part in (batch, other)]
            optimizer.zero_grad()
            (share * losses[0] + (1 - share) * losses[1]).backward()
            optimizer.step()
        schedule.step()


torch.manual_seed(0)
trained = network()
train(trained, seed=0)  # stands for the training that took days

problem = thalweg.Problem(model=network, train=train, networks=[trained], unlabelled=unlabelled)
found = thalweg.quantify(problem, asked, budget=1.0)
print(found)
u, mean = found.predictions.u(), found.predictions.mean()
i = int(u.argmax())
print(
    f"least sure of input {i}: class {int(mean[i].argmax())} with probability {mean[i].max():.2f}"
)
print(f"over retrainings its probabilities scatter by about {u[i]:.2f}")
