"""Your own network and loader: what would a retraining predict, with what uncertainty, at what
cost?
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import thalweg

images, labels = (torch.tensor(a) for a in load_digits(return_X_y=True))
train = DataLoader(
    TensorDataset(images[:1000].float() / 16, labels[:1000]), batch_size=32, shuffle=True
)
test, unlabelled = images[1400:].float() / 16, images[1000:1400].float() / 16

# %% Twelve lines: explore, predict, say what it cost
problem = thalweg.Problem(
    model=lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)),
    train_loader=train,
    recipe=thalweg.Recipe(epochs=10, lr=0.05),
)
anchors = thalweg.explorers.DeepEnsemble(members=2).explore(problem)
known, asked = (thalweg.predict(problem, anchors, x) for x in (unlabelled, test))
retrainings = thalweg.emulators.Neighbours().emulate(known, asked, draws=100, seed=0)
mean, std = retrainings.mean(), retrainings.std()  # each [inputs, classes]
low, high = retrainings.interval(0.95)
print(f"cost: {problem.cost.trainings:.1f} trainings")

# %% The inputs that a retraining would change most
for i in retrainings.u().argsort(descending=True)[:5].tolist():
    k = int(mean[i].argmax())
    print(
        f"input {i}: class {k} with probability {mean[i, k]:.2f}, u {std[i, k]:.2f}, 95 % "
        f"[{low[i, k]:.2f}, {high[i, k]:.2f}]"
    )
