"""Checks of the names in a plan: the study's, which becomes a folder, and the texts of tables."""

import re

from thalweg.errors import InputError

MOST_BYTES = 200  # of a folder's name: systems allow 255, and `-quick` may be appended
# the names of devices on Windows
_PORTS = (f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))
_RESERVED = {"CON", "PRN", "AUX", "NUL", *_PORTS}


def folder_name(name: str) -> str:
    """Returns the name if a folder can have it on Linux, macOS and Windows.

    Raises:
        InputError: No folder can have it; the line says why.

    Example:
        >>> folder_name("digits-mlp")
        'digits-mlp'
    """
    reason = _trouble(name)
    if reason:
        raise InputError(
            f"got {name[:80]!r}, {reason}: its results go to a folder of that name, give one "
            "such as 'digits-mlp'"
        )
    return name


def one_line(text: str) -> str:
    """Returns the text if it is one printable line.

    Raises:
        InputError: It has control characters, is not Unicode, or has more than 1,000 characters.

    Example:
        >>> one_line("Explorers on digits")
        'Explorers on digits'
    """
    if len(text) > 1000 or not _is_unicode(text) or any(_is_control(c) for c in text):
        raise InputError(f"got {text[:80]!r}, needs one line of text, 1000 characters or fewer")
    return text


def _trouble(name: str) -> str:
    if not name.strip():
        return "which is empty"
    if not _is_unicode(name) or any(_is_control(c) for c in name):
        return "which has characters that can't be printed"
    if re.search(r'[/\\<>:"|?*]', name):
        return 'which has one of / \\ < > : " | ? *'
    if name != name.strip(" ").rstrip("."):
        return "which begins with a space, or ends with one or with a dot"
    if name.split(".")[0].rstrip().upper() in _RESERVED:
        return "which is a device's name on Windows"
    if len(name.encode()) > MOST_BYTES:
        return f"which has {len(name.encode())} bytes, more than {MOST_BYTES}"
    return ""


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character < "\xa0" or character in "\u2028\u2029"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
