"""A transformers classifier of padded texts: how would it change if it were trained again?"""

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

import thalweg


def texts(count: int, seed: int) -> tuple[dict[str, Tensor], Tensor]:
    """Texts of 6 to 16 of 40 words; the label is which of three words comes most often."""
    random = torch.Generator().manual_seed(seed)
    words = torch.randint(1, 40, (count, 16), generator=random)
    labels = torch.randint(3, (count,), generator=random)
    words[:, :3] = torch.where(
        torch.rand(count, 3, generator=random) < 0.5, labels[:, None] + 1, words[:, :3]
    )
    mask = torch.arange(16) < torch.randint(6, 17, (count, 1), generator=random)
    return {"input_ids": words * mask, "attention_mask": mask.long()}, labels


def rows(inputs, chosen):
    return {name: tensor[chosen] for name, tensor in inputs.items()}


def classifier(heads: int = 4) -> nn.Module:
    config = BertConfig(
        vocab_size=40,
        hidden_size=8 * heads,
        num_hidden_layers=2,
        num_attention_heads=heads,
        intermediate_size=16 * heads,
        max_position_embeddings=16,
        num_labels=3,
    )
    return BertForSequenceClassification(config)


x, y = texts(600, seed=0)


def train(module, seed):
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3)
    module.train()
    for _ in range(6):
        for batch in torch.randperm(len(y)).split(32):
            optimizer.zero_grad()
            module(**rows(x, batch), labels=y[batch]).loss.backward()
            optimizer.step()


if __name__ == "__main__":
    import time

    m = classifier()
    t = time.time()
    train(m, 0)
    print(time.time() - t)
    a, b = texts(500, seed=2)
    m.eval()
    with torch.no_grad():
        print((m(**a).logits.argmax(1) == b).float().mean())
