"""A pickle machine that knows a state dict's opcodes and has nothing that it could run.

Python's own would allocate by a lying memo index, and lets a pickle set attributes.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import IO, Any

from lyapy.weights.formats.refusal import RefusedError
from lyapy.weights.formats.torch_globals import STATE_DICT, STORAGES, Global, call, named, set_items
from lyapy.weights.formats.torch_objects import Object
from lyapy.weights.formats.torch_tensor import Storage

__all__ = ["load_pickle"]


def load_pickle(stream: IO[bytes], storages: dict[str, Storage] | None = None) -> Any:
    """Load one pickle, its tensors as descriptions, what is no tensor as None or a stand-in.

    Parameters
    ----------
    stream
        In memory, so that no read allocates more than there is; left behind the pickle's end.
    storages
        Filled with the storages that the pickle names, by key.
    """
    machine = _Machine({} if storages is None else storages)
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name not in _ACTIONS:
            raise RefusedError(f"uses the opcode {opcode.name} in its pickle", STATE_DICT)
        _ACTIONS[opcode.name](machine, argument)
    return machine.stack.pop()


class _Machine:
    def __init__(self, storages: dict[str, Storage]) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.storages = storages

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def take(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]

    def put(self, items: list[Any]) -> None:
        set_items(self.stack[-1], zip(items[::2], items[1::2], strict=True))

    def add(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Object):
            target = target.items
        if not isinstance(target, list):
            raise RefusedError("appends to what is no list in its pickle", STATE_DICT)
        target.extend(items)

    def fill(self, items: list[Any]) -> None:
        self.push({})
        self.put(items)

    def name(self, module: object, name: object) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise RefusedError("calls for a name that is no text in its pickle", STATE_DICT)
        self.push(named(_RENAMED.get(module, module), name))

    def instance(self, function: object, items: list[Any]) -> None:
        self.push(call(function, tuple(items)))

    def build(self, target: object, state: object) -> None:
        # Beside a stand-in's, the state is what torch keeps beside a dict, or a numpy dtype's;
        # neither holds weights.
        if isinstance(target, Object):
            target.build(state)
        elif not isinstance(target, dict | None):
            raise RefusedError("sets attributes in its pickle", STATE_DICT)
        self.push(target)

    def inst(self, argument: str) -> None:
        items = self.since_mark()
        self.name(*argument.split(" ", 1))
        self.instance(self.stack.pop(), items)

    def obj(self, items: list[Any]) -> None:
        self.instance(items[0], items[1:])

    def with_keywords(self, function: object, args: object, keywords: object) -> None:
        made = call(function, args)
        if isinstance(made, Object):
            made.args = (args, keywords)
        self.push(made)

    def persistent(self, reference: object) -> None:
        # The old format adds a module's source to its class.
        match reference:
            case ("module", Global() as found, _, _):
                self.push(found)
            case _:
                self.storage(reference)

    def storage(self, reference: object) -> None:
        # The old format adds a view of the storage, None but in the oldest files.
        if isinstance(reference, tuple) and len(reference) == 6 and reference[5] is None:
            reference = reference[:5]
        match reference:
            case ("storage", Global(name), str(key), _, int(count)) if name in STORAGES:
                found = Storage(key, count, STORAGES[name])
            case _:
                raise RefusedError("refers to data in an unknown way in its pickle", STATE_DICT)
        if self.storages.setdefault(key, found) != found:
            raise RefusedError("declares one storage in two ways", STATE_DICT)
        self.push(found)


_RENAMED = {"__builtin__": "builtins", "numpy.core.multiarray": "numpy._core.multiarray"}
_LITERALS = [
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
]  # fmt: skip

_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    **dict.fromkeys(["PROTO", "FRAME", "STOP"], lambda m, a: None),
    **dict.fromkeys(_LITERALS, _Machine.push),
    **dict.fromkeys(["PUT", "BINPUT", "LONG_BINPUT"], lambda m, a: m.memo.update({a: m.stack[-1]})),
    **dict.fromkeys(["GET", "BINGET", "LONG_BINGET"], lambda m, a: m.push(m.memo[a])),
    "MEMOIZE": lambda m, a: m.memo.update({len(m.memo): m.stack[-1]}),
    "NONE": lambda m, a: m.push(None),
    "NEWTRUE": lambda m, a: m.push(True),
    "NEWFALSE": lambda m, a: m.push(False),
    "EMPTY_DICT": lambda m, a: m.push({}),
    "EMPTY_LIST": lambda m, a: m.push([]),
    "EMPTY_SET": lambda m, a: m.push([]),
    "EMPTY_TUPLE": lambda m, a: m.push(()),
    "TUPLE1": lambda m, a: m.push(tuple(m.take(1))),
    "TUPLE2": lambda m, a: m.push(tuple(m.take(2))),
    "TUPLE3": lambda m, a: m.push(tuple(m.take(3))),
    "MARK": lambda m, a: m.mark(),
    "TUPLE": lambda m, a: m.push(tuple(m.since_mark())),
    "LIST": lambda m, a: m.push(m.since_mark()),
    "DICT": lambda m, a: m.fill(m.since_mark()),
    "FROZENSET": lambda m, a: m.push(m.since_mark()),
    "APPEND": lambda m, a: m.add(m.take(1)),
    "APPENDS": lambda m, a: m.add(m.since_mark()),
    "ADDITEMS": lambda m, a: m.add(m.since_mark()),
    "SETITEM": lambda m, a: m.put(m.take(2)),
    "SETITEMS": lambda m, a: m.put(m.since_mark()),
    "POP": lambda m, a: m.stack.pop(),
    "POP_MARK": lambda m, a: m.since_mark(),
    "DUP": lambda m, a: m.push(m.stack[-1]),
    "GLOBAL": lambda m, a: m.name(*a.split(" ", 1)),
    "STACK_GLOBAL": lambda m, a: m.name(*m.take(2)),
    "REDUCE": lambda m, a: m.push(call(*m.take(2))),
    "BUILD": lambda m, a: m.build(*m.take(2)),
    "NEWOBJ": lambda m, a: m.push(call(*m.take(2))),
    "NEWOBJ_EX": lambda m, a: m.with_keywords(*m.take(3)),
    "OBJ": lambda m, a: m.obj(m.since_mark()),
    "INST": lambda m, a: m.inst(a),
    "BINPERSID": lambda m, a: m.persistent(*m.take(1)),
}
