"""What a folder of results holds, looked at once: one listing, and the records that are known.

Reading 100,000 records takes minutes. So those that were read, and found whole with their files,
are kept in one small file, the index, each with the stamps that its files had. It is never trusted
more than the files: a run whose files have other stamps is read again, one that is not listed is
read before it is done, and a missing or damaged index is made anew.
"""

import io
import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from thalweg import files
from thalweg.errors import InputError
from thalweg.files import DiskError
from thalweg.meter import now
from thalweg.places import Place, is_left_over, listed
from thalweg.remote import BATCH, Remote, read_many
from thalweg.study.records import RunRecord
from thalweg.study.store import Store

INDEX = ".index.parquet"
_ROOMS = ("runs", "anchors", "witnesses")
_FRESH = 2.0  # seconds in which a file could change again without another stamp
_EVERY = 60.0  # seconds between two writings of the index


@dataclass(eq=False)
class Inventory:
    """The runs and networks of a store.

    Attributes:
        store: The store.
        files: The stamps of each run's files, by fingerprint and name.
        networks: The keys of the trained networks.
        clock: The time by the clock that dates the store's files.
    """

    store: Store
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)
    clock: float = 0.0
    _known: dict[str, tuple[str, str, bool]] = field(default_factory=dict)
    _fresh: set[str] = field(default_factory=set)
    _changed: bool = False
    _written: float = field(default_factory=now)

    @staticmethod
    def of(store: Store, *, sweep: bool = False) -> "Inventory":
        """Looks at a store.

        Args:
            store: The store.
            sweep: Whether to delete what killed processes left behind.

        Raises:
            Unreachable: The disk or the store does not answer.
        """
        found = Inventory(store, clock=store.clock() if sweep else now())
        runs: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for room in _ROOMS:
            for file in listed(store.folder / room):
                name, _, inside = file.path.partition("/")
                if file.path.endswith(".part"):
                    if sweep and is_left_over(file, found.clock):
                        files.remove(store.folder / room / file.path)
                elif room == "runs" and inside:
                    runs[name][inside] = file.stamp
                    if file.modified > found.clock - _FRESH:
                        found._fresh.add(name)
                elif room == "anchors" and name.endswith(".safetensors"):
                    found.networks.add(name.removesuffix(".safetensors"))
        found.files = dict(runs)
        found._known = {
            name: known
            for name, known in _read_index(store.folder / INDEX).items()
            if name in found.files and known[0] == found._stamp(name)
        }
        return found

    def has(self, key: str) -> bool:
        """Whether a trained network is listed."""
        return key in self.networks

    def record(self, fingerprint: str) -> dict[str, Any] | None:
        """Returns the record of a run, or None if it is missing or damaged. It is read if it is not
        known, whether it is listed or not.
        """
        known = self._known.get(fingerprint)
        if known is not None:
            return dict(json.loads(known[1]))
        record = self.store.record(fingerprint)
        if record is not None and fingerprint in self.files:
            self._note(fingerprint, record, whole=False)
        return record

    def holds(self, fingerprint: str, names: Collection[str]) -> bool:
        """Whether a run has the files of these names."""
        there = self.files.get(fingerprint, {})
        return all(f"{name}.safetensors" in there for name in names) or self.store.holds(
            fingerprint, names
        )

    def is_listed(self, fingerprint: str) -> bool:
        """Whether a run's record is listed. Another one may exist, where the listing lags."""
        return "run.json" in self.files.get(fingerprint, {})

    def is_known_whole(self, fingerprint: str) -> bool:
        """Whether all files of a run were read and found whole, and have not changed since."""
        return fingerprint in self._known and self._known[fingerprint][2]

    def found_whole(self, fingerprint: str, record: dict[str, Any]) -> None:
        """Notes that a run's files were all read, and are whole."""
        self._note(fingerprint, record, whole=True)

    def done(self, fingerprint: str, record: dict[str, Any]) -> None:
        """Notes a run that was done just now, and writes the index now and then."""
        there = {f.path: f.stamp for f in listed(self.store.run_folder(fingerprint))}
        if "run.json" not in there:  # the listing lags
            return
        self.files[fingerprint] = {name: s for name, s in there.items() if _is_of_run(name)}
        # it was written just now, under another name; only somebody else's hand could change it
        self._fresh.discard(fingerprint)
        self._note(fingerprint, record, whole=True)
        if now() > self._written + _EVERY:
            self.write()

    def read_ahead(self, fingerprints: Iterable[str]) -> None:
        """Reads the records of many runs that are not known side by side, from an object store."""
        if not isinstance(self.store.folder, Remote):
            return
        paths = {
            self.store.folder / "runs" / name / "run.json": name
            for name in fingerprints
            if name not in self._known
        }
        places = [path for path in paths if isinstance(path, Remote)]
        for first in range(0, len(places), BATCH):
            for path, data in read_many(places[first : first + BATCH]).items():
                name = paths[path]
                try:
                    record = files.record_in(data, path, RunRecord)
                except InputError:
                    continue
                if self.store.belongs(record, name):
                    if name not in self.files:  # the listing lags
                        self.files[name] = {"run.json": ""}
                        self._fresh.add(name)
                    self._note(name, record, whole=False)

    def write(self) -> None:
        """Writes the index, if it has changed. Nothing depends on it, so that a full disk does not
        stop a study here.
        """
        if not self._changed:
            return
        self._written, self._changed = now(), False
        try:
            files.write_bytes(self.store.folder / INDEX, self._packed())
        except DiskError:
            return

    def _note(self, name: str, record: dict[str, Any], *, whole: bool) -> None:
        self._known[name] = (self._stamp(name), json.dumps(record), whole)
        self._changed = True

    def _stamp(self, name: str) -> str:
        return files.digest(json.dumps(sorted(self.files[name].items())).encode())[:20]

    def _packed(self) -> bytes:
        import pyarrow as pa  # here: it takes a third of a second
        from pyarrow import parquet

        rows = [(name, *known) for name, known in self._known.items() if name not in self._fresh]
        columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
        kinds = (pa.string(), pa.string(), pa.large_string(), pa.bool_())
        table = pa.table(
            {
                title: pa.array(column, kind)
                for title, column, kind in zip(_COLUMNS, columns, kinds, strict=True)
            }
        )
        buffer = io.BytesIO()
        parquet.write_table(table, buffer, compression="zstd", write_page_checksum=True)
        return buffer.getvalue()


_COLUMNS = ("run", "stamp", "record", "whole")


def forget(store: Store) -> None:
    """Deletes the index, if that is allowed: a file that it calls whole is damaged."""
    with suppress(OSError, files.Unreachable):
        files.remove(store.folder / INDEX)


def _is_of_run(name: str) -> bool:
    return not name.endswith(".part")


def _read_index(path: Place) -> dict[str, tuple[str, str, bool]]:
    """The index; an empty one where it is missing or damaged."""
    try:
        data = files.read_bytes(path)
    except files.Unreachable:
        raise
    except InputError:
        return {}
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(data), page_checksum_verification=True)
        columns = [table[title].to_pylist() for title in _COLUMNS]
    except Exception:  # bytes of unknown origin can make the reader raise anything
        return {}
    return {name: (s, text, whole) for name, s, text, whole in zip(*columns, strict=True)}
