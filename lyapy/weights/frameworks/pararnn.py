"""ParaGRU and ParaLSTM of ml-pararnn, by the shapes of ``A``, ``B``, ``b`` and ``C``.

``A`` (3, D) is the diagonal recurrent weight, ``B`` (heads, d_in, 3, d) the input weight by heads,
``b`` (3, D) the bias, of the gates z, r, c or f, o, c; a ParaLSTM has peepholes ``C`` (2, D).
"""

import re

import numpy as np
from scipy.linalg import block_diag

from ...cells import ParaGRU, ParaLSTM
from ..formats import Contents
from .layer import Hints, Layer, Stacks, require_shape

INPUT = re.compile(r"(.*[./])?B")


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each cell as a stack, by its module's name."""
    found: Stacks = {}
    for match in filter(None, map(INPUT.fullmatch, contents.arrays)):
        B, prefix = contents.arrays[match[0]], match[1] or ""
        if B.ndim == 4 and B.shape[2] == 3 and f"{prefix}A" in contents.arrays:
            found[prefix] = [_layer(contents, match[0], prefix)]
    return found


def _layer(contents: Contents, name: str, prefix: str) -> Layer:
    B = contents.arrays[name]
    units = B.shape[0] * B.shape[3]
    gates = [block_diag(*B[:, :, gate].swapaxes(1, 2)) for gate in range(3)]
    peepholes = f"{prefix}C"
    layer = Layer(cell=(ParaLSTM if peepholes in contents.arrays else ParaGRU).name)
    layer.put("W", name, np.concatenate(gates))
    layer.put("A", f"{prefix}A", require_shape(contents, f"{prefix}A", (3, units)))
    layer.put("b", f"{prefix}b", require_shape(contents, f"{prefix}b", (3, units)).reshape(-1))
    if layer.cell == ParaLSTM.name:
        layer.put("C", peepholes, require_shape(contents, peepholes, (2, units)))
    layer.assumed.append("gates are sigmoid and the candidate tanh, which the file does not say")
    return layer
