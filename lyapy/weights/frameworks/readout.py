"""The linear read-out of a network among the tensors of its file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...arrays import Array
from ...errors import WeightsError
from ...networks.network import Network

__all__ = ["find_readout"]

# frameworks that keep (inputs, outputs) name the matrix so; the others keep (outputs, inputs)
TRANSPOSED = ("kernel", "w")
BIASES = ("bias", "b")


def find_readout(
    path: str,
    arrays: Mapping[str, Array],
    recurrent: set[str],
    network: Network,
    name: str | None = None,
) -> tuple[Array, Array | None]:
    """Return the matrix (m, p) and the bias (m,) that lead from a network's output to its input.

    Parameters
    ----------
    path : str
        For messages.
    arrays : dict
        All tensors of the file.
    recurrent : set of str
        Names of those that the network is made of.
    network : Network
    name : str, optional
        The matrix, or what its name begins with; the only one that fits by default.

    Raises
    ------
    WeightsError
        If none fits, or more than one.
    """
    m, p = network.input_size, network.cells[-1].output_size
    others = {n: a for n, a in arrays.items() if n not in recurrent and a.ndim == 2}
    fitting = [n for n, a in others.items() if a.shape == ((p, m) if _transposed(n) else (m, p))]
    if name is not None:
        fitting = [n for n in fitting if n == name] or [n for n in fitting if n.startswith(name)]
    if len(fitting) != 1:
        asked = "" if name is None else f" whose name begins with {name!r}"
        found = f": {', '.join(fitting)}" if fitting else ""
        count = f"{len(fitting)} read-outs" if fitting else "no read-out"
        raise WeightsError(
            path,
            f"{count}{asked} lead{'s' * (not fitting)} from the {p} "
            f"outputs of the network to its {m} inputs{found}",
            "name the matrix by --readout"
            if fitting
            else "close the loop in Python with lyapy.ClosedLoop and a matrix of your own",
        )
    matrix = np.asarray(others[fitting[0]], dtype=np.float64)
    stem = fitting[0][: len(fitting[0]) - len(_last(fitting[0]))]
    # TensorFlow's names end in :0
    ending = _last(fitting[0]).partition(":")[1:]
    names = [stem + bias + "".join(ending) for bias in BIASES]
    biases = [arrays[n] for n in names if n in arrays]
    bias = np.asarray(biases[0], dtype=np.float64) if biases else None
    return (matrix.T if _transposed(fitting[0]) else matrix), bias


def _last(name: str) -> str:
    """Return the last part of a dotted or slashed name."""
    return name.replace("/", ".").rpartition(".")[2]


def _transposed(name: str) -> bool:
    return _last(name).partition(":")[0] in TRANSPOSED
