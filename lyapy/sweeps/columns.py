"""The row of a network in a sweep, with or without a result; one schema for its columns."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

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
