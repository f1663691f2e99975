"""Orthogonal arrays of strength 2: few trainings in which every two sources are fully crossed.

Rao 1947 (Supplement to the JRSS 9), Bose 1938: over a field of q elements the rows are all pairs
(i, j), and the columns i, j and i + c j for the field's elements c other than 0. With three columns
it is a Latin square, with four a Graeco-Latin one.
"""

from itertools import product

_PRIMES = (2, 3, 5, 7, 11, 13)
# x^2 = x + 1 over two elements, x^3 = x + 1 over two, x^2 = 2 over three: the lowest coefficients
_POWERS = {4: (2, (1, 1)), 8: (2, (1, 1, 0)), 9: (3, (2, 0))}
SIZES = tuple(sorted((*_PRIMES, *_POWERS)))
"""The numbers of levels for which there is a field."""


def orthogonal_array(size: int, columns: int) -> list[tuple[int, ...]]:
    """Returns the array with `size` squared rows: each pair of levels of each two columns is in
    one row.

    Args:
        size: The number of levels, one of `SIZES`.
        columns: The number of columns, 2 to `size` + 1.

    Example:
        >>> orthogonal_array(2, 3)
        [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]
    """
    rows = []
    for i, j in product(range(size), repeat=2):
        others = (_add(i, _multiply(c, j, size), size) for c in range(1, columns - 1))
        rows.append((i, j, *others))
    return rows


def _add(a: int, b: int, size: int) -> int:
    base = _POWERS[size][0] if size in _POWERS else size
    return _number([x + y for x, y in zip(_digits(a, size), _digits(b, size), strict=True)], base)


def _multiply(a: int, b: int, size: int) -> int:
    if size not in _POWERS:
        return a * b % size
    base, reduced = _POWERS[size]
    length = len(reduced)
    digits = [0] * (2 * length - 1)
    for m, x in enumerate(_digits(a, size)):
        for n, y in enumerate(_digits(b, size)):
            digits[m + n] += x * y
    for power in range(2 * length - 2, length - 1, -1):  # x^length is what `reduced` says
        for n, coefficient in enumerate(reduced):
            digits[power - length + n] += digits[power] * coefficient
    return _number(digits[:length], base)


def _digits(number: int, size: int) -> list[int]:
    """An element as the coefficients of its polynomial, the lowest first."""
    if size not in _POWERS:
        return [number]
    base, reduced = _POWERS[size]
    return [number // base**power % base for power in range(len(reduced))]


def _number(digits: list[int], base: int) -> int:
    return sum(digit % base * base**power for power, digit in enumerate(digits))
