"""A fine-tuned network: the factory loads pre-trained weights, and a retraining is another
fine-tuning, with a new head.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import thalweg

images, labels = (torch.tensor(a) for a in load_digits(return_X_y=True))
images = images.float() / 16


def backbone() -> nn.Module:
    """What is pre-trained."""
    return nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU())


# %% Stands for a pre-training by somebody else: is it below five?
problem = thalweg.Problem(
    lambda: nn.Sequential(backbone(), nn.Linear(64, 2)),
    thalweg.Batches(images[:800], (labels[:800] < 5).long(), size=32),
    thalweg.Recipe(epochs=10, lr=0.05),
)
stored = problem.network(problem.anchor(0))[0].state_dict()


def network() -> nn.Module:
    """A network with the pre-trained weights and a new head."""
    body = backbone()
    body.load_state_dict(stored)
    return nn.Sequential(body, nn.Linear(64, 10))


# %% Fine-tuned on 150 images, and asked what another fine-tuning would say
train = thalweg.Batches(images[800:950], labels[800:950], size=16)
recipe = thalweg.Recipe(epochs=8, lr=0.01)
trained = thalweg.Problem(network, train, recipe).anchor(0)  # stands for your own
problem = thalweg.Problem(network, train, recipe, networks=[trained], unlabelled=images[950:1400])
print(thalweg.quantify(problem, images[1400:], budget=1.0))
