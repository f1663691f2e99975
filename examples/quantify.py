"""A network that is trained already, and a training to spend: how would its predictions change if
it were trained again?
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import thalweg

images, labels = (torch.tensor(a) for a in load_digits(return_X_y=True))
train = thalweg.Batches(images[:800].float() / 16, labels[:800], size=32)
unlabelled, test = images[800:1400].float() / 16, images[1400:].float() / 16


def network() -> nn.Module:
    """The architecture; a new initialisation at every call."""
    return nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )


# %% Stands for the training that took days
recipe = thalweg.Recipe(epochs=20, lr=0.05)
trained = thalweg.Problem(network, train, recipe).anchor(0)

# %% Narrow retrainings for one training more, and what they and the network tell of its retrainings
problem = thalweg.Problem(network, train, recipe, networks=trained, unlabelled=unlabelled)
found = thalweg.quantify(problem, test, budget=1.0)
print(found)

# %% Beside the truth, which nobody has who can train but once: ten retrainings
truth = thalweg.Problem(network, train, recipe, seed=1)
retrained = thalweg.predict(truth, thalweg.explorers.DeepEnsemble(members=10).explore(truth), test)
u, own = found.predictions.u(), retrained.u()
correlation = torch.corrcoef(torch.stack([u, own]))[0, 1]
print(f"mean u {u.mean():.4f}, of ten retrainings {own.mean():.4f}; correlation {correlation:.2f}")
