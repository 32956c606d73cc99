"""Keras's names, its transposed matrices, its gates i f c o and z r h, and cuDNN's layout.

Keras 2 names weights (``lstm_1/lstm_1/kernel:0``), Keras 3 numbers them
(``layers/lstm/cell/vars/0``). Activations and other choices that
the arrays do not show are in the model's configuration, where the file has one.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...arrays import Array
from ...cells import GRU, GRUResetBefore
from ..formats import Contents
from ..formats.refusal import RefusedError
from .layer import DIRECTIONS, Hints, Layer, Stacks, gate_count, reordered, require_shape
from .readout import Readout, dense_layers

NAMED = re.compile(r"(?P<group>.+)/recurrent_kernel(?P<tail>:0)?")
CELL = re.compile(r"cells?|[a-z_]*_cell(?:_\d+)?")
KERNEL = re.compile(r"(?P<group>.+)/kernel(?P<tail>:0)?|(?P<numbered>.+)/vars/0")
ACTIVATIONS = {
    "tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "linear": "identity", "elu": "elu",
    "softplus": "softplus", "silu": "silu", "swish": "silu",
}  # fmt: skip
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
ROLES = ("kernel", "recurrent_kernel", "bias")
CLASSES = ("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU")
DENSE = ("Dense",)
RECURRENT = (*CLASSES, "Bidirectional", "RNN", "StackedRNNCells")
# layers that change nothing outside of training
PASSIVE = ("InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout",
           "AlphaDropout", "ActivityRegularization", "Masking")  # fmt: skip


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each recurrent layer as a separate stack, by the name its user gave."""
    model = _json(contents.metadata.get("model_config"))
    configs, numbered = dict(_configs(model, CLASSES)), _numbered(model)
    version = _version(contents.metadata)
    layers: dict[str, dict[str, Layer]] = {}
    for group, names in _groups(contents.arrays):
        key = _user_name(group, contents.metadata, configs, numbered)
        layer = _layer(contents, names)
        layer.direction = DIRECTIONS["/backward_" in f"/{group}"]
        _configure(layer, configs.get(key), version)
        layers.setdefault(key, {})[group] = layer
    found: Stacks = {}
    for key, groups in layers.items():
        several = sorted(groups.values(), key=lambda layer: layer.direction, reverse=True)
        if len({layer.direction for layer in several}) == len(several):
            found[key] = several
        else:
            found |= {f"{group}/": [layer] for group, layer in groups.items()}
    return found


def find_readouts(contents: Contents, chosen: Stacks) -> Iterator[Readout]:
    """Yield the dense layers, with their activations and the model's other layers if it has any."""
    model = _json(contents.metadata.get("model_config"))
    configs, numbered = dict(_configs(model, DENSE)), _numbered(model)
    others = [(kind.rpartition(">")[2], name) for kind, name in _model_layers(model)]
    for match in filter(None, map(KERNEL.fullmatch, contents.arrays)):
        name, group = match[0], match["group"] or match["numbered"]
        label = _user_name(group, contents.metadata, configs, numbered)
        if "embedding" in group or (configs and label not in configs):
            continue
        bias = f"{group}/bias{match['tail'] or ''}" if match["group"] else f"{group}/vars/1"
        for readout in dense_layers(contents, {name: bias}, transposed=True):
            config = configs.get(label, {})
            activation = str(config.get("activation") or "linear")
            if activation in (*ACTIVATIONS, "hard_sigmoid"):
                activation = _activation(
                    config, "activation", "linear", _version(contents.metadata)
                )
            known = [
                f"{kind} {other!r}"
                for kind, other in others
                if kind not in PASSIVE and kind not in RECURRENT and other != label
            ]
            yield replace(
                readout,
                label=label,
                activation=activation,
                obstacles=tuple(known) if others else None,
            )


