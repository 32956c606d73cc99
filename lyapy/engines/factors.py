"""The readable tangent engine, which also keeps the R factors, for covariant vectors."""

from __future__ import annotations

import numpy as np

from ..program import Program
from ..types import Array
from .array import ArrayTangent
from .carry import Carry
from .interval import Control
from .tangent_step import tangent_step

__all__ = ["FactorTangent"]


class FactorTangent(ArrayTangent):
    """An `ArrayTangent` that multiplies up the R factors of its intervals.

    Attributes
    ----------
    product : array (k, k)
        R of all steps since `take`: J Q = Q′ R, with Q and Q′ as columns; upper triangular. Rows
        and columns of dead directions are zero.
    """

    def __init__(self, program: Program, vectors: int) -> None:
        super().__init__(program, vectors)
        self.product: Array = np.eye(vectors)

    def take(self) -> Array:
        """Return `product` and begin anew."""
        found = self.product
        self.product = np.eye(len(found))
        return found

    def _interval(
        self, coefficients: Array, frame: Array, carry: Carry, control: Control
    ) -> tuple[Array, Array, Array, float, int]:
        found = super()._interval(coefficients, frame, carry, control)
        new, steps = found[0], found[-1]
        image = frame
        for t in range(steps):
            image = tangent_step(self.program, coefficients[t], image)
        factor = np.zeros_like(self.product)
        factor[: len(new), : len(new)] = np.triu(new @ image.T)
        self.product = factor @ self.product
        return found
