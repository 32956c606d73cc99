"""Haiku's cores, by hint: an LSTM's ``w`` (m + n, 4n), gates i g f o; a GRU's ``w_i``, ``w_h``."""

from __future__ import annotations

import numpy as np

from ...cells import GRUResetBefore
from ..formats import Contents
from .layer import Hints, Layer, Stacks, refuse_shape, reordered

__all__ = ["find_layers"]


def find_layers(path: str, contents: Contents, hints: Hints) -> Stacks:
    """Return each core as a stack, by its module's name.

    Raises
    ------
    WeightsError
        If shapes do not fit.
    """
    arrays = contents.arrays
    forget = 1.0 if hints.forget_bias is None else hints.forget_bias
    found: Stacks = {}
    for name, array in arrays.items():
        prefix, _, last = name.replace(".", "/").rpartition("/")
        stem = name[: len(name) - len(last)]
        layer = Layer(0)
        if last == "w_h":
            n = array.shape[0]
            refuse_shape(path, arrays, name, (n, 3 * n))
            refuse_shape(path, arrays, f"{stem}w_i", (None, 3 * n))
            refuse_shape(path, arrays, f"{stem}b", (3 * n,))
            W, U, b = arrays[f"{stem}w_i"].T, array.T, arrays[f"{stem}b"]
            layer.put("W", f"{stem}w_i", reordered(W, "zra", "rza"))
            layer.put("U", name, reordered(U, "zra", "rza"))
            b = reordered(b, "zra", "rza").astype(np.float64)
            # h′ = (1 − z) h + z a: the other sign of z
            for stacked in (layer.arrays["W"], layer.arrays["U"], b):
                stacked[n : 2 * n] *= -1
            layer.put("b", f"{stem}b", b)
            layer.put("c", f"{stem}b", np.zeros(3 * n))
            layer.cell = GRUResetBefore.name
        elif last == "w" and array.ndim == 2 and prefix.endswith("linear"):
            n, rest = divmod(array.shape[1], 4)
            if rest or array.shape[0] <= n or f"{stem}b" not in arrays:
                continue
            refuse_shape(path, arrays, f"{stem}b", (4 * n,))
            stacked = reordered(array.T, "igfo", "ifgo")
            b = reordered(arrays[f"{stem}b"], "igfo", "ifgo").astype(np.float64)
            b[n : 2 * n] += forget
            layer.put("W", name, stacked[:, :-n])
            layer.put("U", name, stacked[:, -n:])
            layer.put("b", f"{stem}b", b)
            layer.put("c", f"{stem}b", np.zeros(4 * n))
            layer.assumed.append(f"{name}: {forget:g} is added to the forget gate")
        else:
            continue
        found[f"{prefix}/"] = [layer]
    return found
