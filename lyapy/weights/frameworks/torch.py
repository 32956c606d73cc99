"""PyTorch's names: ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0`` …, gates i f g o and r z n.

Also read are the shorter names of ``nn.LSTMCell`` and its kin (``weight_ih``) and of NumPy
ports (``w_ih``), and Equinox's, which has the same with one ``bias`` and a GRU's ``bias_n``.
"""

from __future__ import annotations

import re

import numpy as np

from ...cells import GRU
from ...errors import WeightsError
from ..formats import Contents
from .layer import Hints, Layer, Stacks

__all__ = ["find_layers"]

NAME = re.compile(
    r"(?P<prefix>.*?)(?P<kind>weight|bias|w|b)_(?P<side>ih|hh|hr)(?:_l(?P<layer>\d{1,3}))?(?P<reverse>_reverse)?"
)
ROLES = {"weight_ih": "W", "weight_hh": "U", "weight_hr": "P", "bias_ih": "b", "bias_hh": "c"}
DIRECTIONS = ("forward", "backward")
MISSING_SHOWN = 12


def find_layers(path: str, contents: Contents, hints: Hints) -> Stacks:
    """Sort tensors into recurrent layers by prefix.

    Raises
    ------
    WeightsError
        If two tensors claim the same place, or a layer is missing among others.
    """
    found: dict[str, dict[tuple[int, str], Layer]] = {}
    for name, array in contents.arrays.items():
        match = NAME.fullmatch(name)
        if match is None:
            continue
        kind = {"w": "weight", "b": "bias"}.get(match["kind"], match["kind"])
        role = ROLES.get(f"{kind}_{match['side']}")
        if role is None:
            continue
        number, direction = int(match["layer"] or 0), DIRECTIONS[bool(match["reverse"])]
        layers = found.setdefault(match["prefix"], {})
        layer = layers.setdefault((number, direction), Layer(number, direction=direction))
        if role in layer.names:
            raise WeightsError(
                path,
                f"{layer.names[role]} and {name} are the same weight of layer {number}",
                "remove one of them",
            )
        layer.put(role, name, array)
    stacks = {
        prefix: [layers[key] for key in sorted(layers)]
        for prefix, layers in found.items()
        if any("U" in layer.arrays for layer in layers.values())
    }
    for prefix, stack in stacks.items():
        numbers = sorted({layer.number for layer in stack})
        missing = sorted(set(range(max(numbers))) - set(numbers))
        if missing:
            raise WeightsError(
                path,
                f"the layers {numbers} of {prefix!r} are there, but not {missing[:MISSING_SHOWN]}",
                "export the whole state_dict",
            )
        for layer in stack:
            _add_equinox_biases(contents, prefix, layer)
            if nonlinearity := contents.metadata.get(f"{prefix}nonlinearity"):
                layer.activations["nonlinearity"] = nonlinearity
    return stacks


def _add_equinox_biases(contents: Contents, prefix: str, layer: Layer) -> None:
    """Take Equinox's ``bias`` and ``bias_n``, which stand beside the same names of weights."""
    bias = contents.arrays.get(f"{prefix}bias")
    if bias is None or {"b", "c"} & set(layer.arrays) or not {"W", "U"} <= set(layer.arrays):
        return
    inner = np.zeros_like(bias)
    candidate = contents.arrays.get(f"{prefix}bias_n")
    name = f"{prefix}bias"
    if candidate is not None and 3 * candidate.size == bias.size:
        inner[-candidate.size :] = candidate
        layer.cell, name = GRU.name, f"{prefix}bias_n"
    layer.put("b", f"{prefix}bias", bias)
    layer.put("c", name, inner)
