"""The folder of a fit: what is trained is kept there as soon as it is there, and the fit itself in
the end, so that one that was killed goes on.
"""

from dataclasses import dataclass

from thalweg import files
from thalweg.errors import InputError
from thalweg.places import Place
from thalweg.storing.fits import RECORD
from thalweg.storing.networks import NetworkStore
from thalweg.training.naming import name_of

FIT = "fit.json"


@dataclass(frozen=True)
class FitFolder:
    """A folder that belongs to one fit.

    Attributes:
        folder: The path of the folder.
        parts: Digests of all that can change the fit, by what they are of.
    """

    folder: Place
    parts: dict[str, str]

    @property
    def store(self) -> NetworkStore:
        """Where trained networks are kept."""
        return NetworkStore(self.folder)

    @property
    def identity(self) -> str:
        """The name of the fit."""
        return name_of(self.parts)

    @property
    def is_complete(self) -> bool:
        """Whether the fit was done before."""
        return files.exists(self.folder / RECORD)

    def open(self) -> None:
        """Makes the folder, or finds that it belongs to this fit.

        Raises:
            InputError: It belongs to another fit, or its record is damaged.
            DiskError: It can't be written to.
        """
        from thalweg.storing.records import FolderRecord  # it takes a fifth of a second

        path = self.folder / FIT
        if files.exists(path):
            found = files.read_record(path, FolderRecord, "give another folder")["parts"]
            names = sorted({*found, *self.parts})
            differing = [name for name in names if found.get(name) != self.parts.get(name)]
            if differing:
                raise InputError(
                    f"{self.folder} holds a fit of another problem or with other settings (other: "
                    f"{', '.join(differing)}): give another folder"
                )
        elif self.is_complete:
            raise InputError(
                f"{self.folder} holds a Quantifier that was saved there: load it with "
                "thalweg.load, or give another folder"
            )
        self.store.check_writable()
        self.store.sweep()
        files.write_record(path, {"kind": "fit", "parts": self.parts})
