"""Haiku's cores, by hint: an LSTM's ``w`` (m + n, 4n), gates i g f o; a GRU's ``w_i``, ``w_h``."""

import re
from collections.abc import Iterable

import numpy as np

from ...arrays import Array
from ...cells import GRUResetBefore
from ..formats import Contents
from .layer import Hints, Layer, Stacks, reordered, require_shape
from .readout import Readout, dense_layers


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each core as a stack, by its module's name."""
    forget = 1.0 if hints.forget_bias is None else hints.forget_bias
    found: Stacks = {}
    for name, array in contents.arrays.items():
        module, _, last = name.replace(".", "/").rpartition("/")
        stem = name.removesuffix(last)
        if last == "w_h":
            found[f"{module}/"] = [_gru(contents, stem)]
        elif last == "w" and array.ndim == 2 and module.endswith("linear"):
            n, rest = divmod(array.shape[1], 4)
            if not rest and array.shape[0] > n and f"{stem}b" in contents.arrays:
                layer, bias = Layer(), require_shape(contents, f"{stem}b", (4 * n,))
                layer.put_stacked(name, reordered(array.T, "igfo", "ifgo"), n)
                layer.put_bias(f"{stem}b", reordered(bias, "igfo", "ifgo"), forget)
                found[f"{module}/"] = [layer]
    return found


def _gru(contents: Contents, stem: str) -> Layer:
    n, layer = contents.arrays[f"{stem}w_h"].shape[0], Layer(cell=GRUResetBefore.name)
    # h′ = (1 − z) h + z a: the other sign of z
    signs = np.repeat([1.0, -1.0, 1.0], n)

    def stacked(name: str, *shape: int | None) -> Array:
        array = require_shape(contents, f"{stem}{name}", shape).T.astype(np.float64)
        return (reordered(array, "zra", "rza").T * signs).T

    layer.put("U", f"{stem}w_h", stacked("w_h", n, 3 * n))
    layer.put("W", f"{stem}w_i", stacked("w_i", None, 3 * n))
    layer.put_bias(f"{stem}b", stacked("b", 3 * n))
    return layer


def find_readouts(contents: Contents, chosen: Stacks) -> Iterable[Readout]:
    """Yield the linear modules."""
    names = [name for name in contents.arrays if re.fullmatch(r"(.*[./])?w", name)]
    biases = {name: name.removesuffix("w") + "b" for name in names}
    return dense_layers(contents, biases, transposed=True)
