"""Arrays of predictions and nothing else: what three trainings tell of all others, and whether that
is so.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import thalweg

images, labels = load_digits(return_X_y=True)
train, unlabelled, asked = np.split(images / 16, [400, 1300])


def trained(seed: int) -> MLPClassifier:
    """Stands for a training anywhere, by anything."""
    network = MLPClassifier((32,), solver="lbfgs", alpha=0.1, max_iter=500, random_state=seed)
    return network.fit(train, labels[:400])


# %% Probabilities of three trainings, each [inputs, classes]
three = [trained(seed) for seed in range(3)]
known = thalweg.Predictions.of([n.predict_proba(unlabelled) for n in three], kind="probabilities")
here = thalweg.Predictions.of([n.predict_proba(asked) for n in three], kind="probabilities")

# %% An emulator learns from how they differ on unlabelled inputs; nothing is trained
drawn = thalweg.emulators.Forest(geometry=False).emulate(known, here, draws=100, seed=0)
print(f"mean u {drawn.u().mean():.4f}, of the three alone {here.u().mean():.4f}; cost: 3 trainings")

# %% Beside the truth, which nobody has who can train but three times: twelve others, from a file
with TemporaryDirectory() as folder:
    retrained = np.stack([trained(seed).predict_proba(asked) for seed in range(100, 112)])
    np.save(Path(folder) / "retrained.npy", retrained)
    reference = thalweg.Predictions.of(Path(folder) / "retrained.npy", kind="probabilities")
print(thalweg.compare(reference, here), "\n")
print(thalweg.compare(reference, drawn, cost=3))
