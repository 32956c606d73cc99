"""The tangent side of units that do not read one another: no QR, and dead units anywhere."""

from __future__ import annotations

import numpy as np

from ..arrays import UNIT_ROUNDOFF, Array
from ..networks.apply import tangent_step
from ..networks.program import Program
from .interval import Control
from .state import Carry

__all__ = ["DecoupledTangent"]


class DecoupledTangent:
    """Follows each unit's own directions, which stay orthogonal to those of the others.

    A unit's block of J is a number, or turns and scales all its directions alike; so the norms of
    the deviation vectors are R_ii, whatever the others do. A dead unit's vector vanishes; its
    growth is −∞ from then on, wherever it stands.
    """

    def __init__(self, program: Program) -> None:
        self.program = program

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Move the frame through a chunk of time, as `ArrayTangent.advance` does."""
        growth = np.zeros((len(ends), len(carry.frame)))
        start = 0
        for tile, end in enumerate(ends):
            for step in coefficients[start:end]:
                image = tangent_step(self.program, step, carry.frame)
                norms = np.linalg.norm(image, axis=1)
                with np.errstate(divide="ignore"):
                    growth[tile] += np.log(norms)
                # the direction of a vector that vanishes does not matter any more
                dead = norms == 0.0
                image[dead] = carry.frame[dead]
                carry.frame = image / np.where(dead, 1.0, norms)[:, None]
            carry.error += UNIT_ROUNDOFF * (end - start)
            carry.intervals += 1
            start = end
        return growth
