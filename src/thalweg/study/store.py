"""The store of a study: trained networks and runs, by fingerprint.

The record of a run is written last, so a run is complete if its record exists. Every file names the
run that it belongs to, and has a checksum. A file that is damaged, or belongs to another run,
counts as "not done", and is made again. Where several processes do the same run, on one machine or
many, the first whole file of each name stays: all of them read the same result afterwards.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from thalweg import files
from thalweg.errors import InputError
from thalweg.places import Place
from thalweg.predictions import Predictions
from thalweg.storing.networks import NetworkStore
from thalweg.study.records import RunRecord, lacking

AGAIN = "run 'thalweg study' again, which makes it anew"


@dataclass(frozen=True)
class Store(NetworkStore):
    """The folder of a study. Two such folders are merged by copying one into the other.

    Attributes:
        folder: The path of the folder, or its address in an object store.
        near: Copies of its files on this machine, which are read instead.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> store = Store(Path(tempfile.mkdtemp()))
        >>> store.has("a-key"), store.get("a-key")
        (False, None)
    """

    near: dict[Place, Path] = field(default_factory=dict, compare=False, repr=False)

    def record(self, fingerprint: str) -> dict[str, Any] | None:
        """Returns the record of a run, or None if it is missing or damaged."""
        try:
            record = files.read_record(self.run_folder(fingerprint) / "run.json", RunRecord)
        except files.Unreachable:
            raise
        except InputError:
            return None
        return record if self.belongs(record, fingerprint) else None

    def belongs(self, record: dict[str, Any], fingerprint: str) -> bool:
        """Whether a record that was read is a whole one of this run."""
        # records of thalweg 0.1 do not name their run
        is_other = record.get("fingerprint", fingerprint) != fingerprint
        return not is_other and not lacking(record)

    def holds(self, fingerprint: str, names: Iterable[str]) -> bool:
        """Whether a run has the files of these names."""
        folder = self.run_folder(fingerprint)
        return all(files.exists(folder / f"{name}.safetensors") for name in names)

    def is_whole(self, fingerprint: str, parts: Collection[str]) -> bool:
        """Whether a run's predictions on these parts are undamaged; all of them are read.

        If no parts are given, the plane of a landscape is read instead.
        """
        try:
            for part in parts:
                self.predictions(fingerprint, part)
            if not parts:
                self.plane(fingerprint)
        except files.Unreachable:
            raise
        except InputError:
            return False
        return True

    def put_run(
        self, fingerprint: str, record: Mapping[str, Any], predictions: Mapping[str, Predictions]
    ) -> dict[str, Any]:
        """Stores a run: its predictions by part, then its record.

        Returns:
            The record that is stored now. It is another worker's if that one was first.
        """
        folder = self.run_folder(fingerprint)
        for part, predicted in predictions.items():
            predicted.single().save(
                folder / f"{part}.safetensors",
                of=f"{fingerprint} {part}",
                unless=partial(self._is_whole_part, fingerprint, part),
            )
        own = {**record, "fingerprint": fingerprint}
        files.write_record(
            folder / "run.json", own, unless=partial(self._is_good, fingerprint, own["kind"])
        )
        return self.record(fingerprint) or own

    def _is_whole_part(self, fingerprint: str, part: str) -> bool:
        """Whether the predictions on a part are there, undamaged, with or without a record."""
        path = self.run_folder(fingerprint) / f"{part}.safetensors"
        try:
            Predictions.load(path, of=f"{fingerprint} {part}")
        except files.Unreachable:
            raise
        except InputError:
            return False
        return True

    def _is_good(self, fingerprint: str, kind: str) -> bool:
        """Whether the record that is there is that of a success, which a failure never replaces."""
        record = self.record(fingerprint)
        return record is not None and (record["status"], record["kind"]) == ("ok", kind)

    def predictions(self, fingerprint: str, part: str) -> Predictions:
        """Returns what a run predicted on a part.

        Raises:
            InputError: The file is missing, damaged, or belongs to another run.
        """
        record = self.record(fingerprint)
        named = record is not None and "fingerprint" in record
        return Predictions.load(
            self._nearest(self.run_folder(fingerprint) / f"{part}.safetensors"),
            of=f"{fingerprint} {part}" if named else None,
            remedy=AGAIN,
        )

    def plane(self, fingerprint: str) -> bytes:
        """Returns the content of the file that holds a plane of the landscape.

        Raises:
            InputError: The file is missing, damaged, or belongs to another run.
        """
        path = self._nearest(self.run_folder(fingerprint) / "landscape.safetensors")
        _, about = files.read_tensors(path, AGAIN)
        if (
            about.get("of", fingerprint) != fingerprint
        ):  # files of thalweg 0.1 do not name their run
            raise InputError(f"{path} is the plane of another study: {AGAIN}")
        return files.read_bytes(path)

    def _nearest(self, path: Place) -> Place:
        return self.near.get(path, path)

    def run_folder(self, fingerprint: str) -> Place:
        """The folder of a run's files."""
        return self.folder / "runs" / fingerprint
