"""ONNX's RNN, GRU and LSTM nodes: gates i o f c and z r h, and attributes that settle the cell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...arrays import Array
from ...cells import GRU, GRUResetBefore
from ...errors import WeightsError
from ..formats import Contents
from .layer import Hints, Layer, Stacks, refuse_shape, reordered

__all__ = ["find_layers"]

ORDERS = {"RNN": ("h", "h"), "GRU": ("zrh", "rzh"), "LSTM": ("iofc", "ifco")}
DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
PLACES = {
    "RNN": ["nonlinearity"],
    "GRU": ["gate", "nonlinearity"],
    "LSTM": ["gate", "nonlinearity", "output"],
}
DIRECTIONS = {"forward": "forward", "reverse": "backward"}
ACTIVATIONS = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu"}
# slope and offset of HardSigmoid
HARD = {(0.2, 0.5): "hard-sigmoid-keras2", (1.0 / 6.0, 0.5): "hard-sigmoid"}


def find_layers(path: str, contents: Contents, hints: Hints) -> Stacks:
    """Return each recurrent node as a stack, by the node's name.

    Raises
    ------
    WeightsError
        If a node's weights are not constant, or it does what no cell of lyapy does.
    """
    found: Stacks = {}
    for node in json.loads(contents.metadata.get("onnx_nodes", "[]")):
        name = node["name"]
        while name in found:
            name += "_"
        found[name] = _layers(path, contents.arrays, node)
    return found


def _layers(path: str, arrays: Mapping[str, Array], node: Mapping[str, Any]) -> list[Layer]:
    op, attributes = node["op"], node["attributes"]
    inputs = dict(zip(("X", "W", "R", "B", "lens", "h", "c", "P"), node["inputs"], strict=False))
    if not (inputs.get("W") and inputs.get("R")):
        raise WeightsError(path, f"the node {node['name']!r} has no weights", "export it anew")
    for role in ("W", "R", "B", "P"):
        if inputs.get(role) and inputs[role] not in arrays:
            raise WeightsError(
                path,
                f"the node {node['name']!r} computes its {role} ({inputs[role]!r}) in the graph",
                "export with constant folding, so that its weights are constants",
            )
    direction = attributes.get("direction", "forward")
    directions = ["forward", "reverse"] if direction == "bidirectional" else [direction]
    if not all(d in DIRECTIONS for d in directions):
        raise WeightsError(
            path,
            f"the node {node['name']!r} has the direction {direction!r}",
            "it must be forward, reverse or bidirectional",
        )
    directions = [DIRECTIONS[d] for d in directions]
    W, R = inputs["W"], inputs["R"]
    refuse_shape(path, arrays, W, (len(directions), None, None))
    n = int(arrays[R].shape[-1])
    rows = len(ORDERS[op][0]) * n
    refuse_shape(path, arrays, W, (len(directions), rows, None))
    refuse_shape(path, arrays, R, (len(directions), rows, n))
    if inputs.get("B"):
        refuse_shape(path, arrays, inputs["B"], (len(directions), 2 * rows))
    if inputs.get("P"):
        refuse_shape(path, arrays, inputs["P"], (len(directions), 3 * n))
    named = _activations(path, node, len(directions))
    return [
        _layer(path, arrays, inputs, node, number, which, named[number])
        for number, which in enumerate(directions)
    ]


def _layer(
    path: str,
    arrays: Mapping[str, Array],
    inputs: Mapping[str, str],
    node: Mapping[str, Any],
    number: int,
    direction: str,
    activations: dict[str, str],
) -> Layer:
    op, attributes = node["op"], node["attributes"]
    layer = Layer(0, direction=direction, activations=activations)
    layer.put("W", inputs["W"], reordered(arrays[inputs["W"]][number], *ORDERS[op]))
    layer.put("U", inputs["R"], reordered(arrays[inputs["R"]][number], *ORDERS[op]))
    if inputs.get("B"):
        for role, half in zip("bc", np.split(arrays[inputs["B"]][number], 2), strict=True):
            layer.put(role, inputs["B"], reordered(half, *ORDERS[op]))
    if inputs.get("P"):
        peepholes = arrays[inputs["P"]][number].reshape(3, -1)
        layer.put("peepholes", inputs["P"], peepholes[[0, 2, 1]])
    if op == "GRU":
        after = attributes.get("linear_before_reset", 0)
        layer.cell = GRU.name if after else GRUResetBefore.name
    if attributes.get("input_forget"):
        layer.options["coupled"] = True
    if attributes.get("clip"):
        layer.options["clip"] = float(attributes["clip"])
        if op == "RNN":
            raise WeightsError(
                path, f"the node {node['name']!r} of type RNN has clip", "export it without"
            )
    return layer


def _activations(path: str, node: Mapping[str, Any], directions: int) -> list[dict[str, str]]:
    """Return the activations of each direction by their places."""
    op, attributes = node["op"], node["attributes"]
    names = attributes.get("activations") or DEFAULTS[op] * directions
    alphas, betas = (_numbers(path, node, f"activation_{k}") for k in ("alpha", "beta"))
    read = []
    for name in names:
        kind = ACTIVATIONS.get(str(name).lower())
        if str(name).lower() == "hardsigmoid":
            slope = round(alphas.pop(0) if alphas else 0.2, 6)
            offset = round(betas.pop(0) if betas else 0.5, 6)
            kind = next(
                (k for (a, b), k in HARD.items() if abs(a - slope) < 1e-5 and b == offset), None
            )
            name = f"HardSigmoid({slope}, {offset})"
        elif str(name).lower() == "affine" and alphas[:1] == [1.0] and betas[:1] in ([], [0.0]):
            kind, alphas, betas = "identity", alphas[1:], betas[1:]
        if kind is None:
            raise WeightsError(
                path,
                f"the node {node['name']!r} has the activation {name}",
                "only Tanh, Sigmoid, Relu and HardSigmoid with the slope 0.2 or 1/6 are read",
            )
        read.append(kind)
    places = PLACES[op]
    if len(read) != directions * len(places):
        raise WeightsError(
            path, f"the node {node['name']!r} has {len(read)} activations", "export it anew"
        )
    chunks = [read[i : i + len(places)] for i in range(0, len(read), len(places))]
    return [dict(zip(places, chunk, strict=True)) for chunk in chunks]


def _numbers(path: str, node: Mapping[str, Any], name: str) -> list[float]:
    found = node["attributes"].get(name, [])
    if not isinstance(found, list) or not all(isinstance(value, float) for value in found):
        raise WeightsError(
            path, f"the node {node['name']!r} has {name} {found!r}", "export it anew"
        )
    return list(found)
