"""lyapy's own layout: each cell's weights in float64 under the equations' names.

An HDF5 file whose root has the attribute ``lyapy``, JSON with the fields

- ``format``: ``"lyapy weights"``, and ``version``: 1;
- ``cells``: for each layer its ``cell``, and the activations and options of a variant;
- ``origin`` and ``assumptions``: the file that it was made of, and what was assumed.

Layer l has the datasets ``l/W``, ``l/U``, ``l/b``, and where the cell has them ``l/c`` (a GRU's
bias inside the reset product), ``l/P`` and ``l/peepholes``; gates are stacked i f g o or r z n.
Cells that no framework has are kept by the arguments that they are made of, see `named`.
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from ...arrays import Array
from ...cells import GRU, OTHERS, PLAIN, VARIANTS, Cell, Vanilla
from ...cells.activations import NONLINEARITIES
from ...errors import WeightsError
from ...networks.network import Network
from ..formats import Contents
from .layer import Hints, Layer, Stacks
from .named import named_arrays, named_numbers, put_named

__all__ = ["canonical_bytes", "find_layers"]

FORMAT, VERSION = "lyapy weights", 1
ROLES = ("W", "U", "b", "c", "P", "peepholes")


def canonical_bytes(network: Network) -> bytes:
    """Return a network's canonical file; of it `lyapy.load` gives back exactly the same.

    Parameters
    ----------
    network : Network
        Of the cells that weights files hold.

    Raises
    ------
    ValueError
        If a cell is of another kind.
    """
    import h5py

    described = [_describe(cell) for cell in network.cells]
    text = {
        "format": FORMAT,
        "version": VERSION,
        "cells": described,
        "origin": network.origin,
        "assumptions": list(network.assumptions),
    }
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["lyapy"] = json.dumps(text, ensure_ascii=False)
        for number, cell in enumerate(network.cells):
            for name, array in _arrays(cell).items():
                file.create_dataset(f"{number}/{name}", data=array)
    return content.getvalue()


def _arrays(cell: Cell) -> dict[str, Array]:
    if type(cell) in OTHERS:
        return dict(named_arrays(cell))
    arrays = {"W": cell.W, "b": cell.b}
    for name in ("U", "P", "peepholes"):
        value = getattr(cell.weights, name, None)
        if value is not None and value.size:
            arrays[name] = value
    if isinstance(cell, GRU):
        n = cell.variables["h"]
        arrays["c"] = np.concatenate([np.full(2 * n, -0.0), cell.weights.c])
    return arrays


def _describe(cell: Cell) -> dict[str, Any]:
    if type(cell) in OTHERS:
        return {"cell": cell.name, **named_numbers(cell)}
    if type(cell) not in (*PLAIN, *VARIANTS):
        raise ValueError(
            f"weights files have no form for {cell!r}; keep the arrays that it is built from"
        )
    described: dict[str, Any] = {"cell": cell.name}
    if isinstance(cell, Vanilla):
        return described | {"nonlinearity": cell.nonlinearity}
    for name, field in (("gate", "gate"), ("nonlinearity", "candidate"), ("output", "output")):
        if hasattr(cell.weights, field):
            described[name] = NONLINEARITIES[getattr(cell.weights, field)]
    if getattr(cell.weights, "coupled", 0.0):
        described["coupled"] = True
    if np.isfinite(getattr(cell.weights, "clip", np.inf)):
        described["clip"] = cell.weights.clip
    return described


def find_layers(path: str, contents: Contents, hints: Hints) -> Stacks:
    """Return the layers of a canonical file; none of any other.

    Raises
    ------
    WeightsError
        If the description is damaged or of a later version.
    """
    text = contents.metadata.get("lyapy")
    if text is None:
        return {}
    try:
        described = json.loads(text)
        cells, version = list(described["cells"]), described["version"]
        stack = [_layer(path, contents, number, dict(cell)) for number, cell in enumerate(cells)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"has a damaged description of its network ({type(error).__name__}: {error})"
        raise WeightsError(path, what, "write it anew with lyapy convert") from None
    if version != VERSION:
        raise WeightsError(
            path, f"is version {version} of lyapy's weights; {VERSION} is known", "update lyapy"
        )
    if stack:
        stack[0].assumed = [str(line) for line in described.get("assumptions", [])]
    return {"": stack} if stack else {}


def _layer(path: str, contents: Contents, number: int, cell: dict[str, Any]) -> Layer:
    if any(cell["cell"] == other.name for other in OTHERS):
        return _other_layer(path, contents, number, cell)
    layer = Layer(number, cell=str(cell["cell"]).removesuffix("-variant"))
    layer.variant = str(cell["cell"]).endswith("-variant")
    for role in ROLES:
        name = f"{number}/{role}"
        if name in contents.arrays:
            layer.put(role, name, contents.arrays[name])
    if "b" in layer.arrays and "c" not in layer.arrays:
        layer.put("c", f"{number}/b", np.full_like(layer.arrays["b"], -0.0))
    layer.activations = {
        name: str(cell[name]) for name in ("gate", "nonlinearity", "output") if name in cell
    }
    if cell.get("coupled"):
        layer.options["coupled"] = True
    if "clip" in cell:
        layer.options["clip"] = float(cell["clip"])
    return layer


def _other_layer(path: str, contents: Contents, number: int, cell: dict[str, Any]) -> Layer:
    layer, before = Layer(number, cell=cell.pop("cell"), options=cell), f"{number}/"
    names = {name.removeprefix(before): name for name in contents.arrays if name.startswith(before)}
    put_named(path, layer, {role: contents.arrays[name] for role, name in names.items()})
    layer.names = names
    return layer
