"""Compiled functions that other compiled code calls by a symbol, instead of containing them.

Numba compiles a function again with each function that calls it. One that is linked is compiled
once, and its code has a file of its own.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from typing import Any

import llvmlite.binding
from numba.core import cgutils, typing
from numba.extending import intrinsic


class Linked:
    """A `disk.Kept` function, under one symbol for each kind of arguments."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept
        self.prefix = f"lyapy.{kept.name}."
        self.symbols: dict[Any, str] = {}
        _linked.append(self)

    def publish(self, types: tuple[Any, ...]) -> Any:
        """Compile the function for arguments of these types, or load it; return Numba's result."""
        signature = typing.signature(None, *types)
        found = self.kept.use(lambda dispatcher: dispatcher.get_compile_result(signature))
        if types not in self.symbols:
            symbol = self.prefix + hashlib.sha256(repr(types).encode()).hexdigest()[:16]
            place = found.library.get_pointer_to_function(found.fndesc.llvm_func_name)
            llvmlite.binding.add_symbol(symbol, place)
            self.symbols[types] = symbol
        return found

    def publish_kept(self) -> None:
        """Load the code that is on the disk."""
        processor = self.kept.dispatcher.targetctx.codegen().magic_tuple()
        for signature, compiled_for, *_ in self.kept.index():
            if compiled_for == processor:
                self.publish(signature.args)

    def caller(self) -> Any:
        """Return the function for other compiled code, which calls its symbol."""

        def call(typingctx: Any, *types: Any) -> Any:
            result = self.publish(types).signature.return_type

            def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                convention, shape = context.call_conv, (result, signature.args)
                kind = convention.get_function_type(*shape)
                symbol = self.symbols[signature.args]
                function = cgutils.get_or_insert_function(builder.module, kind, symbol)
                status, value = convention.call_function(builder, function, *shape, arguments)
                with cgutils.if_unlikely(builder, status.is_error):
                    convention.return_status_propagate(builder, status)
                return value

            return result(*types), codegen

        # Numba counts arguments by their names
        names = inspect.signature(self.kept.plain.py_func).parameters.values()
        first = inspect.signature(call).parameters["typingctx"]
        call.__signature__ = inspect.Signature([first, *names])  # type: ignore[attr-defined]
        return intrinsic(call)


_linked: list[Linked] = []


def link(content: bytes) -> None:
    """Load the functions that compiled code with this content calls by their symbols.

    Raises
    ------
    OSError
        If the disk does not have one any more.
    """
    for function in _linked:
        called = set(re.findall(re.escape(function.prefix.encode()) + rb"\w{16}", content))
        if not called <= {symbol.encode() for symbol in function.symbols.values()}:
            function.publish_kept()
        if not called <= {symbol.encode() for symbol in function.symbols.values()}:
            raise OSError(f"{function.prefix}: is not kept")
