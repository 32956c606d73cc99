"""Random networks, for theory, tests and benchmarks."""

from __future__ import annotations

import math

import numpy as np

from .arguments import check_size
from .cells import (
    CELLS,
    GRU,
    LSTM,
    Cell,
    GRUResetBefore,
    GRUResetBeforeVariant,
    GRUVariant,
    LSTMVariant,
    ProjectedLSTM,
    Vanilla,
)
from .network import Network
from .types import Array

__all__ = ["random_network"]


def random_network(
    kind: str,
    n: int,
    m: int = 0,
    *,
    gain: float = 1.0,
    layers: int = 1,
    bias: float = 0.0,
    nonlinearity: str = "tanh",
    seed: int = 0,
) -> Network:
    """Return a network with independent Gaussian weights.

    Recurrent weights have the variance gain²/n, so that in a vanilla tanh network without
    input chaos sets in near gain 1 (Sompolinsky, Crisanti, Sommers 1988); input weights have
    the variance 1/m.

    Parameters
    ----------
    kind : str
        A cell's name: ``"vanilla"``, ``"gru"``, ``"gru-reset-before"``, ``"lstm"``,
        ``"lstm-projected"`` (which projects to half of its units), ``"lstm-variant"`` (with
        random peepholes) and so on.
    n : int
        Units of each layer.
    m : int
        Inputs; 0 for an autonomous network.
    gain : float
    layers : int
    bias : float
        Standard deviation of the biases.
    nonlinearity : {"tanh", "relu", "identity"}
        Of vanilla cells.
    seed : int

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if kind not in CELLS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(CELLS)}")
    for name, value, least in (("n", n, 1), ("m", m, 0), ("layers", layers, 1), ("seed", seed, 0)):
        check_size(name, value, least)
    rng = np.random.default_rng(seed)
    cells: list[Cell] = []
    for _ in range(layers):
        cells.append(_random_cell(kind, n, m, gain, bias, nonlinearity, rng))
        m = cells[-1].output_size
    return Network(cells, origin=f"random {kind}, gain {gain:g}, seed {seed}")


def _random_cell(
    kind: str, n: int, m: int, gain: float, bias: float, nonlinearity: str, rng: np.random.Generator
) -> Cell:
    def draw(rows: int, columns: int, scale: float) -> Array:
        return scale * rng.normal(size=(rows, columns)) / math.sqrt(max(columns, 1))

    if kind == Vanilla.name:
        W, U, b = draw(n, m, 1.0), draw(n, n, gain), bias * rng.normal(size=n)
        return Vanilla(W, U, b, nonlinearity)
    grus = {c.name: c for c in (GRU, GRUResetBefore, GRUVariant, GRUResetBeforeVariant)}
    if kind in grus:
        W, U, b = draw(3 * n, m, 1.0), draw(3 * n, n, gain), bias * rng.normal(size=3 * n)
        return grus[kind](W, U, b)
    p = max(n // 2, 1) if kind == ProjectedLSTM.name else n
    W, U, b = draw(4 * n, m, 1.0), draw(4 * n, p, gain), bias * rng.normal(size=4 * n)
    if kind == LSTMVariant.name:
        return LSTMVariant(W, U, b, peepholes=bias * rng.normal(size=(3, n)))
    return ProjectedLSTM(W, U, draw(p, n, 1.0), b) if kind == ProjectedLSTM.name else LSTM(W, U, b)
