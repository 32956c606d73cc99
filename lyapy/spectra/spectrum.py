"""The result: a Lyapunov spectrum with its errors, its history and its origin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array, check_choice, check_positive
from .exponents import Exponents
from .file import check_suffix, read_fields, write_spectrum
from .measures import Measure
from .plots import KINDS
from .quantities import with_attributes
from .status import Status, status_of
from .tables import data_frame, dataset_of, exponent_columns, spectrum_html
from .text import spectrum_table

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset


@with_attributes
@dataclass(frozen=True, eq=False)
class Spectrum(Exponents):
    """A Lyapunov spectrum, the result of `lyapunov_spectrum`.

    Each diagonal block of the Jacobian has a separate frame of up to k vectors, so that there can
    be more vectors than exponents. The blocks are the layers, and modules of layers between which
    weights are zero, or one block where a ``frame`` was given as an array. ``settings`` has the
    arguments, the network, its origin, and versions: all that repeating the run needs.
    """

    @property
    def status(self) -> Status:
        """Whether the run can be relied on, with advice; see `lyapy.spectra.status`."""
        return status_of(self)

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write the spectrum to an HDF5 file, as `lyapy.spectra.file.write_spectrum` does."""
        check_suffix(path)
        write_spectrum(self, path, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | PathLike[str], *, group: str = "/", check: bool = True) -> Spectrum:
        """Read a spectrum that `save` wrote, or ``group`` of a file into which it was merged.

        Without ``check`` the seal is ignored, as for a file that was edited.

        Raises
        ------
        ValueError
            If the file is no run file, is damaged, or has another format version.
        """
        return cls(**read_fields(path, group=group, check=check))

    def plot(self, kind: str = "spectrum", *arguments: Any, **options: Any) -> Any:
        """Draw the spectrum, and return the axes.

        Parameters
        ----------
        kind : str
            ``spectrum``, ``convergence``, ``finite_time`` or ``summary``, for `plot_spectrum`,
            `plot_convergence`, `plot_finite_time` and `plot_summary` of `lyapy.plots`.
        *arguments, **options
            Of that function, ``ax=`` among them.
        """
        check_choice("kind", kind, KINDS, "; axes are ax=")
        return KINDS[kind](self, *arguments, **options)

    def slow_directions(self, T: float) -> Measure:
        """Return how many exponents lie above −1/T: directions that keep a perturbation for T.

        Parameters
        ----------
        T : float
            In steps, or units of time where `dt` was given.

        Returns
        -------
        Measure
            Its standard error is half of how much the number changes when all exponents move up
            and down by theirs. The interval counts exponents that lie above −1/T for sure, and
            those that may, as `margin` says. ``not reached`` where all k < D exponents lie above
            it, and more may follow.
        """
        check_positive("T", T, "a positive number, a time in the units of the exponents")
        if self.escaping.any():
            return Measure(math.nan, math.nan, "escapes")
        exponents, bounded = self.exponents, self.bounded
        margin = np.where(bounded, 0.0, self.margin)
        samples = self.per_trajectory if self.apart.any() else exponents[None]

        def above(values: Array) -> Array:
            return np.count_nonzero(values > -1.0 / T, axis=-1)

        # a bound may lie anywhere below itself
        low = above(np.where(bounded, -np.inf, samples - margin)).min()
        high = above(samples + margin).max()
        count, k = float(above(exponents)), len(exponents)
        high = self.state_size if high == k else high
        error = self.standard_error[np.isfinite(exponents)]
        living = exponents[np.isfinite(exponents)]
        spread = 0.5 * float(above(living + error) - above(living - error))
        spread = math.nan if np.isnan(error).any() else spread
        if count == k < self.state_size:
            return Measure(math.nan, math.nan, "not reached", float(low), float(high))
        status = "estimate" if (self.estimated & (exponents > -1.0 / T)).any() else "computed"
        status = "upper bound" if (bounded & (exponents > -1.0 / T)).any() else status
        return Measure(count, spread, status, float(low), float(high))

    def to_dataframe(self) -> DataFrame:
        """Return a pandas DataFrame with a row for each exponent; ``attrs`` has units and status.

        Raises ModuleNotFoundError without pandas.
        """
        status = self.status.code
        return data_frame(exponent_columns(self), "index", units=self.units, status=status)

    def to_xarray(self) -> Dataset:
        """Return all quantities as an xarray Dataset with named axes, units and descriptions.

        Raises ModuleNotFoundError without xarray.
        """
        return dataset_of(self)

    def __repr__(self) -> str:
        lead = ", ".join(f"{x:.6g}" for x in self.exponents[:3])
        more = ", …" if len(self.exponents) > 3 else ""
        trajectories = f"{len(self.growth)} trajector{'ies' if len(self.growth) > 1 else 'y'}"
        return (
            f"Spectrum([{lead}{more}] {self.units}; {len(self.exponents)} of {self.state_size} "
            f"exponents, {trajectories} of {self.steps} steps; {self.status.code})"
        )

    def __str__(self) -> str:
        return spectrum_table(self)

    def _repr_html_(self) -> str:
        return spectrum_html(self)
