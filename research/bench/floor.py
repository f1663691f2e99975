"""The floor: what plain PyTorch takes for the same work, written by hand as a good practitioner
would, and no worse.

Data are tensors in memory, already normalised; there is no DataLoader; settings of the optimiser
are torch's own. `fused` and `channels_last` say how far this floor can be moved by two settings
that everybody can make.
"""

import math

import torch
from torch import nn

LR, MOMENTUM, DECAY = 0.05, 0.9, 5e-4


def train(
    make,
    x,
    y,
    *,
    batch,
    epochs,
    fused=None,
    channels_last=False,
    evaluations=1,
    augment=None,
    device="cpu",
):
    """A training with SGD, momentum, weight decay and a cosine schedule; each step evaluates
    `evaluations` times.
    """
    network = make().to(device).train()
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY, fused=fused
    )
    steps, step = max(1, round(epochs * math.ceil(len(x) / batch))), 0
    while step < steps:
        for chosen in torch.randperm(len(x), device=x.device).split(batch):
            inputs, labels = x[chosen], y[chosen]
            if augment is not None:
                inputs = augment(inputs)
            if channels_last and inputs.dim() == 4:
                inputs = inputs.to(memory_format=torch.channels_last)
            optimizer.param_groups[0]["lr"] = LR * 0.5 * (1 + math.cos(math.pi * step / steps))
            optimizer.zero_grad()
            for _ in range(evaluations):
                loss = nn.functional.cross_entropy(network(inputs), labels)
                (loss if evaluations == 1 else loss / evaluations).backward()
            optimizer.step()
            step += 1
            if step == steps:
                break
    return network


def augment(x, padding=4):
    """Every image of a batch is cropped at its own place after padding by reflection, and mirrored
    or not.
    """
    images, _, height, width = x.shape
    padded = nn.functional.pad(x, (padding,) * 4, mode="reflect")
    down, right = torch.randint(0, 2 * padding + 1, (2, images, 1), device=x.device)
    columns = torch.arange(width, device=x.device) + right
    columns = torch.where(torch.rand(images, 1, device=x.device) < 0.5, columns.flip(1), columns)
    rows = torch.arange(height, device=x.device) + down
    image = torch.arange(images, device=x.device)[:, None, None]
    return (
        padded[image, :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2).contiguous()
    )  # indexing moved the channels


def predict(networks, x, batch=250):
    """Log-probabilities `[networks, inputs, classes]`."""
    with torch.no_grad():
        return torch.stack(
            [
                torch.cat([torch.log_softmax(n.eval()(part), 1) for part in x.split(batch)])
                for n in networks
            ]
        )
