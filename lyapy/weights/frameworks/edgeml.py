"""FastGRNN of EdgeML, by the names of its tensors.

A cell has ``W`` (inputs, n) and ``U`` (n, n), to be multiplied by rows from the left, or their
factors ``W1``, ``W2`` and ``U1``, ``U2`` of low rank, and ``bias_gate``, ``bias_update``, ``zeta``,
``nu``; ζ and ν of the equation are the logistic function of the last two.
"""

import re

import numpy as np

from ...cells import FastGRNN
from ..formats import Contents
from .layer import Hints, Layer, Stacks, require_shape

BIAS = re.compile(r"(.*[./])?bias_gate")


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each cell as a stack, by its module's name."""
    matches = map(BIAS.fullmatch, contents.arrays)
    prefixes = [match[1] or "" for match in matches if match]
    return {p: [_layer(contents, p)] for p in prefixes if f"{p}zeta" in contents.arrays}


def _layer(contents: Contents, prefix: str) -> Layer:
    units = contents.arrays[f"{prefix}bias_gate"].size
    layer = Layer(cell=FastGRNN.name)
    for role, rows in (("W", None), ("U", units)):
        _put_matrix(contents, layer, role, prefix, (rows, units))
    names = [f"{prefix}bias_gate", f"{prefix}bias_update"]
    biases = [require_shape(contents, n, (1, units), (units,)).reshape(-1) for n in names]
    layer.put("b", names[0], np.concatenate(biases))
    layer.others.add(names[1])
    for number in ("zeta", "nu"):
        name = f"{prefix}{number}"
        value = require_shape(contents, name, (1, 1), (1,), ()).reshape(()).astype(np.float64)
        layer.put(number, name, np.asarray(1.0 / (1.0 + np.exp(-value))))
    layer.assumed.append("the gate is sigmoid and the candidate tanh, which the file does not say")
    return layer


def _put_matrix(
    contents: Contents, layer: Layer, role: str, prefix: str, shape: tuple[int | None, int]
) -> None:
    name, factors = f"{prefix}{role}", (f"{prefix}{role}1", f"{prefix}{role}2")
    if factors[0] not in contents.arrays:
        layer.put(role, name, require_shape(contents, name, shape).T)
        return
    first = require_shape(contents, factors[0], (shape[0], None)).astype(np.float64)
    second = require_shape(contents, factors[1], (first.shape[1], shape[1]))
    layer.put(role, factors[0], (first @ second).T)
    layer.others.add(factors[1])
