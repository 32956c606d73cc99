"""Layouts: under which names, and with which gates in which order, a framework keeps weights."""

from __future__ import annotations

from importlib import import_module

from ...errors import WeightsError
from ..formats import Contents
from ..formats.contents import AGAIN
from .layer import Hints, Stacks
from .named import NAMED

__all__ = ["LAYOUTS", "find_layers"]

# Those that are recognised by themselves, and those that only a hint tells.
RECOGNISED = ("canonical", "onnx", "keras", "flax", "torch")
LAYOUTS = (*RECOGNISED, "equinox", "haiku", "tensorflow1")


def find_layers(path: str, contents: Contents, hints: Hints) -> Stacks:
    """Return the recurrent layers among all tensors, in stacks by prefix.

    Raises
    ------
    WeightsError
        If tensors that look recurrent do not fit together.
    ValueError
        If ``hints.layout`` is not one of `LAYOUTS`.
    """
    if hints.layout is not None and hints.layout not in LAYOUTS:
        raise ValueError(f"layout is {hints.layout!r}; it must be one of {', '.join(LAYOUTS)}")
    found: Stacks = {}
    for name in _candidates(hints):
        try:
            found |= import_module(f".{name}", __name__).find_layers(path, contents, hints)
        except WeightsError:
            raise
        except Exception as error:  # what a file says of its network may be anything
            what = f"does not fit the layout {name} ({type(error).__name__}: {error})"
            raise WeightsError(path, what, AGAIN) from error
        if found and name in ("canonical", "onnx"):
            break
    return found


def _candidates(hints: Hints) -> tuple[str, ...]:
    if hints.layout is not None:
        return (hints.layout,)
    return ("canonical", "named") if hints.cell in NAMED else RECOGNISED
