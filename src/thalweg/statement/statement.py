"""The statement: what it holds, with the tables, files, figures and pages that are made of it."""

from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.statement.deferral import Deferral, deferral_of
from thalweg.statement.held import Stated
from thalweg.statement.sentences import summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class Statement(Stated):
    """An uncertainty statement of inputs; `thalweg.state` makes it.

    Its attributes are those of `thalweg.statement.held.Stated`: `estimate`, `u`, `freedom`, `k`,
    `expanded`, `symmetric`, `shortest`, `components`, `nominal`, `decision`, `flags()` and others,
    each `[inputs, columns]` or `[inputs]`.

    Example:
        >>> from thalweg.statement.stating import state
        >>> found = state([[1.0, 5.0], [1.2, 5.1], [1.1, 5.6]], kind="values")
        >>> [found.text(i) for i in range(2)]
        ['1.10(12)', '5.23(37)']
    """

    def deferral(self) -> Deferral:
        """How the risk of error falls with the share of inputs that are deferred.

        Raises:
            InputError: There is nothing to err about: values without a decision.
        """
        return deferral_of(self)

    def table(self, by: str = "input") -> "DataFrame":
        """A table with a row for each input, or for each input and column; `docs/statement.md` says
        what its columns are.

        Args:
            by: `input` (of classes the most probable one; of several outputs a row each), or
                `column`.

        Raises:
            InputError: `by` is neither.
        """
        from thalweg.statement.tables import table

        return table(self, by)

    def to_csv(self, path: str | Path, by: str = "input") -> None:
        """Writes the table as text.

        Raises:
            DiskError: The folder can't be written to, or the disk is full.
        """
        from thalweg.statement.writing import to_csv

        to_csv(self, path, by)

    def to_parquet(self, path: str | Path, by: str = "input") -> None:
        """Writes the table as Parquet, with the identity in its metadata; errors as `to_csv`."""
        from thalweg.statement.writing import to_parquet

        to_parquet(self, path, by)

    def to_netcdf(self, path: str | Path) -> None:
        """Writes members and results as netCDF, with the dimensions draw, input and output.

        Raises:
            InputError: The extra `netcdf` is not installed.
            DiskError: As in `to_csv`.
        """
        from thalweg.statement.netcdf import to_netcdf

        to_netcdf(self, path)

    def to_json(self, path: str | Path) -> None:
        """Writes all results, with units and identity, but neither members nor pictures;
        `thalweg.read_statement` takes them back. Errors as in `to_csv`.
        """
        from thalweg.statement.writing import to_json

        to_json(self, path)

    def save(self, folder: str | Path) -> None:
        """Writes `statement.json` and `members.safetensors`, with members and pictures, to a folder
        that is made; `thalweg.read_statement(folder)` takes all of it back. Errors as in `to_csv`.
        """
        from thalweg.statement.writing import save

        save(self, folder)

    def plot(self, what: str = "estimates", *, lang: str = "en") -> "Figure":
        """A figure.

        Args:
            what: `estimates` with error bars, `u` against confidence, `pictures` of the most
                uncertain inputs, `budget`, or `deferral`.
            lang: `en` or `fr`.

        Raises:
            InputError: There is no such figure, or the statement lacks what it shows.
        """
        from thalweg.statement.plots import plot

        return plot(self, what, lang)

    def report(self, path: str | Path, *, lang: str = "en") -> Path:
        """Writes the statement as pages to file: `.pdf` or `.html`.

        Args:
            path: Its suffix says which.
            lang: `en` or `fr`.

        Returns:
            The path.

        Raises:
            InputError: The suffix is another one, or the extra `report` is not installed.
            DiskError: The folder can't be written to, or the disk is full.
        """
        from thalweg.statement.pages import write

        return write(self, path, lang)

    def __str__(self) -> str:
        return summary(self, "en")
