"""The result of a sweep: one row for each network, as columns and as spectra."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from ..arrays import Array
from .columns import COLUMNS, Row
from .merged_file import read_rows, write_merged
from .resampling import common_positions, resample

__all__ = ["Sweep"]


class Sweep:
    """Spectra of many networks, one row for each.

    Parameters
    ----------
    rows : sequence of Row
        Sorted by name.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Sweep:
        """Read a merged file, of `sweep` or of ``lyapy merge``.

        Raises
        ------
        ValueError
            If the file is not one.
        OSError
            If it cannot be opened.
        """
        return cls(read_rows(path))

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write the rows alone, without the runs they came from: a small file to pass on.

        Parameters
        ----------
        path : str or path
            A merged file (HDF5), for `load` and ``lyapy show`` and ``lyapy plot``.
        overwrite : bool
            Replace a file that exists.

        Raises
        ------
        OSError
            If it cannot be written, or exists and ``overwrite`` is False.
        """
        write_merged(self.rows, {}, path, overwrite=overwrite)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Sweep({sum(row.has_result for row in self.rows)} spectra of {len(self)} networks)"

    @property
    def metadata_names(self) -> list[str]:
        """Names of the user's columns."""
        return sorted(set().union(*(row.metadata for row in self.rows)))

    def where(self, **metadata: Any) -> Sweep:
        """Return the rows whose metadata have these values.

        Raises
        ------
        ValueError
            If there is no such column.
        """
        for name in metadata:
            if name not in self.metadata_names:
                raise ValueError(f"{name!r} is no column; there are {self.metadata_names}")
        return Sweep(
            [r for r in self.rows if all(r.metadata.get(n) == v for n, v in metadata.items())]
        )

    def columns(self, *, spectra: bool = False) -> dict[str, Array]:
        """Return the table as named arrays (N,), for ``pandas.DataFrame(sweep.columns())``.

        Parameters
        ----------
        spectra : bool
            With ``exponent_1`` … ``exponent_k``, NaN where a network has fewer.

        Returns
        -------
        dict
            Name, metadata and then the index; see docs/file_formats.md.
        """
        table: dict[str, Array] = {"name": np.array([row.name for row in self.rows])}
        for name in self.metadata_names:
            table[name] = self.column(name)
        for name in COLUMNS:
            table[name] = self.column(name)
        if spectra:
            for i, values in enumerate(self.exponents.T, 1):
                table[f"exponent_{i}"] = values
        return table

    def column(self, name: str) -> Array:
        """Return one column (N,), of the index or of the metadata.

        Raises
        ------
        ValueError
            If there is none of this name.
        """
        if name in COLUMNS:
            return np.array([row.columns[name] for row in self.rows])
        if name not in self.metadata_names:
            known = ", ".join([*self.metadata_names, *COLUMNS])
            raise ValueError(f"{name!r} is no column; there are {known}")
        values = [row.metadata.get(name, np.nan) for row in self.rows]
        if any(isinstance(value, str) for value in values):
            return np.array(["" if value != value else str(value) for value in values])
        return np.array(values)

    @property
    def exponents(self) -> Array:
        """Exponents (N, k) with the largest k, NaN where a network has fewer."""
        longest = max((len(row.spectra["exponents"]) for row in self.rows), default=0)
        table = np.full((len(self), longest), np.nan)
        for line, row in zip(table, self.rows, strict=True):
            line[: len(row.spectra["exponents"])] = row.spectra["exponents"]
        return table

    def resampled(self, length: int) -> Array:
        """Return spectra of networks of any size at the same positions (N, length).

        See `lyapy.sweeps.resampling.resample`; NaN for rows without a result. Where only
        leading exponents are known, positions end where the shortest part of a spectrum does.
        """
        finished = [row for row in self.rows if row.has_result]
        table = np.full((len(self), length), np.nan)
        if not finished:
            return table
        counts, sizes = ([int(row.columns[c]) for row in finished] for c in ("k", "state_size"))
        positions = common_positions(counts, sizes, length)
        for line, row in zip(table, self.rows, strict=True):
            if row.has_result:
                size = int(row.columns["state_size"])
                line[:] = resample(row.spectra["exponents"], size, positions)
        return table

    def features(self) -> dict[str, Array]:
        """Return numbers (N,) that sum up each spectrum, NaN for rows without a result.

        Returns
        -------
        dict
            ``largest``, ``mean``, ``positive`` (the number of positive exponents),
            ``kaplan_yorke_dimension`` and ``entropy_rate``.
        """
        names = ("largest", "mean", "kaplan_yorke_dimension", "entropy_rate")
        found = {name: self.column(name).astype(np.float64) for name in names}
        exponents = self.exponents
        positive = np.count_nonzero(exponents > 0.0, axis=1).astype(np.float64)
        positive[np.isnan(exponents).all(axis=1)] = np.nan
        return found | {"positive": positive}
