"""Decorators of functions that Numba compiles."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import numba
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from .disk import Kept
from .linking import Linked

logger = logging.getLogger("lyapy")
# taken for good by the first of the threads that compile
_announcement = threading.Lock()

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


def linked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` for other compiled code, once for all that calls it."""
    caller: Callable[..., Any] = Linked(Kept(function, no_cpython_wrapper=True)).caller()
    return caller


def compiled(function: Callable[..., Any], *sources: str) -> Callable[..., Any]:
    """Compile ``function``, and keep it, as `Kept` says."""
    kept = Kept(function, *sources)

    def call(*args: Any) -> Any:
        if not kept.dispatcher.overloads and not kept.on_disk():
            _announce()
        return kept.use(lambda dispatcher: dispatcher(*args))

    return call


def _announce() -> None:
    """Log, once in a process, that it compiles."""
    if _announcement.acquire(blocking=False):
        logger.info("compiling for this kind of network, once; it takes some tens of seconds")
