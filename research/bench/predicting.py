"""Predictions with many draws, and what batch norm costs there."""

import itertools

from research.bench import floor
from research.bench.cases import CASES, QUICK
from research.bench.measure import Settings, interleaved, ratios
from thalweg import predict
from thalweg.data.datasets import load
from thalweg.data.preparation import Prepare
from thalweg.data.splits import splits
from thalweg.errors import InputError
from thalweg.explorers.learned_simplex import LearnedSimplex
from thalweg.models.cnn import cnn
from thalweg.predicting import sample
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace

SIZES = {
    "digits": (32, 10_000),
    "mnist-mlp": (32, 10_000),
    "mnist-cnn": (32, 500),
    "cifar-resnet20": (4, 256),
    "cifar-wrn16-4": (2, 64),
}  # draws and inputs; as many as take a few seconds


def draws(settings: Settings) -> list[dict]:
    """Stored draws predicted against as many plain forward passes (target 1.15)."""
    rows = []
    for name, case in (QUICK if settings.quick else CASES).items():
        count, inputs = (4, 200) if settings.quick else SIZES[name]
        problem = case.problem(device=settings.device)
        points = tuple(Weights.of(problem.build(k)) for k in range(count))
        networks = []
        for point in points:
            network = case.make()
            point.to("cpu").load_into(network)
            networks.append(network.to(settings.device))
        images, labels = case.images(inputs, seed=1)
        ready = case.prepare(images).to(settings.device)
        loader = Batches(images, labels, 250, shuffle=False, prepare=case.prepare)
        alternatives = {
            "plain": lambda networks=networks, ready=ready: floor.predict(networks, ready).cpu(),
            "thalweg": lambda problem=problem, points=points, loader=loader: predict(
                problem, Members(points), loader
            ),
        }
        title = f"{name}: {count} draws, {inputs:,} inputs"
        rows += ratios(title, interleaved(alternatives, settings), "plain", {"thalweg": 1.15})
    return rows


def refresh(settings: Settings) -> list[dict]:
    """Batch-norm statistics from fewer images: how far predictions move, beside the spread of the
    draws (not speed).
    """
    try:
        data, sizes, tested, epochs, title = (
            load("fashion-mnist"),
            [128, 256, 512, 1024, 2048, 5000],
            2000,
            5,
            "Fashion-MNIST",
        )
    except InputError:
        print("  no Fashion-MNIST here (set THALWEG_DATA): with the embedded digits")
        data, sizes, tested, epochs, title = load("digits"), [128, 256, 512, 900], 500, 20, "digits"
    if settings.quick:
        sizes, tested, epochs = [128, 500], 200, 1
    parts = splits(data, train=sizes[-1], validation=100, test=tested)
    prepare = Prepare(data.mean, data.std)
    batches = Batches(parts.train, parts.train_labels, 128, prepare=prepare)
    test = Batches(parts.test, parts.test_labels, 1000, shuffle=False, prepare=prepare)

    def made(refreshed: int) -> Problem:
        return Problem(
            lambda: cnn(data.shape, 10, widths=(16, 32)),
            batches,
            Recipe(epochs=epochs),
            bn_examples=refreshed,
        )

    found = LearnedSimplex().explore(made(2048))
    predictions = {size: predict(made(size), found, test, draws=12, seed=0) for size in sizes}
    whole, rows = predictions[sizes[-1]], []
    spread = float(whole.u().mean())
    for size, own in predictions.items():
        moved = float((own.probs() - whole.probs()).square().sum(-1).mean().sqrt())
        accuracy = float((own.mean().argmax(1) == parts.test_labels).double().mean())
        rows.append(
            {
                "case": f"learned simplex, CNN, {title}",
                "what": f"{size} images",
                "accuracy": accuracy,
                "moved": moved,
                "moved_by_spread": moved / spread,
                "u_ratio": float(own.u().mean()) / spread,
            }
        )
    return rows


def refreshing(settings: Settings) -> list[dict]:
    """A refresh of 32 draws, on 2,048 images, against one plain training of the Fashion-MNIST CNN
    study's size (5,000 x 10).
    """
    case = (QUICK if settings.quick else CASES)["mnist-cnn"]
    problem = case.problem(device=settings.device)
    points = tuple(Weights.of(problem.build(k)) for k in range(3))
    alternatives = {
        "plain training": case.plain(settings.device),
        "refresh of 32 draws": lambda: list(
            itertools.islice(sample(problem, Subspace(points), 32), 32)
        ),
    }
    rows = ratios("mnist-cnn", interleaved(alternatives, settings, rounds=2), "plain training", {})
    factor = case.examples * case.epochs / (5000 * 10)
    for row in rows:
        if row["what"] == "refresh of 32 draws":
            row |= {key: row[key] * factor for key in ("ratio", "low", "high")}
        else:
            row["seconds"] /= factor
    return rows
