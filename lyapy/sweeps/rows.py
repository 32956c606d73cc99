"""The rows of a sweep, one schema for their columns, and its spectra at common positions."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple, Self, overload

import numpy as np

from ..arrays import Array
from ..spectra.exponents import QUANTITIES
from ..spectra.quantities import Quantity
from ..spectra.spectrum import Spectrum
from ..storage.trees import legible

# text in the columns that are no quantities of a spectrum
TEXTS = {
    "name": "Path of the run file, without .h5",
    "status": "As of a run; or missing, unfinished, failed, damaged",
    "advice": "Findings and remedies",
    "weights": "Origin of the network",
    "layers": "Layers of the network",
    "network_sha256": "SHA-256 of its weights",
    "run_sha256": "SHA-256 in the seal of the run file",
    "time": "Time unit of the exponents: step, or unit of time",
}
OWN = {name: Quantity(units="", text=text, missing="") for name, text in TEXTS.items()}
OWN["k"] = Quantity(text="Number of exponents; 0 where there is no result", missing=0)
COLUMNS = OWN | {name: q for name, q in QUANTITIES.items() if not q.axes}
SPECTRA = {name: q for name, q in QUANTITIES.items() if q.axes == ("exponent",)}


class Row(NamedTuple):
    """A network's row: a value for each of `COLUMNS`, an array (k,) for each of `SPECTRA`."""

    columns: dict[str, Any]
    spectra: dict[str, Array]
    # the user's columns: numbers and text
    metadata: Mapping[str, Any] = MappingProxyType({})

    @property
    def name(self) -> str:
        return str(self.columns["name"])

    @property
    def exponents(self) -> Array:
        return self.spectra["exponents"]

    def __repr__(self) -> str:
        return f"Row({self.name!r}, {self.columns['status']}, {dict(self.metadata)})"

    @property
    def has_result(self) -> bool:
        return int(self.columns["k"]) > 0


def row_of(name: str, spectrum: Spectrum, run_sha256: str) -> Row:
    """Return the row of a network with a result; ``run_sha256`` is from its run file's seal."""
    settings, report = spectrum.settings, spectrum.report()
    found = report | {
        "name": name, "status": spectrum.status.code, "advice": spectrum.status.advice,
        "weights": settings.get("network_origin") or "", "layers": settings["network"],
        "network_sha256": settings["network_sha256"], "run_sha256": run_sha256,
        "time": spectrum.time, "k": len(spectrum.exponents),
    }  # fmt: skip
    columns = {column: found[column] for column in COLUMNS}
    return Row(columns, {column: found[column] for column in SPECTRA})


def row_without(name: str, status: str, advice: str, weights: str = "") -> Row:
    """Return the row of a network without a result, with the reason."""
    columns = {column: quantity.missing for column, quantity in COLUMNS.items()}
    columns.update(name=name, status=status, advice=advice, weights=weights)
    return Row(columns, {column: np.full(0, q.missing) for column, q in SPECTRA.items()})


def as_table(rows: Sequence[Array], missing: Any) -> Array:
    """Return rows of different lengths as one array, filled up with ``missing``."""
    table = np.full((len(rows), max(map(len, rows), default=0)), missing)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table


def column_of(values: Sequence[Any]) -> Array:
    """Return the user's values as an array of numbers, or of text where one is none."""
    found = np.array(values, dtype=None if values else float)
    if found.dtype.kind in "biuf":
        return found
    return np.array(["" if value != value else legible(str(value)) for value in values])


