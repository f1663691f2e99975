"""Lightning's Trainer: how would its network's predictions change if it were trained again?"""

import logging
import warnings

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import thalweg

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")  # how many workers a loader should have
images, labels = (torch.tensor(a) for a in load_digits(return_X_y=True))
training_set = TensorDataset(images[:800].float() / 16, labels[:800])
unlabelled, asked = images[800:1400].float() / 16, images[1400:].float() / 16


class Digits(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))

    def forward(self, x):
        return self.network(x)

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def train(module: lightning.LightningModule, seed: int) -> None:
    """A new Trainer each time, which trains the module that it is given, or a narrow copy of it."""
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    trainer = lightning.Trainer(max_epochs=10, accelerator="cpu", **dict.fromkeys(quiet, False))
    trainer.fit(module, DataLoader(training_set, batch_size=32, shuffle=True))


problem = thalweg.Problem(model=Digits, train=train, unlabelled=unlabelled)
found = thalweg.quantify(problem, asked, budget=1.0)  # trains the network, too: none is given
print(found)
u = found.predictions.u()
print(f"least sure of input {int(u.argmax())}: over retrainings its probabilities scatter")
print(f"by about {u.max():.2f}")
