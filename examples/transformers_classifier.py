"""A transformers classifier of padded texts: what would another training of it say?"""

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

import thalweg

SIZES = {"vocab_size": 40, "max_position_embeddings": 16, "num_labels": 3, "num_hidden_layers": 2}
WIDTHS = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
START = {"initializer_range": 0.15}  # 0.02, transformers' own, is for hundreds of channels


def texts(count: int) -> tuple[dict[str, Tensor], Tensor]:
    """Texts of 6 to 16 words; one of three words comes more often, and is the label."""
    words, labels = torch.randint(1, 40, (count, 16)), torch.randint(3, (count, 1))
    words = torch.where(torch.rand(count, 16) < 0.15, labels + 1, words)
    mask = (torch.arange(16) < torch.randint(6, 17, (count, 1))).long()
    return {"input_ids": words * mask, "attention_mask": mask}, labels[:, 0]


def classifier() -> nn.Module:
    """The architecture; a new initialisation at every call."""
    return BertForSequenceClassification(BertConfig(**SIZES, **WIDTHS, **START))


torch.manual_seed(0)
(x, y), (unlabelled, _), (asked, _) = texts(600), texts(500), texts(200)


def train(module: nn.Module, seed: int) -> None:
    """The loop as it always was; the module is called as transformers call it."""
    optimizer = torch.optim.AdamW(module.train().parameters(), lr=2e-3)
    for batch in (batch for _ in range(6) for batch in torch.randperm(600).split(32)):
        inputs = {name: tensor[batch] for name, tensor in x.items()}
        optimizer.zero_grad()
        module(**inputs, labels=y[batch]).loss.backward()
        optimizer.step()


problem = thalweg.Problem(model=classifier, train=train, unlabelled=unlabelled)
found = thalweg.quantify(problem, asked, budget=1.0)  # trains the network, too: none is given
print(found)
u = found.predictions.u()
print(f"least sure of input {int(u.argmax())}: over retrainings its probabilities scatter")
print(f"by about {u.max():.2f}")