def _groups(arrays: Mapping[str, Array]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the path of each recurrent layer and the names of its arrays, by their roles."""
    for name in arrays:
        group = name.removesuffix("/vars/1")
        if match := NAMED.fullmatch(name):
            group, ends = match["group"], [f"/{role}{match['tail'] or ''}" for role in ROLES]
        elif group != name and any(map(CELL.fullmatch, group.split("/"))):
            ends = [f"/vars/{i}" for i in range(3)]
        else:
            continue
        names = {role: group + end for role, end in zip(ROLES, ends, strict=True)}
        if names["kernel"] in arrays:
            yield group, {role: n for role, n in names.items() if n in arrays}


def _layer(contents: Contents, names: Mapping[str, str]) -> Layer:
    kernel, recurrent = (contents.arrays[names[role]] for role in ROLES[:2])
    gates, n = gate_count(names["recurrent_kernel"], recurrent.shape), recurrent.shape[0]
    rows = gates * n
    require_shape(contents, names["kernel"], (None, rows))
    layer = Layer()
    outer = inner = None
    if "bias" in names:
        shapes = {1: [(n,)], 3: [(rows,), (2, rows), (2 * rows,)], 4: [(rows,), (2 * rows,)]}
        outer = require_shape(contents, names["bias"], *shapes[gates])
        inner = np.zeros_like(outer)
        if gates == 3:
            layer.cell = GRUResetBefore.name if outer.shape == (rows,) else GRU.name
        if outer.shape == (2 * rows,):  # cuDNN's layout
            layer.activations = {"gate": "sigmoid", "nonlinearity": "tanh"}
            kernel = _by_gate(kernel, gates, lambda k: k.T.reshape(k.shape, order="F"))
            recurrent = _by_gate(recurrent, gates, lambda k: k.T)
        if outer.size == 2 * rows:
            outer, inner = outer.reshape(2, rows)
    order = {1: ("h", "h"), 3: ("zrh", "rzh"), 4: ("ifco", "ifco")}[gates]
    stacked = (("W", kernel.T), ("U", recurrent.T), ("b", outer), ("c", inner))
    for (role, array), name in zip(stacked, (*ROLES, "bias"), strict=True):
        if array is not None:
            layer.put(role, names[name], reordered(array, *order))
    return layer


def _by_gate(stacked: Array, gates: int, change: Callable[[Array], Array]) -> Array:
    return np.concatenate([change(gate) for gate in np.split(stacked, gates, axis=1)], axis=1)


def _configure(layer: Layer, config: Mapping[str, Any] | None, version: str) -> None:
    """Take the activations and the place of the reset gate from the model's configuration."""
    gates = len(layer.arrays["U"]) // layer.arrays["U"].shape[1]
    if layer.activations:
        return
    if config is None:
        saved = f"Keras {version}" if version else "Keras"
        layer.open_gates = f"{saved} keeps activations in the model's configuration, not here"
        layer.open_reset = gates == 3 and layer.cell is None
        return
    if gates == 3 and layer.cell is None:
        layer.cell = GRU.name if config.get("reset_after", False) else GRUResetBefore.name
    layer.activations["nonlinearity"] = _activation(config, "activation", "tanh", version)
    if gates > 1:
        gate = _activation(config, "recurrent_activation", "sigmoid", version)
        layer.activations["gate"] = gate
    if config.get("go_backwards"):
        layer.assumed.append(f"{config.get('name')} reads its input backwards: reverse the inputs")


def _activation(config: Mapping[str, Any], key: str, default: str, version: str) -> str:
    value = config.get(key, default)
    if value == "hard_sigmoid":
        major = version.partition(".")[0]
        new = major.isdigit() and int(major) >= 3
        return "hard-sigmoid" if new else "hard-sigmoid-keras2"
    value = "linear" if value is None else value
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise RefusedError(
            f"the layer {config.get('name')!r} has the {key} {value!r}",
            f"only {', '.join([*ACTIVATIONS, 'hard_sigmoid'])} are read",
        )
    return ACTIVATIONS[value]


def _json(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _configs(
    found: Any, classes: Container[str], depth: int = 0
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the configurations of some layers by their names and those of their wrappers."""
    if depth > 60:
        return
    if isinstance(found, list):
        for item in found:
            yield from _configs(item, classes, depth + 1)
    elif isinstance(found, dict):
        config = found.get("config")
        if isinstance(config, dict) and _class(found) in classes:
            yield str(config.get("name")), config
        elif isinstance(config, dict):
            yield from _configs(config, classes, depth + 1)
            wrapped = config.get("layer") or config.get("cell")
            if isinstance(wrapped, dict) and isinstance(wrapped.get("config"), dict):
                yield str(config.get("name")), wrapped["config"]
            return
        for value in found.values():
            yield from _configs(value, classes, depth + 1)


def _class(layer: Mapping[str, Any]) -> str:
    return str(layer.get("class_name")).rpartition(">")[2]


def _model_layers(model: Any) -> Iterator[tuple[str, str]]:
    """Yield class and name of each layer of a model, in order."""
    config = model.get("config") if isinstance(model, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else None
    for layer in layers if isinstance(layers, list) else []:
        if isinstance(layer, dict) and isinstance(layer.get("config"), dict):
            yield str(layer.get("class_name")), str(layer["config"].get("name"))


def _version(metadata: Mapping[str, str]) -> str:
    archive = _json(metadata.get("archive_metadata"))
    said = archive.get("keras_version", "") if isinstance(archive, dict) else ""
    return metadata.get("keras_version") or metadata.get("model_weights@keras_version") or str(said)


def _user_name(
    group: str, metadata: Mapping[str, str], configs: Mapping[str, Any], numbered: Mapping[str, str]
) -> str:
    """Return the name that the user gave to a layer; the outermost that the model knows."""
    parts = group.removeprefix("model_weights/").split("/")
    for end in range(len(parts)):
        name = metadata.get("/".join([*parts[: end + 1], "vars@name"]))
        if name is not None and (name in configs or not configs):
            return name
    if parts[0] in CONTAINERS:
        return numbered.get(parts[1], parts[1])
    known = [part for part in parts if part in configs]
    return known[0] if known else parts[0]


def _numbered(model: Any) -> dict[str, str]:
    """Return the names of a model's layers by those that Keras 3 gives, as in ``lstm_1``."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for kind, name in _model_layers(model):
        kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
        kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()
        names[f"{kind}_{counts[kind]}" if counts[kind] else kind] = name
        counts[kind] += 1
    return names
