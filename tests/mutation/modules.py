"""Which tests belong to which module."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MODULES", "Tests"]


class Tests(NamedTuple):
    """The tests of one module, as arguments of pytest: the fastest that kill first.

    Attributes
    ----------
    first : str
        Tried on every mutant.
    wider : str
        Tried on those that survive.
    fresh : bool
        Whether compiled code inlines the module, so that every mutant is compiled anew.
    """

    first: str
    wider: str = ""
    fresh: bool = False


READABLE = "-k 'not numba'"

MODULES = {
    "engines/interval": Tests(f"tests/test_interval.py {READABLE}"),
    "engines/tilt": Tests(f"tests/test_resolution.py {READABLE}"),
}
