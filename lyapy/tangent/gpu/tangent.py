"""Frames of many trajectories on their way through a tile of time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...networks.blocks import DiagonalBlock
from ..interval import Control, accept_interval, next_rate
from ..state import UNKNOWN_RATE
from .device import Device
from .orthonormalize import Orthonormal, Orthonormalizer
from .precision import Precision
from .step import BatchStep, row_width
from .whole_tile import WholeTile, fits

__all__ = ["BatchTangent", "Tile", "make_tangent"]


class Tile(NamedTuple):
    """What B trajectories add in one tile; on the host.

    Attributes
    ----------
    growth, error : array (B, k)
        Sum of log R_ii, −∞ for dead directions, and of its estimated rounding error.
    noise : array (B, k)
        Rounding of each vector's image in the last interval, relative to the image, over the
        roundoff.
    intervals, rejections, spread : array (B,)
        Accepted and rejected intervals, and the largest spread of the accepted ones.
    failed : array (B,)
        Trajectories that the device cannot take through the tile.
    """

    growth: Array
    error: Array
    noise: Array
    intervals: Array
    rejections: Array
    spread: Array
    failed: Array


class BatchTangent:
    """The deviation vectors of B trajectories, with one interval for all.

    It follows from the largest spread among them, which is read once at the end of an interval.

    Parameters
    ----------
    block : DiagonalBlock
    frames : array (B, k, D)
        Of the host.
    rates : array (B,)
        Spread expected per step.
    control : Control
        Whose limit is for this precision.

    Attributes
    ----------
    frames : array (B, k, width)
        On the device; replaced, never changed in place. Columns from D on are of no use.
    """

    def __init__(
        self,
        block: DiagonalBlock,
        frames: Array,
        rates: Array,
        device: Device,
        precision: Precision,
        control: Control,
    ) -> None:
        self.device = device
        self.precision = precision
        self.control = control
        self.program = block.program
        self.state_size = D = block.program.state_size
        _, k, _ = frames.shape
        self._qr = Orthonormalizer(k, D, device, precision, control)
        self.frames: Any = self._empty(frames.shape[:2])
        self.set_frames(slice(None), frames)
        self._begin(rates)

    def _begin(self, rates: Array) -> None:
        k = self.frames.shape[1]
        self._step = BatchStep(self.program, k, self.device, self.precision)
        self._rate = float(rates.max(initial=0.0)) or UNKNOWN_RATE

    def _empty(self, shape: tuple[int, ...]) -> Any:
        like = self.device.to_device(np.zeros(1, self.precision.name))
        return np.empty_like(like, shape=(*shape, row_width(self.program)))

    @property
    def rates(self) -> Array:
        """Spread expected per step (B,), or one for all."""
        return np.full(len(self.frames), self._rate)

    def host_frames(self, at: Any = slice(None), frames: Any = None) -> Array:
        """Return frames (k, D) of some trajectories, those now or earlier ones, in float64."""
        frames = self.frames if frames is None else frames
        found: Array = self.device.to_host(frames[at][..., : self.state_size])
        return found.astype(np.float64)

    def set_frames(self, at: Any, frames: Array) -> None:
        """Replace the frames (k, D) of some trajectories."""
        moved = self.frames.copy()
        given = np.ascontiguousarray(frames.astype(self.precision.name))
        moved[at, :, : self.state_size] = self.device.to_device(given)
        self.frames = moved

    def orthonormalize(self) -> None:
        """Orthonormalize all frames to working precision."""
        frames, (B, k, _) = self.frames.copy(), self.frames.shape
        self._qr(frames, self.device.to_device(np.zeros((B, 3, k))))
        self.frames = frames

    def frame_errors(self, rows: Array) -> Array:
        """Return the largest entry of |Q Qᵀ − 1| (B,) among some rows (B, k) of each frame."""
        Q, (B, k, _) = self.frames[..., : self.state_size], self.frames.shape
        products = np.empty_like(Q, shape=(B, k, k))
        self.device.multiply(Q, np.swapaxes(Q, 1, 2), products)
        identity, among = (self.device.to_device(x) for x in (np.eye(k), rows))
        defects = np.absolute(products - identity.astype(self.precision.name))
        defects = np.where(among[:, :, None] & among[:, None, :], defects, 0.0)
        found: Array = self.device.to_host(np.max(defects, axis=(1, 2)))
        return found.astype(np.float64)

    # what has failed goes on as NaN or infinity, to no effect
    @np.errstate(divide="ignore", invalid="ignore", over="ignore")
    def advance(self, coefficients: Array, alive: Array, skip: Array) -> Tile:
        """Move all frames through a tile.

        Parameters
        ----------
        coefficients : array (T, B, C)
            On the device.
        alive : array (B,)
            Living directions, the first rows of a frame; the others stay as they are.
        skip : array (B,)
            Trajectories that need not be looked at; their frames are of no use afterwards.
        """
        (B, k, _), rows, control = self.frames.shape, int(alive.max()), self.control
        frame, total, failed = self.frames[:, :rows], len(coefficients), skip | (alive < rows)
        sums = self.device.to_device(np.zeros((B, 3, rows)))
        start = intervals = rejections = 0
        widest = np.zeros(B)

        def attempt(steps: int) -> tuple[tuple[Any, Orthonormal, Array], float]:
            image = frame
            for t in range(start, start + steps):
                image = self._step(coefficients[t], image)
            counted = self._qr(image, sums)
            spread = self.device.to_host(counted.state)[:, 3]
            return (image, counted, spread), float(spread[~failed].max())

        while rows and start < total and not failed.all():
            found, worst, steps, rejected = accept_interval(
                attempt, self._rate, total - start, control
            )
            image, counted, spread = found
            rejections += rejected
            failed |= ~np.isfinite(spread)
            if steps == 1 and control.fixed <= 1:
                failed |= spread > control.limit
            if failed.all():
                break
            worst = float(spread[~failed].max())
            widest = np.where(failed, widest, np.maximum(widest, spread))
            self._rate = next_rate(self._rate, worst, steps)
            frame, sums, start, intervals = image, counted.sums, start + steps, intervals + 1
        kept = self.frames[:, rows:]
        if rows:
            self.frames = np.concatenate([frame, kept], axis=1) if rows < k else frame
        added = np.zeros((B, 3, k))
        added[:, 0] = -np.inf
        added[:, :, :rows] = self.device.to_host(sums)
        growth, error, noise = np.moveaxis(added, 1, 0)
        counts = np.full(B, intervals), np.full(B, rejections)
        return Tile(growth, error, noise, *counts, widest, failed)


class WholeTangent(BatchTangent):
    """Small frames, each with its own intervals, which the device chooses."""

    def _begin(self, rates: Array) -> None:
        self._tile = WholeTile(self.program, self.device, self.precision, self.control)
        self._rates = self.device.to_device(rates.astype(np.float64))
        self._alive = self._of_last = np.zeros(0)
        self._read = rates

    @property
    def rates(self) -> Array:
        """Spread expected per step (B,)."""
        return self._read

    def advance(self, coefficients: Array, alive: Array, skip: Array) -> Tile:
        """Move all frames through a tile, as `BatchTangent.advance` does."""
        k, rows = self.frames.shape[1], np.where(skip, 0, alive).astype(np.float64)
        if not np.array_equal(rows, self._of_last):
            self._alive, self._of_last = self.device.to_device(rows), rows
        arrays = (coefficients, self.frames, self._alive, self._rates)
        self.frames, results = self._tile(*arrays)
        found = self.device.to_host(results)
        growth, error, noise = (found[:, i * k : (i + 1) * k] for i in range(3))
        growth = np.where(np.arange(k) < rows[:, None], growth, -np.inf)
        intervals, rejections, widest, rates, failed = found[:, 3 * k :].T
        self._read = rates.copy()
        failed = (failed > 0.0) | skip
        return Tile(growth, error, noise, intervals, rejections, widest, failed)


class DecoupledTangent(BatchTangent):
    """Units that do not read one another: no QR, no intervals, and dead units anywhere.

    Does what `lyapy.tangent.decoupled.DecoupledTangent` does on the host.
    """

    # vectors of dead units vanish
    @np.errstate(divide="ignore", invalid="ignore", over="ignore")
    def advance(self, coefficients: Array, alive: Array, skip: Array) -> Tile:
        """Move the frames through a tile, as `BatchTangent.advance` does."""
        D, frame, growth = self.state_size, self.frames, 0.0
        for step in coefficients:
            image = self._step(step, frame)
            norms = np.sqrt(np.sum(image[..., :D] * image[..., :D], axis=2))
            growth = growth + np.log(norms.astype(np.float64))
            # the direction of a vector that vanishes does not matter any more
            dead = norms == 0.0
            frame = np.where(dead[:, :, None], frame, image / (norms + dead)[:, :, None])
        self.frames = frame
        found: Array = self.device.to_host(growth)
        error = np.full(found.shape, self.precision.roundoff * len(coefficients))
        zeros = np.zeros(len(found))
        noise = np.ones(found.shape)
        return Tile(found, error, noise, zeros + 1.0, zeros, zeros, np.zeros(len(found), bool))


def make_tangent(
    block: DiagonalBlock,
    frames: Array,
    rates: Array,
    device: Device,
    precision: Precision,
    control: Control,
) -> BatchTangent:
    """Return the deviation vectors of a block, followed as suits its size."""
    kind = BatchTangent
    if block.decoupled:
        kind = DecoupledTangent
    elif fits(block.program, frames.shape[1], device, precision):
        kind = WholeTangent
    return kind(block, frames, rates, device, precision, control)
