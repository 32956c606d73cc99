"""lyapy's own layout: each cell's weights in float64 under the equations' names.

An HDF5 file whose root has the attribute ``lyapy``, JSON with the fields

- ``format``: ``"lyapy weights"``, and ``version``: 1;
- ``cells``: for each layer its ``cell``, and the activations and options of a variant;
- ``origin`` and ``assumptions``: the file that it was made from, and the assumptions made.

Layer l has the datasets ``l/W``, ``l/U``, ``l/b``, and where the cell has them ``l/c`` (a GRU's
bias inside the reset product), ``l/P`` and ``l/peepholes``; gates are stacked i f g o or r z n.
Cells that no framework has are stored as their constructor's arguments, see `named`.
"""

import io
import json
from typing import Any

import numpy as np

from ...arrays import Array
from ...cells import GRU, OTHERS, PLAIN, VARIANTS, Cell, Vanilla
from ...cells.activations import NONLINEARITIES
from ...networks.network import Network
from ..formats import Contents
from ..formats.refusal import RefusedError
from .layer import Hints, Layer, Stacks
from .named import named_arrays, named_numbers, put_together

FORMAT, VERSION = "lyapy weights", 1


def canonical_bytes(network: Network) -> bytes:
    """Return a network's canonical file, from which `lyapy.load` restores exactly the same one."""
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
    with h5py.File(content, "w", libver="earliest") as file:
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


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return the layers of a canonical file; none of any other."""
    text = contents.metadata.get("lyapy")
    if text is None:
        return {}
    try:
        described = json.loads(text)
        cells, version = list(described["cells"]), described["version"]
        stack = [_layer(contents, number, dict(cell)) for number, cell in enumerate(cells)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"has a damaged description of its network ({type(error).__name__}: {error})"
        raise RefusedError(what, "write it again with lyapy convert") from None
    if version != VERSION:
        what = f"is version {version} of lyapy's weights; {VERSION} is known"
        raise RefusedError(what, "update lyapy")
    if not stack:
        return {}
    stack[0].assumed = [str(line) for line in described.get("assumptions", [])]
    return {"": stack}


def _layer(contents: Contents, number: int, cell: dict[str, Any]) -> Layer:
    before = f"{number}/"
    names = {n.removeprefix(before): n for n in contents.arrays if n.startswith(before)}
    arrays = {role: contents.arrays[name] for role, name in names.items()}
    kind = cell.pop("cell")
    if any(kind == other.name for other in OTHERS):
        return Layer(number, put_together(arrays), names, cell=kind, options=cell)
    layer = Layer(number, arrays, names, cell=kind.removesuffix("-variant"))
    layer.variant = kind.endswith("-variant")
    if "b" in arrays and "c" not in arrays:
        layer.put("c", names["b"], np.full_like(arrays["b"], -0.0))
    for name in cell.keys() & {"gate", "nonlinearity", "output"}:
        layer.activations[name] = str(cell[name])
    if cell.get("coupled"):
        layer.options["coupled"] = True
    if "clip" in cell:
        layer.options["clip"] = float(cell["clip"])
    return layer
