"""Rounding: numbers as a laboratory writes them, with as many digits as their uncertainty allows.

Two significant digits of u and U (JCGM 100:2008, 7.2.6), rounded to the nearest, or up where that
would make them smaller by more than 5 % (EA-4/02 M:2022, clause 6.3), which happens with one
significant digit only. An estimate has the last digit of its uncertainty, and ties go to the even
digit (ISO 80000-1:2009, annex B, rule A). No number has more than `MOST` decimals: an uncertainty
below is written as one of the last digit, never as less.
"""

import math
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal

MOST = 9
_ALONE = 4  # significant digits of an estimate whose u is 0


def digits_of(u: float, digits: int = 2) -> tuple[Decimal, int]:
    """Returns an uncertainty above 0, rounded, and the power of ten of its last digit.

    Example:
        >>> digits_of(0.02449), digits_of(1047.0), digits_of(0.0144, digits=1)
        ((Decimal('0.024'), -3), (Decimal('1.0E+3'), 2), (Decimal('0.02'), -2))
    """
    exact = Decimal(repr(float(u)))
    place = max(exact.adjusted() - digits + 1, -MOST)
    step = Decimal(1).scaleb(place)
    rounded = exact.quantize(step, ROUND_HALF_EVEN)
    if rounded < exact * Decimal("0.95"):
        rounded = exact.quantize(step, ROUND_CEILING)
    if rounded.adjusted() > exact.adjusted() and place > -MOST:  # 0.0996 is 0.10
        place += 1
        rounded = rounded.quantize(Decimal(1).scaleb(place))
    return rounded, place


def rounded(value: float, u: float, digits: int = 2, *, comma: bool = False) -> str:
    """A value with the last digit of its uncertainty.

    Example:
        >>> rounded(0.87345, 0.0241), rounded(-12345.6, 230.0), rounded(0.5, 0.0)
        ('0.873', '−12350', '0.5000')
    """
    if not (math.isfinite(value) and math.isfinite(u)):
        return "–"
    place = digits_of(u, digits)[1] if u > 0 else _place_alone(value)
    return _said(
        Decimal(repr(float(value))).quantize(Decimal(1).scaleb(place), ROUND_HALF_EVEN), comma
    )


def uncertainty(u: float, digits: int = 2, *, comma: bool = False) -> str:
    """An uncertainty, rounded.

    Example:
        >>> uncertainty(0.02449), uncertainty(0.0), uncertainty(230.4), uncertainty(0.1, comma=True)
        ('0.024', '0', '230', '0,10')
    """
    if not math.isfinite(u):
        return "–"
    return _said(digits_of(u, digits)[0], comma) if u > 0 else "0"


def concise(value: float, u: float, digits: int = 2, *, comma: bool = False) -> str:
    """A value with its standard uncertainty in parentheses, in units of the last digit (GUM 7.2.2,
    form 2).

    Example:
        >>> concise(0.87345, 0.0241), concise(12345.6, 230.0), concise(3.14, 0.0)
        ('0.873(24)', '12350(230)', '3.140(0)')
        >>> concise(8.32, 1.2), concise(1.0, 3e-13)
        ('8.3(12)', '1.000000000(1)')
    """
    if not (math.isfinite(value) and math.isfinite(u)):
        return "–"
    text = rounded(value, u, digits, comma=comma)
    if u == 0:
        return f"{text}(0)"
    found, place = digits_of(u, digits)
    if place >= 0:
        return f"{text}({_said(found, comma)})"
    return f"{text}({int(found.scaleb(-place))})"


def plus_minus(value: float, expanded: float, digits: int = 2, *, comma: bool = False) -> str:
    """A value with its expanded uncertainty (GUM 7.2.4).

    Example:
        >>> plus_minus(0.87345, 0.0512)
        '0.873 ± 0.051'
    """
    if not (math.isfinite(value) and math.isfinite(expanded)):
        return "–"
    said = uncertainty(expanded, digits, comma=comma)
    return f"{rounded(value, expanded, digits, comma=comma)} ± {said}"


def _place_alone(value: float) -> int:
    exact = Decimal(repr(float(value)))
    return max(exact.adjusted() - _ALONE + 1 if exact else 1 - _ALONE, -MOST)


def _said(number: Decimal, comma: bool) -> str:  # noqa: FBT001
    text = f"{number:f}".replace("-", "−")
    if not number:
        text = text.lstrip("−")
    return text.replace(".", ",") if comma else text
