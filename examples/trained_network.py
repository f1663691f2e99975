"""A network that is trained already: explore around it, keep what was found, predict with it
later.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from sklearn.datasets import load_digits
from torch import nn

import thalweg

images, labels = (torch.tensor(a) for a in load_digits(return_X_y=True))
train = thalweg.Batches(images[:1000].float() / 16, labels[:1000], size=32)
test = images[1400:].float() / 16


def network() -> nn.Module:
    """The architecture; a new initialisation at every call."""
    return nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))


# %% Stands for the training that took days
recipe = thalweg.Recipe(epochs=10, lr=0.05)
trained = thalweg.Problem(network, train, recipe).anchor(0)

# %% A simplex of low loss around it. Its cost counts the trained network as 1
problem = thalweg.Problem(network, train, recipe, networks=trained)
simplex = thalweg.explorers.SPRO(vertices=2).explore(problem)
print(
    f"cost: {problem.cost.trainings:.2f} trainings, {problem.cost.seconds:.1f} s beyond the "
    "trained network"
)

# %% Stored and read again, it draws the same weights
with TemporaryDirectory() as folder:
    thalweg.save(simplex, Path(folder) / "simplex.safetensors")
    again = thalweg.load(Path(folder) / "simplex.safetensors")
predictions = thalweg.predict(problem, again, test, draws=16)
print(
    f"mean u of 16 draws: {predictions.u().mean():.4f}; forward passes, refreshes among them: "
    f"{problem.cost.forward_examples}"
)
