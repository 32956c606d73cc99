"""From a layer's weights, in their one order, to its cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...arrays import Array
from ...cells import (
    CELLS,
    GRU,
    LSTM,
    Cell,
    GRUResetBefore,
    GRUResetBeforeVariant,
    GRUVariant,
    LSTMVariant,
    ProjectedLSTM,
    Vanilla,
)
from ...cells.activations import kind_of
from ...errors import WeightsError
from .layer import Hints, Layer
from .named import NAMED, build_named

__all__ = ["build_cell", "check_hints"]

GATES = {1: "vanilla", 3: "gru", 4: "lstm"}
TORCH_NAMES = {"W": "weight_ih", "U": "weight_hh", "P": "weight_hr", "b": "bias_ih", "c": "bias_hh"}
USUAL = {"gate": "sigmoid", "nonlinearity": "tanh", "output": "tanh"}


def check_hints(hints: Hints) -> None:
    """Raise ValueError for a cell or an activation that there is not, whatever the file holds."""
    if hints.cell is not None and hints.cell not in CELLS:
        raise ValueError(f"cell is {hints.cell!r}; it must be one of {', '.join(CELLS)}")
    for name in ("nonlinearity", "gate_nonlinearity"):
        value = getattr(hints, name)
        if value is not None:
            kind_of(value, name)


def build_cell(path: str, layer: Layer, hints: Hints) -> tuple[Cell, list[str]]:
    """Return the cell of a layer's tensors, and what was assumed for it.

    Raises
    ------
    WeightsError
        If tensors are missing or do not fit, or the cell's nonlinearity is not known.
    """
    if layer.cell in NAMED:
        return build_named(path, layer, hints)
    _require(path, layer, "W", "U")
    arrays = {role: _as_float(path, layer, role) for role in layer.arrays}
    kind, units = _recognise(path, layer, hints)
    assumed = list(layer.assumed)
    if "b" not in arrays and "c" not in arrays:
        assumed.append(f"layer {layer.number} has no biases in the file: zero")
    else:
        _require(path, layer, "b", "c")
    W, U, b, c = arrays["W"], arrays["U"], arrays.get("b"), arrays.get("c")
    rows = len(U)
    for role, shape in (("W", (rows, None)), ("b", (rows,)), ("c", (rows,)), ("P", (None, units))):
        _check_shape(path, layer, role, shape)
    total = None if b is None or c is None else b + c
    chosen, more = _activations(path, layer, hints, kind)
    assumed += more
    if kind == Vanilla.name:
        return Vanilla(W, U, total, chosen["nonlinearity"]), assumed
    if kind == GRU.name and hints.cell is None and layer.cell is None:
        assumed.append(f"layer {layer.number}: the GRU's reset gate comes after the product")
    varied: dict[str, Any] = {name: value for name, value in chosen.items() if value != USUAL[name]}
    varied |= {name: value for name, value in layer.options.items() if value}
    if "peepholes" in arrays:
        varied["peepholes"] = arrays["peepholes"]
    if layer.variant:
        varied = {"gate": chosen["gate"]} | varied
    if kind == ProjectedLSTM.name:
        if varied:
            raise WeightsError(
                path,
                f"{layer.names['P']} projects an LSTM with {', '.join(sorted(varied))}",
                "only a plain LSTM may be projected",
            )
        return ProjectedLSTM(W, U, arrays["P"], total), assumed
    if kind == LSTM.name:
        return (LSTMVariant(W, U, total, **varied) if varied else LSTM(W, U, total)), assumed
    varied.pop("output", None)
    if kind == GRU.name:
        return (GRUVariant(W, U, b, c, **varied) if varied else GRU(W, U, b, c)), assumed
    before = GRUResetBeforeVariant(W, U, total, **varied) if varied else None
    return before or GRUResetBefore(W, U, total), assumed


def _activations(
    path: str, layer: Layer, hints: Hints, kind: str
) -> tuple[dict[str, str], list[str]]:
    """Return the activations of a layer, from the file, the hints or the framework's habit."""
    chosen, assumed = dict(layer.activations), []
    asked = {"nonlinearity": hints.nonlinearity}
    if kind != Vanilla.name:
        asked["gate"] = hints.gate_nonlinearity
    for name, value in asked.items():
        if value is None:
            continue
        if layer.activations.get(name, value) != value:
            said = layer.activations[name]
            assumed.append(f"layer {layer.number}: {name} {value} as asked; the file says {said}")
        chosen[name] = value
    if kind == Vanilla.name:
        if "nonlinearity" not in chosen:
            raise WeightsError(
                path,
                f"{layer.names['U']} belongs to a vanilla cell, and the file does not say which "
                "nonlinearity it has",
                "give nonlinearity='tanh', 'relu' or 'identity' (--nonlinearity)",
            )
        return {"nonlinearity": chosen["nonlinearity"]}, assumed
    if layer.open_gates and "gate" not in chosen:
        raise WeightsError(
            path,
            f"{layer.names['U']} has gates, and {layer.open_gates}",
            "give gate_nonlinearity='sigmoid', 'hard-sigmoid-keras2' (x/5 + 1/2, Keras until 2) "
            "or 'hard-sigmoid' (x/6 + 1/2, Keras 3) (--gate-nonlinearity)",
        )
    if layer.open_gates and "nonlinearity" not in chosen:
        assumed.append(f"layer {layer.number}: {layer.open_gates}; tanh beside the gates")
    if "output" not in chosen and "nonlinearity" in chosen and kind != GRU.name:
        chosen["output"] = chosen["nonlinearity"]
    return {**USUAL, **chosen}, assumed


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
    wanted = hints.cell or layer.cell or kind
    if layer.open_reset and hints.cell is None:
        raise WeightsError(
            path,
            f"{name} belongs to a GRU without biases, and the file does not say where its reset "
            "gate is",
            f"give cell={GRU.name!r} (after the product, Keras's reset_after=True) or "
            f"cell={GRUResetBefore.name!r} (--cell)",
        )
    same_shape = {kind, *((GRUResetBefore.name,) if kind == GRU.name else ())}
    if wanted not in same_shape:
        raise WeightsError(
            path,
            f"{name} has shape {shape}, that of a cell {kind!r}, not of {wanted!r}",
            f"leave cell out, or give cell={kind!r} (--cell)",
        )
    return wanted, len(U) // gates


def _require(path: str, layer: Layer, *roles: str) -> None:
    missing = [role for role in roles if role not in layer.arrays]
    if missing:
        names = ", ".join(f"{TORCH_NAMES[role]}_l{layer.number}" for role in missing)
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
