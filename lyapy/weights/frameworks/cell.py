"""From a layer's weights, in the common form of `Layer`, to its cell."""

from typing import Any

import numpy as np

from ...arrays import Array
from ...cells import (
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
from ..formats.refusal import RefusedError
from .layer import Hints, Layer, check_shape
from .named import NAMED, build_named

GATES = {1: Vanilla.name, 3: GRU.name, 4: LSTM.name}
CLASSES = {
    LSTM.name: (LSTM, LSTMVariant),
    GRU.name: (GRU, GRUVariant),
    GRUResetBefore.name: (GRUResetBefore, GRUResetBeforeVariant),
}
TORCH_NAMES = {"W": "weight_ih", "U": "weight_hh", "P": "weight_hr", "b": "bias_ih", "c": "bias_hh"}
USUAL = {"gate": "sigmoid", "nonlinearity": "tanh", "output": "tanh"}


def build_cell(layer: Layer, hints: Hints) -> tuple[Cell, list[str]]:
    """Return the cell of a layer's tensors, and the assumptions made for it."""
    if layer.cell in NAMED:
        return build_named(layer, hints)
    _require(layer, "W", "U")
    kind, units = _recognise(layer, hints)
    arrays = {role: _as_float(layer.names[role], array) for role, array in layer.arrays.items()}
    assumed, biased = list(layer.assumed), not {"b", "c"}.isdisjoint(arrays)
    if biased:
        _require(layer, "b", "c")
    else:
        assumed.append(f"layer {layer.number} has no biases in the file: zero")
    rows = len(arrays["U"])
    for role, shape in {"W": (rows, None), "b": (rows,), "c": (rows,), "P": (None, units)}.items():
        if role in arrays:
            fit = f" to fit {layer.names['U']} with shape {arrays['U'].shape}"
            check_shape(layer.names[role], arrays[role], shape, why=fit)
    W, U, b, c = arrays["W"], arrays["U"], arrays.get("b"), arrays.get("c")
    total = b + c if b is not None and c is not None else None
    chosen, more = _activations(layer, hints, kind)
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
            what = f"{layer.names['P']} projects an LSTM with {', '.join(sorted(varied))}"
            raise RefusedError(what, "only a plain LSTM may be projected")
        return ProjectedLSTM(W, U, arrays["P"], total), assumed
    if kind != LSTM.name:
        varied.pop("output", None)
    plain, variant = CLASSES[kind]
    build: Any = variant if varied else plain
    return build(W, U, *((b, c) if plain is GRU else (total,)), **varied), assumed


def _activations(layer: Layer, hints: Hints, kind: str) -> tuple[dict[str, str], list[str]]:
    """Return the activations of a layer: from the file, the hints or the framework's default."""
    chosen, assumed = dict(layer.activations), []
    asked = {"nonlinearity": hints.nonlinearity}
    if kind != Vanilla.name:
        asked["gate"] = hints.gate_nonlinearity
    for name, value in asked.items():
        if value is None:
            continue
        if (said := chosen.get(name, value)) != value:
            assumed.append(f"layer {layer.number}: {name} {value} as asked; the file says {said}")
        chosen[name] = value
    if kind == Vanilla.name:
        if "nonlinearity" not in chosen:
            raise RefusedError(
                f"{layer.names['U']} belongs to a vanilla cell, and the file does not say which "
                "nonlinearity it has",
                "give nonlinearity='tanh', 'relu' or 'identity' (--nonlinearity)",
            )
        return {"nonlinearity": chosen["nonlinearity"]}, assumed
    if layer.open_gates and "gate" not in chosen:
        raise RefusedError(
            f"{layer.names['U']} has gates, and {layer.open_gates}",
            "give gate_nonlinearity='sigmoid', 'hard-sigmoid-keras2' (x/5 + 1/2, Keras until 2) "
            "or 'hard-sigmoid' (x/6 + 1/2, Keras 3) (--gate-nonlinearity)",
        )
    if layer.open_gates and "nonlinearity" not in chosen:
        assumed.append(f"layer {layer.number}: {layer.open_gates}; tanh next to the gates")
    if "output" not in chosen and "nonlinearity" in chosen and kind != GRU.name:
        chosen["output"] = chosen["nonlinearity"]
    return {**USUAL, **chosen}, assumed


def _recognise(layer: Layer, hints: Hints) -> tuple[str, int]:
    """Return the cell's name and its units, from the shape of U and the hint."""
    name, U = layer.names["U"], layer.arrays["U"]
    projected = "P" in layer.arrays
    if U.ndim != 2:
        raise RefusedError(f"{name} has shape {U.shape}", "it must be a matrix")
    gates = 4 if projected else len(U) // max(U.shape[1], 1)
    kind = GATES.get(gates)
    if kind is None or len(U) % gates or (not projected and len(U) != gates * U.shape[1]):
        raise RefusedError(
            f"{name} has shape {U.shape}, which is no recurrent weight",
            "it must be (n, n) for a vanilla cell, (3n, n) for a GRU, (4n, n) for an LSTM",
        )
    kind = ProjectedLSTM.name if projected else kind
    if layer.open_reset and hints.cell is None:
        raise RefusedError(
            f"{name} belongs to a GRU without biases, and the file does not say where its reset "
            "gate is",
            f"give cell={GRU.name!r} (after the product, Keras's reset_after=True) or "
            f"cell={GRUResetBefore.name!r} (--cell)",
        )
    wanted = hints.cell or layer.cell or kind
    if wanted not in {kind, GRUResetBefore.name if kind == GRU.name else kind}:
        raise RefusedError(
            f"{name} has shape {U.shape}, that of a cell {kind!r}, not of {wanted!r}",
            f"leave cell out, or give cell={kind!r} (--cell)",
        )
    return wanted, len(U) // gates


def _require(layer: Layer, *roles: str) -> None:
    missing = [role for role in roles if role not in layer.arrays]
    if missing:
        there = ", ".join(sorted(layer.names.values()))
        names = ", ".join(f"{TORCH_NAMES[role]}_l{layer.number}" for role in missing)
        what = f"layer {layer.number} has {there} but no {names}"
        raise RefusedError(what, "export the whole state_dict")


def _as_float(name: str, array: Array) -> Array:
    if array.dtype.kind != "f":
        raise RefusedError(f"{name} has dtype {array.dtype}", "weights must be floating point")
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        what = f"{name} holds {bad} values that are NaN or infinite"
        raise RefusedError(what, "the training diverged: take an earlier checkpoint")
    return array.astype(np.float64)
