"""ONNX's RNN, GRU and LSTM nodes: gates i o f c and z r h, and attributes that settle the cell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...arrays import Array
from ...cells import GRU, GRUResetBefore
from ..formats import Contents
from ..formats.refusal import RefusedError
from .layer import Hints, Layer, Stacks, reordered, require_shape

__all__ = ["find_layers"]

ORDERS = {"RNN": ("h", "h"), "GRU": ("zrh", "rzh"), "LSTM": ("iofc", "ifco")}
DEFAULTS = {
    "RNN": {"nonlinearity": "Tanh"},
    "GRU": {"gate": "Sigmoid", "nonlinearity": "Tanh"},
    "LSTM": {"gate": "Sigmoid", "nonlinearity": "Tanh", "output": "Tanh"},
}
DIRECTIONS = {
    "forward": ("forward",),
    "reverse": ("backward",),
    "bidirectional": ("forward", "backward"),
}
ACTIVATIONS = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu"}
# by slope and offset of HardSigmoid
HARD = {(0.2, 0.5): "hard-sigmoid-keras2", (1.0 / 6.0, 0.5): "hard-sigmoid"}


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each recurrent node as a stack, by the node's name."""
    found: Stacks = {}
    for node in json.loads(contents.metadata.get("onnx_nodes", "[]")):
        name = node["name"]
        while name in found:
            name += "_"
        found[name] = _layers(contents, node)
    return found


def _layers(contents: Contents, node: Mapping[str, Any]) -> list[Layer]:
    """Return a node's layers, one for each direction."""
    op, attributes, named = node["op"], node["attributes"], f"the node {node['name']!r}"
    inputs = dict(zip(("X", "W", "R", "B", "lens", "h", "c", "P"), node["inputs"], strict=False))
    inputs = {role: name for role, name in inputs.items() if name}
    if not {"W", "R"} <= set(inputs):
        raise RefusedError(f"{named} has no weights")
    for role in inputs.keys() & {"W", "R", "B", "P"}:
        if inputs[role] not in contents.arrays:
            what = f"{named} computes its {role} ({inputs[role]!r}) in the graph"
            remedy = "export with constant folding, so that its weights are constants"
            raise RefusedError(what, remedy)
    way = attributes.get("direction", "forward")
    directions = DIRECTIONS.get(way)
    if directions is None:
        remedy = "it must be forward, reverse or bidirectional"
        raise RefusedError(f"{named} has the direction {way!r}", remedy)
    if attributes.get("clip") and op == "RNN":
        raise RefusedError(f"{named} of type RNN has clip", "export it without")
    count, n = len(directions), int(contents.arrays[inputs["R"]].shape[-1])
    rows = len(ORDERS[op][0]) * n
    shapes = {"W": (rows, None), "R": (rows, n), "B": (2 * rows,), "P": (3 * n,)}
    arrays = {
        role: require_shape(contents, inputs[role], (count, *shape))
        for role, shape in shapes.items()
        if role in inputs
    }
    return [
        _layer({r: array[number] for r, array in arrays.items()}, inputs, node, way, activations)
        for number, (way, activations) in enumerate(
            zip(directions, _activations(node, count), strict=True)
        )
    ]


def _layer(
    arrays: Mapping[str, Array],
    inputs: Mapping[str, str],
    node: Mapping[str, Any],
    direction: str,
    activations: dict[str, str],
) -> Layer:
    op, attributes = node["op"], node["attributes"]
    layer = Layer(direction=direction, activations=activations)
    layer.put("W", inputs["W"], reordered(arrays["W"], *ORDERS[op]))
    layer.put("U", inputs["R"], reordered(arrays["R"], *ORDERS[op]))
    if "B" in arrays:
        for role, half in zip("bc", np.split(arrays["B"], 2), strict=True):
            layer.put(role, inputs["B"], reordered(half, *ORDERS[op]))
    if "P" in arrays:
        layer.put("peepholes", inputs["P"], arrays["P"].reshape(3, -1)[[0, 2, 1]])
    if op == "GRU":
        after = attributes.get("linear_before_reset", 0)
        layer.cell = GRU.name if after else GRUResetBefore.name
    if attributes.get("input_forget"):
        layer.options["coupled"] = True
    if attributes.get("clip"):
        layer.options["clip"] = float(attributes["clip"])
    return layer


def _activations(node: Mapping[str, Any], directions: int) -> list[dict[str, str]]:
    """Return the activations of each direction by their places."""
    op, places = node["op"], list(DEFAULTS[node["op"]])
    names = node["attributes"].get("activations") or [*DEFAULTS[op].values()] * directions
    alphas, betas = (_numbers(node, f"activation_{k}") for k in ("alpha", "beta"))
    read = []
    for name in names:
        kind = ACTIVATIONS.get(str(name).lower())
        if str(name).lower() == "hardsigmoid":
            slope = round(alphas.pop(0) if alphas else 0.2, 6)
            offset = round(betas.pop(0) if betas else 0.5, 6)
            near = (k for (a, b), k in HARD.items() if abs(a - slope) < 1e-5 and b == offset)
            kind, name = next(near, None), f"HardSigmoid({slope}, {offset})"
        elif str(name).lower() == "affine" and alphas[:1] == [1.0] and betas[:1] in ([], [0.0]):
            kind, alphas, betas = "identity", alphas[1:], betas[1:]
        if kind is None:
            raise RefusedError(
                f"the node {node['name']!r} has the activation {name}",
                "only Tanh, Sigmoid, Relu and HardSigmoid with the slope 0.2 or 1/6 are read",
            )
        read.append(kind)
    if len(read) != directions * len(places):
        raise RefusedError(f"the node {node['name']!r} has {len(read)} activations")
    groups = [read[i : i + len(places)] for i in range(0, len(read), len(places))]
    return [dict(zip(places, group, strict=True)) for group in groups]


def _numbers(node: Mapping[str, Any], name: str) -> list[float]:
    found = node["attributes"].get(name, [])
    if not isinstance(found, list) or not all(isinstance(value, float) for value in found):
        raise RefusedError(f"the node {node['name']!r} has {name} {found!r}")
    return list(found)
