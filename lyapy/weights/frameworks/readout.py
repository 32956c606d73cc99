"""Read-outs: the dense layers of a file, and the one that leads back to the network's input."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ...arrays import Array
from ...cells.activations import NONLINEARITIES
from ..formats import Contents
from ..formats.refusal import RefusedError

NAMES_SHOWN = 12
IN_PYTHON = "in Python with lyapy.ClosedLoop"
LEAVE_OUT = f"name it with readout= (--readout) to leave them out, or close the loop {IN_PYTHON}"


@dataclass(frozen=True)
class Readout:
    """A dense layer φ(R y + c)."""

    # the tensors' names in the file: the matrix's, and the bias's if there is one
    names: tuple[str, ...]
    # R (outputs, inputs), whichever way the framework keeps it, and c
    matrix: Array
    bias: Array | None
    # φ; also one that is not computed
    activation: str = "identity"
    # other layers between the network's output and its input, if the file describes the way
    obstacles: tuple[str, ...] | None = None
    # the user's name for the layer, if it is not in the tensors' names
    label: str = ""

    def is_called(self, name: str) -> bool:
        """Return whether a user may mean it by a name or its beginning."""
        own = (self.label, *self.names)
        return any(n.lstrip("/").startswith(name.lstrip("/")) for n in own)


def dense_layers(
    contents: Contents, biases: Mapping[str, str], *, transposed: bool
) -> Iterable[Readout]:
    """Yield the dense layers among named matrices, for each of which ``biases`` names the bias.

    Frameworks that keep (inputs, outputs) have them ``transposed``.
    """
    for name, bias in biases.items():
        matrix = contents.arrays[name]
        if matrix.ndim == 2 and matrix.dtype.kind == "f":
            c = contents.arrays.get(bias)
            names = (name,) if c is None else (name, bias)
            yield Readout(names, matrix.T if transposed else matrix, c)


def choose_readout(
    contents: Contents,
    readouts: Iterable[Readout],
    recurrent: set[str],
    sizes: tuple[int, int],
    name: str | None = None,
) -> tuple[Readout, list[str]]:
    """Return the read-out that closes the loop of m inputs and p outputs, and the assumptions.

    It is the only one that fits, or whose ``name`` so begins; ``recurrent`` tensors are none.
    """
    m, p = sizes
    candidates = [r for r in readouts if r.names[0] not in recurrent]
    fitting = [r for r in candidates if r.matrix.shape == (m, p)]
    if name is not None:
        begins = [r for r in fitting if r.is_called(name)]
        fitting = [r for r in begins if r.names[0] == name] or begins
    if len(fitting) != 1:
        asked = "" if name is None else f" whose name begins with {name!r}"
        found = ", ".join(r.names[0] for r in fitting)
        lead = f"the {p} outputs of the network to its {m} inputs"
        if fitting:
            what = f"{len(fitting)} read-outs{asked} lead from {lead}: {found}"
            raise RefusedError(what, "name the matrix with readout= (--readout)")
        raise RefusedError(f"no read-out{asked} leads from {lead}", f"close the loop {IN_PYTHON}")
    (readout,) = fitting
    heads = {n for r in candidates if r.matrix.shape[1] == p for n in r.names}
    obstacles = readout.obstacles
    if obstacles is None:
        obstacles = tuple(_between(contents, recurrent | heads, sizes))
    shown = ", ".join(obstacles[:NAMES_SHOWN]) + " …" * (len(obstacles) > NAMES_SHOWN)
    if obstacles and name is None:
        what = f"the read-out {readout.names[0]} leads to the network's input, but so may {shown}"
        raise RefusedError(what, LEAVE_OUT)
    if readout.activation not in NONLINEARITIES:
        what = f"the read-out {readout.names[0]} has the activation {readout.activation}"
        raise RefusedError(what, f"only {', '.join(NONLINEARITIES)} are computed")
    curved = f", then {readout.activation}" * (readout.activation != "identity")
    label = f"{readout.label!r}, " * (readout.label not in readout.names[0])
    assumed = [f"the read-out is {label}{' and '.join(readout.names)}{curved}"]
    if obstacles:
        assumed.append(f"left out of the closed loop: {shown}")
    return readout, assumed


def _between(contents: Contents, known: set[str], sizes: tuple[int, int]) -> Iterable[str]:
    """Yield the other tensors that could be layers between the network's output and its input."""
    for name, array in contents.arrays.items():
        if name not in known and array.dtype.kind == "f" and not {*sizes}.isdisjoint(array.shape):
            yield f"{name} {tuple(map(int, np.shape(array)))}"
