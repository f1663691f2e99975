"""The surroundings of a call: workers that were started earlier see what the caller sees now."""

import multiprocessing
import os
import sys
from contextlib import suppress
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Surroundings:
    """What can change a result without being an argument.

    Attributes:
        folder: The working directory; None if it was deleted.
        path: Where modules are imported from.
        environment: Environment variables.
        dtype: torch's default.
        deterministic: Whether torch takes deterministic algorithms only, and whether it only warns.
        precision: Of float32 matrix products.
        start: How multiprocessing, and so a DataLoader, starts processes; None for the system's
            way.
    """

    folder: str | None
    path: tuple[str, ...]
    environment: dict[str, str]
    dtype: torch.dtype
    deterministic: tuple[bool, bool]
    precision: str
    start: str | None

    @staticmethod
    def here() -> "Surroundings":
        """Those of this process."""
        folder = None
        with suppress(OSError):
            folder = os.getcwd()
        deterministic = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        return Surroundings(
            folder,
            tuple(sys.path),
            dict(os.environ),
            torch.get_default_dtype(),
            deterministic,
            torch.get_float32_matmul_precision(),
            multiprocessing.get_start_method(allow_none=True),
        )

    def enter(self) -> None:
        """Makes them this process's own."""
        if self.folder is not None:
            with suppress(OSError):
                os.chdir(self.folder)
        sys.path[:] = [self.folder if entry == "" and self.folder else entry for entry in self.path]
        for name in os.environ.keys() - self.environment.keys():
            del os.environ[name]
        os.environ.update(self.environment)
        torch.set_default_dtype(self.dtype)
        torch.use_deterministic_algorithms(self.deterministic[0], warn_only=self.deterministic[1])
        torch.set_float32_matmul_precision(self.precision)
        multiprocessing.set_start_method(
            self.start, force=True
        )  # that of a worker's own start else
