"""State and statistics that one trajectory carries from one chunk of time to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import UNIT_ROUNDOFF, Array
from .graded import replicas as sampling
from .graded.replicas import SAMPLES, exchanged, settled_tilt, tilt_limit
from .graded.run import GradedRun
from .interval import SLACK, Control, counted_growth, image_noise, leaves_run, next_rate
from .qr import orthonormalize, orthonormalize_ends

# so large that the first interval has one step
UNKNOWN_RATE = 40.0
# in a mean fixed interval, from which on R_ii may be rounding only: its spread saturates at about
# log(1 / u), however small R_ii is
SATURATED = 1e-4
# tolerances of rounding error per step up to which growth counts as resolved
RESOLVED = 10.0

# coefficients and scales of the steps at most, frame, control and rate, to a run of graded steps
GradedAdvance = Callable[[Array, Array, Array, Control, float], GradedRun]


def hides(error: Array, interval: int | str, tolerance: float) -> Array:
    """Return whether rounding errors, in nats per step, leave only a bound of the growth.

    ``interval`` is the number of steps of each interval, or ``"auto"``.
    """
    if not isinstance(interval, str) and interval > 1:
        return np.asarray(~(error * interval <= max(SATURATED, tolerance)))
    return np.asarray(~np.isfinite(error))


@dataclass
class FrameState:
    """How to go on: the frame, the expected spread, and the tilt.

    Attributes
    ----------
    frame : array (k, D)
        Orthonormal deviation vectors as rows.
    rate : float
        Expected spread per step.
    split : int
        Rows of the leading frame in a two-ended computation; k where there is one frame.
    replicas : array (samples, k, D)
        Frames of the same steps with other rounding, after the last graded step.
    tilt : array (samples, k, k)
        By which they differed from the frame; without entries before the first graded step.
    since, noise : array (k,)
        Growth in the ordinary intervals since then; the rounding of each vector's image in the
        last one, relative to the image, over the roundoff.
    graded_steps : int
        All so far.
    vanished : bool
        Whether a vector has vanished, and later vectors have outgrown earlier ones since then.
        These may have smaller shares of them than rounding leaves: no step is an ordinary one.
    """

    frame: Array
    rate: float
    split: int
    replicas: Array
    tilt: Array
    since: Array
    noise: Array
    graded_steps: int
    vanished: bool = False

    @classmethod
    def begin(cls, frame: Array, rate: float = UNKNOWN_RATE) -> FrameState:
        """Return the state of a frame that no graded step has tilted."""
        k, D = frame.shape
        none = np.zeros((SAMPLES, 0, D)), np.zeros((SAMPLES, 0, 0))
        return cls(frame, rate, k, *none, np.zeros(k), np.zeros(k), 0)

    def orthonormal(self) -> Array:
        """Return the frame orthonormal, with the spans that are followed.

        Trailing rows have theirs in the order from the last one on. From the first one on, they
        are not orthogonal, and would take those of others.
        """
        split = self.split < len(self.frame)
        frame = orthonormalize_ends(self.frame, self.split) if split else self.frame
        return orthonormalize(frame)[0]

    def follows_tilt(self, control: Control) -> bool:
        """Whether the next step is a graded one, because of the last ones or of their tilt."""
        graded = self.vanished or not leaves_run(self.rate, control)
        return self.tilted(control) or (self.fresh(control) and graded)

    def fresh(self, control: Control) -> bool:
        """Whether the last step was a graded one."""
        return self.tilt.size > 0 and not self.since.any() and control.fixed <= 1

    def tilted(self, control: Control) -> bool:
        """Whether the frame is tilted so far that the next step has to be a graded one."""
        largest = float(np.abs(self.tilt).max(initial=0.0))
        return self.fresh(control) and largest > tilt_limit(control.limit)


@dataclass
class Statistics:
    """Counts and errors since the transient.

    Attributes
    ----------
    error : array (k,)
        Sum over the intervals of the estimated rounding error of log R_ii, u exp(spread).
    exchange, turnover : array (k, samples)
        Sample of the error of the growth in graded steps, with the growth that tilted directions
        exchange; and the sum of the squares of the errors of single steps, of which it is the sum.
    intervals, trailing_intervals, rejections : int
        Accepted intervals of the (leading) frame and of a trailing one, and rejected ones.
    largest_spread : float
        Over the accepted intervals, of log R_ii or, in a graded step, above its rounding.
    norm_excess : float
        By how much growth passes the bounds by norms, at most, in nats per step.
    frame_error : float
        Largest entry of |Q Qᵀ − 1| for the resolved rows of the last frame, as the engine
        leaves it.
    repeated : int
        Tiles that a GPU left to the CPU.
    """

    error: Array
    exchange: Array
    turnover: Array
    intervals: int = 0
    trailing_intervals: int = 0
    rejections: int = 0
    largest_spread: float = 0.0
    norm_excess: float = -math.inf
    frame_error: float = 0.0
    repeated: int = 0

    @classmethod
    def begin(cls, k: int) -> Statistics:
        """Return the statistics of k vectors of which nothing is counted."""
        return cls(np.zeros(k), np.zeros((k, SAMPLES)), np.zeros((k, SAMPLES)))

    @property
    def numerical_error(self) -> Array:
        """Estimated rounding error (k,) of the growth."""
        if not self.turnover.any():
            return self.error.copy()
        return self.error + exchanged(self.exchange, self.turnover)

    def resolved(self, steps: int, limit: float) -> Array:
        """Return for each row whether float64 resolves its growth in so many counted steps."""
        return np.asarray(
            self.numerical_error <= RESOLVED * steps * UNIT_ROUNDOFF * math.exp(limit)
        )

    def count(self, intervals: int = 0, rejections: int = 0, spread: float = 0.0) -> None:
        """Count accepted and rejected intervals, of the largest ``spread``."""
        self.intervals += intervals
        self.rejections += rejections
        self.largest_spread = max(self.largest_spread, spread)

    def add(self, end: Statistics, rows: slice) -> None:
        """Add the statistics, but for the intervals, of one end, whose vectors are ``rows``."""
        self.error[rows] += end.error
        self.exchange[rows] += end.exchange
        self.turnover[rows] += end.turnover
        self.count(rejections=end.rejections, spread=end.largest_spread)


@dataclass
class Carry:
    """State and statistics of one trajectory in one block."""

    state: FrameState
    statistics: Statistics

    @classmethod
    def begin(cls, frame: Array, rate: float = UNKNOWN_RATE) -> Carry:
        """Return the carry of a trajectory that begins with ``frame`` (k, D)."""
        return cls(FrameState.begin(frame, rate), Statistics.begin(len(frame)))

    def fork(self, rate: float) -> Carry:
        """Return a carry that goes on from here, with separate statistics."""
        old, k = self.state, len(self.state.frame)
        since, noise = old.since.copy(), old.noise.copy()
        tilted = old.replicas, old.tilt, since, noise, old.graded_steps, old.vanished
        return Carry(FrameState(old.frame.copy(), rate, k, *tilted), Statistics.begin(k))

    def reset_statistics(self) -> None:
        """Begin to count again."""
        self.statistics = Statistics.begin(len(self.state.frame))

    def to_dict(self) -> dict[str, Any]:
        """Return a copy of all fields, of state and statistics, by their names."""
        return {name: _copy(value) for name, value in self._fields().items()}

    def _fields(self) -> dict[str, Any]:
        return vars(self.state) | vars(self.statistics)

    def ended(self, frame: Array, frame_error: float) -> Carry:
        """Return a copy that ends with another frame, and its error."""
        return Carry.from_dict(self._fields() | {"frame": frame, "frame_error": frame_error})

    def update(self, values: Mapping[str, Any]) -> None:
        """Put copies of ``values`` into the fields of their names."""
        for fields in (vars(self.state), vars(self.statistics)):
            fields.update({name: _copy(values[name]) for name in fields.keys() & values.keys()})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Carry:
        """Return the carry of which `to_dict` returned ``values``."""
        carry = cls.begin(values["frame"])
        carry.update(values)
        return carry

    def absorb(
        self,
        frame: Array,
        log_r: Array,
        duals: Array,
        spread: float,
        steps: int,
        rejections: int,
        control: Control,
    ) -> Array:
        """Take over an accepted ordinary interval, and return its growth (rows,).

        Given are its frame (rows, D), log R_ii and R⁻ᵀ b (rows,), the spread from which the next
        interval follows, its steps, and the attempts rejected before.
        """
        state, rows, top = self.state, len(frame), float(log_r.max())
        state.frame[:rows] = frame
        state.since[:rows] += log_r
        pairs = zip(log_r.tolist(), duals.tolist(), strict=True)
        noise = np.array([image_noise(log, top, dual, control.fixed) for log, dual in pairs])
        # a vector of rounding only points anywhere, and those after it depend on that
        lost = np.where(UNIT_ROUNDOFF * noise > 1.0, noise, 0.0)
        state.noise[:rows] = np.maximum(noise, np.maximum.accumulate(lost))
        self.statistics.error[:rows] += UNIT_ROUNDOFF * state.noise[:rows]
        state.rate = next_rate(state.rate, spread, steps)
        self.statistics.count(1, rejections, top - float(log_r.min()))
        floor, limit = math.log(state.frame.shape[-1] * UNIT_ROUNDOFF), control.alone
        return np.array([counted_growth(log, top, limit, floor) for log in log_r.tolist()])

    def take_graded_steps(
        self,
        advance: GradedAdvance,
        coefficients: Array,
        rows: int,
        spread: float,
        control: Control,
    ) -> tuple[Array, int]:
        """Take graded steps of ``coefficients`` with the first ``rows`` of the frame.

        Returns their growth (rows,) and their number. The growth is all NaN if a norm overflowed.
        The expected spread of the first one is ``spread`` at least.
        """
        state, statistics = self.state, self.statistics
        frame, first = state.frame[:rows], state.graded_steps
        rate = max(state.rate, min(spread, 2.0 * control.limit))
        replicas, tilt = state.replicas[:, :rows], state.tilt[:, :rows, :rows]
        if not tilt.size or state.since.any():
            noise = state.noise[:rows]
            tilt = settled_tilt(tilt, state.since[:rows], noise, first)
            replicas = sampling.made_replicas(frame, tilt, noise, first)
        control = control._replace(graded=control.graded or state.vanished)
        run = advance(coefficients, np.ones(len(coefficients)), frame, control, rate)
        if not run.log_r.max() < np.inf:
            return np.full(rows, np.nan), run.steps
        all_steps = control._replace(graded=True)
        others = [
            advance(*sampling.disturbed(coefficients[: run.steps], first, s), each, all_steps, rate)
            for s, each in enumerate(replicas)
        ]
        state.frame[:rows], state.replicas = run.frame, np.stack([one.frame for one in others])
        state.tilt = sampling.tilts_of(run.frame, state.replicas)
        state.since[:], state.noise[:] = 0.0, 0.0
        state.graded_steps += run.steps
        state.rate = run.rate
        errors = np.stack([sampling.difference(run.log_r, one.log_r) for one in others], axis=1)
        statistics.exchange[:rows] += errors
        turnover = sampling.squares(errors)
        statistics.turnover[:rows] += turnover
        unknown = sampling.unknown(errors, turnover, run.error, rows == frame.shape[1])
        statistics.error[:rows] += np.where(unknown, np.inf, run.error)
        statistics.count(intervals=run.steps, spread=run.spread)
        vanished = np.isneginf(run.log_r)
        outgrown = run.log_r[1:] > np.minimum.accumulate(run.log_r)[:-1] + SLACK
        state.vanished = bool(vanished.any() or (state.vanished and outgrown.any()))
        # vectors in the place of those that vanished have a share of the growth of others
        hidden = np.isinf(run.error)
        unknown |= hidden & ~vanished & vanished.any()
        # a share that underflowed here may outgrow the rest, as it does in a replica
        others_growth = np.max([one.log_r for one in others], axis=0, initial=-np.inf)
        growth = np.where(hidden, np.maximum(run.growth, others_growth), run.growth)
        return np.where(unknown, growth.max() + SLACK, growth), run.steps

    def absorb_ends(self, front: Carry, back: Carry | None) -> None:
        """Take over tiles of one frame, or of two ends; ``back`` begins with the last row."""
        split, rate = len(front.state.frame), self.state.rate
        self.statistics.add(front.statistics, slice(split))
        self.statistics.intervals += front.statistics.intervals
        self.state = front.state
        if back is not None:
            frame = np.concatenate([front.state.frame, back.state.frame[::-1]])
            self.state = FrameState.begin(frame)
            self.state.split = split
            self.statistics.add(back.statistics, slice(None, split - 1, -1))
            self.statistics.trailing_intervals += back.statistics.intervals
        self.state.rate = rate


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value
