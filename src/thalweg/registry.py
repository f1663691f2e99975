"""Registries: they find a class by the name that a plan gives.

A registry imports every file of its folder, and loads the entry points of other packages.
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
    """The classes of one kind, by name.

    Args:
        kind: The word for such a class in error messages.
        package: The package whose modules register their classes, and the name of the group of
            entry points by which other distributions add theirs.

    Attributes:
        registered: The classes that are registered so far, by name.

    Example:
        >>> from thalweg.explorers.base import find_explorer
        >>> find_explorer("swag").__name__
        'SWAG'
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self.registered: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Registers the decorated class under the name that plans and the command line use."""

        def decorator(cls: C) -> C:
            self.registered[name] = cls
            return cls

        return decorator

    def all(self) -> dict[str, type[T]]:
        """Returns every known class by name, in alphabetical order."""
        import_files(self.package)
        for point in entry_points(group=self.package):
            point.load()
        return dict(sorted(self.registered.items()))

    def find(self, name: str) -> type[T]:
        """Returns the class of a name.

        Raises:
            InputError: The name is unknown; the error suggests the nearest known one.
        """
        known = self.all()
        if name not in known:
            raise unknown(self.kind, name, known)
        return known[name]

    def attribute(self, name: str) -> type[T]:
        """Returns the class called `name`, for the `__getattr__` of the package.

        So classes of other packages and of new files are attributes of the package, too.

        Raises:
            AttributeError: There is no such class.
        """
        classes = {cls.__name__: cls for cls in self.all().values()} if name[:1].isupper() else {}
        if name not in classes:
            raise AttributeError(f"module '{self.package}' has no attribute '{name}'")
        return classes[name]


def import_files(package: str) -> None:
    """Imports each file of a package's folder, so that what is in it registers itself."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
