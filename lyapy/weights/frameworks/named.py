"""Weights under the names of a cell's arguments, for cells that no framework has.

An array ``U_y``, ``rnn.U_y`` or ``rnn/0/U_y`` is the argument `U_y` of the cell that
the hint ``cell`` names; what stands before it is the prefix and the layer's number. A sparse
matrix is ``U.data``, ``U.indices`` and ``U.indptr`` (of `scipy.sparse.csr_array`), and complex
numbers may be ``B.real`` and ``B.imag``. lyapy's canonical files hold such cells in the same way.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...arrays import Array
from ...cells import CELLS, OTHERS, PLRNN, VARIANTS, Cell, DiagonalStateSpace, ShallowPLRNN
from ...errors import WeightsError
from ..formats import Contents
from .layer import Hints, Layer, Stacks

__all__ = ["NAMED", "build_named", "find_layers", "named_arrays", "named_numbers", "put_named"]

NAMED = {cell.name for cell in (*OTHERS, *VARIANTS)}
SPARSE, COMPLEX = ("data", "indices", "indptr"), ("real", "imag")
# the weight of the input, which a file of an autonomous network may lack
INPUT = {PLRNN.name: "C", ShallowPLRNN.name: "C", DiagonalStateSpace.name: "B"}
NUMBERS = {"float": float, "bool": bool, "str": str}


def find_layers(path: str, contents: Contents, hints: Hints) -> Stacks:
    """Return the layers whose arrays have the names of the arguments of the cell asked for.

    Raises
    ------
    WeightsError
        If parts of a sparse or complex array are missing.
    """
    assert hints.cell is not None
    names = "|".join(sorted(_parameters(hints.cell), key=len, reverse=True))
    parts = "|".join((*SPARSE, *COMPLEX))
    pattern = re.compile(rf"(.*?[./])??(?:(\d+)[./])?((?:{names})(?:\.(?:{parts}))?)")
    found: dict[str, dict[int, dict[str, str]]] = {}
    for name in contents.arrays:
        match = pattern.fullmatch(name)
        if match is not None:
            prefix, number, role = match[1] or "", int(match[2] or 0), match[3]
            found.setdefault(prefix, {}).setdefault(number, {})[role] = name
    stacks: Stacks = {}
    needed = {n for n, p in _parameters(hints.cell).items() if p.default is p.empty}
    for prefix, layers in found.items():
        if not needed & {role.partition(".")[0] for roles in layers.values() for role in roles}:
            continue
        if sorted(layers) != list(range(len(layers))):
            what = f"has the layers {sorted(layers)} of {prefix!r}"
            raise WeightsError(path, what, "number them from 0")
        stacks[prefix] = []
        for number in range(len(layers)):
            layer = Layer(number, cell=hints.cell)
            put_named(path, layer, {r: contents.arrays[n] for r, n in layers[number].items()})
            layer.names = layers[number]
            stacks[prefix].append(layer)
    return stacks


def put_named(path: str, layer: Layer, arrays: Mapping[str, Array]) -> None:
    """Give a layer its arguments, sparse and complex ones put together."""
    whole: dict[str, dict[str, Array]] = {}
    for role, array in arrays.items():
        name, _, part = role.partition(".")
        whole.setdefault(name, {})[part] = array
    for name, parts in whole.items():
        if set(parts) == {""}:
            layer.arrays[name] = parts[""]
        elif set(parts) == set(COMPLEX):
            layer.arrays[name] = parts["real"] + 1j * parts["imag"]
        elif set(parts) == set(SPARSE):
            layer.arrays[name] = _sparse(path, name, *(parts[part] for part in SPARSE))
        else:
            what = f"holds {', '.join(f'{name}.{part}' if part else name for part in parts)}"
            remedy = f"give {name}, or {name}.data, {name}.indices and {name}.indptr, or "
            raise WeightsError(path, what, f"{remedy}{name}.real and {name}.imag")


def _sparse(path: str, name: str, data: Array, indices: Array, starts: Array) -> Any:
    from scipy.sparse import csr_array

    build: Any = csr_array
    try:
        matrix = build((data, indices, starts), shape=(len(starts) - 1,) * 2)
        matrix.check_format(full_check=True)
    except (ValueError, TypeError, IndexError) as error:
        what = f"{name} is no sparse matrix ({error})"
        raise WeightsError(path, what, "write the parts of a scipy.sparse.csr_array") from None
    return matrix


def build_named(path: str, layer: Layer, hints: Hints) -> tuple[Cell, list[str]]:
    """Return the cell of a layer's arguments, and what was assumed for it.

    Raises
    ------
    WeightsError
        If arguments are missing.
    ValueError
        If an argument does not fit.
    """
    name = str(layer.cell)
    if hints.cell not in (None, name):
        raise WeightsError(path, f"holds a cell {name!r}, not {hints.cell!r}", "leave cell out")
    parameters = _parameters(name)
    given = {**layer.arrays, **layer.options}
    for hint, value in (("nonlinearity", hints.nonlinearity), ("gate", hints.gate_nonlinearity)):
        if value is not None:
            given[hint] = value
    unknown = sorted(set(given) - set(parameters))
    if unknown:
        raise ValueError(f"{unknown[0]} is no argument of {name}, which has {_listed(parameters)}")
    given.setdefault(INPUT.get(name, "W"), None)
    missing = [n for n, p in parameters.items() if p.default is p.empty and n not in given]
    if missing:
        remedy = f"add them under these names; a cell {name!r} is made of {_listed(parameters)}"
        raise WeightsError(path, f"layer {layer.number} has no {', '.join(missing)}", remedy)
    assumed = [
        f"layer {layer.number}: {n} {p.default}"
        for n, p in parameters.items()
        if n not in given and p.default is not None
    ]
    arguments = {n: _argument(name, n, parameters[n], value) for n, value in given.items()}
    return CELLS[name](**arguments), assumed


def _argument(cell: str, name: str, parameter: inspect.Parameter, value: Any) -> Any:
    """Return a number or a text for an array of one, where the cell takes one."""
    kind = NUMBERS.get(str(parameter.annotation).partition(" ")[0])
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "c" and cell != DiagonalStateSpace.name:
        raise ValueError(f"{name} is complex; it must be real")
    if kind is None:
        return value if value.ndim else value.item()
    if value.size != 1:
        raise ValueError(f"{name} has shape {value.shape}; it must be one value")
    item = value.reshape(-1)[0]
    if (value.dtype.kind in "SU") != (kind is str):
        raise ValueError(f"{name} is {item!r}; it must be a {'text' if kind is str else 'number'}")
    return item.decode() if isinstance(item, bytes) else kind(item)


def named_arrays(cell: Cell) -> Iterator[tuple[str, Array]]:
    """Yield the arrays that a cell is made of, under the names that `find_layers` knows."""
    for name, value in cell.arguments.items():
        if hasattr(value, "tocsr"):
            rows = value.tocsr()
            yield from ((f"{name}.{part}", getattr(rows, part)) for part in SPARSE)
        elif np.iscomplexobj(value):
            yield from ((f"{name}.{part}", getattr(np.asarray(value), part)) for part in COMPLEX)
        elif np.ndim(value):
            yield name, np.asarray(value)


def named_numbers(cell: Cell) -> dict[str, Any]:
    """Return the other arguments, numbers, texts and switches."""
    single = {n: v for n, v in cell.arguments.items() if v is not None and not np.ndim(v)}
    return {
        name: value if isinstance(value, (str, bool)) else float(value)
        for name, value in single.items()
        if not hasattr(value, "tocsr")
    }


def _parameters(cell: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(CELLS[cell]).parameters


def _listed(parameters: Mapping[str, Any]) -> str:
    return ", ".join(parameters)
