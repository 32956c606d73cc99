"""The names that research code gives to the weights of its networks, in any library.

``W_in``, ``W_rec`` or ``J`` and ``b``; ``i2h.weight`` and ``h2h.weight`` of linear layers, which
MXNet has too (``lstm0_l0_i2h_weight``); reservoirpy's ``Win``, ``W``, ``bias`` and ``lr``, which
may be sparse. Gates are stacked as PyTorch's. ``W``, ``U`` and ``b`` need a hint of the cell.
"""

import re
from typing import Any

import numpy as np

from ...cells import CELLS, Reservoir
from ..formats import Contents
from ..formats.refusal import RefusedError
from .layer import Hints, Layer, Stacks, check_shape
from .named import NAMED, PARTS, whole_argument
from .torch import find_readouts as find_readouts

ROLES = {
    "W": ("W_in", "Win", "w_in", "wi", "W_ih", "W_xh", "Wxh"),
    "U": ("W_rec", "Wrec", "w_rec", "wrec", "J", "W_hh", "Whh", "w_hh"),
    "b": ("b_rec", "brec", "b_h", "bh", "bias", "b"),
    "a": ("lr",),
}
SIMPLE = {name: role for role, names in ROLES.items() for name in names}
SIDES = {"i2h": "Wb", "input2h": "Wb", "in2h": "Wb", "h2h": "Uc", "hidden2h": "Uc"}
NAME = re.compile(
    rf"(?P<before>(?:.*?[._/])??)(?:l(?P<number>\d+)_)?"
    rf"(?P<side>{'|'.join(SIDES)})[._](?P<bias>weight|bias)"
    rf"|(?P<prefix>(?:.*[./])?)(?P<simple>{'|'.join(SIMPLE)}|W|U)"
)


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each network as a stack, by the prefix of its names."""
    whole: dict[str, dict[str, str]] = {}
    for name in contents.arrays:
        part = re.search(rf"\.({'|'.join(PARTS)})$|$", name)
        assert part is not None
        whole.setdefault(name.removesuffix(part[0]), {})[part[0].lstrip(".")] = name
    groups: dict[str, dict[int, dict[str, list[str]]]] = {}
    for name in whole:
        if match := NAME.fullmatch(name):
            prefix = match["prefix"] or match["before"] or ""
            simple = match["simple"]
            # W and U alone are asked for by a question mark
            role = SIMPLE.get(simple, f"{simple}?")
            if match["side"]:
                role = SIDES[match["side"]][match["bias"] == "bias"]
            roles = groups.setdefault(prefix, {}).setdefault(int(match["number"] or 0), {})
            roles.setdefault(role, []).append(name)
    found: Stacks = {}
    for prefix, numbered in groups.items():
        layers = [(number, _by_role(numbered[number], hints)) for number in sorted(numbered)]
        if all("U" in roles for _, roles in layers):
            found[prefix] = [_layer(contents, n, roles, whole, hints) for n, roles in layers]
    return found


def _by_role(found: dict[str, list[str]], hints: Hints) -> dict[str, str]:
    """Return the names by their roles; ``W`` is the recurrent weight next to one of the input."""
    names = {role: several[0] for role, several in found.items()}
    twice = next((several for several in found.values() if len(several) > 1), None)
    if twice and "U" in found:
        raise RefusedError(
            f"{' and '.join(twice)} are names of the same weight", "remove one of them"
        )
    roles = {role: name for role, name in names.items() if role not in ("W?", "U?")}
    if "W?" in names and "W" in roles:
        return {**roles, "U": names["W?"]}
    roles.pop("a", None)  # a rate of learning, perhaps
    if hints.cell is not None:
        return {role.rstrip("?"): name for role, name in names.items() if role != "a"}
    return roles


def _layer(
    contents: Contents, number: int, names: dict[str, str], whole: Any, hints: Hints
) -> Layer:
    """Return a layer, turned so that its matrices multiply a state from the left."""
    layer = Layer(number, cell=hints.cell if hints.cell in NAMED else None, names=names)
    layer.others = {tensor for name in names.values() for tensor in whole[name].values()}
    arrays: dict[str, Any] = {}
    for role, name in names.items():
        parts = {part: contents.arrays[tensor] for part, tensor in whole[name].items()}
        arrays[role] = whole_argument(name, parts)
    U = arrays["U"]
    check_shape(names["U"], U, (None, None))
    W = arrays.setdefault("W", np.zeros((U.shape[0], 0)))
    W = arrays["W"] = W[:, None] if W.ndim == 1 else W
    if U.shape[0] != W.shape[0] and U.shape[1] == W.shape[1]:
        arrays["U"], arrays["W"] = U, W = U.T, W.T
    elif W.shape[1] in (0, *U.shape):
        layer.assumed.append(f"{names['U']} multiplies the state from the left")
    if hints.cell is None and U.shape[0] == U.shape[1]:
        layer.assumed.append(f"each step replaces the whole state that {names['U']} reads: no leak")
    rows = U.shape[0]
    names.setdefault("W", names["U"])
    for role in arrays.keys() & {"b", "c"}:
        bias = np.asarray(_dense(arrays[role]), dtype=np.float64).reshape(-1)
        arrays[role] = np.full(rows, bias[0]) if bias.size == 1 else bias
    if {"b", "c"} & arrays.keys():
        for role in "bc":
            arrays.setdefault(role, np.zeros(rows))
            names.setdefault(role, names["U"])
    leak = arrays.pop("a", None)
    if leak is not None or hasattr(U, "tocsr"):
        layer.cell = layer.cell or Reservoir.name
        layer.assumed = []
    if layer.cell in NAMED:
        if leak is not None and "leak" in CELLS[layer.cell].__init__.__code__.co_varnames:
            layer.options["leak"] = leak.reshape(-1) if leak.size > 1 else float(leak.item())
        arrays = {**arrays, "W": _dense(W)}
        if "c" in arrays:
            arrays["b"] = arrays["b"] + arrays.pop("c")
    layer.arrays = arrays
    return layer


def _dense(array: Any) -> Any:
    return array.toarray() if hasattr(array, "toarray") else array
