"""TensorFlow 1's cells, by hint: ``kernel`` (m + n, 4n) with gates i j f o; a GRU's r u and c."""

from __future__ import annotations

import numpy as np

from ...cells import GRUResetBefore
from ..formats import Contents
from .layer import Hints, Layer, Stacks, refuse_shape, reordered

__all__ = ["find_layers"]


def find_layers(path: str, contents: Contents, hints: Hints) -> Stacks:
    """Return each cell as a stack, by its scope.

    Raises
    ------
    WeightsError
        If shapes do not fit.
    """
    found: Stacks = {}
    for name in contents.arrays:
        scope, _, last = name.removesuffix(":0").rpartition("/")
        tail = name[len(scope) + 1 + len(last) :]
        if last != "kernel":
            continue
        if scope.endswith("gates") and f"{scope[:-5]}candidate/kernel{tail}" in contents.arrays:
            found[scope[:-5]] = [_gru(path, contents, scope[:-5], tail)]
        elif f"{scope}/bias{tail}" in contents.arrays and "lstm" in scope:
            found[f"{scope}/"] = [_lstm(path, contents, scope, tail, hints)]
    return found


def _lstm(path: str, contents: Contents, scope: str, tail: str, hints: Hints) -> Layer:
    arrays, layer = contents.arrays, Layer(0)
    kernel, bias = f"{scope}/kernel{tail}", f"{scope}/bias{tail}"
    refuse_shape(path, arrays, bias, (None,))
    n = len(arrays[bias]) // 4
    refuse_shape(path, arrays, kernel, (None, 4 * n))
    stacked = reordered(arrays[kernel].T, "ijfo", "ifjo")
    projection = f"{scope}/projection/kernel{tail}"
    recurrent = n
    if projection in arrays:
        refuse_shape(path, arrays, projection, (n, None))
        layer.put("P", projection, arrays[projection].T)
        recurrent = arrays[projection].shape[1]
    b = reordered(arrays[bias], "ijfo", "ifjo").astype(np.float64)
    forget = 1.0 if hints.forget_bias is None else hints.forget_bias
    b[n : 2 * n] += forget
    layer.assumed.append(f"{bias}: {forget:g} is added to the forget gate")
    layer.put("W", kernel, stacked[:, :-recurrent])
    layer.put("U", kernel, stacked[:, -recurrent:])
    layer.put("b", bias, b)
    layer.put("c", bias, np.zeros(4 * n))
    peepholes = [f"{scope}/w_{gate}_diag{tail}" for gate in "ifo"]
    if all(name in arrays for name in peepholes):
        layer.put("peepholes", peepholes[0], np.stack([arrays[name] for name in peepholes]))
    return layer


def _gru(path: str, contents: Contents, scope: str, tail: str) -> Layer:
    arrays, layer = contents.arrays, Layer(0, cell=GRUResetBefore.name)
    kernels = [f"{scope}{part}/kernel{tail}" for part in ("gates", "candidate")]
    biases = [f"{scope}{part}/bias{tail}" for part in ("gates", "candidate")]
    n = arrays[kernels[1]].shape[-1]
    rows = len(arrays[kernels[1]])
    for name, shape in zip(
        [*kernels, *biases], [(rows, 2 * n), (rows, n), (2 * n,), (n,)], strict=True
    ):
        refuse_shape(path, arrays, name, shape)
    stacked = np.concatenate([arrays[name].T for name in kernels])
    layer.put("W", kernels[0], stacked[:, :-n])
    layer.put("U", kernels[0], stacked[:, -n:])
    layer.put("b", biases[0], np.concatenate([arrays[name] for name in biases]))
    layer.put("c", biases[0], np.zeros(3 * n))
    return layer
