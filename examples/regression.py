"""A regression: by how many milligrams a litre would its values change if it were trained again?"""

import torch
from sklearn.datasets import make_friedman1
from torch import nn

import thalweg

inputs, targets = (torch.tensor(a).float() for a in make_friedman1(1500, noise=1.0, random_state=0))
x, y = inputs[:600], targets[:600, None]  # [examples, 10] and [examples, 1]
unlabelled, asked = inputs[600:1200], inputs[1200:]
mean, std = float(y.mean()), float(y.std())


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
            standardised = (y[batch] - mean) / std
            optimizer.zero_grad()
            nn.functional.huber_loss(module(x[batch]), standardised).backward()
            optimizer.step()


values = thalweg.Values(units="mg/l", mean=mean, std=std)
problem = thalweg.Problem(model=network, train=train, unlabelled=unlabelled, outputs=values)
found = thalweg.quantify(problem, asked, budget=1.0)  # trains the network, too: none is given
print(found)
u, value = found.predictions.u(), found.predictions.mean()  # [inputs] and [inputs, 1], in mg/l
i = int(u.argmax())
print(f"least sure of input {i}: {value[i, 0]:.1f} mg/l")
print(f"over retrainings it scatters by about {u[i]:.1f} mg/l")
