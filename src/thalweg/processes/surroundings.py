"""The surroundings of a call, which workers that were started earlier take over from the caller."""

import multiprocessing
import os
import sys
from contextlib import suppress
from dataclasses import dataclass

import torch

# the beginnings of the names of variables that change what thalweg or torch does
CARRIED = ("THALWEG_", "TORCH_", "TORCHINDUCTOR_", "PYTORCH_", "CUBLAS_", "NVIDIA_TF32_")


@dataclass(frozen=True)
class Surroundings:
    """The state of a process that can change a result without being an argument.

    Attributes:
        folder: The working directory; None if it was deleted.
        path: The search path of modules, `sys.path`.
        environment: The environment variables.
        dtype: torch's default type.
        deterministic: Whether torch uses only deterministic algorithms, and whether it only warns.
        precision: torch's precision of float32 matrix products.
        start: How multiprocessing, and with it a DataLoader, starts processes; None for the
            system's default.
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
        """Returns the surroundings of this process."""
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
        """Makes this process take them over."""
        if self.folder is not None:
            with suppress(OSError):
                os.chdir(self.folder)
        sys.path[:] = [self.folder if entry == "" and self.folder else entry for entry in self.path]
        for name in os.environ.keys() - self.environment.keys():
            del os.environ[name]
        os.environ.update(self.environment)
        self._set()

    def visit(self) -> None:
        """Makes a process that an engine started, here or on another machine, take them over.

        The machine's own paths and environment stay. Added are the modules' paths that exist there,
        and the variables that thalweg and torch read.
        """
        folder = self.folder if self.folder and os.path.isdir(self.folder) else None
        if folder is not None:
            os.chdir(folder)
        paths = (folder or "" if entry == "" else entry for entry in self.path)
        sys.path += [p for p in paths if p and p not in sys.path and os.path.exists(p)]
        for name, value in self.environment.items():
            if name.startswith(CARRIED):
                os.environ[name] = value
        self._set()

    def _set(self) -> None:
        torch.set_default_dtype(self.dtype)
        torch.use_deterministic_algorithms(self.deterministic[0], warn_only=self.deterministic[1])
        torch.set_float32_matmul_precision(self.precision)
        # otherwise the method by which this worker was started would remain
        multiprocessing.set_start_method(self.start, force=True)
