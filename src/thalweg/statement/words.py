"""The words of a statement, in the languages that it is written in; `words_en` and `words_fr` have
the same keys.
"""

from collections.abc import Mapping

from thalweg.errors import unknown
from thalweg.statement.words_en import WORDS as EN
from thalweg.statement.words_fr import WORDS as FR

LANGUAGES: dict[str, Mapping[str, str]] = {"en": EN, "fr": FR}


def words(lang: str) -> Mapping[str, str]:
    """The words of a language.

    Raises:
        InputError: There is no such language.

    Example:
        >>> words("fr")["u_c"]
        'incertitude-type composée'
    """
    if lang not in LANGUAGES:
        raise unknown("language", lang, LANGUAGES)
    return LANGUAGES[lang]


def decimal(text: str, lang: str) -> str:
    """A number as the language writes it.

    Example:
        >>> decimal("0.95", "fr"), decimal("0.95", "en")
        ('0,95', '0.95')
    """
    return text.replace(".", ",") if lang == "fr" else text


def percent(share: float, lang: str, digits: int = 0) -> str:
    """A share in per cent; the space before the sign does not break.

    Example:
        >>> percent(0.123, "fr", 1).split()
        ['12,3', '%']
    """
    return decimal(f"{100 * share:.{digits}f}\u00a0%", lang)
