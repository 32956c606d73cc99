"""Compiled code on the disk: checked, never stale, never fatal."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import pickle
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import IndexDataCacheFile
from numba.core.errors import NumbaError

from .linking import link

T = TypeVar("T")

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


class Kept:
    """A function that Numba compiles without the GIL, and keeps on the disk where it can.

    Numba's cache looks at the file of the compiled function alone, and processes that add to
    the same index at the same time can mix up its entries. With the hash of all sources in
    its name, each version of a function has a separate index, with one entry.

    Parameters
    ----------
    sources : str
        Files outside the package whose functions are inlined.
    """

    def __init__(self, function: Callable[..., Any], *sources: str, **options: bool) -> None:
        function.__qualname__ = f"{function.__qualname__}.{sources_digest(*sources)[:16]}"
        self.name = function.__qualname__
        _all_kept.append(self)
        options |= {"nogil": True, "no_cfunc_wrapper": True}
        self.plain = self.dispatcher = numba.njit(error_model="numpy", **options)(function)
        try:
            cached = numba.njit(error_model="numpy", cache=True, **options)(function)
        except RuntimeError as error:
            _warn(str(error))
        else:
            cached._cache._cache_file.__class__ = _CheckedFiles
            self.dispatcher = cached

    def use(self, action: Callable[[Any], T]) -> T:
        """Do something with Numba's dispatcher; with that which keeps nothing, if this fails."""
        try:
            return action(self.dispatcher)
        except Exception as error:
            # a damaged cache can raise any error; the compiled code itself raises none
            if self.dispatcher is self.plain or isinstance(error, NumbaError):
                raise
            _warn(str(error))
            self.dispatcher = self.plain
            return action(self.plain)

    def on_disk(self) -> bool:
        """Return whether the disk has an index of it."""
        folder = self.dispatcher.stats.cache_path
        return folder is not None and any(Path(folder).glob(f"*{self.name}*.nbi"))

    def index(self) -> Any:
        """Return the keys of the cache's entries, which begin with signature and processor."""
        kept = self.dispatcher is not self.plain
        return self.dispatcher._cache._cache_file._load_index() if kept else ()


_all_kept: list[Kept] = []


def compiled_so_far() -> tuple[int, str]:
    """Return how many functions this process has compiled, and the folder where they are kept.

    Raises
    ------
    OSError
        If there is no such folder.
    """
    stats = [kept.dispatcher.stats for kept in _all_kept]
    folders = {each.cache_path for each in stats}
    if None in folders:
        raise OSError(errno.EROFS, "compiled code cannot be kept; set NUMBA_CACHE_DIR")
    return sum(sum(each.cache_misses.values()) for each in stats), os.path.commonpath(folders)


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
        file = self._read(self._data_path(name))
        link(file.getvalue())
        return pickle.load(file)

    def _read(self, path: str) -> io.BytesIO:
        content = Path(path).read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            # Numba compiles again, and writes the file
            raise OSError(f"{path}: is damaged")
        return io.BytesIO(content[32:])

    def _dump(self, data: Any) -> bytes:
        content: bytes = super()._dump(data)
        return hashlib.sha256(content).digest() + content


@cache
def _warn(reason: str) -> None:
    """Warn, once, that compiled code is not kept."""
    warnings.warn(
        f"compiled code cannot be kept on disk ({reason}); every process compiles again. "
        "Set NUMBA_CACHE_DIR to a writable folder",
        RuntimeWarning,
        stacklevel=4,
    )
