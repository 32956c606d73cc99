"""The result: a Lyapunov spectrum with its errors, its history and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from .exponents import Exponents
from .file import check_suffix, read_fields, write_spectrum
from .measures import Measure
from .plots import KINDS
from .quantities import with_attributes
from .slow import slow_directions
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
        if kind not in KINDS:
            raise ValueError(
                f"kind is {kind!r}; it must be one of {', '.join(KINDS)}; axes are ax="
            )
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
        return slow_directions(self, T)

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
