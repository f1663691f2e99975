"""Copies, on this machine, of a study's files in an object store: read side by side, and only once.

A copy is named by the address and the stamp of its object, so that another content has another
copy. The copies are in `THALWEG_CACHE`, or in `~/.cache/thalweg/remote`, and may be deleted.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from thalweg import files
from thalweg.remote import BATCH, Remote, read_many
from thalweg.study.inventory import Inventory


def cache_folder() -> Path:
    """The folder of the copies."""
    return files.local(os.environ.get("THALWEG_CACHE") or "~/.cache/thalweg/remote")


def bring(found: Inventory, fingerprints: Iterable[str]) -> None:
    """Copies the files of runs to this machine, where they are in an object store, and lets the
    store read the copies.

    What can't be copied is read from the store.

    Args:
        found: What the store holds. Its store is told where the copies are.
        fingerprints: The runs. Their records are left out, which the index has.
    """
    folder = found.store.folder
    if not isinstance(folder, Remote):
        return
    wanted: list[tuple[Remote, Path]] = []
    for name in fingerprints:
        for file, stamp in found.files.get(name, {}).items():
            place = folder / "runs" / name / file
            if file == "run.json" or not stamp or place in found.store.near:
                continue
            copy = cache_folder() / f"{files.digest(f'{place} {stamp}'.encode())}{place.suffix}"
            if copy.exists():
                found.store.near[place] = copy
            else:
                wanted.append((place, copy))
    for first in range(0, len(wanted), BATCH):
        copies = dict(wanted[first : first + BATCH])
        for place, data in read_many(list(copies)).items():
            try:
                files.write_bytes(copies[place], data)
            except files.DiskError:  # it is only a copy
                return
            found.store.near[place] = copies[place]
