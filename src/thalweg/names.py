"""Names that a plan gives: of the study, which becomes a folder on any system, and texts that stand
in tables and figures.
"""

import re

from thalweg.errors import InputError

MOST_BYTES = 200  # of a folder's name: systems allow 255, and `-quick` comes behind it
_RESERVED = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10)),
}  # on Windows


def folder_name(name: str) -> str:
    """The name, if it can be one folder's, on Linux, macOS and Windows.

    Raises:
        InputError: It can't be; the line says why.
    """
    reason = _trouble(name)
    if reason:
        raise InputError(
            f"got {name[:80]!r}, {reason}: its results go to a folder of that name, give one "
            "such as 'digits-mlp'"
        )
    return name


def one_line(text: str) -> str:
    """The text, if it is one line that can be printed.

    Raises:
        InputError: It has control characters, is no Unicode, or is longer than 1,000 characters.
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
        return "which is a device on Windows"
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
