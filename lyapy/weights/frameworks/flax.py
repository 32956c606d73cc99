"""Flax's names: a dense layer for each gate (linen, nnx), or ``dense_i`` and ``dense_h`` (nnx).

Kernels are (in, out). linen's LSTM has its biases on the side of h, its GRU as PyTorch; nnx
stacks i f g o and r z n.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from ...arrays import Array
from ...cells import GRU
from ...errors import WeightsError
from ..formats import Contents
from .layer import Hints, Layer, Stacks, gate_count, refuse_shape

__all__ = ["find_layers"]

KERNEL = re.compile(r"(?P<prefix>(?:.*[./])?)(?P<part>h|ho|hn|dense_h)(?P<dot>[./])kernel")
# letters of the gates, in the order of a layer; nnx writes the keyword ``if`` with a stroke
GATES = {"ho": "ifgo", "hn": "rzn"}


def find_layers(path: str, contents: Contents, hints: Hints) -> Stacks:
    """Return each cell as a stack, by what stands before its dense layers.

    Raises
    ------
    WeightsError
        If weights of a cell are missing or do not fit.
    """
    found: Stacks = {}
    for name in contents.arrays:
        match = KERNEL.fullmatch(name)
        if match is None:
            continue
        prefix, part, dot = match["prefix"], match["part"], match["dot"]
        letters = GATES.get(part)
        sides = {
            "i": [f"i{g}" for g in letters] if letters else [part.replace("h", "i")],
            "h": [f"h{g}" for g in letters] if letters else [part],
        }
        if part == "dense_h":
            sides["i"] = ["dense_i"]
        dense = {
            side: [_named(contents.arrays, prefix, part, dot) for part in parts]
            for side, parts in sides.items()
        }
        # an ordinary dense layer called h, or an attention's, is no cell
        if part == "h" and f"{dense['i'][0]}kernel" not in contents.arrays:
            continue
        found[prefix] = [_layer(path, contents.arrays, dense)]
    return found


def _named(arrays: Mapping[str, Array], prefix: str, part: str, dot: str) -> str:
    stroke = f"{prefix}{part}_{dot}"
    return stroke if f"{stroke}kernel" in arrays else f"{prefix}{part}{dot}"


def _layer(path: str, arrays: Mapping[str, Array], dense: Mapping[str, list[str]]) -> Layer:
    layer = Layer(0)
    for side, role in (("i", "W"), ("h", "U")):
        names = [f"{stem}kernel" for stem in dense[side]]
        _require(path, arrays, names)
        for name in names:
            refuse_shape(path, arrays, name, (None, arrays[names[0]].shape[-1]))
        layer.put(role, names[0], np.concatenate([arrays[n].T for n in names]))
    gates = gate_count(path, layer.names["U"], layer.arrays["U"].T.shape)
    for side, role in (("i", "b"), ("h", "c")):
        names = [f"{stem}bias" for stem in dense[side]]
        if not any(name in arrays for name in [f"{s}bias" for d in dense.values() for s in d]):
            continue
        n = len(layer.arrays["U"]) // len(names)
        parts = []
        for name in names:
            if name in arrays:
                refuse_shape(path, arrays, name, (n,))
            parts.append(arrays[name] if name in arrays else np.zeros(n, np.float32))
        there = [name for name in names if name in arrays] or [layer.names["U"]]
        layer.put(role, there[0], np.concatenate(parts))
    if gates == 3:
        layer.cell = GRU.name
    return layer


def _require(path: str, arrays: Mapping[str, Array], names: Iterable[str]) -> None:
    missing = [name for name in names if name not in arrays]
    if missing:
        raise WeightsError(
            path, f"has a cell of Flax without {', '.join(missing)}", "export the whole tree"
        )
