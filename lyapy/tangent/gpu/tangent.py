"""Frames of many trajectories on their way through a tile of time, with one controller."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...cells.sparse import Sparse
from ...networks.program import Program
from ..interval import (
    Control,
    disturbed_spread,
    effective_spread,
    next_interval,
    next_rate,
    shortened,
)
from ..state import UNKNOWN_RATE
from .counting import Counting
from .device import Device
from .precision import Precision
from .qr import Orthonormal, dual_signs, first_panel, orthonormalize
from .shared_qr import SharedQR, fits
from .step import make_walk
from .tile import Tile

__all__ = ["BatchTangent"]


class _Interval(NamedTuple):
    """An interval tried: its result on the device, and what was read of it (B,)."""

    found: Orthonormal
    spread: Array
    sound: Array


class BatchTangent:
    """The deviation vectors of B trajectories.

    The interval is the same for all, and follows from the largest spread among them, which is
    read once at the end of an interval.

    Parameters
    ----------
    program : Program
    frames : array (B, k, D)
        Orthonormal rows; on the host.
    device : Device
    precision : Precision
    control : Control
        Whose limit is for this precision.

    Attributes
    ----------
    frames : array (B, k, D)
        On the device; replaced, never changed in place.
    rate : float
        Expected spread per step.
    longest_panel, panel : int
        Rows that are orthonormalized by Cholesky's factor; halved where that fails.
    fallbacks : int
        How often it failed.
    """

    def __init__(
        self,
        program: Program,
        frames: Array,
        device: Device,
        precision: Precision,
        control: Control,
    ) -> None:
        self.device = device
        self.precision = precision
        self.control = control
        _, k, D = frames.shape
        self.walk = make_walk(program, k, device, precision)
        self.frames = self._to_device(frames)
        # small frames are orthonormalized by a kernel of their own, row by row
        shared = fits(device, precision, k, D)
        self._shared_qr = SharedQR(device, precision, k) if shared else None
        self.longest_panel = self.panel = 1 if shared else first_panel(k)
        self.identity = self._to_device(np.eye(self.panel))
        self.signs = self._to_device(dual_signs(k))
        self.count = Counting(device, D, control.limit, precision.roundoff)
        self.rate = UNKNOWN_RATE
        self.fallbacks = 0
        # what E of the panels may be; rounding alone makes a few u
        tolerance = np.exp(control.limit) * precision.roundoff
        self.admitted = max(0.1 * tolerance, 100.0 * precision.roundoff)

    def _to_device(self, matrix: Array | Sparse) -> Any:
        return self.device.moved(matrix, self.precision.name)

    # what has failed goes on as NaN or infinity, to no effect
    @np.errstate(divide="ignore", invalid="ignore", over="ignore")
    def advance(self, coefficients: Array, rows: int, failed: Array) -> Tile:
        """Move the first ``rows`` of all frames through a tile.

        Parameters
        ----------
        coefficients : array (steps, B, C)
            On the device.
        failed : array (B,)
            Trajectories that need not be looked at; their frames are of no use afterwards.
        """
        B, total = len(failed), len(coefficients)
        frame, failed = self.frames[:, :rows], failed.copy()
        growth = np.zeros_like(frame, shape=(B, rows), dtype=np.float64)
        error, noise = np.zeros_like(growth), np.zeros_like(growth)
        largest = np.zeros(B)
        start = intervals = rejections = 0
        while start < total and not failed.all():
            left = total - start
            rate, limit, fixed = self.rate, self.control.limit, self.control.fixed
            steps = min(fixed or next_interval(rate, left, limit), left)
            while True:
                tried = self._try(coefficients[start : start + steps], frame, failed)
                worst = float(tried.spread[~failed].max(initial=0.0))
                if worst <= limit or steps == 1 or fixed:
                    break
                rejections += 1
                steps = shortened(steps, worst, limit)
            failed |= ~tried.sound
            if steps == 1 and fixed <= 1:
                failed |= tried.spread > limit
            if failed.all():
                break
            hidden = worst > limit
            growth, error, noise = self.count(tried.found, growth, error, hidden)
            largest = np.where(failed, largest, np.maximum(largest, tried.spread))
            worst = float(tried.spread[~failed].max(initial=0.0))
            self.rate = next_rate(self.rate, worst, steps)
            frame, start, intervals = tried.found.frame, start + steps, intervals + 1
        kept = self.frames[:, rows:]
        self.frames = np.concatenate([frame, kept], axis=1) if kept.shape[1] else frame
        growth, error, noise = self.device.to_host(np.stack([growth, error, noise]))
        return Tile(growth, error, noise, largest, intervals, rejections, failed)

    def _try(self, coefficients: Array, frame: Array, failed: Array) -> _Interval:
        """Advance by an interval, and read its spreads: the only time to wait for the device."""
        image = self.walk(coefficients, frame)
        found, spread, sound = self._orthonormalize(image, self.panel)
        if self.panel > 1 and not (sound | failed).all():
            before = sound
            found, spread, sound = self._orthonormalize(image, 1)
            self.fallbacks += 1
            # unless it fails either way, for reasons of its own
            if (sound & ~before & ~failed).any():
                self.panel //= 2
        return _Interval(found, np.where(sound, spread, np.inf), sound)

    def _orthonormalize(self, image: Array, panel: int) -> tuple[Orthonormal, Array, Array]:
        """Return frames, and spreads and soundness (B,) on the host."""
        if self._shared_qr is not None:
            found = self._shared_qr(image)
        else:
            found = orthonormalize(image, self.identity, self.signs[: image.shape[1]], panel)
        top, bottom, dual, *defect = self.device.to_host(found.extremes)
        sound = np.isfinite(top) & np.isfinite(bottom)
        for largest in defect:
            sound &= largest <= self.admitted
        each = zip(top.tolist(), bottom.tolist(), dual.tolist(), strict=True)
        return found, np.array([self._spread(*one) for one in each]), sound

    def _spread(self, largest: float, smallest: float, dual: float) -> float:
        limit = self.control.limit
        spread = effective_spread(largest, smallest, limit)
        spread = disturbed_spread(spread, largest, dual)
        extent = max(abs(largest), abs(smallest))
        return max(spread, extent * limit / self.precision.log_range)
