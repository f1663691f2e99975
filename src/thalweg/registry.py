"""Registries: what plans name is found by name, each file in a folder, and the entry points of
other packages.
"""

import importlib
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from thalweg.errors import unknown

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """Classes of one kind by name.

    Args:
        kind: What an error calls them.
        package: The folder whose files register them, and the group of entry points by which other
            packages add theirs.

    Attributes:
        found: Those that are registered so far.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self.found: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Class decorator: registers a class under the name that plans and the command line use."""

        def registered(cls: C) -> C:
            self.found[name] = cls
            return cls

        return registered

    def all(self) -> dict[str, type[T]]:
        """Every known class by name, in alphabetical order."""
        import_files(self.package)
        for point in entry_points(group=self.package):
            point.load()
        return dict(sorted(self.found.items()))

    def find(self, name: str) -> type[T]:
        """The class of a name.

        Raises:
            InputError: There is none; the error suggests the nearest.
        """
        known = self.all()
        if name not in known:
            raise unknown(self.kind, name, known)
        return known[name]

    def attribute(self, name: str) -> type[T]:
        """The class called `name`, for `__getattr__` of the package: classes of other packages, and
        of new files, are there as the others are.

        Raises:
            AttributeError: There is none.
        """
        found = {cls.__name__: cls for cls in self.all().values()} if name[:1].isupper() else {}
        if name not in found:
            raise AttributeError(f"module '{self.package}' has no attribute '{name}'")
        return found[name]


def import_files(package: str) -> None:
    """Imports each file of a package's folder, so that what is in it registers itself."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
