"""The store of a study: trained networks and runs by fingerprint. A run is there when its record is; records come last."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thalweg import files
from thalweg.errors import InputError
from thalweg.meter import Cost
from thalweg.prediction import Predictions
from thalweg.weights.distribution import Members, load, save
from thalweg.weights.point import Weights


@dataclass(frozen=True)
class Store:
    """A folder of results. Two folders are merged by copying one into the other.

    Attributes:
        folder: Where.
    """

    folder: Path

    def check_writable(self) -> None:
        """Writes and deletes a small file.

        Raises:
            InputError: The folder can't be written to.
        """
        probe = self.folder / ".writable"
        files.write_bytes(probe, b"")
        probe.unlink(missing_ok=True)

    def record(self, fingerprint: str) -> dict[str, Any] | None:
        """The record of a run, or None where it is still to be done. A damaged record counts as none."""
        path = self._run(fingerprint) / "run.json"
        if not path.exists():
            return None
        try:
            return files.read_json(path)
        except InputError:
            return None

    def put_run(self, fingerprint: str, record: Mapping[str, Any], predictions: Mapping[str, Predictions]) -> None:
        """Stores a run: its predictions by part, then its record."""
        for part, predicted in predictions.items():
            predicted.save(self._run(fingerprint) / f"{part}.safetensors")
        files.write_json(self._run(fingerprint) / "run.json", dict(record))

    def predictions(self, fingerprint: str, part: str) -> Predictions:
        """What a run predicted on a part.

        Raises:
            InputError: The file is missing or damaged.
        """
        return Predictions.load(self._run(fingerprint) / f"{part}.safetensors")

    def drop(self, fingerprint: str) -> None:
        """Forgets a run: its record goes, so that it is done again."""
        (self._run(fingerprint) / "run.json").unlink(missing_ok=True)

    def has(self, key: str) -> bool:
        """Whether a trained network is kept."""
        return self._anchor(key).exists()

    def get(self, key: str) -> tuple[Weights, Cost] | None:
        """A trained network with what it cost. A damaged file counts as none: the network is trained again."""
        try:
            found = load(self._anchor(key))
            cost = Cost(**files.read_json(self._anchor(key).with_suffix(".json")))
        except (InputError, TypeError):
            return None
        return (found.points[0], cost) if isinstance(found, Members) else None

    def put(self, key: str, weights: Weights, cost: Cost) -> None:
        """Keeps a trained network."""
        files.write_json(self._anchor(key).with_suffix(".json"), asdict(cost))
        save(Members((weights,)), self._anchor(key))

    def _run(self, fingerprint: str) -> Path:
        return self.folder / "runs" / fingerprint

    def _anchor(self, key: str) -> Path:
        return self.folder / "anchors" / f"{key}.safetensors"
