"""PyTorch's names: ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0`` …, gates i f g o and r z n.

Also read are the shorter names of ``nn.LSTMCell`` and its kin (``weight_ih``) and of NumPy
ports (``w_ih``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..cells import CELLS, GRU, LSTM, Cell, GRUResetBefore, ProjectedLSTM, Vanilla
from ..errors import WeightsError
from ..types import Array

__all__ = ["Hints", "Layer", "build_cell", "find_layers"]

NAME = re.compile(
    r"(?P<prefix>.*?)(?P<kind>weight|bias|w|b)_(?P<side>ih|hh|hr)(?:_l(?P<layer>\d+))?(?P<reverse>_reverse)?"
)
ROLES = {"weight_ih": "W", "weight_hh": "U", "weight_hr": "P", "bias_ih": "b", "bias_hh": "c"}
GATES = {1: "vanilla", 3: "gru", 4: "lstm"}


@dataclass(frozen=True)
class Hints:
    """What the user says where the file does not."""

    cell: str | None = None
    nonlinearity: str | None = None
    layers: int | None = None


@dataclass
class Layer:
    """The tensors of one layer, by role, with their names in the file."""

    number: int
    arrays: dict[str, Array] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def find_layers(path: str, arrays: Mapping[str, Array]) -> tuple[dict[str, list[Layer]], list[str]]:
    """Sort tensors into recurrent layers by prefix; return them and the reversed ones' names.

    Raises
    ------
    WeightsError
        If two tensors claim the same place, or a layer is missing among others.
    """
    found: dict[str, dict[int, Layer]] = {}
    reversed_names = []
    for name, array in arrays.items():
        match = NAME.fullmatch(name)
        if match is None:
            continue
        if match["reverse"]:
            reversed_names.append(name)
            continue
        kind = {"w": "weight", "b": "bias"}.get(match["kind"], match["kind"])
        role = ROLES.get(f"{kind}_{match['side']}")
        if role is None:
            continue
        number = int(match["layer"] or 0)
        layer = found.setdefault(match["prefix"], {}).setdefault(number, Layer(number))
        if role in layer.names:
            raise WeightsError(
                path,
                f"{layer.names[role]} and {name} are the same weight of layer {number}",
                "remove one of them",
            )
        layer.arrays[role], layer.names[role] = array, name
    stacks = {
        prefix: [layers[i] for i in sorted(layers)]
        for prefix, layers in found.items()
        if any("U" in layer.arrays for layer in layers.values())
    }
    for prefix, layers in stacks.items():
        numbers = [layer.number for layer in layers]
        missing = sorted(set(range(max(numbers))) - set(numbers))
        if missing:
            raise WeightsError(
                path,
                f"the layers {numbers} of {prefix!r} are there, but not {missing}",
                "export the whole state_dict",
            )
    return stacks, reversed_names


def build_cell(path: str, layer: Layer, hints: Hints) -> tuple[Cell, list[str]]:
    """Return the cell of a layer's tensors, and what was assumed for it.

    Raises
    ------
    WeightsError
        If tensors are missing or do not fit, or the cell's nonlinearity is not known.
    """
    _require(path, layer, "W", "U")
    arrays = {role: _as_float(path, layer, role) for role in layer.arrays}
    kind, units = _recognise(path, layer, hints)
    assumed = []
    if "b" not in arrays and "c" not in arrays:
        assumed.append(f"layer {layer.number} has no biases in the file: zero")
    else:
        _require(path, layer, "b", "c")
    W, U, b, c = arrays["W"], arrays["U"], arrays.get("b"), arrays.get("c")
    rows = len(U)
    for role, shape in (("W", (rows, None)), ("b", (rows,)), ("c", (rows,)), ("P", (None, units))):
        _check_shape(path, layer, role, shape)
    total = None if b is None or c is None else b + c
    if kind == Vanilla.name:
        if hints.nonlinearity is None:
            raise WeightsError(
                path,
                f"{layer.names['U']} belongs to a vanilla cell, and the file does not say which "
                "nonlinearity it has",
                "give nonlinearity='tanh', 'relu' or 'identity'",
            )
        return Vanilla(W, U, total, hints.nonlinearity), assumed
    if kind == GRU.name:
        if hints.cell is None:
            assumed.append(f"layer {layer.number}: the GRU's reset gate comes after the product")
        return GRU(W, U, b, c), assumed
    if kind == GRUResetBefore.name:
        return GRUResetBefore(W, U, total), assumed
    if kind == ProjectedLSTM.name:
        return ProjectedLSTM(W, U, arrays["P"], total), assumed
    return LSTM(W, U, total), assumed


def _recognise(path: str, layer: Layer, hints: Hints) -> tuple[str, int]:
    """Return the cell's name and its units, from the shape of U and the hint."""
    U = layer.arrays["U"]
    name, shape = layer.names["U"], U.shape
    projected = "P" in layer.arrays
    if U.ndim != 2:
        raise WeightsError(path, f"{name} has shape {shape}", "it must be a matrix")
    gates = 4 if projected else len(U) // max(shape[1], 1)
    kind = GATES.get(gates)
    if kind is None or len(U) % gates or (not projected and len(U) != gates * shape[1]):
        raise WeightsError(
            path,
            f"{name} has shape {shape}, which is no recurrent weight",
            "it must be (n, n) for a vanilla cell, (3n, n) for a GRU, (4n, n) for an LSTM",
        )
    kind = ProjectedLSTM.name if projected else kind
    wanted = hints.cell or kind
    if wanted not in CELLS:
        raise ValueError(f"cell is {wanted!r}; it must be one of {', '.join(CELLS)}")
    same_shape = {kind, *((GRUResetBefore.name,) if kind == GRU.name else ())}
    if wanted not in same_shape:
        raise WeightsError(
            path,
            f"{name} has shape {shape}, that of a cell {kind!r}, not of {wanted!r}",
            f"leave cell out, or give cell={kind!r}",
        )
    return wanted, len(U) // gates


def _require(path: str, layer: Layer, *roles: str) -> None:
    missing = [role for role in roles if role not in layer.arrays]
    if missing:
        wanted = {role: name for name, role in ROLES.items()}
        names = ", ".join(f"{wanted[role]}_l{layer.number}" for role in missing)
        raise WeightsError(
            path,
            f"layer {layer.number} has {', '.join(sorted(layer.names.values()))} but no {names}",
            "export the whole state_dict",
        )


def _as_float(path: str, layer: Layer, role: str) -> Array:
    array = layer.arrays[role]
    if array.dtype.kind != "f":
        raise WeightsError(
            path, f"{layer.names[role]} has dtype {array.dtype}", "weights must be floating point"
        )
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise WeightsError(
            path,
            f"{layer.names[role]} holds {bad} values that are NaN or infinite",
            "the training diverged: take an earlier checkpoint",
        )
    return array.astype(np.float64)


def _check_shape(path: str, layer: Layer, role: str, shape: Sequence[int | None]) -> None:
    array = layer.arrays.get(role)
    if array is None:
        return
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise WeightsError(
            path,
            f"{layer.names[role]} has shape {array.shape}",
            f"it must be ({wanted}) to fit {layer.names['U']} with shape {layer.arrays['U'].shape}",
        )
