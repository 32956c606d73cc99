"""PyTorch's names: ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0`` …, gates i f g o and r z n.

Also read are the shorter names of ``nn.LSTMCell`` and its like (``weight_ih``) and of NumPy
ports (``w_ih``), and Equinox's, which has the same with one ``bias`` and a GRU's ``bias_n``.
"""

import re
from collections.abc import Iterable

import numpy as np

from ...cells import GRU
from ..formats import Contents
from ..formats.refusal import RefusedError
from .layer import DIRECTIONS, Hints, Layer, Stacks
from .readout import Readout, dense_layers

NAME = re.compile(
    r"(?P<prefix>.*?)(?P<role>(?:weight|w)_(?:ih|hh|hr)|(?:bias|b)_(?:ih|hh))"
    r"(?:_l(?P<layer>\d{1,3}))?(?P<reverse>_reverse)?"
)
ROLES = {"w_ih": "W", "w_hh": "U", "w_hr": "P", "b_ih": "b", "b_hh": "c"}
MISSING_SHOWN = 12
SINGLE_W = re.compile(r"(?<![^\W_])[Ww](?![^\W_])")


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return stacks of the layers with numbered names, by prefix."""
    found: dict[str, dict[tuple[int, str], Layer]] = {}
    for name, array in contents.arrays.items():
        match = NAME.fullmatch(name)
        if match is None:
            continue
        role = ROLES[match["role"][0] + match["role"][-3:]]
        number, direction = int(match["layer"] or 0), DIRECTIONS[bool(match["reverse"])]
        layers = found.setdefault(match["prefix"], {})
        layer = layers.setdefault((number, direction), Layer(number, direction=direction))
        if role in layer.names:
            raise RefusedError(
                f"{layer.names[role]} and {name} are the same weight of layer {number}",
                "remove one of them",
            )
        layer.put(role, name, array)
    stacks: Stacks = {}
    for prefix, layers in found.items():
        roles = {role: name for layer in layers.values() for role, name in layer.names.items()}
        # w_hh alone is a name of scripts
        if "U" not in roles or ("W" not in roles and roles["U"].endswith("w_hh")):
            continue
        stacks[prefix] = [layers[key] for key in sorted(layers)]
        _require_all(prefix, {number for number, _ in layers})
        for layer in stacks[prefix]:
            _add_equinox_biases(contents, prefix, layer)
            if nonlinearity := contents.metadata.get(f"{prefix}nonlinearity"):
                layer.activations["nonlinearity"] = nonlinearity
    return stacks


def _require_all(prefix: str, numbers: set[int]) -> None:
    missing = sorted(set(range(max(numbers))) - numbers)[:MISSING_SHOWN]
    if missing:
        raise RefusedError(
            f"the layers {sorted(numbers)} of {prefix!r} are there, but not {missing}",
            "export the whole state_dict",
        )


def _add_equinox_biases(contents: Contents, prefix: str, layer: Layer) -> None:
    """Take Equinox's ``bias`` and ``bias_n``, next to weights of the same names."""
    name, inner_name = f"{prefix}bias", f"{prefix}bias_n"
    bias, candidate = contents.arrays.get(name), contents.arrays.get(inner_name)
    if bias is None or set(layer.arrays) & {"b", "c"} or not {"W", "U"} <= set(layer.arrays):
        return
    inner = np.zeros_like(bias)
    layer.put("b", name, bias)
    layer.put("c", name, inner)
    if candidate is not None and 3 * candidate.size == bias.size:
        inner[-candidate.size :] = candidate
        layer.put("c", inner_name, inner)
        layer.cell = GRU.name


def find_readouts(contents: Contents, chosen: Stacks) -> Iterable[Readout]:
    """Yield the linear layers: every matrix but embeddings, (outputs, inputs)."""
    for name in contents.arrays:
        if "emb" in name.lower():
            continue
        last = re.split(r"[./]", name)[-1]
        module = name.removesuffix(last)
        words = [re.sub(r"weight|kernel", "bias", last), re.sub(SINGLE_W, "b", last)]
        biases = [*words, "bias", "b"] if module else words
        there = (b for word in biases if (b := module + word) in contents.arrays and b != name)
        transposed = last.partition(":")[0] in ("kernel", "w")
        yield from dense_layers(contents, {name: next(there, "")}, transposed=transposed)
