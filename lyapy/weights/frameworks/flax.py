"""Flax's names: a dense layer for each gate (linen, nnx), or ``dense_i`` and ``dense_h`` (nnx).

Kernels are (in, out). linen's LSTM has its biases on the side of h, its GRU as PyTorch; nnx
stacks i f g o and r z n.
"""

import re
from collections.abc import Iterable

import numpy as np

from ...cells import GRU
from ..formats import Contents
from ..formats.refusal import RefusedError
from .layer import Hints, Layer, Stacks, gate_count, require_shape
from .readout import Readout, dense_layers

KERNEL = re.compile(r"(?P<prefix>(?:.*[./])?)(?P<part>h|ho|hn|dense_h)(?P<dot>[./])kernel")
# the dense layers of a cell on the side of x, in the order of a layer, by the last on that of h
SIDES = {"ho": ["ii", "if", "ig", "io"], "hn": ["ir", "iz", "in"], "dense_h": ["dense_i"]}


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each cell as a stack, by the prefix of its dense layers."""
    found: Stacks = {}
    for match in filter(None, map(KERNEL.fullmatch, contents.arrays)):
        prefix, inputs, dot = match["prefix"], SIDES.get(match["part"], ["i"]), match["dot"]

        def stem(part: str, prefix: str = prefix, dot: str = dot) -> str:
            # nnx writes the keyword ``if`` with a stroke
            stroke = f"{prefix}{part}_{dot}"
            return stroke if f"{stroke}kernel" in contents.arrays else f"{prefix}{part}{dot}"

        if match["part"] == "hn" and f"{stem('ir')}kernel" not in contents.arrays:
            # a minimal gated unit is a GRU whose gates are one and the same
            if f"{stem('hn')}bias" not in contents.arrays:
                what = f"has the minimal gated unit {prefix!r} without a reset gate"
                raise RefusedError(what, "only one with reset_gate=True is computed")
            inputs = ["if", "if", "in"]
        dense = {"i": list(map(stem, inputs))}
        dense["h"] = [stem(re.sub(r"(^|_)i", r"\1h", part)) for part in inputs]
        # an ordinary dense layer called h, or an attention's, is no cell
        if match["part"] != "h" or f"{dense['i'][0]}kernel" in contents.arrays:
            found[prefix] = [_layer(contents, dense)]
    return found


def _layer(contents: Contents, dense: dict[str, list[str]]) -> Layer:
    layer, arrays = Layer(), contents.arrays
    names = [f"{stem}kernel" for side in "ih" for stem in dense[side]]
    biases = {name.removesuffix("kernel") + "bias" for name in names}
    layer.others = {*names, *biases} & arrays.keys()
    if missing := [name for name in names if name not in arrays]:
        what = f"has a cell of Flax without {', '.join(missing)}"
        raise RefusedError(what, "export the whole tree")
    for side, kernel, bias in (("i", "W", "b"), ("h", "U", "c")):
        names = [f"{stem}kernel" for stem in dense[side]]
        n = arrays[names[0]].shape[-1]
        stacked = [require_shape(contents, name, (None, n)).T for name in names]
        layer.put(kernel, names[0], np.concatenate(stacked))
        if biases & arrays.keys():
            names = [f"{stem}bias" for stem in dense[side]]
            there = [name for name in names if name in arrays] or [layer.names[kernel]]
            vectors = [
                require_shape(contents, name, (n,)) if name in arrays else np.zeros(n, np.float32)
                for name in names
            ]
            layer.put(bias, there[0], np.concatenate(vectors))
    if gate_count(layer.names["U"], layer.arrays["U"].T.shape) == 3:
        layer.cell = GRU.name
    return layer


def find_readouts(contents: Contents, chosen: Stacks) -> Iterable[Readout]:
    """Yield the dense layers."""
    kernels = [name for name in contents.arrays if re.fullmatch(r"(.*[./])?kernel", name)]
    biases = {name: name.removesuffix("kernel") + "bias" for name in kernels}
    return dense_layers(contents, biases, transposed=True)
