"""From a weights file to a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath

from .arguments import check_size
from .cells import Cell
from .errors import WeightsError
from .formats import read_arrays
from .layouts.torch import Hints, Layer, build_cell, find_layers
from .network import Network
from .types import Array

__all__ = ["load", "network_from_arrays"]

NAMES_SHOWN = 12


def load(
    path: str | PathLike[str],
    *,
    cell: str | None = None,
    nonlinearity: str | None = None,
    layers: int | None = None,
    prefix: str | Sequence[str] | None = None,
) -> Network:
    """Read a network from a weights file, without the framework that wrote it.

    Recurrent layers are recognised by their tensors' names and shapes; nothing in the file is
    executed. Weights of any precision are computed in float64.

    Parameters
    ----------
    path : str or path
        ``.pt``, ``.pth``, ``.safetensors`` or ``.npz``; what counts is the content.
    cell : str, optional
        The cell's name, where shapes leave it open: ``"gru-reset-before"`` for a GRU with its
        reset gate before the product.
    nonlinearity : {"tanh", "relu", "identity"}, optional
        Of vanilla cells, which no file tells.
    layers : int, optional
        Number of layers to take, from the first; all by default.
    prefix : str or sequence of str, optional
        Which tensors, by what stands before ``weight_ih_l0``, where the file holds several
        recurrent networks; several prefixes are stacked in their order.

    Returns
    -------
    Network

    Raises
    ------
    WeightsError
        If the file cannot be read, or holds no network that is recognised, or more than one.
    ValueError
        If a hint is not one of the choices.
    """
    hints = Hints(cell, nonlinearity, layers)
    return network_from_arrays(fspath(path), read_arrays(path), hints, prefix)


def network_from_arrays(
    path: str, arrays: Mapping[str, Array], hints: Hints, prefix: str | Sequence[str] | None = None
) -> Network:
    """Build a network of named arrays; ``path`` is for messages. See `load`."""
    stacks, reversed_names = find_layers(path, arrays)
    chosen = _choose(path, arrays, stacks, prefix)
    stack = [layer for name in chosen for layer in stacks[name]]
    if hints.layers is not None:
        check_size("layers", hints.layers, 1, len(stack), f"{path} has {len(stack)} layers")
        stack = stack[: hints.layers]
    cells: list[Cell] = []
    assumptions = [
        f"{name} is the other direction of a bidirectional layer: left out"
        for name in reversed_names
        if name.startswith(tuple(chosen)) and "weight_hh" in name
    ]
    for number, layer in enumerate(stack):
        cell, assumed = build_cell(path, Layer(number, layer.arrays, layer.names), hints)
        cells.append(cell)
        assumptions += assumed
    try:
        return Network(cells, origin=path, assumptions=assumptions)
    except ValueError as error:
        remedy = (
            "upper layers of a bidirectional network read both directions; give layers=1"
            if reversed_names
            else "give layers= or prefix= to pick those that belong together"
        )
        raise WeightsError(path, str(error), remedy) from None


def _choose(
    path: str,
    arrays: Mapping[str, Array],
    stacks: Mapping[str, list[Layer]],
    prefix: str | Sequence[str] | None,
) -> list[str]:
    """Return the prefixes asked for, or the only one there is."""
    if not stacks:
        raise WeightsError(
            path,
            f"no recurrent layer is recognised among {len(arrays)} tensors: {_listed(arrays)}",
            "recurrent weights are recognised by names like weight_ih_l0, weight_hh_l0; rename "
            "them in an .npz, or build the network of lyapy's cells in Python",
        )
    if prefix is None:
        if len(stacks) > 1:
            raise WeightsError(
                path,
                f"{len(stacks)} recurrent networks, with prefixes {_quoted(stacks)}",
                "pick one with prefix=",
            )
        return list(stacks)
    wanted = [prefix] if isinstance(prefix, str) else list(prefix)
    chosen = []
    for name in wanted:
        matching = [name] if name in stacks else [p for p in stacks if p.rstrip("._") == name]
        if len(matching) != 1:
            raise WeightsError(
                path, f"no recurrent layer has the prefix {name!r}", f"found are {_quoted(stacks)}"
            )
        chosen += matching
    return chosen


def _listed(arrays: Mapping[str, Array]) -> str:
    shown = [f"{name} {tuple(array.shape)}" for name, array in list(arrays.items())[:NAMES_SHOWN]]
    return ", ".join(shown) + (" …" if len(arrays) > NAMES_SHOWN else "")


def _quoted(names: Mapping[str, object]) -> str:
    return ", ".join(repr(name) for name in names)
