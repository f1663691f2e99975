"""A regression: by how many milligrams a litre would its values change if it were trained again?"""

import torch
from sklearn.datasets import make_friedman1
from torch import nn

import thalweg

inputs, targets = (torch.tensor(a).float() for a in make_friedman1(1500, noise=1.0, random_state=0))
x, y = inputs[:600], targets[:600, None]  # [examples, 10] and [examples, 1]
unlabelled, asked = inputs[600:1200], inputs[1200:]
values = thalweg.Values(units="mg/l", mean=float(y.mean()), std=float(y.std()))


def network() -> nn.Module:
    """The architecture; a new initialisation at every call."""
    return nn.Sequential(
        nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )


def train(module: nn.Module, seed: int) -> None:
    """The loop as it always was; the network learns (target - mean) / std."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    for _ in range(40):
        for batch in torch.randperm(len(x)).split(50):
            standardised = (y[batch] - values.mean) / values.std
            optimizer.zero_grad()
            nn.functional.huber_loss(module(x[batch]), standardised).backward()
            optimizer.step()


problem = thalweg.Problem(
    model=network, train=train, unlabelled=unlabelled, outputs=values
)  # no network is given: one is trained, too
found = thalweg.quantify(problem, asked, budget=1.0)
print(found)
u, mean = found.predictions.u(), found.predictions.mean()  # [inputs] and [inputs, 1], in mg/l
i = int(u.argmax())
print(
    f"least sure of input {i}: {mean[i, 0]:.1f} mg/l, with a standard uncertainty over retrainings"
)
print(f"of about {u[i]:.1f} mg/l")