class Rows:
    """Rows of networks, with their columns and statistics."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @overload
    def __getitem__(self, key: str | int) -> Row: ...

    @overload
    def __getitem__(self, key: slice | list[str] | list[int]) -> Self: ...

    def __getitem__(self, key: str | int | slice | list[str] | list[int]) -> Row | Self:
        if isinstance(key, slice):
            return type(self)(self.rows[key])
        if isinstance(key, list):
            return type(self)([self[each] for each in key])
        if not isinstance(key, str):
            return self.rows[key]
        for row in self.rows:
            if row.name == key:
                return row
        near = get_close_matches(key, self.names) or self.names[:5]
        raise KeyError(f"no network is named {key!r}; there are {', '.join(near)} and others")

    @property
    def units(self) -> str:
        """Units of the exponents."""
        times = sorted({str(row.columns["time"]) for row in self.rows if row.has_result})
        return f"nats per {' or '.join(times)}"

    @property
    def names(self) -> list[str]:
        """Names of the networks."""
        return [row.name for row in self.rows]

    @property
    def metadata_names(self) -> list[str]:
        """Names of the user's columns."""
        return sorted(set().union(*(row.metadata for row in self.rows)))

    def where(self, **metadata: Any) -> Self:
        """Return the rows whose metadata have these values."""
        for name in metadata:
            if name not in self.metadata_names:
                raise ValueError(f"{name!r} is no column; there are {self.metadata_names}")
        return type(self)(
            [r for r in self.rows if all(r.metadata.get(n) == v for n, v in metadata.items())]
        )

    def columns(self, *, spectra: bool = False) -> dict[str, Array]:
        """Return the table as named arrays (N,), for files and data frames.

        The name, metadata, and the other columns in docs/file_formats.md; with ``spectra`` also
        ``exponent_1`` … ``exponent_k``, NaN where a network has fewer.
        """
        names = ["name", *self.metadata_names, *COLUMNS]
        table: dict[str, Array] = {name: self.column(name) for name in names}
        if spectra:
            table |= {f"exponent_{i}": values for i, values in enumerate(self.exponents.T, 1)}
        return table

    def column(self, name: str) -> Array:
        """Return one column (N,), of results or metadata; raise ValueError if there is none."""
        if name in COLUMNS:
            return np.array([row.columns[name] for row in self.rows])
        if name not in self.metadata_names:
            known = ", ".join([*self.metadata_names, *COLUMNS])
            raise ValueError(f"{name!r} is no column; there are {known}")
        return column_of([row.metadata.get(name, np.nan) for row in self.rows])

    def numbers(self, name: str) -> Array:
        """Return a column (N,) of numbers; raise ValueError if there is none, or it is text."""
        column = self.column(name)
        if column.dtype.kind not in "fiu":
            raise ValueError(f"{name}: is a column of text; give one of numbers")
        return column.astype(np.float64)

    @property
    def exponents(self) -> Array:
        """Exponents (N, k) with the largest k, NaN where a network has fewer."""
        return as_table([row.spectra["exponents"] for row in self.rows], np.nan)

    def resampled(self, length: int) -> Array:
        """Return spectra of networks of any size at the same positions (N, length).

        See `resample`; NaN for rows without a result. Where only leading exponents are known,
        positions end with the shortest spectrum.
        """
        finished = [row for row in self.rows if row.has_result]
        table = np.full((len(self), length), np.nan)
        if finished:
            counts, sizes = ([int(row.columns[c]) for row in finished] for c in ("k", "state_size"))
            positions = common_positions(counts, sizes, length)
            pairs = zip(finished, sizes, strict=True)
            found = [resample(row.spectra["exponents"], D, positions) for row, D in pairs]
            table[[row.has_result for row in self.rows]] = found
        return table

    def features(self) -> dict[str, Array]:
        """Return numbers (N,) that summarize each spectrum, NaN for rows without a result.

        They are ``largest``, ``mean``, ``kaplan_yorke_dimension``, ``entropy_rate`` and
        ``positive``, the number of positive exponents.
        """
        names = ("largest", "mean", "kaplan_yorke_dimension", "entropy_rate")
        found = {name: self.numbers(name) for name in names}
        exponents = self.exponents
        positive = np.count_nonzero(exponents > 0.0, axis=1).astype(np.float64)
        positive[np.isnan(exponents).all(axis=1)] = np.nan
        return found | {"positive": positive}


def common_positions(counts: Sequence[int], state_sizes: Sequence[int], length: int) -> Array:
    """Return positions (length,) that all spectra reach.

    They are the midpoints of equal intervals from 0, the largest exponent, to the smallest share
    k/D of the ``counts`` k of the ``state_sizes`` D; 1 for whole spectra.
    """
    shares = [k / D for k, D in zip(counts, state_sizes, strict=True)]
    return min(shares) * (np.arange(length) + 0.5) / length


def resample(exponents: Array, state_size: int, positions: Array) -> Array:
    """Return a spectrum at positions (n,) between 0 and 1, linear between its exponents.

    The i-th of the D = ``state_size`` exponents, descending, has the position (i − 1/2)/D; before
    the first and after the last the spectrum is constant. Where exponents are dead, it is −∞.
    """
    alive = int(np.count_nonzero(np.isfinite(exponents)))
    if not alive:
        return np.full(len(positions), -np.inf)
    places = (np.arange(alive) + 0.5) / state_size
    found: Array = np.interp(positions, places, exponents[:alive])
    if alive < len(exponents):
        found[positions > alive / state_size] = -np.inf
    return found
