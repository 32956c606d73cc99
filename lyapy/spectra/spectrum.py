"""The result: a Lyapunov spectrum with its errors, its history and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np

from ..arrays import Array
from ..tangent.state import RESOLVED
from . import measures
from .measures import Measure
from .status import Status, status_of
from .uncertainty import Uncertainty, half_width, uncertainty

__all__ = ["Spectrum"]

# rounding error, in nats per step, beyond which an exponent is no more than a bound
BOUND = 1e-2


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A Lyapunov spectrum; what `lyapunov_spectrum` returns.

    Attributes
    ----------
    growth : array (B, rows, K)
        Sum of log R_ii of the reorthonormalizations, in nats, over pieces of the counted
        steps; in the order of the frame's rows. Of a stack, each layer has its own frame of
        up to k rows, so that K ≥ k.
    growth_steps : array (rows,)
        Counted step at which each piece ends.
    state_size : int
        D, the number of all exponents.
    transient : int
        Steps before the counted ones.
    final_state : array (B, D)
    final_frame : array (B, K, D)
    intervals, trailing_intervals, rejections : array (B, parts)
        For each layer, accepted intervals between reorthonormalizations of the leading frame,
        those of the trailing frame (0 where there was none), and rejected ones of both.
    largest_spread : array (B, parts)
        Largest max log R_ii − min log R_ii of an accepted interval, in nats.
    split : array (B, parts)
        Rows of the leading frame at the end; the others were followed under J⁻ᵀ.
    numerical_error : array (B, K)
        Estimated rounding error of each row's growth, in nats per step.
    determinants : array (B, parts, 3)
        Sums of log|det J| and of growth over the steps compared, and the number of these.
    norm_excess : array (B, parts)
        By how much growth passes the bounds that the norms of J and J⁻ᵀ set, at most, in nats
        per step; negative where it keeps within them, as it must.
    frame_error : array (B, parts)
        Largest entry of |Q Qᵀ − 1| for the resolved rows of the last frame as the engine left
        it, before it was orthonormalized to working precision as `final_frame`.
    settings : dict
        Arguments, origin, versions: what is needed to repeat the run.
    """

    growth: Array
    growth_steps: Array
    state_size: int
    transient: int
    final_state: Array
    final_frame: Array
    intervals: Array
    trailing_intervals: Array
    rejections: Array
    largest_spread: Array
    split: Array
    numerical_error: Array
    determinants: Array
    norm_excess: Array
    frame_error: Array
    settings: dict[str, Any]

    @property
    def steps(self) -> int:
        """Counted steps of each trajectory."""
        return int(self.growth_steps[-1])

    @property
    def dt(self) -> float:
        """Time of a step, by which exponents and rates are divided; 1 where none was given."""
        return float(self.settings.get("dt") or 1.0)

    @property
    def units(self) -> str:
        """Units of the exponents: nats per step, or per unit of time where `dt` was given."""
        return "nats per unit of time" if self.settings.get("dt") else "nats per step"

    @cached_property
    def order(self) -> Array:
        """The k rows of the frame with the largest exponents, descending."""
        means = self.growth.sum(axis=1).mean(axis=0)
        return np.argsort(-means, kind="stable")[: self.settings["k"]]

    @cached_property
    def per_trajectory(self) -> Array:
        """Exponents of each trajectory (B, k), in `units`."""
        return self.growth.sum(axis=1)[:, self.order] / (self.steps * self.dt)

    @property
    def exponents(self) -> Array:
        """Exponents (k,), descending: the mean over the trajectories, in `units`.

        −∞ stands for a dead direction, one that the Jacobians provably annihilate. Where
        `resolved` is False the number is known up to `rounding_error`, and where `bounded` is
        True it is an upper bound.
        """
        return self.per_trajectory.mean(axis=0)

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """Statistical errors of `exponents`, in `units`: how they would scatter in other runs.

        See `lyapy.spectra.uncertainty.uncertainty`. They tell nothing of rounding, which `resolved`
        and `numerical_error` do, nor of a transient that was too short.
        """
        return self.uncertainty_of(self.growth[:, :, self.order])

    @property
    def standard_error(self) -> Array:
        """Standard error (k,) of `exponents`, in `units`; NaN where it is not known."""
        return self.uncertainty.standard_error

    @property
    def degrees_of_freedom(self) -> Array:
        """Degrees of freedom (k,) of Student's t, for confidence intervals."""
        return self.uncertainty.degrees_of_freedom

    def confidence_interval(self, level: float = 0.95) -> Array:
        """Return lower and upper ends (k, 2) of confidence intervals, by Student's t, in `units`.

        Parameters
        ----------
        level : float
            Nominal coverage; docs/validation.md has the measured one.

        Raises
        ------
        ValueError
            If ``level`` does not lie between 0 and 1.
        """
        width = half_width(self.uncertainty, level)
        return np.stack([self.exponents - width, self.exponents + width], axis=-1)

    @property
    def rounding_error(self) -> Array:
        """Estimated rounding error (k,) of `exponents`, in nats per step."""
        return self.numerical_error.max(axis=0)[self.order]

    @property
    def resolved(self) -> Array:
        """For each exponent (k,), whether float64 resolves it to the tolerance."""
        sound = self.rounding_error <= RESOLVED * self.settings["tolerance"]
        return sound | np.isneginf(self.exponents)

    @property
    def bounded(self) -> Array:
        """For each exponent (k,), whether rounding leaves an upper bound of it only.

        One that is neither `resolved` nor this is known up to its `rounding_error`.
        """
        return ~self.resolved & (self.rounding_error > BOUND)

    @property
    def status(self) -> Status:
        """Whether the run can be relied on, and if not what to do; see `lyapy.spectra.status`."""
        return status_of(self)

    @property
    def largest(self) -> float:
        """The largest exponent, in `units`."""
        return float(self.exponents[0])

    @property
    def mean(self) -> float:
        """Mean of the exponents, in `units`."""
        return float(self.exponents.mean())

    @property
    def kaplan_yorke_dimension(self) -> float:
        """Kaplan–Yorke dimension; NaN where the exponents computed do not reach it."""
        return measures.kaplan_yorke_dimension(self.exponents, self.state_size)

    @property
    def entropy_rate(self) -> float:
        """Sum of the positive exponents, in `units`; NaN where more may follow."""
        return measures.entropy_rate(self.exponents, self.state_size)

    @property
    def sum_rule_residual(self) -> float:
        """Largest |mean log|det J| − Σλ| / D of a trajectory, in nats per step.

        Cells without a closed form of log|det J| are compared in the first trajectory only.
        NaN where it does not apply: where a layer's spectrum is partial, or there are dead or
        directions of which there are only bounds.
        """
        compared = self.determinants[np.all(self.determinants[..., 2] > 0, axis=1)]
        log_det, growth, steps = np.moveaxis(compared, -1, 0)
        if not (len(compared) and np.all(np.isfinite(log_det)) and not self.bounded.any()):
            return float("nan")
        return float(np.max(np.sum(np.abs(log_det - growth) / steps, axis=1)) / self.state_size)

    @property
    def participation_ratio(self) -> Array:
        """Participation ratio (B, k) of the deviation vectors after the last step.

        The number of coordinates of the state, from 1 to D, over which each is spread.
        """
        return measures.participation_ratio(self.final_frame[:, self.order])

    def measures(self) -> dict[str, Measure]:
        """Return mean, Kaplan–Yorke dimension, entropy rate and sum rule residual, with errors."""
        return measures.measures_of(self)

    def uncertainty_of(self, growth: Array) -> Uncertainty:
        """Return the statistical errors, in `units`, of other growth (B, rows, k) in this run."""
        shared = self.settings.get("input_sequences") == 1
        found = uncertainty(growth, self.growth_steps, shared_inputs=shared)
        return found._replace(standard_error=found.standard_error / self.dt)

    def convergence(self) -> Array:
        """Return the mean exponents (rows, k) over the first steps, up to `growth_steps`."""
        sums = np.cumsum(self.growth.mean(axis=0)[:, self.order], axis=0)
        return sums / (self.growth_steps[:, None] * self.dt)

    def finite_time_exponents(self, window: int) -> Array:
        """Return the exponents over each of the consecutive windows of the counted steps.

        They fluctuate about `exponents`; of a large deviation principle their distribution
        narrows as the window grows. Steps after the last full window are left out.

        Parameters
        ----------
        window : int
            Steps; a multiple of the steps in a row of the history, which are ``growth_steps[0]``:
            64 at first, and more in runs of over 65 536 steps, whose history has 1024 rows.

        Returns
        -------
        array (B, windows, k)
            In `units`, in the order of `exponents`.

        Raises
        ------
        ValueError
            If ``window`` is no multiple of a row, or longer than the run.
        """
        row = int(self.growth_steps[0])
        whole = isinstance(window, (int, np.integer)) and not isinstance(window, bool)
        if not whole or window < 1 or window % row:
            raise ValueError(
                f"window is {window!r}; the history of this run is kept in rows of {row} steps: "
                f"give a multiple of {row}, or compute fewer steps at a time for shorter rows"
            )
        count = self.steps // window
        if not count:
            raise ValueError(f"window is {window}, longer than the {self.steps} counted steps")
        rows = window // row
        full = self.growth[:, : count * rows, self.order]
        sums = full.reshape(len(full), count, rows, -1).sum(axis=2)
        return np.asarray(sums / (window * self.dt))

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write the spectrum to an HDF5 file, as `lyapy.spectra.file.write_spectrum` does."""
        from .file import write_spectrum

        write_spectrum(self, path, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Spectrum:
        """Read a spectrum that `save` wrote.

        Raises
        ------
        ValueError
            If the file is not one.
        """
        from .file import read_spectrum

        return read_spectrum(path)

    def __repr__(self) -> str:
        lead = ", ".join(f"{x:.6g}" for x in self.exponents[:3])
        more = ", …" if len(self.exponents) > 3 else ""
        trajectories = f"{len(self.growth)} trajector{'ies' if len(self.growth) > 1 else 'y'}"
        return (
            f"Spectrum([{lead}{more}] {self.units}; {len(self.exponents)} of {self.state_size} "
            f"exponents, {trajectories} of {self.steps} steps)"
        )
