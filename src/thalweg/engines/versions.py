"""What two machines need to have in common, and what may differ at a price.

`found` is sent to machines by value, so that it also answers where thalweg is not installed, and
imports nothing but the standard library.
"""

import warnings
from collections.abc import Mapping

from thalweg.errors import InputError

# where these differ, other numbers come out, or what is sent can't be read
NEEDED = ("thalweg", "its code", "torch", "python", "cloudpickle")
# where these differ, only the last digits of some results do
WELCOME = ("torch's build", "numpy", "scipy", "scikit-learn", "processor")


def found() -> dict[str, str]:
    """Returns the versions of this machine's packages, a checksum of thalweg's code, and the
    processor.

    Example:
        >>> found()["torch"].count(".")
        2
    """
    import hashlib
    import platform
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec
    from pathlib import Path

    here = {"python": platform.python_version().rpartition(".")[0], "its code": "none"}
    for package in ("thalweg", "torch", "cloudpickle", "numpy", "scipy", "scikit-learn"):
        try:
            here[package] = version(package)
        except PackageNotFoundError:
            here[package] = "not installed"
    here["torch"], _, here["torch's build"] = here["torch"].partition("+")
    spec = find_spec("thalweg")
    if spec is not None and spec.origin is not None:
        digest, folder = hashlib.sha256(), Path(spec.origin).parent
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
        here["its code"] = digest.hexdigest()[:12]
    here["processor"] = platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line.partition(":")[2].strip() for line in file if "model name" in line]
        here["processor"] = lines[0] if lines else here["processor"]
    except OSError:
        pass  # no Linux
    return here


def compare(here: Mapping[str, str], there: Mapping[str, str], machine: str) -> None:
    """Compares a machine with this one.

    Args:
        here: What was found on this machine.
        there: What was found on the other one.
        machine: What messages call the other one.

    Raises:
        InputError: Results would be other ones there. Where only their last digits may be, there is
            a warning.

    Example:
        >>> there = {"torch": "2.12.1"}
        >>> compare({"torch": "2.13.0"}, there, "node 7")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        thalweg.errors.InputError: node 7 has torch 2.12.1, needs 2.13.0 as here, ...
    """
    unlike = _unlike(here, there, NEEDED)
    if unlike:
        has = ", ".join(f"{name} {there.get(name)}" for name in unlike)
        needs = ", ".join(here[name] for name in unlike)
        raise InputError(
            f"{machine} has {has}, needs {needs} as here, because other versions give other "
            "numbers: install the same there"
        )
    unlike = _unlike(here, there, WELCOME)
    if unlike:
        has = ", ".join(f"{name} {there.get(name)} ({here[name]} here)" for name in unlike)
        warnings.warn(
            f"{machine} has {has}: which results are computed there depends on chance, and their "
            "last digits are not those of this machine",
            stacklevel=2,
        )


def _unlike(here: Mapping[str, str], there: Mapping[str, str], names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in here and there.get(name) != here[name]]
