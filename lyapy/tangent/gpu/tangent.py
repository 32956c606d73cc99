"""Frames of many trajectories on their way through a chunk of time."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...networks.blocks import DiagonalBlock
from ..interval import Control, accept_interval, next_rate
from ..state import UNKNOWN_RATE
from .device import Device
from .orthonormalize import Orthonormalizer
from .precision import Precision
from .step import BatchStep, row_width
from .whole_tile import RESULTS, WholeTile, fits

__all__ = ["BatchTangent", "Found", "make_tangent"]


class Found(NamedTuple):
    """What B trajectories add in a chunk of tiles; on the host.

    Attributes
    ----------
    growth : array (tiles, B, k)
        Sum of log R_ii over each tile; −∞ for dead directions.
    error : array (B, k)
        Estimated rounding error of it.
    noise : array (B, k)
        Rounding of each vector's image in the last interval, relative to the image, over the
        roundoff.
    intervals, rejections, spread : array (B,)
        Accepted and rejected intervals, and the largest spread of the accepted ones.
    failed : array (B,)
        Trajectories that the device cannot take through the chunk.
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
    rates : array (B,)
        On the host.
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
        self.state_size = block.program.state_size
        like = device.to_device(np.zeros(1, precision.name))
        shape = (*frames.shape[:2], row_width(self.program))
        self.frames: Any = np.empty_like(like, shape=shape)
        self.rates = rates
        self.replace(range(len(frames)), frames, rates)
        self._begin()

    def _begin(self) -> None:
        k, device, precision = self.frames.shape[1], self.device, self.precision
        self._qr = Orthonormalizer(k, self.state_size, device, precision, self.control)
        self._step = BatchStep(self.program, k, device, precision)
        self.rates = np.full(len(self.rates), self.rates.max() or UNKNOWN_RATE)

    def host_frames(self, at: Any = slice(None), frames: Any = None) -> Array:
        """Return frames (k, D) of some trajectories, those now or earlier ones, in float64."""
        frames = self.frames if frames is None else frames
        found: Array = self.device.to_host(frames[at][..., : self.state_size])
        return found.astype(np.float64)

    def replace(self, at: Any, frames: Array, rates: Array) -> None:
        """Replace the frames (k, D) of some trajectories, and their expected spreads."""
        moved = self.frames.copy()
        given = np.ascontiguousarray(frames.astype(self.precision.name))
        moved[list(at), :, : self.state_size] = self.device.to_device(given)
        self.frames = moved

    def orthonormalize(self) -> None:
        """Orthonormalize all frames to working precision."""
        frames, (B, k, _) = self.frames.copy(), self.frames.shape
        qr = Orthonormalizer(k, self.state_size, self.device, self.precision, self.control)
        qr(frames, self.device.to_device(np.zeros((B, 3, k))))
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
    def advance(self, coefficients: Array, ends: Array, alive: Array, skip: Array) -> Found:
        """Move all frames through a chunk.

        Parameters
        ----------
        coefficients : array (T, B, C)
            On the device.
        ends : array (tiles,)
            Step at which each tile ends.
        alive : array (tiles, B)
            Living directions, the first rows of a frame; the others stay as they are.
        skip : array (B,)
            Trajectories that need not be looked at; their frames are of no use afterwards.
        """
        B, k, _ = self.frames.shape
        failed, widest, sums = skip.copy(), np.zeros(B), []
        start = intervals = rejections = 0
        for end, living in zip(ends.tolist(), alive, strict=True):
            rows = int(living.max(where=~failed, initial=0))
            failed |= living < rows
            frame = self.frames[:, :rows]
            counted = self.device.to_device(np.zeros((B, 3, rows)))
            while rows and start < end and not failed.all():
                attempt = partial(self._attempt, coefficients, start, frame, counted, failed)
                found, _, steps, rejected = accept_interval(
                    attempt, float(self.rates[0]), end - start, self.control
                )
                rejections += rejected
                (image, results, spread) = found
                failed |= ~np.isfinite(spread)
                if steps == 1 and self.control.fixed <= 1:
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
            start = end
        growth, error, noise = np.full((len(ends), B, k), -np.inf), *np.zeros((2, B, k))
        for tile, found in enumerate(self._host_sums(sums)):
            rows = found.shape[2]
            growth[tile, :, :rows], noise[:, :rows] = found[:, 0], found[:, 2]
            error[:, :rows] += found[:, 1]
        counts = np.full(B, intervals), np.full(B, rejections)
        return Found(growth, error, noise, *counts, widest, failed)

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

    def _host_sums(self, sums: list[Array]) -> list[Array]:
        """Return sums (B, 3, rows) of tiles on the host, which waits once."""
        B, sizes = len(self.frames), [each.shape[2] for each in sums]
        together = np.concatenate([each.reshape(B, -1) for each in sums], axis=1)
        apart = np.split(self.device.to_host(together), 3 * np.cumsum(sizes)[:-1], axis=1)
        return [each.reshape(B, 3, size) for each, size in zip(apart, sizes, strict=True)]


