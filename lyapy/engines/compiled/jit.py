"""The one way in which lyapy compiles: cached on disk, never stale, never fatal."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.extending import register_jitable

__all__ = ["compiled", "inlined", "sources_digest", "vectorized"]

inlined = register_jitable(error_model="numpy")

# In these, sums may be reassociated, so that they vectorize; NaN and infinities keep their
# meaning. The order of a sum is still fixed by its length alone.
vectorized = register_jitable(error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


@cache
def sources_digest(*extra: str) -> str:
    """Return a hash of the sources that compiled code may inline.

    Numba's cache looks at the file of the compiled function alone; with this hash among
    the function's closure variables it also notices a change in any other.
    """
    package = Path(__file__).parents[2]
    hasher = hashlib.sha256()
    folders = ("cells", "engines", "engines/compiled")
    files = [*(p for f in folders for p in sorted((package / f).glob("*.py"))), *map(Path, extra)]
    for path in files:
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` without the GIL; cache it on disk where that is possible."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError as error:
        _warn(error)
        uncached: Callable[..., Any] = numba.njit(**options)(function)
        return uncached
    plain = numba.njit(**options)(function)

    def call(*args: Any) -> Any:
        nonlocal dispatcher
        try:
            return dispatcher(*args)
        except (EOFError, OSError, ValueError, ImportError) as error:
            if dispatcher is plain:
                raise
            _warn(error)
            dispatcher = plain
            return dispatcher(*args)

    return call


def _warn(error: Exception) -> None:
    warnings.warn(
        f"compiled code cannot be kept on disk ({error}); every process compiles anew. "
        "Set NUMBA_CACHE_DIR to a writable folder to mend it",
        RuntimeWarning,
        stacklevel=4,
    )
