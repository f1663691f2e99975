"""What figures share: what a point says under the pointer, and the decimal sign of a language."""

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from thalweg.report.svg import told

POINT = {"en": ".", "fr": ","}


class Tips:
    """What points say under the pointer."""

    def __init__(self, name: str) -> None:
        self._name, self._said = name, dict[str, str]()

    def add(self, artist: Artist, text: str) -> None:
        """Notes what an artist shall say."""
        identity = f"{self._name}-tip-{len(self._said)}"
        artist.set_gid(identity)
        self._said[identity] = text

    def told(self, drawing: str) -> str:
        """Returns an SVG whose points say it."""
        return told(drawing, self._said)


def number(value: float, digits: int, lang: str) -> str:
    """Returns a number as text in a language."""
    return f"{value:.{digits}f}".replace(".", POINT[lang])


def localise(axes: Axes, digits: int, lang: str) -> None:
    """Gives the numbers of both linear axes the decimal sign of a language."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value, digits, lang)))
