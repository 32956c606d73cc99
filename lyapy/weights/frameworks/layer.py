"""The common form of every framework's recurrent layers, and the user's hints."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...arrays import Array, check_choice
from ...cells import CELLS
from ...cells.activations import kind_of
from ..formats import Contents
from ..formats.refusal import RefusedError

DIRECTIONS = ("forward", "backward")
Stacks = dict[str, list["Layer"]]


@dataclass(frozen=True)
class Hints:
    """The user's choices where a file leaves something open; see `lyapy.load`."""

    cell: str | None = None
    nonlinearity: str | None = None
    layers: int | None = None
    prefix: str | Sequence[str] | None = None
    gate_nonlinearity: str | None = None
    direction: str | None = None
    layout: str | None = None
    forget_bias: float | None = None
    embedding: str | None = None

    def __post_init__(self) -> None:
        for name, choices in (("cell", CELLS), ("direction", DIRECTIONS)):
            if getattr(self, name) is not None:
                check_choice(name, getattr(self, name), choices)
        for name in ("nonlinearity", "gate_nonlinearity"):
            if getattr(self, name) is not None:
                kind_of(getattr(self, name), name)


@dataclass
class Layer:
    """The weights of one layer in its stack, and the choices that its file settles."""

    number: int = 0
    # W (gn, m), U (gn, n), biases b and c (gn,) outside and inside a GRU's reset product, P (p, n),
    # peepholes (3, n) of i, f, o; gates are stacked i f g o in an LSTM and r z n in a GRU
    arrays: dict[str, Array] = field(default_factory=dict)
    # the tensors' names in the file, the first of several
    names: dict[str, str] = field(default_factory=dict)
    cell: str | None = None
    # gate, nonlinearity and output
    activations: dict[str, str] = field(default_factory=dict)
    # coupled and clip of a variant
    options: dict[str, Any] = field(default_factory=dict)
    # a variant even with the usual activations
    variant: bool = False
    # why the user has to give the gates' activation
    open_gates: str = ""
    # the user has to say where a GRU's reset gate is
    open_reset: bool = False
    direction: str = "forward"
    # by the layout
    assumed: list[str] = field(default_factory=list)
    # names of its other tensors
    others: set[str] = field(default_factory=set)

    def put(self, role: str, name: str, array: Array) -> None:
        """Set a weight and its name in the file."""
        self.arrays[role], self.names[role] = array, name

    @property
    def tensors(self) -> set[str]:
        """The names of all its tensors in the file."""
        return {*self.names.values(), *self.others}

    def put_stacked(self, name: str, stacked: Array, recurrent: int) -> None:
        """Set W and U from one matrix (gn, m + n) that holds them side by side."""
        self.put("W", name, stacked[:, :-recurrent])
        self.put("U", name, stacked[:, -recurrent:])

    def put_bias(self, name: str, bias: Array, forget: float | None = None) -> None:
        """Set the only bias; an LSTM's framework may add ``forget`` to its forget gate."""
        bias = bias.astype(np.float64)
        if forget is not None:
            n = len(bias) // 4
            bias[n : 2 * n] += forget
            self.assumed.append(f"{name}: {forget:g} is added to the forget gate")
        self.put("b", name, bias)
        self.put("c", name, np.zeros(len(bias)))


def reordered(stacked: Array, found: str, wanted: str) -> Array:
    """Return rows of stacked gates, named in their order by letters, in another order."""
    gates = np.split(stacked, len(found))
    return np.concatenate([gates[found.index(gate)] for gate in wanted])


def gate_count(name: str, shape: tuple[int, ...]) -> int:
    """Return 1, 3 or 4 for a recurrent matrix (n, gn) that is stored transposed."""
    if len(shape) != 2 or not shape[0] or shape[1] not in {g * shape[0] for g in (1, 3, 4)}:
        raise RefusedError(
            f"{name} has shape {tuple(shape)}, which is no recurrent weight",
            "it must be (n, n) for a vanilla cell, (n, 3n) for a GRU, (n, 4n) for an LSTM",
        )
    return shape[1] // shape[0]


def require_shape(contents: Contents, name: str, *shapes: Sequence[int | None]) -> Array:
    """Return a tensor if it has one of the shapes, in which None stands for any length."""
    if name not in contents.arrays:
        raise RefusedError(f"has part of a recurrent layer, but no {name}", "export it whole")
    check_shape(name, contents.arrays[name], *shapes)
    return contents.arrays[name]


def check_shape(name: str, array: Array, *shapes: Sequence[int | None], why: str = "") -> None:
    """Raise unless an array has one of the shapes, in which None stands for any length."""
    for wanted in shapes:
        if len(wanted) == array.ndim and all(
            w is None or w == h for w, h in zip(wanted, array.shape, strict=True)
        ):
            return
    shown = " or ".join(str(tuple(wanted)).replace("None", "any") for wanted in shapes)
    raise RefusedError(f"{name} has shape {array.shape}", f"it must be {shown}{why}")
