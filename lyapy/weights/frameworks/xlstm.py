"""sLSTM layers of xLSTM and TiRex, by the names of their tensors.

A layer has ``igate``, ``fgate``, ``zgate`` and ``ogate`` (heads, d, d) and, under ``slstm_cell``,
``_recurrent_kernel_`` and ``_bias_``. The published code passes the output of ``fgate`` to the
input gate and that of ``igate`` to the forget gate (github.com/NX-AI/xlstm, issue 98), as trained
weights expect. Norms and feed-forward layers lie between the layers: each is a network.
"""

import re

import numpy as np
from scipy.linalg import block_diag

from ...cells import SLSTM
from ..formats import Contents
from .layer import Hints, Layer, Stacks, check_shape, require_shape

KERNEL = re.compile(r"(.*[./])?slstm_cell\._recurrent_kernel_")
# the tensor whose output each gate receives
GATES = {"i": "fgate", "f": "igate", "z": "zgate", "o": "ogate"}
TIREX_LIMIT = 15.0


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each sLSTM layer as a stack, by its module's name."""
    matches = map(KERNEL.fullmatch, contents.arrays)
    return {(m[1] or ""): [_layer(contents, m[0], m[1] or "")] for m in matches if m}


def _layer(contents: Contents, name: str, prefix: str) -> Layer:
    kernel = contents.arrays[name]
    check_shape(name, kernel, (None, None, None), why=", (heads, d, 4d) or (heads, 4d, d)")
    heads, d = len(kernel), min(kernel.shape[1:])
    check_shape(name, kernel, (heads, d, 4 * d), (heads, 4 * d, d))
    layer = Layer(cell=SLSTM.name)
    transposed = kernel.shape[1] == d
    if transposed:
        kernel = kernel.swapaxes(1, 2)
    rows = kernel.reshape(heads, 4, d, d).swapaxes(0, 1)
    layer.put("U", name, np.concatenate([block_diag(*gate) for gate in rows]))
    bias_name = f"{prefix}slstm_cell._bias_"
    bias = require_shape(contents, bias_name, (4 * heads * d,))
    if transposed:
        bias = bias.reshape(heads, 4, d).swapaxes(0, 1).reshape(-1)
    layer.put("b", bias_name, bias)
    names = {gate: f"{prefix}{tensor}.weight" for gate, tensor in GATES.items()}
    blocks = [block_diag(*require_shape(contents, n, (heads, d, None))) for n in names.values()]
    layer.assumed.append(f"{names['i']} drives the input gate, {names['f']} the forget gate")
    if any(other.startswith(f"{prefix}conv1d.") for other in contents.arrays):
        # i and f read the convolved sequence, z and o the sequence
        zero = np.zeros_like(blocks[0])
        blocks = [
            np.hstack([block, zero] if gate in "if" else [zero, block])
            for gate, block in zip(GATES, blocks, strict=True)
        ]
        layer.assumed.append("inputs are the convolved sequence, after SiLU, then the sequence")
    layer.put("W", names["i"], np.concatenate(blocks))
    layer.others = set(names.values())
    if re.search(r"(^|[./])slstm_layer[./]$", prefix):
        layer.options["forget_limit"] = TIREX_LIMIT
        layer.assumed.append(f"the forget gate's argument is cut at {TIREX_LIMIT:g}, as in TiRex")
    return layer
