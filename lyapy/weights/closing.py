"""From a weights file with a read-out to the closed loop of both."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath

from ..networks.closed_loop import ClosedLoop
from .formats import read_contents
from .frameworks import find_layers
from .frameworks.layer import Hints
from .frameworks.readout import find_readout
from .load import network_from_contents, recurrent_names

__all__ = ["load_closed_loop"]


def load_closed_loop(
    path: str | PathLike[str],
    hints: Hints,
    prefix: str | Sequence[str] | None = None,
    readout: str | None = None,
) -> ClosedLoop:
    """Read a network and its linear read-out, and close the loop.

    Parameters
    ----------
    path : str or path
        As for `lyapy.load`.
    hints : Hints
        Its options, but for ``prefix``.
    prefix : str or sequence of str, optional
        As for `lyapy.load`.
    readout : str, optional
        Matrix of the read-out, or how its name begins, where several fit.

    Raises
    ------
    WeightsError
        As `lyapy.load`, or if the file holds no read-out that fits, or several.
    """
    path = fspath(path)
    contents = read_contents(path)
    network = network_from_contents(path, contents, hints, prefix)
    used = recurrent_names(find_layers(path, contents, hints))
    return ClosedLoop(network, *find_readout(path, contents.arrays, used, network, readout))
