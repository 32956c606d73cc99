"""The row of a network in a sweep, with or without a result; one schema for its columns."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..spectra.exponents import QUANTITIES
from ..spectra.quantities import Quantity
from ..spectra.spectrum import Spectrum

__all__ = ["COLUMNS", "SPECTRA", "Row", "row_of", "row_without"]

# what a spectrum does not report itself
OWN = {
    "name": Quantity(units="", text="Path of the run file, without .h5", missing=""),
    "status": Quantity(
        units="", text="As of a run; or missing, unfinished, failed, damaged", missing=""
    ),
    "advice": Quantity(units="", text="Findings, and what to do about them", missing=""),
    "weights": Quantity(units="", text="Origin of the network", missing=""),
    "layers": Quantity(units="", text="Layers of the network", missing=""),
    "network_sha256": Quantity(units="", text="SHA-256 of its weights", missing=""),
    "run_sha256": Quantity(units="", text="SHA-256 in the seal of the run file", missing=""),
    "time": Quantity(units="", text="Time unit of the exponents: step, or unit of time", missing=""),
    "k": Quantity(text="Number of exponents; 0 where there is no result", missing=0),
}
COLUMNS = OWN | {name: q for name, q in QUANTITIES.items() if not q.axes}
SPECTRA = {name: q for name, q in QUANTITIES.items() if q.axes == ("exponent",)}


class Row(NamedTuple):
    """A network's row.

    Attributes
    ----------
    columns : dict
        A value for each of `COLUMNS`.
    spectra : dict
        For each of `SPECTRA` an array (k,).
    metadata : mapping
        The user's columns: numbers and text.
    """

    columns: dict[str, Any]
    spectra: dict[str, Array]
    metadata: Mapping[str, Any] = MappingProxyType({})

    @property
    def name(self) -> str:
        """Name of the network."""
        return str(self.columns["name"])

    @property
    def has_result(self) -> bool:
        """Whether there are exponents."""
        return int(self.columns["k"]) > 0


def row_of(name: str, spectrum: Spectrum, run_sha256: str) -> Row:
    """Return the row of a network with a result.

    Parameters
    ----------
    name : str
    spectrum : Spectrum
    run_sha256 : str
        From `lyapy.storage.sealed.check_seal` of its run file.
    """
    settings, report = spectrum.settings, spectrum.report()
    own = {
        "name": name,
        "status": spectrum.status.code,
        "advice": spectrum.status.advice,
        "weights": settings.get("network_origin") or "",
        "layers": settings["network"],
        "network_sha256": settings["network_sha256"],
        "run_sha256": run_sha256,
        "time": spectrum.time,
        "k": len(spectrum.exponents),
    }
    columns = {column: own[column] if column in own else report[column] for column in COLUMNS}
    return Row(columns, {column: report[column] for column in SPECTRA})


def row_without(name: str, status: str, advice: str, weights: str = "") -> Row:
    """Return the row of a network without a result, with the reason."""
    columns = {column: quantity.missing for column, quantity in COLUMNS.items()}
    columns.update(name=name, status=status, advice=advice, weights=weights)
    return Row(columns, {column: np.full(0, q.missing) for column, q in SPECTRA.items()})
