"""What every layout makes of its tensors: layers whose weights have one order and one name each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...arrays import Array
from ...errors import WeightsError

__all__ = ["Hints", "Layer", "Stacks", "gate_count", "reordered"]

Stacks = dict[str, list["Layer"]]


@dataclass(frozen=True)
class Hints:
    """What the user says where the file does not."""

    cell: str | None = None
    nonlinearity: str | None = None
    layers: int | None = None
    gate_nonlinearity: str | None = None
    direction: str | None = None
    layout: str | None = None
    forget_bias: float | None = None


@dataclass
class Layer:
    """The weights of one layer.

    Attributes
    ----------
    number : int
        Its place in its stack.
    arrays : dict
        ``W`` (gn, m), ``U`` (gn, n), biases ``b`` and ``c`` (gn,) outside and inside a GRU's
        reset product, ``P`` (p, n), ``peepholes`` (3, n) of i, f, o. Gates are stacked i f g o
        in an LSTM and r z n in a GRU.
    names : dict
        The tensors' names in the file, by the same keys.
    cell : str, optional
        Name of the cell, where the file settles it.
    activations : dict
        ``gate``, ``nonlinearity`` and ``output``, as far as the file settles them.
    options : dict
        ``coupled`` and ``clip`` of a variant.
    variant : bool
        Whether the cell is a variant even with the usual activations.
    open_gates : str
        Why the gates' activation has to be asked for; empty where it is the sigmoid or settled.
    open_reset : bool
        Whether a GRU's reset gate has to be asked for.
    direction : str
        ``"forward"`` or ``"backward"``.
    assumed : list of str
        What the layout assumed.
    """

    number: int
    arrays: dict[str, Array] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    cell: str | None = None
    activations: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    variant: bool = False
    open_gates: str = ""
    open_reset: bool = False
    direction: str = "forward"
    assumed: list[str] = field(default_factory=list)

    def put(self, role: str, name: str, array: Array) -> None:
        """Set a weight and the name it has in the file."""
        self.arrays[role], self.names[role] = array, name


def reordered(stacked: Array, found: str, wanted: str) -> Array:
    """Return rows of stacked gates, named in their order by letters, in another order."""
    parts = np.split(stacked, len(found))
    return np.concatenate([parts[found.index(gate)] for gate in wanted])


def gate_count(path: str, name: str, shape: tuple[int, ...]) -> int:
    """Return 1, 3 or 4 for a recurrent matrix (n, gn) that is stored transposed."""
    if len(shape) != 2 or not shape[0] or shape[1] not in {g * shape[0] for g in (1, 3, 4)}:
        raise WeightsError(
            path,
            f"{name} has shape {tuple(shape)}, which is no recurrent weight",
            "it must be (n, n) for a vanilla cell, (n, 3n) for a GRU, (n, 4n) for an LSTM",
        )
    return shape[1] // shape[0]


def refuse_shape(path: str, arrays: Mapping[str, Array], name: str, *shapes: Any) -> None:
    """Raise unless a tensor is there with one of the shapes; None stands for any length."""
    if name not in arrays:
        raise WeightsError(path, f"has part of a recurrent layer, but no {name}", "export it whole")
    shape = arrays[name].shape
    for wanted in shapes:
        if len(wanted) == len(shape) and all(
            w is None or w == h for w, h in zip(wanted, shape, strict=True)
        ):
            return
    shown = " or ".join(str(wanted).replace("None", "any") for wanted in shapes)
    raise WeightsError(path, f"{name} has shape {shape}", f"it must be {shown}")