class WholeTangent(BatchTangent):
    """Small frames, each with its own intervals, which the device chooses."""

    def _begin(self) -> None:
        self._tile = WholeTile(self.program, self.device, self.precision, self.control)
        self._alive = self._of_last = np.zeros(0)

    def replace(self, at: Any, frames: Array, rates: Array) -> None:
        """Replace the frames (k, D) of some trajectories, and their expected spreads."""
        super().replace(at, frames, rates)
        self.rates = self.rates.astype(np.float64)
        self.rates[list(at)] = rates
        self._rates = self.device.to_device(self.rates)

    def advance(self, coefficients: Array, ends: Array, alive: Array, skip: Array) -> Found:
        """Move all frames through a chunk, as `BatchTangent.advance` does."""
        B, k, _ = self.frames.shape
        rows = np.where(skip, 0, alive).astype(np.float64)
        if not np.array_equal(rows, self._of_last):
            self._alive, self._of_last = self.device.to_device(rows), rows
        self.frames, results = self._tile(coefficients, self.frames, self._alive, self._rates)
        growth, totals = np.split(self.device.to_host(results), [rows.size * k])
        growth, totals = growth.reshape(-1, B, k), totals.reshape(B, 2 * k + RESULTS)
        if (rows < k).any():
            growth[np.arange(k) >= rows[..., None]] = -np.inf
        intervals, rejections, widest, rates, failed = totals[:, 2 * k :].T
        self.rates = rates.copy()
        error, noise = totals[:, :k], totals[:, k : 2 * k]
        return Found(growth, error, noise, intervals, rejections, widest, (failed > 0.0) | skip)


class DecoupledTangent(BatchTangent):
    """Units that do not read one another: no QR, no intervals, and dead units anywhere.

    Does what `lyapy.tangent.reference.DecoupledTangent` does on the host.
    """

    def _begin(self) -> None:
        k = self.frames.shape[1]
        self._step = BatchStep(self.program, k, self.device, self.precision)

    # vectors of dead units vanish
    @np.errstate(divide="ignore", invalid="ignore", over="ignore")
    def advance(self, coefficients: Array, ends: Array, alive: Array, skip: Array) -> Found:
        """Move all frames through a chunk, as `BatchTangent.advance` does."""
        frame, logs = self.frames, []
        for step in range(len(coefficients)):
            image = self._step(coefficients[step], frame)
            inside = image[..., : self.state_size]
            norms = np.sqrt(np.sum(inside * inside, axis=2))
            logs.append(np.log(norms))
            # the direction of a vector that vanishes does not matter any more
            dead = norms == 0.0
            frame = np.where(dead[:, :, None], frame, image / (norms + dead)[:, :, None])
        self.frames = frame
        return self._counted(np.stack(logs), ends, skip)

    def _counted(self, logs: Array, ends: Array, skip: Array) -> Found:
        """Return the growth whose logarithms (T, B, k) are known for each step."""
        logs, u = logs.astype(np.float64), self.precision.roundoff
        tiles = np.split(logs, ends[:-1].tolist())
        # the spacing of numbers near the end of the range is absolute
        spacing = math.log(np.finfo(self.precision.name).smallest_subnormal)
        lost = np.sum(np.exp(spacing - np.where(logs > -np.inf, logs, 0.0)), axis=0)
        results = np.stack([lost, *(np.sum(each, axis=0) for each in tiles)])
        error, *growth = self.device.to_host(results)
        zeros = np.zeros(len(error))
        return Found(
            np.stack(growth),
            error + u * len(logs),
            np.ones(error.shape),
            zeros + len(ends),
            *(zeros, zeros),
            skip,
        )


class SingleTangent(DecoupledTangent):
    """Columns that each read themselves alone: all steps at once, as J is diagonal."""

    def _begin(self) -> None:
        self._step = BatchStep(self.program, 1, self.device, self.precision)

    @np.errstate(divide="ignore")
    def advance(self, coefficients: Array, ends: Array, alive: Array, skip: Array) -> Found:
        """Add up the growth over a chunk."""
        T, B, C = coefficients.shape
        ones = np.ones_like(self.frames, shape=(T * B, 1, self.frames.shape[2]))
        image = self._step(coefficients.reshape(T * B, C), ones)[:, 0, : self.state_size]
        return self._counted(np.log(np.absolute(image)).reshape(T, B, -1), ends, skip)


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
        kind = SingleTangent if block.single else DecoupledTangent
    elif fits(block.program, frames.shape[1], device, precision):
        kind = WholeTangent
    return kind(block, frames, rates, device, precision, control)
