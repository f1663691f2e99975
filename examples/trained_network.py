"""Three trained networks on disk: what would another training predict, and how surely?"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from sklearn.datasets import load_digits
from torch import nn

import thalweg

images, labels = (torch.tensor(a) for a in load_digits(return_X_y=True))
train = thalweg.Batches(images[:800].float() / 16, labels[:800], size=32)
unlabelled, test = images[800:1400].float() / 16, images[1400:].float() / 16


def network() -> nn.Module:
    """The architecture; a new initialisation at every call."""
    return nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))


# %% Stands for the trainings that took days, and left their files
folder = TemporaryDirectory()
paths = [Path(folder.name) / f"{k}.pt" for k in range(3)]
recipe = thalweg.Recipe(epochs=10, lr=0.05)
stood_in = thalweg.Problem(network, train, recipe)
for path, weights in zip(paths, thalweg.train_anchors(stood_in, 3), strict=True):
    torch.save({"epoch": 10, "state_dict": stood_in.network(weights).state_dict()}, path)

# %% They are the first three anchors, and nothing is trained; each costs 1, whoever paid for it
problem = thalweg.Problem(network, train, recipe, networks=paths, unlabelled=unlabelled)
three = thalweg.explorers.DeepEnsemble(members=3).explore(problem)
known, here = (thalweg.predict(problem, three, x) for x in (unlabelled, test))
drawn = thalweg.emulators.Neighbours().emulate(known, here, draws=100, seed=0)
print(f"mean u {drawn.u().mean():.4f}; cost: {problem.cost.trainings:.2f} trainings")

# %% A simplex of low loss around the first, stored; read again, it draws the same weights
simplex = thalweg.explorers.SPRO(vertices=2).explore(problem)
thalweg.save(simplex, Path(folder.name) / "simplex.safetensors")
again = thalweg.load(Path(folder.name) / "simplex.safetensors")
local = thalweg.predict(problem, again, test, draws=16)
print(f"mean u around it {local.u().mean():.4f}; cost: {problem.cost.trainings:.2f} trainings")
folder.cleanup()
