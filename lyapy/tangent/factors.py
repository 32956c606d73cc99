"""The readable tangent engine, which also keeps the R factors, for covariant vectors."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from ..networks.apply import tangent_step
from ..networks.program import Program
from .interval import Control
from .reference import ArrayTangent
from .state import Carry

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
        self, coefficients: Array, rows: int, carry: Carry, control: Control
    ) -> tuple[Array, int]:
        image = carry.frame[:rows].copy()
        growth, steps = super()._interval(coefficients, rows, carry, control)
        for t in range(steps):
            image = tangent_step(self.program, coefficients[t], image)
        factor = np.zeros_like(self.product)
        factor[:rows, :rows] = np.triu(carry.frame[:rows] @ image.T)
        self.product = factor @ self.product
        return growth, steps
