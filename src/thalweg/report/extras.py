"""The packages of the extra `report`, imported only where they are used."""

import importlib
from typing import Any

from thalweg.errors import InputError


def extra(module: str) -> Any:
    """Imports and returns a module of the extra `report`.

    Raises:
        InputError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            f"the report needs {module.split('.')[0]}: pip install thalweg[report]"
        ) from None
