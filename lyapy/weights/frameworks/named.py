"""Weights under the names of a cell's arguments, for cells that no framework has.

An array ``U_y``, ``rnn.U_y`` or ``rnn/0/U_y`` is the argument `U_y` of the cell that
the hint ``cell`` names; before it come the prefix and the layer's number. A sparse
matrix is ``U.data``, ``U.indices`` and ``U.indptr`` (of `scipy.sparse.csr_array`), and complex
numbers may be ``B.real`` and ``B.imag``. lyapy's canonical files hold such cells in the same way.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import numpy as np

from ...arrays import Array
from ...cells import CELLS, OTHERS, PLRNN, VARIANTS, Cell, DiagonalStateSpace, ShallowPLRNN
from ..formats import Contents
from ..formats.refusal import RefusedError
from .layer import Hints, Layer, Stacks
from .torch import find_readouts as find_readouts

NAMED = {cell.name for cell in (*OTHERS, *VARIANTS)}
SPARSE, COMPLEX = ("data", "indices", "indptr"), ("real", "imag")
PARTS = (*SPARSE, "shape", *COMPLEX)
# the input weight, which a file of an autonomous network may lack
INPUT = {PLRNN.name: "C", ShallowPLRNN.name: "C", DiagonalStateSpace.name: "B"}
SINGLE = {float, bool, str}


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return the layers whose arrays have the names of the hinted cell's arguments."""
    parameters = _parameters(str(hints.cell))
    names = "|".join(sorted(parameters, key=len, reverse=True))
    pattern = re.compile(rf"(.*?[./])??(?:(\d+)[./])?((?:{names})(?:\.(?:{'|'.join(PARTS)}))?)")
    found: dict[str, dict[int, dict[str, str]]] = {}
    for match in filter(None, map(pattern.fullmatch, contents.arrays)):
        layers = found.setdefault(match[1] or "", {})
        layers.setdefault(int(match[2] or 0), {})[match[3]] = match[0]
    needed = {n for n, p in parameters.items() if p.default is p.empty}
    stacks: Stacks = {}
    for prefix, layers in found.items():
        if not needed & {role.partition(".")[0] for roles in layers.values() for role in roles}:
            continue
        if sorted(layers) != list(range(len(layers))):
            raise RefusedError(
                f"has the layers {sorted(layers)} of {prefix!r}", "number them from 0"
            )
        stacks[prefix] = [
            Layer(
                number,
                put_together({role: contents.arrays[n] for role, n in roles.items()}),
                roles,
                cell=hints.cell,
            )
            for number, roles in sorted(layers.items())
        ]
    return stacks


def put_together(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return arguments by name, with sparse and complex ones put together from their parts."""
    whole: dict[str, dict[str, Array]] = {}
    for role, array in arrays.items():
        name, _, part = role.partition(".")
        whole.setdefault(name, {})[part] = array
    return {name: whole_argument(name, parts) for name, parts in whole.items()}


def whole_argument(name: str, parts: Mapping[str, Array]) -> Any:
    """Return an argument from its parts, the only one of which is ``""`` if it has none."""
    if set(parts) == {""}:
        return parts[""]
    if set(parts) == set(COMPLEX):
        return parts["real"] + 1j * parts["imag"]
    if set(parts) - {"shape"} == set(SPARSE):
        return _sparse(name, *(parts.get(part) for part in (*SPARSE, "shape")))
    what = f"holds {', '.join(f'{name}.{part}' if part else name for part in parts)}"
    remedy = f"give {name}, or {name}.data, {name}.indices and {name}.indptr, or "
    raise RefusedError(what, f"{remedy}{name}.real and {name}.imag")


def _sparse(name: str, data: Any, indices: Any, starts: Any, shape: Any) -> Any:
    from scipy.sparse import csr_array

    build: Any = csr_array
    try:
        rows = len(starts) - 1
        columns = rows if shape is None else int(shape[-1])
        matrix = build((data, indices, starts), shape=(rows, columns))
        matrix.check_format(full_check=True)
    except (ValueError, TypeError, IndexError) as error:
        what = f"{name} is no sparse matrix ({error})"
        raise RefusedError(what, "write the parts of a scipy.sparse.csr_array") from None
    return matrix


def build_named(layer: Layer, hints: Hints) -> tuple[Cell, list[str]]:
    """Return the cell of a layer's arguments, and the assumptions made."""
    name = str(layer.cell)
    if hints.cell not in (None, name):
        raise RefusedError(f"holds a cell {name!r}, not {hints.cell!r}", "leave cell out")
    parameters = _parameters(name)
    given = {**layer.arrays, **layer.options}
    for hint, value in (("nonlinearity", hints.nonlinearity), ("gate", hints.gate_nonlinearity)):
        if value is not None:
            given[hint] = value
    unknown = sorted(set(given) - set(parameters))
    if unknown:
        listed = ", ".join(parameters)
        raise ValueError(f"{unknown[0]} is no argument of {name}, which has {listed}")
    given.setdefault(INPUT.get(name, "W"), None)
    open_ = {n: p.default for n, p in parameters.items() if n not in given}
    missing = [n for n, default in open_.items() if default is inspect.Parameter.empty]
    if missing:
        listed = ", ".join(parameters)
        remedy = f"add them under these names; a cell {name!r} is made of {listed}"
        raise RefusedError(f"layer {layer.number} has no {', '.join(missing)}", remedy)
    assumed = [f"layer {layer.number}: {n} {v}" for n, v in open_.items() if v is not None]
    assumed += layer.assumed
    arguments = {n: _argument(name, n, parameters[n], value) for n, value in given.items()}
    return CELLS[name](**arguments), assumed


def _argument(cell: str, name: str, parameter: inspect.Parameter, value: Any) -> Any:
    """Return a number or a text instead of an array of one, if the cell takes one."""
    kind = next(iter(SINGLE & {parameter.annotation, *get_args(parameter.annotation)}), None)
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
    return inspect.signature(CELLS[cell], eval_str=True).parameters
