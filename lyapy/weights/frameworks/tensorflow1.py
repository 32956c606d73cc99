"""TensorFlow 1's cells, by hint: ``kernel`` (m + n, 4n) with gates i j f o; a GRU's r u and c."""

import re
from collections.abc import Iterable

import numpy as np

from ...arrays import Array
from ...cells import GRUResetBefore
from ..formats import Contents
from .layer import Hints, Layer, Stacks, reordered, require_shape
from .readout import Readout, dense_layers

KERNEL = re.compile(r"(?P<scope>(?:.*/)?(?P<last>[^/]*))/kernel(?P<tail>:0)?")


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each cell as a stack, by its scope."""
    found: Stacks = {}
    for match in filter(None, map(KERNEL.fullmatch, contents.arrays)):
        scope, tail = match["scope"], match["tail"] or ""
        before = scope.removesuffix("gates")
        if before != scope and f"{before}candidate/kernel{tail}" in contents.arrays:
            found[before] = [_gru(contents, before, tail)]
        elif f"{scope}/bias{tail}" in contents.arrays and "lstm" in scope:
            found[f"{scope}/"] = [_lstm(contents, scope, tail, hints)]
    return found


def _lstm(contents: Contents, scope: str, tail: str, hints: Hints) -> Layer:
    layer, kernel, bias = Layer(), f"{scope}/kernel{tail}", f"{scope}/bias{tail}"
    b = require_shape(contents, bias, (None,))
    recurrent = n = len(b) // 4
    stacked = require_shape(contents, kernel, (None, 4 * n)).T
    projection = f"{scope}/projection/kernel{tail}"
    if projection in contents.arrays:
        P = require_shape(contents, projection, (n, None)).T
        layer.put("P", projection, P)
        recurrent = len(P)
    layer.put_stacked(kernel, reordered(stacked, "ijfo", "ifjo"), recurrent)
    forget = 1.0 if hints.forget_bias is None else hints.forget_bias
    layer.put_bias(bias, reordered(b, "ijfo", "ifjo"), forget)
    peepholes = [f"{scope}/w_{gate}_diag{tail}" for gate in "ifo"]
    if all(name in contents.arrays for name in peepholes):
        diagonals = [contents.arrays[name] for name in peepholes]
        layer.others = set(peepholes)
        layer.put("peepholes", peepholes[0], np.stack(diagonals))
    return layer


def _gru(contents: Contents, scope: str, tail: str) -> Layer:
    kernel = f"{scope}candidate/kernel{tail}"
    rows, n = require_shape(contents, kernel, (None, None)).shape

    def stacked(name: str, *inputs: int) -> Array:
        gates = require_shape(contents, f"{scope}gates/{name}{tail}", (*inputs, 2 * n))
        own = require_shape(contents, f"{scope}candidate/{name}{tail}", (*inputs, n))
        return np.concatenate([gates.T, own.T])

    layer = Layer(cell=GRUResetBefore.name)
    layer.others = {f"{scope}candidate/{name}{tail}" for name in ("kernel", "bias")}
    layer.put_stacked(f"{scope}gates/kernel{tail}", stacked("kernel", rows), n)
    layer.put_bias(f"{scope}gates/bias{tail}", stacked("bias"))
    return layer


def find_readouts(contents: Contents, chosen: Stacks) -> Iterable[Readout]:
    """Yield the dense layers."""
    kernels = filter(None, map(KERNEL.fullmatch, contents.arrays))
    biases = {m[0]: f"{m['scope']}/bias{m['tail'] or ''}" for m in kernels}
    return dense_layers(contents, biases, transposed=True)
