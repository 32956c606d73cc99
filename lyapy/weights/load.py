"""From a weights file to a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath

from ..arrays import Array, check_size
from ..cells import Cell
from ..errors import WeightsError
from ..networks.network import Network
from .formats import Contents, read_contents
from .frameworks import find_layers
from .frameworks.building import build_cell, check_hints
from .frameworks.layer import Hints, Layer, Stacks

__all__ = ["load", "network_from_arrays", "network_from_contents", "recurrent_names"]

DIRECTIONS = ("forward", "backward")
NAMES_SHOWN = 12


def load(
    path: str | PathLike[str],
    *,
    cell: str | None = None,
    nonlinearity: str | None = None,
    layers: int | None = None,
    prefix: str | Sequence[str] | None = None,
    gate_nonlinearity: str | None = None,
    direction: str | None = None,
    layout: str | None = None,
    forget_bias: float | None = None,
) -> Network:
    """Read a network from a weights file, without the framework that wrote it.

    Recurrent layers are recognised by their tensors' names and shapes; nothing in the file is
    executed. Weights of any precision are computed in float64.

    Parameters
    ----------
    path : str or path
        ``.pt``, ``.pth``, ``.safetensors``, ``.npz``, Keras's ``.h5`` and ``.keras``, ``.onnx``,
        Flax's ``.msgpack``, Equinox's ``.eqx``; what counts is the content.
    cell : str, optional
        The cell's name, where shapes leave it open: ``"gru-reset-before"`` for a GRU with its
        reset gate before the product. Of cells that no framework has, the arrays must have the
        names of the cell's arguments.
    nonlinearity : {"tanh", "relu", "identity", "sigmoid", "hard-sigmoid", "hard-sigmoid-keras2"}
        Of vanilla cells, where the file does not tell; of others, where it is not tanh.
    layers : int, optional
        Number of layers to take, from the first; all by default.
    prefix : str or sequence of str, optional
        Which tensors, by what stands before ``weight_ih_l0``, where the file holds several
        recurrent networks; several prefixes are stacked in their order. For Keras, the name
        of a layer.
    gate_nonlinearity : {"sigmoid", "hard-sigmoid", "hard-sigmoid-keras2"}, optional
        Of gates, which Keras's files of weights alone do not tell.
    direction : {"forward", "backward"}, optional
        Of bidirectional layers; forward by default. The inputs of a backward layer must be
        given in reverse.
    layout : {"equinox", "haiku", "tensorflow1"}, optional
        The framework, where names and shapes do not tell it.
    forget_bias : float, optional
        What TensorFlow 1 and Haiku add to the forget gate as they run; 1 by default.

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
    hints = Hints(cell, nonlinearity, layers, gate_nonlinearity, direction, layout, forget_bias)
    return network_from_contents(fspath(path), read_contents(path), hints, prefix)


def network_from_arrays(
    path: str, arrays: Mapping[str, Array], hints: Hints, prefix: str | Sequence[str] | None = None
) -> Network:
    """Build a network of named arrays; ``path`` is for messages. See `load`."""
    return network_from_contents(path, Contents(dict(arrays), {}), hints, prefix)


def network_from_contents(
    path: str, contents: Contents, hints: Hints, prefix: str | Sequence[str] | None = None
) -> Network:
    """Build a network of a file's contents; ``path`` is for messages. See `load`."""
    check_hints(hints)
    stacks = find_layers(path, contents, hints)
    chosen = _choose(path, contents.arrays, stacks, prefix)
    layers = [layer for name in chosen for layer in stacks[name]]
    stack, assumptions = _in_direction(path, layers, hints)
    bidirectional = bool(assumptions)
    if hints.layers is not None:
        check_size("layers", hints.layers, 1, len(stack), f"{path} has {len(stack)} layers")
        stack = stack[: hints.layers]
    cells: list[Cell] = []
    for number, layer in enumerate(stack):
        try:
            cell, assumed = build_cell(path, replace(layer, number=number), hints)
        except WeightsError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            what = f"layer {number} cannot be built ({error})"
            raise WeightsError(path, what, "export it anew") from error
        cells.append(cell)
        assumptions += assumed
    try:
        return Network(cells, origin=path, assumptions=assumptions)
    except ValueError as error:
        remedy = (
            "upper layers of a bidirectional network read both directions; give layers=1 (--layers)"
            if bidirectional
            else "give layers= or prefix= (--layers, --prefix) to pick those that belong together"
        )
        raise WeightsError(path, str(error), remedy) from None


def _in_direction(path: str, stack: Sequence[Layer], hints: Hints) -> tuple[list[Layer], list[str]]:
    """Return the layers of one direction, and what is to be said of it."""
    direction = hints.direction or "forward"
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is {direction!r}; it must be one of {', '.join(DIRECTIONS)}")
    taken = [layer for layer in stack if layer.direction == direction]
    others = [layer for layer in stack if layer.direction != direction]
    if not taken and hints.direction is None:
        there = others[0].direction
        raise WeightsError(
            path, f"all its layers run {there}", f"give direction={there!r} (--direction)"
        )
    if not taken:
        raise ValueError(f"direction is {direction!r}, but all layers are {others[0].direction}")
    said = [
        f"{layer.names.get('U', 'a layer')} is the other direction of a bidirectional layer: "
        "left out"
        for layer in others
    ]
    if direction == "backward":
        said.append("the layer reads its input backwards: give the inputs in reverse")
    return taken, said


def _choose(
    path: str,
    arrays: Mapping[str, Array],
    stacks: Stacks,
    prefix: str | Sequence[str] | None,
) -> list[str]:
    """Return the prefixes asked for, or the only one there is."""
    if not stacks:
        raise WeightsError(
            path,
            f"no recurrent layer is recognised among {len(arrays)} tensors: {_listed(arrays)}",
            "recurrent weights are recognised by PyTorch's names, weight_ih_l0, weight_hh_l0, "
            "bias_ih_l0 and bias_hh_l0: rename them in an .npz; or give cell= (--cell) where they "
            "have the names of a cell's arguments, as W, U and b of cell='reservoir' (a vanilla "
            "network)",
        )
    if prefix is None:
        if len(stacks) > 1:
            raise WeightsError(
                path,
                f"{len(stacks)} recurrent networks, with prefixes {_quoted(stacks)}",
                "pick one with prefix= (--prefix)",
            )
        return list(stacks)
    wanted = [prefix] if isinstance(prefix, str) else list(prefix)
    chosen = []
    for name in wanted:
        matching = (
            [name]
            if name in stacks
            else [p for p in stacks if p.rstrip("._/") == name.rstrip("._/")]
        )
        if len(matching) != 1:
            raise WeightsError(
                path, f"no recurrent layer has the prefix {name!r}", f"found are {_quoted(stacks)}"
            )
        chosen += matching
    return chosen


def recurrent_names(stacks: Stacks) -> set[str]:
    """Return the names of the tensors that layers are made of."""
    return {name for stack in stacks.values() for layer in stack for name in layer.names.values()}


def _listed(arrays: Mapping[str, Array]) -> str:
    shown = [f"{name} {tuple(array.shape)}" for name, array in list(arrays.items())[:NAMES_SHOWN]]
    return ", ".join(shown) + (" …" if len(arrays) > NAMES_SHOWN else "")


def _quoted(names: Mapping[str, object]) -> str:
    shown = [repr(name) for name in list(names)[:NAMES_SHOWN]]
    return ", ".join(shown) + (" …" if len(names) > NAMES_SHOWN else "")
