"""Random weights, as theory draws them."""

import math
from dataclasses import dataclass

import numpy as np

from ..arrays import Array

DISTRIBUTIONS = ("gaussian", "uniform", "orthogonal", "levy")


@dataclass
class Draw:
    """Draws the weights of random cells, all from one stream; see `lyapy.random_network`."""

    rng: np.random.Generator
    gain: float = 1.0
    bias: float = 0.0
    distribution: str = "gaussian"
    alpha: float = 2.0

    def inputs(self, rows: int, m: int) -> Array:
        """Return Gaussian weights (rows, m) of variance 1/m."""
        return self.rng.normal(size=(rows, m)) / math.sqrt(max(m, 1))

    def recurrent(self, rows: int, n: int) -> Array:
        """Return weights (rows, n) that n units send."""
        shape = (rows, n)
        if self.distribution == "gaussian":
            return self.gain * self.rng.normal(size=shape) / math.sqrt(n)
        if self.distribution == "uniform":
            return self.gain * self.rng.uniform(-1.0, 1.0, shape) * math.sqrt(3.0 / n)
        if self.distribution == "orthogonal":
            gates = [self._orthogonal(min(n, rows - i), n) for i in range(0, rows, n)]
            return self.gain * np.concatenate(gates)
        # imported here, as it takes a second
        from scipy.stats import levy_stable

        options = {"scale": self.gain * (2.0 * n) ** (-1.0 / self.alpha), "size": shape}
        return np.asarray(levy_stable.rvs(self.alpha, 0.0, **options, random_state=self.rng))

    def layer(self, n: int, m: int, gates: int = 1) -> tuple[Array, Array, Array]:
        """Return W, U and b of n units and m inputs, with ``gates`` stacked."""
        rows = gates * n
        return self.inputs(rows, m), self.recurrent(rows, n), self.biases(rows)

    def biases(self, size: int) -> Array:
        """Return Gaussian biases."""
        return self.bias * self.rng.normal(size=size)

    def _orthogonal(self, rows: int, n: int) -> Array:
        """Return orthonormal rows, uniformly distributed."""
        columns, upper = np.linalg.qr(self.rng.normal(size=(n, rows)))
        return (columns * np.sign(np.diagonal(upper))).T
