"""Random networks, for theory, tests and benchmarks."""

import inspect
from typing import Any

import numpy as np

from ..arrays import as_seed, check_choice, check_size
from ..cells import CELLS, Cell
from ..cells.random_weights import DISTRIBUTIONS, Draw
from .network import Network


def random_network(
    kind: str,
    n: int,
    m: int = 0,
    *,
    gain: float = 1.0,
    layers: int = 1,
    bias: float = 0.0,
    distribution: str = "gaussian",
    alpha: float = 2.0,
    seed: int | np.random.Generator | None = 0,
    rng: int | np.random.Generator | None = None,
    **options: Any,
) -> Network:
    """Return a network with independent random weights.

    Recurrent weights have the variance gain²/n, so that in a vanilla tanh network without
    input chaos sets in near gain 1 (Sompolinsky, Crisanti, Sommers 1988); input weights are
    Gaussian with the variance 1/m.

    Parameters
    ----------
    kind : str
        A cell's name or class, in capitals or not: ``"vanilla"``, ``"gru"``,
        ``"gru-reset-before"``, ``"LSTM"``, ``"lstm-projected"`` (which projects to half of its
        units), ``"lstm-variant"`` (with random peepholes), ``"rate"`` and so on.
    n : int
        Units of each layer.
    m : int
        Inputs; 0 for an autonomous network.
    gain : float
    layers : int
    bias : float
        Standard deviation of the biases.
    distribution : {"gaussian", "uniform", "orthogonal", "levy"}
        Of the recurrent weights. Orthogonal ones are gain times a random orthogonal matrix,
        for each gate. Lévy's are symmetric α-stable with the scale gain/(2n)^(1/α), Gaussian
        for α = 2; with smaller α a few weights are large, and the transition to chaos widens
        into an extended critical regime (Wardak and Gong 2022, Phys. Rev. Lett. 129, 048103;
        Qu, Wardak and Gong 2022, arXiv:2203.12967).
    alpha : float
        α of Lévy's weights, above 0 and at most 2.
    seed : int, Generator or None
        Of the weights; None draws other ones each time.
    rng : int or Generator, optional
        Given instead of ``seed``.
    **options
        Further arguments of the cell, such as ``nonlinearity`` of vanilla cells or ``dt`` of
        rate networks.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if _plain(kind) in CELLS:
        kind = _plain(kind)
    check_choice("kind", kind, CELLS)
    for name, value, least in (("n", n, 1), ("m", m, 0), ("layers", layers, 1)):
        check_size(name, value, least)
    seed = as_seed(seed, rng)
    check_choice("distribution", distribution, DISTRIBUTIONS)
    if not 0.0 < alpha <= 2.0:
        raise ValueError(f"alpha is {alpha!r}; it must lie above 0 and be at most 2")
    known = inspect.signature(CELLS[kind]).parameters
    for name in options:
        if name not in known:
            raise ValueError(f"{name} is no argument of {kind}, which has {', '.join(known)}")
    draw = Draw(np.random.default_rng(seed), gain, bias, distribution, alpha)
    cells: list[Cell] = []
    for _ in range(layers):
        cells.append(CELLS[kind].random(n, m, draw, **options))
        m = cells[-1].output_size
    law = "" if distribution == "gaussian" else f", {distribution}"
    law += f" with alpha {alpha:g}" if distribution == "levy" else ""
    return Network(cells, origin=f"random {kind}, gain {gain:g}, seed {seed}{law}")


def _plain(kind: Any) -> str:
    """Return the name in `CELLS` for a cell's name or class, however it is written."""
    plain = str(kind).lower().replace("_", "-")
    classes = {cell.__name__.lower(): name for name, cell in CELLS.items()}
    return plain if plain in CELLS else classes.get(plain, str(kind))
