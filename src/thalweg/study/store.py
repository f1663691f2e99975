"""The store of a study: trained networks and runs, by fingerprint.

The record of a run is written last, so a run is complete if its record exists. Every file names the
run that it belongs to, and has a checksum. A file that is damaged, or belongs to another run,
counts as "not done", and is made again.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg import files
from thalweg.errors import InputError
from thalweg.predictions import Predictions
from thalweg.storing.networks import NetworkStore
from thalweg.study.records import RunRecord, lacking

AGAIN = "run 'thalweg study' again, which makes it anew"


@dataclass(frozen=True)
class Store(NetworkStore):
    """The folder of a study. Two such folders are merged by copying one into the other.

    Attributes:
        folder: The path of the folder.

    Example:
        >>> import tempfile
        >>> store = Store(Path(tempfile.mkdtemp()))
        >>> store.has("a-key"), store.get("a-key")
        (False, None)
    """

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

    def _run(self, fingerprint: str) -> Path:
        return self.folder / "runs" / fingerprint
