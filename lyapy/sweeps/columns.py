"""A row of many: what is told of one network among others, whether it has a result or not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..spectra.spectrum import Spectrum

__all__ = ["COLUMNS", "SPECTRA", "Column", "Row", "row_of", "row_without"]


class Column(NamedTuple):
    """What a column tells about itself; ``missing`` stands in the row of a network without result.

    ``units`` may hold ``{time}``, which is the unit of the exponents: step, or the unit of time.
    """

    missing: Any
    units: str
    description: str


RATE = "nats per {time}"
COLUMNS = {
    "name": Column("", "", "of the member, which is the path of its run file without .h5"),
    "status": Column("", "", "as of a run; or missing, unfinished, failed, damaged"),
    "advice": Column("", "", "what was found, and what to do about it"),
    "weights": Column("", "", "where the network came from"),
    "network": Column("", "", "its layers"),
    "network_sha256": Column("", "", "of its weights"),
    "run_sha256": Column("", "", "of the run file, as its seal tells it"),
    "time": Column("", "", "what exponents are per: step, or unit of time"),
    "state_size": Column(0, "1", "D, the number of all exponents"),
    "k": Column(0, "1", "exponents computed, the first k in the row; 0 where there is no result"),
    "trajectories": Column(0, "1", "number B of trajectories"),
    "steps": Column(0, "steps", "counted"),
    "transient": Column(0, "steps", "before the counted ones"),
    "largest": Column(np.nan, RATE, "largest exponent"),
    "largest_error": Column(np.nan, RATE, "its standard error"),
    "mean": Column(np.nan, RATE, "mean of the exponents"),
    "mean_error": Column(np.nan, RATE, "its standard error"),
    "kaplan_yorke_dimension": Column(np.nan, "1", "NaN where the exponents do not reach it"),
    "kaplan_yorke_dimension_error": Column(np.nan, "1", "its standard error"),
    "entropy_rate": Column(np.nan, RATE, "sum of the positive exponents; NaN: more may follow"),
    "entropy_rate_error": Column(np.nan, RATE, "its standard error"),
    "sum_rule_residual": Column(np.nan, "nats per step", "NaN where the rule does not apply"),
}
SPECTRA = {
    "exponents": Column(np.nan, RATE, "descending; -inf is dead; NaN after the k-th"),
    "standard_error": Column(np.nan, RATE, "standard error of exponents"),
    "degrees_of_freedom": Column(np.nan, "1", "of Student's t, for confidence intervals"),
    "resolved": Column(False, "1", "false where rounding costs more than the tolerance"),
}
MEASURES = ("mean", "kaplan_yorke_dimension", "entropy_rate", "sum_rule_residual")


class Row(NamedTuple):
    """What is told of one network.

    Attributes
    ----------
    columns : dict
        A value for each of `COLUMNS`.
    spectra : dict
        For each of `SPECTRA` an array (k,).
    metadata : mapping
        What the user tells of the network: numbers and text under names of their own.
    """

    columns: dict[str, Any]
    spectra: dict[str, Array]
    metadata: Mapping[str, Any] = MappingProxyType({})

    @property
    def name(self) -> str:
        """Name of the member."""
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
        Of its run file, as `lyapy.storage.sealed.check_seal` returns it.
    """
    settings, measures = spectrum.settings, spectrum.measures()
    columns = {
        "name": name,
        "status": spectrum.status.code,
        "advice": spectrum.status.advice,
        "weights": settings.get("network_origin") or "",
        "network": settings["network"],
        "network_sha256": settings["network_sha256"],
        "run_sha256": run_sha256,
        "time": spectrum.units.removeprefix("nats per "),
        "state_size": spectrum.state_size,
        "k": len(spectrum.exponents),
        "trajectories": len(spectrum.growth),
        "steps": spectrum.steps,
        "transient": spectrum.transient,
        "largest": spectrum.largest,
        "largest_error": spectrum.standard_error[0],
    }
    for measure in MEASURES:
        columns[measure] = measures[measure].value
        if f"{measure}_error" in COLUMNS:
            columns[f"{measure}_error"] = measures[measure].standard_error
    return Row(columns, {field: np.asarray(getattr(spectrum, field)) for field in SPECTRA})


def row_without(name: str, status: str, advice: str, weights: str = "") -> Row:
    """Return the row of a network without a result, and why there is none."""
    columns = {column: told.missing for column, told in COLUMNS.items()}
    columns.update(name=name, status=status, advice=advice, weights=weights)
    return Row(columns, {field: np.full(0, told.missing) for field, told in SPECTRA.items()})
