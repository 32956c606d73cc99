"""Framework layouts: the names, gate orders and shapes under which frameworks keep weights."""

from __future__ import annotations

from importlib import import_module
from os import PathLike

from ..formats import Contents
from ..formats.refusal import weights_errors
from .layer import Hints, Stacks
from .named import NAMED

__all__ = ["LAYOUTS", "find_layers"]

# Each layout is the module of that name. A file with the mark of the first kind is searched by
# that layout alone, any other file by all of the second kind; the third kind needs a hint.
MARK, NAMES, HINT, CELL = "by the file's mark", "by names", "by layout=", "by cell="
LAYOUTS = {
    "canonical": MARK,
    "onnx": MARK,
    "keras": NAMES,
    "flax": NAMES,
    "torch": NAMES,
    "equinox": HINT,
    "haiku": HINT,
    "tensorflow1": HINT,
    "named": CELL,
}


def find_layers(path: str | PathLike[str], contents: Contents, hints: Hints) -> Stacks:
    """Return the recurrent layers among all tensors, in stacks by prefix; ``path`` is for errors.

    Raises
    ------
    WeightsError
        If tensors that look recurrent do not fit together.
    ValueError
        If ``hints.layout`` is not one of `LAYOUTS`.
    """
    found: Stacks = {}
    for name in _candidates(hints):
        with weights_errors(path, f"does not fit the layout {name}"):
            found |= import_module(f".{name}", __name__).find_layers(contents, hints)
        if found and LAYOUTS[name] == MARK:
            break
    return found


def _candidates(hints: Hints) -> list[str]:
    if hints.layout is not None:
        layouts = [name for name, chosen in LAYOUTS.items() if chosen != CELL]
        if hints.layout not in layouts:
            raise ValueError(f"layout is {hints.layout!r}; it must be one of {', '.join(layouts)}")
        return [hints.layout]
    if hints.cell in NAMED:
        return ["canonical", "named"]
    return [name for name, chosen in LAYOUTS.items() if chosen in (MARK, NAMES)]
