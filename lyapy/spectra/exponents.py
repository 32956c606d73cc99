"""Exponents, their errors and measures, from the growth that a run counted."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np

from ..arrays import Array
from ..tangent.state import RESOLVED, hides
from . import measures
from .measures import Measure, warn_unreached
from .quantities import RATE, quantities, reported, stored
from .stationarity import apart, escaping
from .uncertainty import Uncertainty, half_width, slowly_correlated, uncertainty
from .windows import window_sums

# of the intervals of measures
LEVEL = 0.95
# of intervals where rows are correlated: covers the intermittent map of docs/validation.md
SLOW_FACTOR = 2.2
# rounding error, in nats per step, beyond which an exponent is only an estimate
ESTIMATE = 1e-2
BLOCKS = "trajectory block"


@dataclass(frozen=True, eq=False)
class Exponents:
    """The results of a run, and the numbers that follow from them."""

    growth: Annotated[
        Array,
        stored("trajectory row vector", "nats", "Sums of log R_ii over the counted steps of a row"),
    ]
    growth_steps: Annotated[
        Array, stored("row", "steps", "Counted step at which each row of growth ends")
    ]
    state_size: Annotated[int, stored("", "1", "D, the number of all exponents", missing=0)]
    transient: Annotated[int, stored("", "steps", "Steps before the counted ones", missing=0)]
    state_sizes: Annotated[
        Array, stored("trajectory row", "1", "Largest |state| of a coordinate after each row")
    ]
    final_state: Annotated[Array, stored("trajectory state", "1", "State after the last step")]
    final_frame: Annotated[
        Array,
        stored("trajectory vector state", "1", "Orthonormal deviation vectors after the last step"),
    ]
    intervals: Annotated[
        Array, stored(BLOCKS, "1", "Intervals of the leading frame that were accepted")
    ]
    trailing_intervals: Annotated[
        Array, stored(BLOCKS, "1", "Intervals of the trailing frame that were accepted, if any")
    ]
    rejections: Annotated[
        Array, stored(BLOCKS, "1", "Intervals that were rejected and repeated shorter")
    ]
    largest_spread: Annotated[
        Array, stored(BLOCKS, "nats", "Largest max - min of log R_ii of an accepted interval")
    ]
    split: Annotated[
        Array,
        stored(BLOCKS, "1", "Vectors of the leading frame; the others were followed backwards"),
    ]
    numerical_error: Annotated[
        Array, stored("trajectory vector", "nats per step", "Estimated rounding error of growth")
    ]
    determinants: Annotated[
        Array,
        stored(
            "trajectory block term",
            "nats, nats, steps",
            "Sums of log|det J| and of growth over the steps compared, and their number",
        ),
    ]
    norm_excess: Annotated[
        Array,
        stored(
            BLOCKS,
            "nats per step",
            "Largest excess of growth over its bounds by the norms of J and its inverse",
        ),
    ]
    frame_error: Annotated[
        Array,
        stored(
            BLOCKS,
            "1",
            "Largest entry of |Q Q^T - 1| of the resolved vectors, as the engine left them",
        ),
    ]
    settings: dict[str, Any]

    @property
    @reported("", "1", missing=0)
    def trajectories(self) -> int:
        """Number of trajectories."""
        return len(self.growth)

    @property
    @reported("", "steps", missing=0)
    def steps(self) -> int:
        """Counted steps of each trajectory."""
        return int(self.growth_steps[-1])

    @property
    def dt(self) -> float:
        """Time of a step, by which exponents and rates are divided; 1 where none was given."""
        return float(self.settings.get("dt") or 1.0)

    @property
    def time(self) -> str:
        """Time unit of the exponents: step, or unit of time where `dt` was given."""
        return "unit of time" if self.settings.get("dt") else "step"

    @property
    def units(self) -> str:
        """Units of the exponents: nats per step, or per unit of time where `dt` was given."""
        return RATE.format(time=self.time)

    @property
    def multiplicity(self) -> int:
        """How often each exponent is there: columns of a state with the same Jacobian."""
        return int(self.settings.get("multiplicity", 1))

    @property
    def shared_inputs(self) -> bool:
        """Whether all trajectories read the same inputs, and are not independent."""
        return bool(self.settings.get("input_sequences") == 1)

    @cached_property
    def escaping(self) -> Array:
        """Which trajectories (B,) grow without bound, by a factor in each quarter of the run."""
        return escaping(self.state_sizes, self.growth_steps)

    @cached_property
    def apart(self) -> Array:
        """For which exponents (k,) trajectories differ by more than the errors within them.

        None where each trajectory reads its own inputs: it may differ by these, and the scatter
        between trajectories is then the standard error.
        """
        found = np.zeros(len(self.order), bool)
        living = np.isfinite(self.exponents)
        if living.any() and self.settings.get("input_sequences", 0) < 2:
            growth = self.growth[:, :, self.order[living]]
            found[living] = apart(growth, self.growth_steps, self.settings["tolerance"])
        return found

    @cached_property
    def order(self) -> Array:
        """The rows of the frame with the k largest exponents: descending, bounds, dead ones."""
        means = self.growth.sum(axis=1).mean(axis=0)
        # a bound says nothing about the place, and leaves the numbers of the others alone
        last = np.where(np.isneginf(means), 2, self._hidden)
        leading = np.lexsort((-means, last))[: self.settings["k"] // self.multiplicity]
        return np.repeat(leading, self.multiplicity)

    @cached_property
    def _hidden(self) -> Array:
        """Which vectors have growth that rounding hides, of which only a bound was counted."""
        error, interval = self.numerical_error.max(axis=0), self.settings.get("interval", "auto")
        return hides(error, interval, self.settings["tolerance"])

    @cached_property
    @reported("trajectory exponent", RATE)
    def per_trajectory(self) -> Array:
        """Exponents of each trajectory."""
        return self.growth.sum(axis=1)[:, self.order] / (self.steps * self.dt)

    @property
    @reported("exponent", RATE)
    def exponents(self) -> Array:
        """Exponents, descending: means over the trajectories; -inf for a dead direction.

        Those that are only bounded follow those that are not.

        A dead direction is one that the Jacobians provably annihilate. Where `resolved` is False
        the number is known up to `rounding_error`; where `bounded` is True it is an upper bound.
        """
        return self.per_trajectory.mean(axis=0)

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """Statistical errors of `exponents`, in `units`: their scatter over other runs.

        See `lyapy.spectra.uncertainty.uncertainty`. They include neither rounding, for which see
        `rounding_error`, nor the effect of a transient that was too short.
        """
        return self.uncertainty_of(self.growth[:, :, self.order])

    @property
    @reported("exponent", RATE)
    def standard_error(self) -> Array:
        """Standard errors of the exponents; NaN where unknown."""
        return self.uncertainty.standard_error

    @property
    @reported("exponent", "1")
    def degrees_of_freedom(self) -> Array:
        """Degrees of freedom of Student's t, for confidence intervals."""
        return self.uncertainty.degrees_of_freedom

    @property
    @reported("exponent", "nats per step")
    def rounding_error(self) -> Array:
        """Estimated rounding errors of the exponents."""
        return self.numerical_error.max(axis=0)[self.order]

    @property
    @reported("exponent", "1", missing=False)
    def resolved(self) -> Array:
        """Whether float64 resolves the exponent to the tolerance."""
        sound = self.rounding_error <= RESOLVED * self.settings["tolerance"]
        return (sound & ~self._hidden[self.order]) | np.isneginf(self.exponents)

    @property
    @reported("exponent", "1", missing=False)
    def bounded(self) -> Array:
        """Whether rounding leaves only an upper bound of the exponent."""
        return self._hidden[self.order] & ~np.isneginf(self.exponents)

    @property
    def estimated(self) -> Array:
        """Whether the rounding error (k,) of an exponent exceeds 0.01 nats per step."""
        return ~self.resolved & ~self.bounded & (self.rounding_error > ESTIMATE)

    @property
    @reported("trajectory exponent", "1")
    def participation_ratio(self) -> Array:
        """Number of coordinates, 1 to D, over which each last deviation vector is spread."""
        return measures.participation_ratio(self.final_frame[:, self.order])

    @property
    @reported("", RATE, label="largest exponent", slopes=lambda exponents: np.ones(1))
    def largest(self) -> float:
        """Largest exponent."""
        return float(self.exponents[0])

    @property
    @reported(
        *("", RATE),
        label="mean exponent",
        otherwise="dead",
        slopes=lambda exponents: np.full(len(exponents), 1.0 / len(exponents)),
    )
    def mean(self) -> float:
        """Mean of the exponents."""
        return float(self.exponents.mean())

    @property
    @reported(
        *("", "1"),
        label="Kaplan-Yorke dimension",
        otherwise="not reached",
        slopes=measures.kaplan_yorke_slopes,
    )
    def kaplan_yorke_dimension(self) -> float:
        """Kaplan-Yorke dimension; NaN where the exponents do not reach or determine it.

        Where the largest exponent may be 0 it is 0 or at least 1: `measures` has its range.
        """
        return self._reached("kaplan_yorke_dimension", "kaplan-yorke")

    @property
    @reported(
        *("", RATE),
        label="entropy rate",
        otherwise="not reached",
        slopes=lambda exponents: np.ones(np.count_nonzero(exponents > 0.0)),
    )
    def entropy_rate(self) -> float:
        """Sum of the positive exponents; NaN where more may follow, or all of them may be 0."""
        return self._reached("entropy_rate", "entropy")

    def _reached(self, name: str, k: str) -> float:
        if self._measures[name].status == QUANTITIES[name].otherwise:
            warn_unreached(name, k, len(self.exponents), self.state_size)
        return self._measures[name].value

    @property
    @reported("", "nats per step", label="sum-rule residual", otherwise="does not apply")
    def sum_rule_residual(self) -> float:
        """Largest |mean log|det J| - sum of exponents| / D of a trajectory; NaN if inapplicable.

        It does not apply where the spectrum of a layer is partial, or a direction is dead or
        only bounded. Cells without a closed form of log|det J| are compared in the first
        trajectory only.
        """
        compared = self.determinants[np.all(self.determinants[..., 2] > 0, axis=1)]
        log_det, growth, steps = np.moveaxis(compared, -1, 0)
        if not (len(compared) and np.all(np.isfinite(log_det)) and not self.bounded.any()):
            return math.nan
        size = self.state_size / self.multiplicity
        return float(np.max(np.sum(np.abs(log_det - growth) / steps, axis=1)) / size)

    def measures(self) -> dict[str, Measure]:
        """Return mean, Kaplan–Yorke dimension, entropy rate and sum-rule residual, with errors.

        A measure changes by a weighted sum of small changes of the exponents; its error is that of
        this sum, so that errors of different exponents may cancel. Dimension and entropy have a
        range instead where exponents that may be 0 decide them.
        """
        return dict(self._measures)

    @cached_property
    def _measures(self) -> dict[str, Measure]:
        return {
            "mean": self._measure("mean", self.mean),
            "kaplan_yorke_dimension": self._decided(
                "kaplan_yorke_dimension", measures.kaplan_yorke_dimension, bool(self._near_zero[0])
            ),
            "entropy_rate": self._decided(
                "entropy_rate",
                measures.entropy_rate,
                bool(self._near_zero.any() and not (self.exponents > self.margin).any()),
            ),
            "sum_rule_residual": self._measure("sum_rule_residual", self.sum_rule_residual),
        }

    @cached_property
    def margin(self) -> Array:
        """How far each exponent (k,) may be from the truth: 95 %, rounding, and finite time.

        The last is the largest excursion of the growth from its mean rate: that of an exponent
        of 0 is bounded, and its mean over T steps falls as 1 / T.
        """
        error = np.nan_to_num(self._half_width(LEVEL))
        growth = self.growth.mean(axis=0)[:, self.order]
        living = np.isfinite(self.exponents)
        growth[:, ~living] = 0.0
        sums = np.cumsum(growth, axis=0)
        excursion = np.abs(sums - self.growth_steps[:, None] * (sums[-1] / self.steps)).max(axis=0)
        rounding = self.rounding_error + self.settings["tolerance"]
        return np.where(living, error + (excursion / self.steps + rounding) / self.dt, 0.0)

    @cached_property
    def _near_zero(self) -> Array:
        return np.abs(self.exponents) <= self.margin

    def _decided(
        self, name: str, measure: Callable[[Array, int], float], near_zero: bool
    ) -> Measure:
        """Return a measure to which exponents contribute by their sign."""
        if self.escaping.any():
            return Measure(math.nan, math.nan, "escapes")
        if near_zero or self.apart.any():
            samples = self.per_trajectory
            ends = measures.measure_range(measure, samples, self.margin, self.state_size)
            # where all ends agree, as in stable networks, nothing is left open
            if ends[0] < ends[1]:
                return Measure(math.nan, math.nan, "undetermined", *ends)
        return self._measure(name, measure(-np.sort(-self.exponents), self.state_size))

    def _measure(self, name: str, value: float) -> Measure:
        described = QUANTITIES[name]
        if not math.isfinite(value):
            return Measure(value, math.nan, described.otherwise)
        slopes = described.slopes(self.exponents) if described.slopes else np.zeros(0)
        used = np.flatnonzero(slopes)
        error = width = 0.0
        if len(used):
            series = self.growth[:, :, self.order[used]] @ slopes[used]
            found = self.uncertainty_of(series[:, :, None])
            error, width = float(found.standard_error[0]), float(half_width(found, LEVEL)[0])
        # a bound may belong before the last exponent that enters
        last = self.exponents[: len(slopes)].min(initial=math.inf)
        bounded = self.bounded & (self.exponents >= last)
        status = "estimate" if self.estimated[: len(slopes)].any() else "computed"
        status = "upper bound" if bounded.any() else status
        return Measure(value, error, status, value - width, value + width)

    def report(self) -> dict[str, Any]:
        """Return all quantities by name, the standard errors of the measures among them."""
        errors = {f"{n}_error": found.standard_error for n, found in self.measures().items()}
        errors["largest_error"] = float(self.standard_error[0])
        known = errors | {n: found.value for n, found in self.measures().items()}
        return {n: known[n] if n in known else getattr(self, n) for n in QUANTITIES}

    def confidence_interval(self, level: float = 0.95) -> Array:
        """Return the lower and upper ends (k, 2) of confidence intervals, by Student's t.

        They are wider where `widening` exceeds 1. ``level`` is the nominal coverage;
        docs/validation.md has the measured one. Raises ValueError if it is not between 0 and 1.
        """
        width = self._half_width(level)
        return np.stack([self.exponents - width, self.exponents + width], axis=-1)

    @property
    @reported("exponent", "1")
    def widening(self) -> Array:
        """Factor by which intervals of 95 % exceed Student's t, for sorting and slow correlations.

        The largest of several exponents that are followed apart from one another and agree within
        their errors is too large by chance: each of m such exponents has a confidence of
        1 - 0.05 / m. Where successive rows of growth are correlated, longer correlations may not
        be seen, as in intermittent maps: there the interval is 2.2 times as wide.
        """
        with np.errstate(invalid="ignore"):
            found = self._half_width(LEVEL) / half_width(self.uncertainty, LEVEL)
        return np.where(np.isnan(found), 1.0, found)

    def _half_width(self, level: float) -> Array:
        width = half_width(self.uncertainty, level)
        slow = slowly_correlated(self.growth[:, :, self.order])
        factor = np.where(slow, SLOW_FACTOR, 1.0)
        tied = self._rivals(width * factor)
        for rivals in np.unique(tied[tied > 0]):
            wider = half_width(self.uncertainty, 1.0 - (1.0 - level) / (1 + rivals))
            width = np.where(tied == rivals, wider, width)
        return np.asarray(width * factor)

    def _rivals(self, width: Array) -> Array:
        """Return how many exponents (k,) of other blocks or units are within their errors."""
        support = (self.final_frame[0, self.order] != 0.0).astype(np.float32)
        exponents = np.where(np.isfinite(self.exponents), self.exponents, np.nan)
        distance = np.abs(exponents[:, None] - exponents)
        near = distance <= width[:, None] + width
        apart = support @ support.T == 0.0
        return np.count_nonzero(near & apart, axis=1) // self.multiplicity

    def uncertainty_of(self, growth: Array) -> Uncertainty:
        """Return the statistical errors, in `units`, of other growth (B, rows, k) in this run."""
        found = uncertainty(growth, self.growth_steps, shared_inputs=self.shared_inputs)
        return found._replace(standard_error=found.standard_error / self.dt)

    def convergence(self) -> Array:
        """Return the mean exponents (rows, k) over the first steps, up to `growth_steps`."""
        sums = np.cumsum(self.growth.mean(axis=0)[:, self.order], axis=0)
        return sums / (self.growth_steps[:, None] * self.dt)

    def finite_time_exponents(self, window: int) -> Array:
        """Return the exponents (B, windows, k) over consecutive windows of the counted steps.

        They fluctuate about `exponents`, less over longer windows. Steps after the last full
        window are left out. ``window`` is a multiple of the steps in a row of the history,
        ``growth_steps[0]``: those of ``record_every`` in a run without a checkpoint, otherwise 64,
        and more in runs of over 65 536 steps, whose history has 1024 rows. Raises ValueError if it
        is not, or longer than the run.
        """
        sums = window_sums(self.growth[:, :, self.order], self.growth_steps, window)
        return np.asarray(sums / (window * self.dt))


QUANTITIES = quantities(Exponents)
