"""The store of a study: trained networks and runs, by fingerprint.

The record of a run is written last, so a run is complete if its record exists. Every file names the
run that it belongs to, and has a checksum. A file that is damaged, or belongs to another run,
counts as "not done", and is made again.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thalweg import files
from thalweg.errors import InputError
from thalweg.meter import Cost, now
from thalweg.observing import NetworkRecord
from thalweg.predictions import Predictions
from thalweg.study.records import AnchorRecord, RunRecord, lacking
from thalweg.weights.distribution import Members, load, save
from thalweg.weights.point import Weights

AGAIN = "run 'thalweg study' again, which makes it anew"


@dataclass(frozen=True)
class Store:
    """The folder of a study. Two such folders are merged by copying one into the other.

    Attributes:
        folder: The path of the folder.

    Example:
        >>> import tempfile
        >>> store = Store(Path(tempfile.mkdtemp()))
        >>> store.has("a-key"), store.get("a-key")
        (False, None)
    """

    folder: Path

    def check_writable(self) -> None:
        """Checks that the folder can be written to, by writing and deleting a small file.

        Raises:
            InputError: It can't.
        """
        probe = self.folder / ".writable"
        files.write_bytes(probe, b"")
        probe.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Deletes half-written files that a killed study left behind an hour ago or earlier.

        Another process may still be writing younger ones.
        """
        for path in self.folder.glob("*/**/.*.part"):
            with suppress(FileNotFoundError):  # another process may sweep, too
                if path.stat().st_mtime < now() - 3600:
                    path.unlink()

    def record(self, fingerprint: str) -> dict[str, Any] | None:
        """Returns the record of a run, or None if it is missing or damaged."""
        try:
            record = files.read_record(self._run(fingerprint) / "run.json", RunRecord)
        except InputError:
            return None
        # records of thalweg 0.1 do not name their run
        is_other = record.get("fingerprint", fingerprint) != fingerprint
        return None if is_other or lacking(record) else record

    def holds(self, fingerprint: str, names: Iterable[str]) -> bool:
        """Whether a run has the files of these names."""
        return all((self._run(fingerprint) / f"{name}.safetensors").exists() for name in names)

    def is_whole(self, fingerprint: str, parts: Collection[str]) -> bool:
        """Whether a run's predictions on these parts are undamaged; all of them are read.

        If no parts are given, the plane of a landscape is read instead.
        """
        try:
            for part in parts:
                self.predictions(fingerprint, part)
            if not parts:
                self.plane(fingerprint)
        except InputError:
            return False
        return True

    def put_run(
        self, fingerprint: str, record: Mapping[str, Any], predictions: Mapping[str, Predictions]
    ) -> None:
        """Stores a run: its predictions by part, then its record."""
        for part, predicted in predictions.items():
            predicted.single().save(
                self._run(fingerprint) / f"{part}.safetensors", of=f"{fingerprint} {part}"
            )
        files.write_record(
            self._run(fingerprint) / "run.json", {**record, "fingerprint": fingerprint}
        )

    def predictions(self, fingerprint: str, part: str) -> Predictions:
        """Returns what a run predicted on a part.

        Raises:
            InputError: The file is missing, damaged, or belongs to another run.
        """
        record = self.record(fingerprint)
        named = record is not None and "fingerprint" in record
        return Predictions.load(
            self._run(fingerprint) / f"{part}.safetensors",
            of=f"{fingerprint} {part}" if named else None,
            remedy=AGAIN,
        )

    def plane(self, fingerprint: str) -> bytes:
        """Returns the content of the file that holds a plane of the landscape.

        Raises:
            InputError: The file is missing, damaged, or belongs to another run.
        """
        path = self._run(fingerprint) / "landscape.safetensors"
        _, about = files.read_tensors(path, AGAIN)
        if (
            about.get("of", fingerprint) != fingerprint
        ):  # files of thalweg 0.1 do not name their run
            raise InputError(f"{path} is the plane of another study: {AGAIN}")
        return files.read_bytes(path)

    def has(self, key: str) -> bool:
        """Whether a trained network is kept."""
        return self._anchor(key).exists()

    def get(self, key: str) -> tuple[Weights, Cost] | None:
        """Returns a trained network and its cost, or None if it is missing or damaged."""
        try:
            record = files.read_record(self._anchor(key).with_suffix(".json"), AnchorRecord)
            named = record.pop("key", None)  # files of thalweg 0.1 do not name their network
            stored = load(self._anchor(key), key=None if named is None else key)
            cost = Cost(**record)
        except (InputError, TypeError):
            return None
        if not isinstance(stored, Members) or named not in (key, None):
            return None
        return stored.points[0], cost

    def put(self, key: str, weights: Weights, cost: Cost) -> None:
        """Stores a trained network and its cost."""
        files.write_record(self._anchor(key).with_suffix(".json"), {**asdict(cost), "key": key})
        save(Members((weights,)), self._anchor(key), key=key)

    def recorded(self, key: str, *, features: bool) -> NetworkRecord | None:
        """Returns the stored record of a network's outputs on all parts.

        It is None if the record is missing or damaged, or lacks features that are needed.
        """
        try:
            tensors, facts = files.read_tensors(self._network_record(key))
            costs = Cost(**facts["cost"]), Cost(**facts["features_cost"])
        except (InputError, TypeError, KeyError):
            return None
        if facts.get("key", key) != key:
            return None
        log_probs, rows = (
            {name.split("|")[1]: t for name, t in tensors.items() if name.startswith(kind)}
            for kind in ("log_probs|", "features|")
        )
        return None if features and not rows else NetworkRecord(log_probs, rows, *costs)

    def keep(self, key: str, record: NetworkRecord) -> None:
        """Stores the record of a network's outputs."""
        tensors = {f"log_probs|{name}": t.float() for name, t in record.log_probs.items()}
        tensors |= {f"features|{name}": t for name, t in record.features.items()}
        cost, features_cost = asdict(record.cost), asdict(record.features_cost)
        facts = {"cost": cost, "features_cost": features_cost, "key": key}
        files.write_tensors(self._network_record(key), tensors, facts)

    def _network_record(self, key: str) -> Path:
        return self.folder / "witnesses" / f"{key}.safetensors"

    def _run(self, fingerprint: str) -> Path:
        return self.folder / "runs" / fingerprint

    def _anchor(self, key: str) -> Path:
        return self.folder / "anchors" / f"{key}.safetensors"
