"""Frames of many trajectories on their way through a chunk of time."""

from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...networks.program import Program
from ..interval import Control, accept_interval, next_rate
from ..state import UNKNOWN_RATE
from .device import Device
from .orthonormalize import Orthonormalizer
from .step import BatchStep, row_width

__all__ = ["BatchTangent", "Found"]


class Found(NamedTuple):
    """What B trajectories add in a chunk of tiles; on the host."""

    # (tiles, B, k): sum of log R_ii over each tile; −∞ for dead directions
    growth: Array
    # (B, k): its estimated rounding error
    error: Array
    # (B, k): rounding of each vector's image in the last interval, relative, over the roundoff
    noise: Array
    # (B,): accepted and rejected intervals, and the largest spread of the accepted ones
    intervals: Array
    rejections: Array
    spread: Array
    # (B,): trajectories that the device cannot take through the chunk
    failed: Array


class BatchTangent:
    """The deviation vectors of a program along B trajectories, with one interval for all.

    It follows from the largest spread among them, which is read once at the end of an interval.
    Given are frames (B, k, D) and the spreads expected per step (B,), of the host; ``control`` has
    the limit for the device's precision.

    Attributes
    ----------
    frames : array (B, k, width)
        On the device; replaced, never changed in place. Columns from D on are of no use.
    rates : array (B,)
        On the host.
    """

    def __init__(
        self, program: Program, frames: Array, rates: Array, device: Device, control: Control
    ) -> None:
        self.device, self.control = device, control
        self.program, self.state_size = program, program.state_size
        self.rates = np.full(len(rates), rates.max() or UNKNOWN_RATE)
        self.frames: Any = device.new(*frames.shape[:2], row_width(program))
        self.replace(range(len(frames)), frames, rates)

    # compiled when they are needed: a host may do all

    @cached_property
    def _step(self) -> BatchStep:
        return BatchStep(self.program, self.frames.shape[1], self.device)

    @cached_property
    def _qr(self) -> Orthonormalizer:
        return Orthonormalizer(self.frames.shape[1], self.state_size, self.device, self.control)

    @cached_property
    def _zeros(self) -> Any:
        B, k, _ = self.frames.shape
        return self.device.to_device(np.zeros((B, 3, k)))

    def host_frames(self, at: Any = slice(None), frames: Any = None) -> Array:
        """Return frames (k, D) of some trajectories, those now or earlier ones, in float64."""
        frames = self.frames if frames is None else frames
        found: Array = self.device.to_host(frames[at][..., : self.state_size])
        return found.astype(np.float64)

    def replace(self, at: Any, frames: Array, rates: Array) -> None:
        """Replace the frames (k, D) of some trajectories, and their expected spreads."""
        moved = self.frames.copy()
        moved[list(at), :, : self.state_size] = self.device.moved(frames)
        self.frames = moved

    def orthonormalize(self) -> None:
        """Orthonormalize all frames to working precision."""
        frames = self.frames.copy()
        self._qr(frames, self._zeros)
        self.frames = frames

    def frame_errors(self, rows: Array) -> Array:
        """Return the largest entry of |Q Qᵀ − 1| (B,) among some rows (B, k) of each frame."""
        Q, (B, k, _) = self.frames[..., : self.state_size], self.frames.shape
        products = self.device.new(B, k, k)
        self.device.multiply(Q, np.swapaxes(Q, 1, 2), products)
        identity, among = self.device.moved(np.eye(k)), self.device.to_device(rows)
        defects = np.absolute(products - identity)
        defects = np.where(among[:, :, None] & among[:, None, :], defects, 0.0)
        found: Array = self.device.to_host(np.max(defects, axis=(1, 2)))
        return found.astype(np.float64)

    # what has failed goes on as NaN or infinity, to no effect
    @np.errstate(divide="ignore", invalid="ignore", over="ignore")
    def advance(self, coefficients: Array, ends: Array, alive: Array, skip: Array) -> Found:
        """Move all frames through a chunk of tiles.

        Given are coefficients (T, B, C) on the device, the ``ends`` (tiles,) of the tiles, and how
        many directions are ``alive`` (tiles, B), the first rows of a frame; the others stay as
        they are. Frames of trajectories to ``skip`` (B,) are of no use afterwards.
        """
        B, k, _ = self.frames.shape
        failed, widest, sums, followed = skip.copy(), np.zeros(B), [], []
        start = intervals = rejections = 0
        for end, living in zip(ends.tolist(), alive, strict=True):
            rows = int(living.max(where=~failed, initial=0))
            failed |= living < rows
            frame = self.frames[:, :rows]
            counted = self._zeros
            while rows and start < end and not failed.all():
                attempt = partial(self._attempt, coefficients, start, frame, counted, failed)
                found, _, steps, rejected = accept_interval(
                    attempt, float(self.rates[0]), end - start, self.control
                )
                rejections += rejected
                (image, results, spread) = found
                failed |= ~np.isfinite(spread)
                if steps == 1:
                    failed |= spread > self.control.limit
                if failed.all():
                    break
                widest = np.where(failed, widest, np.maximum(widest, spread))
                worst = float(spread[~failed].max())
                self.rates[:] = next_rate(float(self.rates[0]), worst, steps)
                frame, counted, start, intervals = image, results, start + steps, intervals + 1
            if rows:
                kept = self.frames[:, rows:]
                self.frames = np.concatenate([frame, kept], axis=1) if rows < k else frame
            sums.append(counted)
            followed.append(rows)
            start = end
        # the host waits once
        growth, error, noise = np.moveaxis(self.device.to_host(np.stack(sums)), 2, 0)
        for tile, lost, living in zip(growth, error, followed, strict=True):
            # nobody has written there
            tile[:, living:], lost[:, living:] = -np.inf, 0.0
        counts = np.full(B, intervals), np.full(B, rejections)
        return Found(growth, error.sum(axis=0), noise[-1], *counts, widest, failed)

    def _attempt(
        self, coefficients: Array, start: int, frame: Array, sums: Array, failed: Array, steps: int
    ) -> tuple[tuple[Array, Array, Array], float]:
        """Return frames, sums and spreads after an interval, and the largest spread."""
        image = frame
        for t in range(start, start + steps):
            image = self._step(coefficients[t], image)
        results, state = self._qr(image, sums)
        spread = self.device.to_host(state)[:, 3]
        return (image, results, spread), float(spread[~failed].max())
