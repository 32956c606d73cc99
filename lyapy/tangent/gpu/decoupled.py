"""Units that do not read one another, along many trajectories: no QR, and dead units anywhere."""

from __future__ import annotations

import numpy as np

from ...arrays import Array
from ...networks.program import Program
from ..interval import Control
from ..state import UNKNOWN_RATE
from .device import Device
from .precision import Precision
from .step import make_step
from .tile import Tile

__all__ = ["BatchDecoupled"]


class BatchDecoupled:
    """What `lyapy.tangent.decoupled.DecoupledTangent` does, for B trajectories.

    Parameters and attributes are those of `BatchTangent`, though there are no intervals here.
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
        self.roundoff = precision.roundoff
        self.step = make_step(program, frames.shape[1], device, precision)
        self.frames = device.to_device(frames.astype(precision.name))
        self.longest_panel = self.panel = 1
        self.rate = UNKNOWN_RATE
        self.fallbacks = 0

    # vectors of dead units vanish
    @np.errstate(divide="ignore", invalid="ignore", over="ignore")
    def advance(self, coefficients: Array, rows: int, failed: Array) -> Tile:
        """Move the frames through a tile, as `BatchTangent.advance` does."""
        frame, growth = self.frames, 0.0
        for step in coefficients:
            image = self.step(step, frame)
            norms = np.sqrt(np.sum(image * image, axis=2))
            growth = growth + np.log(norms.astype(np.float64))
            # the direction of a vector that vanishes does not matter any more
            dead = norms == 0.0
            frame = np.where(dead[:, :, None], frame, image / (norms + dead)[:, :, None])
        self.frames = frame
        found: Array = self.device.to_host(growth)
        error = np.full(found.shape, self.roundoff * len(coefficients))
        return Tile(found, error, np.ones(found.shape), np.zeros(len(found)), 1, 0, failed)
