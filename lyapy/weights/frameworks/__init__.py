"""Framework layouts: the names, gate orders and shapes under which frameworks keep weights."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from os import PathLike
from typing import Any

from ...arrays import check_choice
from ..formats import Contents
from ..formats.refusal import weights_errors
from .layer import Hints, Stacks
from .named import NAMED
from .readout import Readout

__all__ = ["LAYOUTS", "find_layers", "find_readouts"]

# Each layout is the module of that name, with find_layers and, unless its files hold no
# read-outs, find_readouts. A file with the mark of the first kind is searched by
# that layout alone, any other file by all of the second kind, and if they find nothing by the
# third, whose names are less certain; the others need a hint.
MARK, NAMES, LAST = "by the file's mark", "by names", "by names, at last"
HINT, CELL = "by layout=", "by cell="
LAYOUTS = {
    "canonical": MARK,
    "onnx": MARK,
    "keras": NAMES,
    "flax": NAMES,
    "torch": NAMES,
    "xlstm": NAMES,
    "pararnn": NAMES,
    "edgeml": NAMES,
    "scripts": LAST,
    "equinox": HINT,
    "haiku": HINT,
    "tensorflow1": HINT,
    "named": CELL,
}


def find_layers(path: str | PathLike[str], contents: Contents, hints: Hints) -> Stacks:
    """Return the recurrent layers among all tensors, in stacks by prefix."""
    found: Stacks = {}
    for _, stacks in _search(path, contents, hints):
        found |= stacks
    return found


def find_readouts(
    path: str | PathLike[str], contents: Contents, hints: Hints, prefixes: Sequence[str]
) -> list[Readout]:
    """Return the dense layers that could lead from the stacks of some prefixes to their input."""
    found: list[Readout] = []
    for layout, stacks in _search(path, contents, hints):
        chosen = {prefix: stacks[prefix] for prefix in prefixes if prefix in stacks}
        if chosen and hasattr(layout, "find_readouts"):
            with weights_errors(path, f"does not fit the layout {layout.__name__}"):
                found += layout.find_readouts(contents, chosen)
    return found


def _search(
    path: str | PathLike[str], contents: Contents, hints: Hints
) -> Iterator[tuple[Any, Stacks]]:
    """Yield each layout that is tried, and the stacks that it finds."""
    found = False
    for name in _candidates(hints):
        if found and LAYOUTS[name] == LAST:
            break
        layout = import_module(f".{name}", __name__)
        with weights_errors(path, f"does not fit the layout {name}"):
            stacks = layout.find_layers(contents, hints)
        yield layout, stacks
        found = found or bool(stacks)
        if stacks and LAYOUTS[name] == MARK:
            break


def _candidates(hints: Hints) -> list[str]:
    if hints.layout is not None:
        layouts = [name for name, chosen in LAYOUTS.items() if chosen != CELL]
        check_choice("layout", hints.layout, layouts)
        return [hints.layout]
    if hints.cell in NAMED:
        return ["canonical", "named", "scripts"]
    return [name for name, chosen in LAYOUTS.items() if chosen in (MARK, NAMES, LAST)]
