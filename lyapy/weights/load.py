"""From a weights file to a network, or to the closed loop of a network and its read-out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import numpy as np

from ..arrays import Array, check_size
from ..cells import Cell
from ..errors import WeightsError
from ..networks.closed_loop import ClosedLoop
from ..networks.in_front import Front
from ..networks.network import Network
from .formats import Contents
from .formats.refusal import weights_errors
from .frameworks import find_layers, find_readouts
from .frameworks.cell import build_cell
from .frameworks.layer import Hints, Layer, Stacks
from .frameworks.readout import choose_readout
from .parameters import origins
from .source import read_source

NAMES_SHOWN = 12
EMBEDDING = re.compile(r"emb|wte|lookup|token|vocab|encoder", re.IGNORECASE)


def load(
    source: Any,
    *,
    cell: str | None = None,
    nonlinearity: str | None = None,
    layers: int | None = None,
    prefix: str | Sequence[str] | None = None,
    gate_nonlinearity: str | None = None,
    direction: str | None = None,
    layout: str | None = None,
    forget_bias: float | None = None,
    embedding: str | None = None,
) -> Network:
    """Read a network from a weights file or a model in memory, without its framework.

    Recurrent layers are recognised by their tensors' names and shapes; nothing in the file is
    executed. Weights of any precision are computed in float64.

    Parameters
    ----------
    source : path, file object, mapping or model
        A file: ``.pt``, ``.pth``, ``.safetensors``, ``.npz``, Keras's ``.h5`` and ``.keras``,
        ``.onnx``, Flax's ``.msgpack``, Equinox's ``.eqx``, recognised by content, not by name; or
        an object opened in binary mode. In memory: a mapping of names to arrays of any library, a
        nested one too (a ``state_dict()``, Flax's parameters), a PyTorch module or a Keras model.
    cell : str, optional
        Name of the cell, where shapes leave it open: ``"gru-reset-before"`` for a GRU with its
        reset gate before the product. For cells that no framework has, the arrays must have the
        names of the cell's arguments.
    nonlinearity : {"tanh", "relu", "identity", "sigmoid", "softplus", "elu", "silu", "sin", …}
        Of vanilla cells, if the file does not say; of other cells, if it is not tanh.
    layers : int, optional
        Number of layers to take, from the first; all by default.
    prefix : str or sequence of str, optional
        Which network, by the part of its tensors' names before ``weight_ih_l0``, if the file
        holds several; several prefixes are stacked in their order. For Keras, the name of a layer.
    gate_nonlinearity : {"sigmoid", "hard-sigmoid", "hard-sigmoid-keras2"}, optional
        Of gates, which Keras's files of weights alone do not say.
    direction : {"forward", "backward"}, optional
        Of bidirectional layers; forward by default. Give the inputs of a backward layer in reverse.
    layout : {"equinox", "haiku", "tensorflow1"}, optional
        The framework, if names and shapes do not show it.
    forget_bias : float, optional
        Bias that TensorFlow 1 and Haiku add to the forget gate at run time; 1 by default.
    embedding : str, optional
        Name of the matrix (V, m) whose rows are the inputs of tokens, if several may be: inputs
        that are token ids, whole numbers (T,) or (B, T), go through it.

    Returns
    -------
    Network

    Raises
    ------
    WeightsError
        If the file cannot be read, or holds no network that is recognised, or more than one.
    TypeError
        If the source is of another kind.
    ValueError
        If a hint is not one of the choices.
    """
    hints = Hints(cell, nonlinearity, layers, prefix, gate_nonlinearity, direction, layout,
                  forget_bias, embedding)  # fmt: skip
    return network_from_contents(*read_source(source), hints)


def load_closed_loop(source: Any, hints: Hints, readout: str | None = None) -> ClosedLoop:
    """Read a network as `load`, and feed its linear read-out back as the input.

    ``readout`` is the beginning of the matrix's name, where several fit. Raises WeightsError if
    none does.
    """
    return closed_loop_from_contents(*read_source(source), hints, readout)


def closed_loop_from_contents(
    path: str, contents: Contents, hints: Hints, readout: str | None = None
) -> ClosedLoop:
    """Build the closed loop of a source's contents; see `load_closed_loop`."""
    network = network_from_contents(path, contents, hints)
    stacks = find_layers(path, contents, hints)
    prefixes = _choose(path, contents.arrays, stacks, hints.prefix)
    readouts = find_readouts(path, contents, hints, prefixes)
    sizes = network.input_size, network.cells[-1].output_size
    with weights_errors(path, "cannot be closed"):
        chosen, assumed = choose_readout(
            contents, readouts, recurrent_names(stacks), sizes, readout
        )
        assumed += origins(contents, chosen.names)
        loop = ClosedLoop(network, chosen.matrix, chosen.bias, chosen.activation)
    loop.assumptions += tuple(assumed)
    return loop


def network_from_contents(path: str, contents: Contents, hints: Hints) -> Network:
    """Build a network from a file's contents; ``path`` is for errors. See `load`."""
    stacks = find_layers(path, contents, hints)
    chosen = _choose(path, contents.arrays, stacks, hints.prefix)
    layers = [layer for name in chosen for layer in stacks[name]]
    stack, assumptions = _in_direction(path, layers, hints)
    bidirectional = bool(assumptions)
    if hints.layers is not None:
        check_size("layers", hints.layers, 1, len(stack), f"{path} has {len(stack)} layers")
        stack = stack[: hints.layers]
    cells: list[Cell] = []
    for number, layer in enumerate(stack):
        with weights_errors(path, f"layer {number} cannot be built", "export it again"):
            assumptions += origins(contents, layer.tensors)
            cell, assumed = build_cell(replace(layer, number=number), hints)
        cells.append(cell)
        assumptions += assumed
    try:
        network = Network(cells, origin=path, assumptions=assumptions)
    except ValueError as error:
        remedy = (
            "upper layers of a bidirectional network read both directions; give layers=1 (--layers)"
            if bidirectional
            else "give layers= or prefix= (--layers, --prefix) to pick those that belong together"
        )
        raise WeightsError(path, str(error), remedy) from None
    recurrent = recurrent_names(stacks)
    network.front = _front(path, contents, recurrent, network.input_size, hints.embedding)
    return network


def _front(path: str, contents: Contents, recurrent: set[str], m: int, name: str | None) -> Front:
    """Return the layers that may stand in front of a network of m inputs.

    Embeddings are matrices (V, m) that are named as such, or the one that ``name`` names.
    """
    matrices = {
        label: array
        for label, array in contents.arrays.items()
        if array.ndim == 2 and array.dtype.kind in "fiu" and label not in recurrent
    }
    fitting = {label: array for label, array in matrices.items() if array.shape[1] == m}
    if name is not None and name not in fitting:
        found = f"no matrix of {m} columns has the name {name!r}"
        others = ", ".join(f"{label} {array.shape}" for label, array in fitting.items())
        raise WeightsError(path, found, f"embedding= (--embedding) may be {others or 'left out'}")
    embeddings: dict[str, Array] = {}
    for label, array in fitting.items():
        taken = EMBEDDING.search(label) if name is None else label == name
        # one that is tied to another is saved twice
        if taken and not any(np.array_equal(array, other) for other in embeddings.values()):
            embeddings[label] = array
    shapes = {label: array.shape for label, array in matrices.items()}
    return Front(contents.metadata.get("vocabulary"), embeddings, shapes)


def _in_direction(path: str, stack: Sequence[Layer], hints: Hints) -> tuple[list[Layer], list[str]]:
    """Return the layers of one direction, and the assumptions made."""
    direction = hints.direction or "forward"
    taken = [layer for layer in stack if layer.direction == direction]
    others = [layer for layer in stack if layer.direction != direction]
    if not taken and hints.direction is None:
        there = others[0].direction
        remedy = f"give direction={there!r} (--direction)"
        raise WeightsError(path, f"all its layers run {there}", remedy)
    if not taken:
        raise ValueError(f"direction is {direction!r}, but all layers are {others[0].direction}")
    why = "is the other direction of a bidirectional layer: left out"
    assumed = [f"{layer.names.get('U', 'a layer')} {why}" for layer in others]
    if direction == "backward":
        assumed.append("the layer reads its input backwards: give the inputs in reverse")
    return taken, assumed


def _choose(
    path: str, arrays: Mapping[str, Array], stacks: Stacks, prefix: str | Sequence[str] | None
) -> list[str]:
    """Return the prefixes asked for, or the only one there is."""
    if not stacks:
        raise WeightsError(
            path,
            f"no recurrent layer is recognised among {len(arrays)} tensors: "
            + _some(f"{name} {tuple(array.shape)}" for name, array in arrays.items()),
            "recurrent weights are recognised by PyTorch's names, weight_ih_l0, weight_hh_l0, "
            "bias_ih_l0 and bias_hh_l0, or as W_in, W_rec and b: rename them in an .npz; or give "
            "cell= (--cell) if they have the names of a cell's arguments, as W, U and b of "
            "cell='vanilla'",
        )
    if prefix is None:
        if len(stacks) > 1:
            what = f"{len(stacks)} recurrent networks, with prefixes {_quoted(stacks)}"
            raise WeightsError(path, what, f"pick one with prefix= (--prefix){_offer(stacks)}")
        return list(stacks)
    chosen = []
    for name in [prefix] if isinstance(prefix, str) else prefix:
        matching = [p for p in stacks if p.rstrip("._/") == name.rstrip("._/")]
        matching = [name] if name in stacks else matching
        if len(matching) != 1:
            what = f"no recurrent layer has the prefix {name!r}"
            raise WeightsError(path, what, f"found are {_quoted(stacks)}")
        chosen += matching
    return chosen


def _offer(stacks: Stacks) -> str:
    """Return the offer to stack all networks in their order, if each fits on the one before."""
    ends = [(stack[0].arrays.get("W"), stack[-1].arrays.get("U")) for stack in stacks.values()]
    if any(W is None or U is None for W, U in ends):
        return ""
    fits = all(W.shape[-1] == U.shape[-1] for (_, U), (W, _) in pairwise(ends))  # type: ignore[union-attr]
    return f", or stack them with prefix=[{_quoted(stacks)}]" if fits else ""


def recurrent_names(stacks: Stacks) -> set[str]:
    """Return the names of the tensors that layers are made of."""
    return {name for stack in stacks.values() for layer in stack for name in layer.tensors}


def _quoted(names: Iterable[str]) -> str:
    return _some(repr(name) for name in names)


def _some(shown: Iterable[str]) -> str:
    first = list(islice(shown, NAMES_SHOWN + 1))
    return ", ".join(first[:NAMES_SHOWN]) + " …" * (len(first) > NAMES_SHOWN)
