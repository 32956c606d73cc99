"""Compile functions: cached on disk, never stale, never fatal."""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.core import cgutils
from numba.core.caching import IndexDataCacheFile
from numba.core.errors import NumbaError
from numba.extending import intrinsic, register_jitable

logger = logging.getLogger("lyapy")

__all__ = ["borrowed", "compiled", "inlined", "sources_digest", "spliced", "vectorized"]

inlined = register_jitable(error_model="numpy")
# for what is called in one place: compiled with its caller, not once more before
spliced = numba.njit(error_model="numpy", inline="always")

# In these, sums may be reassociated, so that they vectorize; NaN and infinities keep their
# meaning. The order of a sum is still fixed by its length alone.
vectorized = register_jitable(error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


@intrinsic
def borrowed(typingctx: Any, value: Any) -> Any:
    """Return arguments of compiled code, arrays or tuples of them, without their counters.

    Numba counts the references to an array for each row and slice of it, by atomic operations,
    which take longer than the numbers of a small network. The caller keeps the arrays alive.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _uncounted(context, builder, value, arguments[0])

    return value(value), codegen


def _uncounted(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.BaseTuple):
        each = zip(kind, cgutils.unpack_tuple(builder, value), strict=True)
        found = [_uncounted(context, builder, *pair) for pair in each]
        return context.make_tuple(builder, kind, found)
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()
    return value


PACKAGE = Path(__file__).parents[2]
# files and folders of the package whose functions and constants compiled code may inline
INLINED = ("arrays.py", "cells", "tangent/compiled", "tangent/interval.py")


@cache
def sources_digest(*extra: str) -> str:
    """Return a hash of the sources that compiled code may inline, ``extra`` files among them."""
    places = [PACKAGE / place for place in INLINED]
    files = [file for place in places for file in sorted([*place.rglob("*.py"), place])]
    hasher = hashlib.sha256()
    for path in [*filter(Path.is_file, files), *map(Path, extra)]:
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


def compiled(function: Callable[..., Any], *sources: str) -> Callable[..., Any]:
    """Compile ``function`` without the GIL; cache it on disk where that is possible.

    Numba's cache looks at the file of the compiled function alone, and processes that add to
    the same index at the same time can mix up its entries. With the hash of all sources in
    its name, each version of a function has a separate index, with one entry.

    Parameters
    ----------
    sources : str
        Files outside the package whose functions are inlined.
    """
    function.__qualname__ = f"{function.__qualname__}.{sources_digest(*sources)[:16]}"
    jit = numba.njit(nogil=True, error_model="numpy")
    plain = cached = jit(function)
    try:
        cached = numba.njit(nogil=True, error_model="numpy", cache=True)(function)
        cached._cache._cache_file.__class__ = _CheckedFiles
    except RuntimeError as error:
        _warn(error)

    announced = False
    lock = threading.Lock()

    def call(*args: Any) -> Any:
        nonlocal cached, announced
        with lock:
            if not announced:
                announced = True
                _announce(cached, function.__qualname__)
        try:
            return cached(*args)
        except NumbaError:
            raise
        except Exception as error:
            # a damaged cache can raise any error; the compiled code itself raises none
            if cached is plain:
                raise
            _warn(error)
            cached = plain
            return cached(*args)

    return call


class _CheckedFiles(IndexDataCacheFile):  # type: ignore[misc]
    """Numba's index and code files, each after its SHA-256: damaged code would kill the process."""

    def _load_index(self) -> Any:
        with suppress(OSError):
            index = self._read(self._index_path)
            # the rest has objects that another version of Numba may lack
            if pickle.load(index) == self._version:
                stamp, overloads = pickle.load(index)
                if stamp == self._source_stamp:
                    return overloads
        return {}

    def _save_index(self, overloads: Any) -> None:
        content = pickle.dumps(self._version) + super()._dump((self._source_stamp, overloads))
        with self._open_for_write(self._index_path) as file:
            file.write(hashlib.sha256(content).digest() + content)

    def _load_data(self, name: str) -> Any:
        return pickle.load(self._read(self._data_path(name)))

    def _read(self, path: str) -> io.BytesIO:
        content = Path(path).read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            # Numba compiles again, and writes the file
            raise OSError(f"{path}: is damaged")
        return io.BytesIO(content[32:])

    def _dump(self, data: Any) -> bytes:
        content: bytes = super()._dump(data)
        return hashlib.sha256(content).digest() + content


def _announce(dispatcher: Any, name: str) -> None:
    """Log that ``name`` is compiled now, unless it is on the disk."""
    folder = dispatcher.stats.cache_path
    if folder is None or not any(Path(folder).glob(f"*{name}*.nbi")):
        logger.info("compiling %s, once; it is kept in %s", name.rpartition(".")[0], folder)


def _warn(error: Exception) -> None:
    warnings.warn(
        f"compiled code cannot be kept on disk ({error}); every process compiles again. "
        "Set NUMBA_CACHE_DIR to a writable folder",
        RuntimeWarning,
        stacklevel=4,
    )
