"""Made-up retrainings: softmax of Gaussian logits, whose spread differs between inputs."""

import torch

from thalweg.outputs import log_softmax
from thalweg.predictions import Predictions
from thalweg.seeds import generator


class World:
    """Inputs with mean logits and a spread each; `draw` makes independent retrainings of it."""

    def __init__(self, inputs=400, classes=4, seed=0):
        self.seed = seed
        source = generator(seed, "world")
        self.mean = 3 * torch.randn(inputs, classes, generator=source)
        self.spread = (0.5 * torch.randn(inputs, 1, generator=source)).exp()
        self.labels = torch.multinomial(log_softmax(self.mean).exp(), 1, generator=source)[:, 0]

    def draw(self, members, *name, scale=1.0):
        noise = torch.randn(
            members, *self.mean.shape, generator=generator(self.seed, "draw", *name)
        )
        return Predictions(log_softmax(self.mean + scale * self.spread * noise))


def probabilities(predictions):
    return predictions.log_probs.double().exp().numpy()
