"""The result of a sweep: one row for each network."""

from __future__ import annotations

from html import escape
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..arrays import check_choice
from ..spectra.tables import data_frame, table_html
from .merged_file import read_rows, write_merged
from .rows import Rows
from .text import reasons, rows_table, shown_columns

if TYPE_CHECKING:
    from pandas import DataFrame

# of the rows that a notebook shows
FIRST, LAST = 20, 5


class Sweep(Rows):
    """Spectra of many networks: ``rows``, one for each, sorted by name.

    ``len(sweep)``, iteration, ``sweep["name"]`` and ``sweep[0]`` give its rows, slices and lists of
    names another sweep. ``print(sweep)`` shows them as a table.
    """

    @classmethod
    def load(cls, path: str | PathLike[str], *, check: bool = True) -> Sweep:
        """Read a merged file, of `sweep` or ``lyapy merge``; raise ValueError if it is none.

        Without ``check`` the seal is ignored, as for a file that was edited.
        """
        return cls(read_rows(path, check=check))

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write the rows to a merged file without their runs: a small file to pass on.

        `load`, ``lyapy show`` and ``lyapy plot`` read it. Raises OSError if it cannot be written,
        or exists and ``overwrite`` is False.
        """
        write_merged(self.rows, {}, path, overwrite=overwrite)

    def to_dataframe(self, *, spectra: bool = False) -> DataFrame:
        """Return the table as a pandas DataFrame, indexed by name, with the columns of `columns`.

        Raises ModuleNotFoundError without pandas.
        """
        return data_frame(self.columns(spectra=spectra), "name", units=self.units)

    def plot(self, kind: str = "spectra", *arguments: Any, **options: Any) -> Any:
        """Draw the sweep, and return the axes.

        Parameters
        ----------
        kind : str
            ``spectra``, ``measure``, ``metric``, ``map``, ``components`` or ``summary``, for
            `plot_spectra`, `plot_measure`, `plot_metric`, `plot_heat_map`, `plot_components` and
            `plot_sweep` of `lyapy.sweeps.plots`.
        *arguments, **options
            Of that function, ``ax=`` among them.
        """
        from .plots import KINDS

        check_choice("kind", kind, KINDS, "; axes are ax=")
        return KINDS[kind](self, *arguments, **options)

    def __repr__(self) -> str:
        return f"Sweep({sum(row.has_result for row in self)} spectra of {len(self)} networks)"

    def __str__(self) -> str:
        return rows_table(self)

    def _repr_html_(self) -> str:
        units = f", exponents in {self.units}" if self.rows else ""
        columns = shown_columns(self)
        if len(self) > FIRST + LAST:
            # of many, the first and the last
            columns = {n: [*c[:FIRST], "...", *c[-LAST:]] for n, c in columns.items()}
        below = "".join(f"<div>{escape(line)}</div>" for line in reasons(self))
        return f"<div>{self!r}{units}{table_html(columns)}{below}</div>"
