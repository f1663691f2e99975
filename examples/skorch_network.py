"""A network that skorch trains: how would its predictions change if it were trained again?"""

import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn

import thalweg

images, labels = (torch.tensor(a) for a in load_digits(return_X_y=True))
x, y = images[:800].float() / 16, labels[:800]
unlabelled, asked = images[800:1400].float() / 16, images[1400:].float() / 16


def network() -> nn.Module:
    """The architecture; a new initialisation at every call."""
    return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))


def train(module: nn.Module, seed: int) -> None:
    """skorch with its settings as they always were; it trains the module that it is given."""
    NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        lr=0.05,
        optimizer__momentum=0.9,
        max_epochs=15,
        batch_size=32,
        iterator_train__shuffle=True,
        callbacks=[LRScheduler("CosineAnnealingLR", T_max=15)],
        verbose=0,
    ).fit(x, y)


problem = thalweg.Problem(model=network, train=train, unlabelled=unlabelled)
found = thalweg.quantify(problem, asked, budget=1.0)  # trains the network, too: none is given
print(found)
u, mean = found.predictions.u(), found.predictions.mean()
i = int(u.argmax())
print(
    f"least sure of input {i}: class {int(mean[i].argmax())} with probability {mean[i].max():.2f}"
)
print(f"over retrainings its probabilities scatter by about {u[i]:.2f}")
