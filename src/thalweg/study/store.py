"""The store of a study: trained networks and runs by fingerprint.

A run is there when its record is; records come last.

What is read back says whose it is and is held to its checksum. What is damaged, or another's, is
"not done", and is done again.
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

    def sweep(self) -> None:
        """Deletes half-written files that a killed study left an hour ago or earlier; younger ones
        may be being written.
        """
        for path in self.folder.glob("*/**/.*.part"):
            with suppress(FileNotFoundError):  # another process sweeps, too
                if path.stat().st_mtime < now() - 3600:
                    path.unlink()

    def record(self, fingerprint: str) -> dict[str, Any] | None:
        """The record of a run, or None where it is still to be done.

        A damaged record counts as none.
        """
        try:
            record = files.read_record(self._run(fingerprint) / "run.json", RunRecord)
        except InputError:
            return None
        # records of thalweg 0.1 do not say whose they are
        return (
            None
            if lacking(record) or record.get("fingerprint", fingerprint) != fingerprint
            else record
        )

    def holds(self, fingerprint: str, names: Iterable[str]) -> bool:
        """Whether a run has these files."""
        return all((self._run(fingerprint) / f"{name}.safetensors").exists() for name in names)

    def is_whole(self, fingerprint: str, parts: Collection[str]) -> bool:
        """Whether a run has its predictions on these parts (with none, its plane), undamaged: all
        of them are read.
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
        """What a run predicted on a part.

        Raises:
            InputError: The file is missing, damaged, or another run's.
        """
        record = self.record(fingerprint)
        named = record is not None and "fingerprint" in record
        return Predictions.load(
            self._run(fingerprint) / f"{part}.safetensors",
            of=f"{fingerprint} {part}" if named else None,
            remedy=AGAIN,
        )

    def plane(self, fingerprint: str) -> bytes:
        """The file of a plane of the landscape.

        Raises:
            InputError: It is missing, damaged, or another run's.
        """
        path = self._run(fingerprint) / "landscape.safetensors"
        _, about = files.read_tensors(path, AGAIN)
        if (
            about.get("of", fingerprint) != fingerprint
        ):  # those of thalweg 0.1 do not say whose they are
            raise InputError(f"{path} is the plane of another study: {AGAIN}")
        return files.read_bytes(path)

    def has(self, key: str) -> bool:
        """Whether a trained network is kept."""
        return self._anchor(key).exists()

    def get(self, key: str) -> tuple[Weights, Cost] | None:
        """A trained network with what it cost.

        A damaged file counts as none: the network is trained again.
        """
        try:
            record = files.read_record(self._anchor(key).with_suffix(".json"), AnchorRecord)
            named = record.pop("key", None)  # those of thalweg 0.1 do not say whose they are
            found = load(self._anchor(key), key=None if named is None else key)
            cost = Cost(**record)
        except (InputError, TypeError):
            return None
        return (
            (found.points[0], cost) if isinstance(found, Members) and named in (key, None) else None
        )

    def put(self, key: str, weights: Weights, cost: Cost) -> None:
        """Keeps a trained network."""
        files.write_record(self._anchor(key).with_suffix(".json"), {**asdict(cost), "key": key})
        save(Members((weights,)), self._anchor(key), key=key)

    def recorded(self, key: str, *, features: bool) -> NetworkRecord | None:
        """What a network says of all parts, or None where it is not kept, is damaged or has no
        features and needs them.
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
        """Keeps what a network says."""
        tensors = {f"log_probs|{name}": t.float() for name, t in record.log_probs.items()}
        tensors |= {f"features|{name}": t for name, t in record.features.items()}
        costs = {
            "cost": asdict(record.cost),
            "features_cost": asdict(record.features_cost),
            "key": key,
        }
        files.write_tensors(self._network_record(key), tensors, costs)

    def _network_record(self, key: str) -> Path:
        return self.folder / "witnesses" / f"{key}.safetensors"

    def _run(self, fingerprint: str) -> Path:
        return self.folder / "runs" / fingerprint

    def _anchor(self, key: str) -> Path:
        return self.folder / "anchors" / f"{key}.safetensors"
