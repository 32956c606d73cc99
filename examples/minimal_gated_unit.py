"""A cell of one's own: the minimal gated unit (Zhou et al. 2016, arXiv:1603.09420).

One gate f both resets and updates::

    f  = σ(W_f x + U_f h + b_f)
    g  = tanh(W_g x + U_g (f h) + b_g)
    h′ = (1 − f) h + f g

Run it: ``python examples/minimal_gated_unit.py``.
"""

from typing import Any, NamedTuple

import numpy as np

import lyapy
from lyapy.cells.activations import logistic, tanh
from lyapy.cells.base import Cell, as_matrix, as_vector, gates


class Weights(NamedTuple):
    """What `MinimalGatedUnit.step` reads."""

    U: Any


class MinimalGatedUnit(Cell):
    """Minimal gated unit; W (2n, m), U (2n, n) and b (2n,) stack the gates f, g."""

    name = "minimal-gated-unit"
    # dy is the deviation of f h; p = h f(1 − f), v = 1 − f, q = (g − h) f(1 − f), t = f (1 − g²)
    program = """
    dy = f dh + p U_f dh + p W_f dx
    dh' = v dh + q U_f dh + t U_g dy + q W_f dx + t W_g dx
    """
    coefficients = ("f", "p", "v", "q", "t")

    def __init__(self, W: Any, U: Any, b: Any = None) -> None:
        n = np.shape(U)[1]
        self.W = as_matrix(W, "W", (2 * n, None))
        self.b = as_vector(b, "b", 2 * n)
        self.weights = Weights(as_matrix(U, "U", (2 * n, n)))
        self.blocks = {"h": n}
        self.auxiliary = {"y": n}

    @staticmethod
    def step(weights: Any, state: Any, drive: Any, new_state: Any, coefficients: Any) -> None:
        """Write h′ and the coefficients f, p, v, q, t; drive is W x + b."""
        n = state.shape[-1]
        f, f_slope = logistic(drive[..., :n] + state @ weights.U[:n].T)
        g, g_slope = tanh(drive[..., n:] + (f * state) @ weights.U[n:].T)
        new_state[...] = (1.0 - f) * state + f * g
        coefficients[..., :n] = f
        coefficients[..., n : 2 * n] = state * f_slope
        coefficients[..., 2 * n : 3 * n] = 1.0 - f
        coefficients[..., 3 * n : 4 * n] = (g - state) * f_slope
        coefficients[..., 4 * n :] = f * g_slope

    def matrices(self) -> dict[str, Any]:
        """Return the matrices that the program names: U_f, U_g, W_f, W_g."""
        return gates(self.weights.U, "fg", "U") | gates(self.W, "fg", "W")


def main() -> None:
    """Check the cell's Jacobian by central differences, and compute a spectrum."""
    n, m = 16, 3
    rng = np.random.default_rng(0)
    W, U = rng.normal(size=(2 * n, m)), 2.0 * rng.normal(size=(2 * n, n)) / np.sqrt(n)
    network = lyapy.Network([MinimalGatedUnit(W, U)])

    h, x, d = rng.normal(size=n), rng.normal(size=m), 1e-6

    def next_state(h: Any) -> Any:
        # one step of the spectrum's own forward pass
        return lyapy.lyapunov_spectrum(network, x[None], initial_state=h, k=1).final_state[0]

    columns = [(next_state(h + d * e) - next_state(h - d * e)) / (2 * d) for e in np.eye(n)]
    error = np.abs(lyapy.jacobian(network, h, x) - np.stack(columns, axis=1)).max()
    print(f"Jacobian against central differences: {error:.1e}")

    inputs = rng.normal(size=(4, 2000, m))
    compiled = lyapy.lyapunov_spectrum(network, inputs, transient=200)
    reference = lyapy.lyapunov_spectrum(network, inputs, transient=200, backend="numpy")
    difference = np.abs(compiled.exponents - reference.exponents).max()
    print(f"compiled against reference engine:    {difference:.1e}")
    print(f"sum rule:                             {compiled.sum_rule_residual:.1e}")
    print(compiled)


if __name__ == "__main__":
    main()
