"""ONNX's RNN, GRU and LSTM nodes: gates i o f c and z r h, and attributes that settle the cell."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...arrays import Array
from ...cells import GRU, GRUResetBefore
from ..formats import Contents
from ..formats.refusal import RefusedError
from .layer import Hints, Layer, Stacks, reordered, require_shape
from .readout import NAMES_SHOWN, Readout

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
ACTIVATIONS = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "softplus": "softplus"}
# operations that only rearrange numbers, or change nothing outside of training; and those that
# read a tensor's shape
REARRANGING = ("Squeeze", "Unsqueeze", "Transpose", "Reshape", "Flatten", "Cast", "Dropout",
               "Slice", "Gather", "Identity")  # fmt: skip
ASIDE = ("Shape", "Size")
# by slope and offset of HardSigmoid
HARD = {(0.2, 0.5): "hard-sigmoid-keras2", (1.0 / 6.0, 0.5): "hard-sigmoid"}


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each recurrent node as a stack, by the node's name."""
    if "onnx_nodes" not in contents.metadata:
        return {}
    found = {name: _layers(contents, node) for name, node in _recurrent(_nodes(contents)).items()}
    if not found:
        raise RefusedError(
            "holds no RNN, GRU or LSTM node; torch's exporter unrolls some networks into "
            "products for a fixed number of steps",
            "export with torch.onnx.export(..., dynamo=False), or save the state_dict instead",
        )
    return found


def find_readouts(contents: Contents, chosen: Stacks) -> Iterator[Readout]:
    """Yield the dense layers that the graph leads to from the last of the chosen nodes."""
    graph = _Graph(_nodes(contents), contents)
    recurrent = _recurrent(graph.nodes)
    nodes = [recurrent[name] for name in chosen]
    first, last = nodes[0], nodes[-1]
    before = graph.before(first["inputs"][0])
    found = [r for output in last["outputs"][:2] for r in graph.after(output)]
    # the output and the last state may lead to the same layer
    for readout in {r.names: r for r in found}.values():
        yield replace(readout, obstacles=(*before, *(readout.obstacles or ())))


def _nodes(contents: Contents) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = json.loads(contents.metadata["onnx_nodes"])
    return nodes


def _recurrent(nodes: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for node in nodes:
        if node["op"] in ORDERS:
            name = node["name"]
            while name in found:
                name += "_"
            found[name] = node
    return found


class _Graph:
    """The nodes of a graph, followed from tensor to tensor."""

    def __init__(self, nodes: list[dict[str, Any]], contents: Contents) -> None:
        self.nodes, self.arrays = nodes, contents.arrays
        self.producers = {tensor: node for node in nodes for tensor in node["outputs"]}
        self.consumers: dict[str, list[dict[str, Any]]] = {}
        for node in nodes:
            for tensor in node["inputs"]:
                self.consumers.setdefault(tensor, []).append(node)

    def before(self, tensor: str) -> list[str]:
        """Return the nodes that compute a tensor, unless they only rearrange the graph's input."""
        for _ in self.nodes:
            node = self.producers.get(tensor)
            if node is None:
                return []
            if node["op"] not in REARRANGING:
                return [_shown(node)]
            tensor = node["inputs"][0]
        return []

    def after(self, tensor: str) -> Iterator[Readout]:
        """Yield the dense layers that read a tensor, with the other nodes on the way."""
        seen: set[str] = set()
        reached: list[tuple[str, tuple[str, ...]]] = [(tensor, ())]
        while reached:
            tensor, obstacles = reached.pop()
            if tensor in seen:
                continue
            seen.add(tensor)
            for node in self.consumers.get(tensor, []):
                product = self._product(node, tensor)
                if product is not None:
                    yield self._whole(product, node["outputs"][0], obstacles)
                elif node["op"] in REARRANGING and node["inputs"][0] == tensor:
                    reached.append((node["outputs"][0], obstacles))
                elif node["op"] not in ASIDE and node["op"] not in ORDERS:
                    reached += [
                        (t, (*obstacles[:NAMES_SHOWN], _shown(node))) for t in node["outputs"][:1]
                    ]

    def _product(self, node: dict[str, Any], tensor: str) -> Readout | None:
        """Return a product of a tensor with a constant matrix, and with a Gemm's constant."""
        read, *constants = node["inputs"]
        matrix = self.arrays.get(constants[0]) if constants else None
        if node["op"] not in ("MatMul", "Gemm") or read != tensor or matrix is None:
            return None
        if matrix.ndim != 2 or node["attributes"].get("transA"):
            return None
        bias = None
        if not node["attributes"].get("transB"):
            matrix = matrix.T
        if len(constants) > 1:
            if constants[1] not in self.arrays:
                return None
            bias = node["attributes"].get("beta", 1.0) * self.arrays[constants[1]].reshape(-1)
        matrix = node["attributes"].get("alpha", 1.0) * matrix
        return Readout(tuple(constants), matrix, bias, label=node["name"])

    def _whole(self, readout: Readout, tensor: str, obstacles: tuple[str, ...]) -> Readout:
        """Return a product with the bias, the activation and the read-outs that follow it."""
        for _ in self.nodes:
            following = [n for n in self.consumers.get(tensor, []) if n["op"] not in ASIDE]
            if not following:
                break
            node, m = following[0], len(readout.matrix)
            constants = [name for name in node["inputs"] if name != tensor]
            simple = len(following) == 1 and readout.activation == "identity"
            if len(following) == 1 and node["op"] in REARRANGING:
                pass
            elif (
                simple and node["op"] == "Add" and constants and constants[0] in self.arrays
                and readout.bias is None and self.arrays[constants[0]].size in (1, m)
            ):  # fmt: skip
                bias = np.broadcast_to(self.arrays[constants[0]].reshape(-1), (m,))
                readout = replace(readout, names=(*readout.names, constants[0]), bias=bias)
            elif simple and node["op"].lower() in ACTIVATIONS:
                readout = replace(readout, activation=ACTIVATIONS[node["op"].lower()])
            else:
                obstacles += tuple(map(_shown, following))
                break
            tensor = node["outputs"][0]
        return replace(readout, obstacles=obstacles)


def _shown(node: Mapping[str, Any]) -> str:
    return f"{node['op']} {node['name']!r}"


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
    for role in inputs.keys() & {"h", "c"}:
        state = contents.arrays.get(inputs[role])
        if state is not None and state.ndim and state.shape[-1] != n:
            raise RefusedError(
                f"{named} has {n} outputs but an initial state of {state.shape[-1]}: the exporter "
                "lost the projection of its LSTM (proj_size)",
                "save the state_dict instead",
            )
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
                "only Tanh, Sigmoid, Relu, Softplus and HardSigmoid of slope 0.2 or 1/6 are read",
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
