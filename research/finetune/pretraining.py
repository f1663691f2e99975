"""Pre-training: a whole data set, once, from a fixed seed. Weights that are there are not trained
again.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from research.finetune.networks import pre_training, stored, weights_file
from thalweg import files
from thalweg.data.dataset import Dataset
from thalweg.data.datasets import load
from thalweg.errors import InputError, unknown
from thalweg.predicting import predict
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import Members, save

SEED = 0


@dataclass(frozen=True)
class PreTraining:
    """A pre-training.

    Attributes:
        backbone: What is trained.
        source: On which data set.
        recipe: How.
    """

    backbone: str
    source: str
    recipe: Recipe


PRE_TRAININGS = {
    "cnn-cifar100": PreTraining("cnn", "cifar100", Recipe(epochs=20, lr=0.1, warmup=0.05)),
    "vit-fashion-mnist": PreTraining(
        "vit",
        "fashion-mnist",
        Recipe(epochs=12, optimizer="adamw", lr=2e-3, weight_decay=0.05, warmup=0.1, clip=1.0),
    ),
}


def pretrain(name: str, data_dir: Path | None) -> str:
    """Pre-trains a network where its weights are not there yet.

    Returns:
        A line with the digest of its weights, and its accuracy.

    Raises:
        InputError: There is no such pre-training.
    """
    if name not in PRE_TRAININGS:
        raise unknown("pre-training", name, PRE_TRAININGS)
    chosen = PRE_TRAININGS[name]
    dataset = load(chosen.source, data_dir)
    if not isinstance(dataset, Dataset):
        raise InputError(f"'{chosen.source}' has no images, which the networks read")
    prepare = dataset.preparing(dataset.train)
    model = partial(pre_training, dataset.shape, dataset.columns, backbone=chosen.backbone)
    train = Batches(
        dataset.train, dataset.train_labels, 128, prepare=prepare, augment=dataset.augment
    )
    file = weights_file(chosen.backbone, chosen.source)
    problem = Problem(model, train, chosen.recipe, SEED)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        save(Members((problem.anchor(0),)), file)
    test = Batches(dataset.test, dataset.test_labels, 250, shuffle=False, prepare=prepare)
    found = predict(problem, stored(file), test).mean()
    accuracy = float((found.argmax(1) == dataset.test_labels).double().mean())
    return (
        f"{name}: digest {files.digest(file.read_bytes())[:12]}, test accuracy {accuracy:.3f} "
        f"({file})"
    )
