"""PyTorch's pickles, read by a machine that has nothing to run: names and objects stay data.

Python's own reader trusts memo indices, and allocates as much as a false one asks for; it also lets
a pickle set attributes.
"""

import pickle
import pickletools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from .contents import DTYPES, itemsize
from .refusal import CONVERT, RefusedError

STATE_DICT = "write torch.save(model.state_dict(), file) of dense tensors, or use safetensors"

_STORAGES = {
    f"torch.{name}Storage": dtype
    for name, dtype in [
        ("Double", "float64"), ("Float", "float32"), ("Half", "float16"), ("BFloat16", "bfloat16"),
        ("Long", "int64"), ("Int", "int32"), ("Short", "int16"), ("Char", "int8"),
        ("Byte", "uint8"), ("Bool", "bool"), ("ComplexFloat", "complex64"),
        ("ComplexDouble", "complex128"),
    ]
} | {"torch.storage.UntypedStorage": "uint8"}  # fmt: skip
_DTYPES = {f"torch.{name}": name for name in DTYPES}

# modules that can run something, or reach one that can; no weights file has a use for them
_PROGRAMS = frozenset([
    "_ctypes", "_frozen_importlib", "_io", "_operator", "_pickle", "_posixsubprocess", "_socket",
    "_thread", "asyncio", "bdb", "builtins", "cloudpickle", "codecs", "codeop", "ctypes", "dill",
    "ftplib", "gc", "imp", "importlib", "inspect", "io", "marshal", "multiprocessing", "nt",
    "ntpath", "operator", "os", "pdb", "pickle", "pip", "pkgutil", "platform", "posix",
    "posixpath", "pty", "pydoc", "runpy", "shelve", "shutil", "signal", "smtplib", "socket",
    "socketserver", "ssl", "subprocess", "sys", "tempfile", "threading", "timeit", "types",
    "urllib", "urllib2", "venv", "webbrowser", "zipimport",
])  # fmt: skip
_HARMLESS = frozenset([
    "builtins.object", "builtins.str", "builtins.bool", "builtins.tuple", "builtins.bytes",
    "builtins.bytearray", "builtins.frozenset", "builtins.range", "builtins.slice",
    "types.SimpleNamespace",
])  # fmt: skip
# other names of torch that are unknown here may make tensors, which must not be lost in silence
_NO_TENSORS = (
    "torch.nn.", "torch.optim.", "torch._C._nn.", "torch.torch_version.", "torch.amp.",
    "torch.cuda.amp.", "torch.utils.data.", "torch.distributed.fsdp.", "torch.distributions.",
)  # fmt: skip
_TENSORS = ("torch.nn.parameter.", "torch.nn.quantized.")
_OPCODE_LIMIT = 2_000_000


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of ``count`` elements, named ``key`` in the file."""

    key: str
    count: int
    dtype: str

    @property
    def nbytes(self) -> int:
        return self.count * itemsize(self.dtype)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A strided view of a storage, as declared and not yet checked; in elements of ``dtype``."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Global:
    """The dotted name of something in a Python module, never the thing."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class NumpyArray:
    """An array of NumPy's, as declared and not yet checked; ``content`` may be text of Latin-1."""

    state: Any = None

    def parts(self) -> tuple[tuple[int, ...], str, bool, Any]:
        """Return shape, dtype, whether it is in Fortran's order, and content."""
        match self.state:
            case (_, tuple(shape), NumpyType(str(name), str(order)), fortran, content):
                return shape, order.replace("|", "") + name, bool(fortran), content
        raise RefusedError("is an array of NumPy that is not of plain numbers", CONVERT)


@dataclass(slots=True)
class NumpyType:
    """A dtype of NumPy's, by its name without the byte order."""

    name: str
    order: str = "="


@dataclass(frozen=True, slots=True)
class Encoded:
    """Bytes that the pickle holds as text."""

    text: str


# compared and hashed by identity; its content could nest without bound
@dataclass(slots=True, eq=False, repr=False)
class Object:
    """An inert stand-in for an object of the unknown class ``name``."""

    name: str
    is_built: bool = False
    attributes: dict[Any, Any] = field(default_factory=dict)
    entries: dict[Any, Any] = field(default_factory=dict)
    items: list[Any] = field(default_factory=list)
    unsaved: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name

    def build(self, state: Any) -> None:
        """Take the state that the pickle gives it, once."""
        if self.is_built:
            raise RefusedError(f"sets the state of {self.name!r} twice in its pickle", CONVERT)
        self.is_built = True
        # those in __slots__ stand second
        found = state[0] if isinstance(state, tuple) and state else state
        self.attributes = found if isinstance(found, dict) else {}
        unsaved = self.attributes.get("_non_persistent_buffers_set")
        if isinstance(unsaved, list):
            self.unsaved = frozenset(key for key in unsaved if isinstance(key, str))
            # so that a short pickle cannot have a long list read many times
            unsaved.clear()

    @property
    def nonlinearity(self) -> str | None:
        """The nonlinearity of a ``torch.nn.RNN``, a class derived from it, or an ``RNNCell``."""
        mode, named = self.attributes.get("mode"), self.attributes.get("nonlinearity")
        if mode in ("RNN_TANH", "RNN_RELU"):
            return str(mode).removeprefix("RNN_").lower()
        if self.name == "torch.nn.modules.rnn.RNNCell" and named in ("tanh", "relu"):
            return str(named)
        return None

    def children(self) -> Iterator[tuple[Any, Any]]:
        """Yield the entries of a module's ``state_dict``, or the items of a dict or list."""
        if not isinstance(self.attributes.get("_modules"), dict):
            yield from self.entries.items()
            yield from enumerate(self.items)
            return
        for kind in ("_parameters", "_buffers", "_modules"):
            found = self.attributes.get(kind)
            for key, value in found.items() if isinstance(found, dict) else ():
                yield key, None if kind == "_buffers" and key in self.unsaved else value


def load_pickle(stream: IO[bytes], storages: dict[str, Storage] | None = None) -> Any:
    """Load one pickle: tensors as descriptions, other objects as None or a stand-in.

    The stream must be in memory, so that no read allocates more than there is; it is left after
    the pickle's end. ``storages`` is filled with those that the pickle names, by key.
    """
    machine = _Machine({} if storages is None else storages)
    for _ in range(_OPCODE_LIMIT):
        code = stream.read(1)
        if code not in _OPCODES:
            raise ValueError(f"its opcode {code!r} is unknown" if code else "its pickle has no end")
        name, read, action = _OPCODES[code]
        if action is None:
            raise RefusedError(f"uses the opcode {name} in its pickle", STATE_DICT)
        action(machine, None if read is None else read(stream))
        if code == pickle.STOP:
            return machine.stack.pop()
    raise RefusedError("holds too many values", "save a dict of tensors")


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any, dtype: str | None = None
) -> Tensor:
    if not (isinstance(storage, Storage) and type(shape) is type(strides) is tuple):
        raise RefusedError("holds a tensor without storage or shape", STATE_DICT)
    if any(rest[2:]):
        finding = "holds a lazily conjugated or negated tensor"
        raise RefusedError(finding, "save tensor.resolve_conj().resolve_neg()")
    return Tensor(storage, dtype or storage.dtype, offset, shape, strides)


def _dict(*args: Any) -> dict[Any, Any]:
    if args and isinstance(args[-1], dict):
        return args[-1]
    found: dict[Any, Any] = {}
    if args and isinstance(args[-1], list):
        _set_items(found, args[-1])
        # so that a short pickle cannot copy a long list many times
        args[-1].clear()
    return found


def _set_items(target: object, pairs: Iterable[Any]) -> None:
    if isinstance(target, Object):
        target = target.entries
    if not isinstance(target, dict):
        raise RefusedError("sets items of an object that is not a dict in its pickle", STATE_DICT)
    for key, value in pairs:
        # the hash of a nested tuple recurses without bound; that of a stand-in is its identity
        if not isinstance(key, str | int | float | Global | Object | None):
            raise RefusedError(f"has a dict with a key of type {type(key).__name__}", STATE_DICT)
        # a file can choose numbers of one hash, and not texts
        label = str(key) if isinstance(key, int | float) else key
        if label is not key and label in target:
            raise RefusedError(f"has a dict with two keys {label}", STATE_DICT)
        target[label] = value


_WRAPPERS = ["torch.Size", "builtins.set", "torch._utils._rebuild_parameter"]
_WRAPPERS += ["torch._utils._rebuild_parameter_with_state"]
_DICTS = [f"collections.{name}" for name in ("OrderedDict", "defaultdict", "Counter")]
_DROPPED = ["torch.device", "builtins.complex", "numpy.ndarray", "numpy._core.multiarray.scalar"]
_CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": lambda *a: _tensor(*a[:6], *a[7:], dtype=_DTYPES[a[6].name]),
    "torch._tensor._rebuild_from_type_v2": lambda function, _, args, __: _call(function, args),
    "_codecs.encode": lambda text, *_: Encoded(text) if isinstance(text, str) else None,
    "numpy.dtype": lambda name, *_: NumpyType(str(name)),
    "numpy._core.multiarray._reconstruct": lambda *_: NumpyArray(),
    **dict.fromkeys(_WRAPPERS, lambda first, *_: first),
    **dict.fromkeys(_DICTS, _dict),
    **dict.fromkeys(_DROPPED, lambda *_: None),
}
_SILENT = ["torch.Tensor", "torch.nn.parameter.Parameter"]
_SILENT += [f"builtins.{name}" for name in ("dict", "list", "int", "long", "float")]
_NAMES = frozenset([*_CALLS, *_STORAGES, *_DTYPES, *_SILENT])


def _is_refused(name: str) -> bool:
    top = name.split(".")[0]
    if name in _NAMES:
        return False
    if top == "torch":
        return not name.startswith(_NO_TENSORS) or name.startswith(_TENSORS)
    return top in _PROGRAMS and name not in _HARMLESS


def _call(function: object, args: Any) -> Any:
    """Make a tensor or dict by one of the known functions, or a stand-in by an unknown one."""
    if isinstance(function, Object | Global) and function.name not in _NAMES:
        return Object(function.name)
    if not isinstance(function, Global) or function.name not in _CALLS:
        raise RefusedError("calls an object that is not a function in its pickle", STATE_DICT)
    if not isinstance(args, tuple) or len(args) > 8:
        raise RefusedError(f"calls {function.name} with impossible arguments", STATE_DICT)
    return _CALLS[function.name](*args)


class _Machine:
    def __init__(self, storages: dict[str, Storage]) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        # by texts, see `_set_items`
        self.memo: dict[str, Any] = {}
        self.storages = storages

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def memoize(self, place: int) -> None:
        self.memo[str(place)] = self.stack[-1]

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def take(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]

    def put(self, items: list[Any]) -> None:
        _set_items(self.stack[-1], zip(items[::2], items[1::2], strict=True))

    def add(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Object):
            target = target.items
        if not isinstance(target, list):
            raise RefusedError("appends to an object that is not a list in its pickle", STATE_DICT)
        target.extend(items)

    def fill(self, items: list[Any]) -> None:
        self.push({})
        self.put(items)

    def name(self, module: object, name: object) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise RefusedError("uses a name that is not text in its pickle", STATE_DICT)
        found = f"{_RENAMED.get(module, module)}.{name}"
        if _is_refused(found):
            raise RefusedError(f"names {found!r} in its pickle, which is not allowed", STATE_DICT)
        self.push(Global(found))

    def make(self, items: list[Any]) -> None:
        self.push(_call(items[0], tuple(items[1:])))

    def build(self, target: object, state: object) -> None:
        # except for a stand-in, the state is torch's, next to a dict, or that of a numpy dtype;
        # neither holds weights
        if isinstance(target, Object):
            target.build(state)
        elif isinstance(target, NumpyArray):
            target.state = state
        elif isinstance(target, NumpyType):
            # version, byte order, then fields of records
            target.order = str(state[1]) if isinstance(state, tuple) and len(state) > 2 else ""
        elif not isinstance(target, dict | None):
            raise RefusedError("sets attributes in its pickle", STATE_DICT)
        self.push(target)

    def inst(self, argument: str) -> None:
        items = self.since_mark()
        self.name(*argument.split(" ", 1))
        self.make([self.stack.pop(), *items])

    def persistent(self, reference: object) -> None:
        match reference:
            # the old format adds a module's source to its class
            case ("module", Global() as found, _, _):
                self.push(found)
            # and a view of the storage, None but in the oldest files
            case ("storage", Global(name), str(key), _, int(count), *view) if (
                name in _STORAGES and view in ([], [None])
            ):
                storage = Storage(key, count, _STORAGES[name])
                if self.storages.setdefault(key, storage) != storage:
                    raise RefusedError("declares one storage in two ways", STATE_DICT)
                self.push(storage)
            case _:
                raise RefusedError("refers to data in an unknown way in its pickle", STATE_DICT)


_RENAMED = {"__builtin__": "builtins", "numpy.core.multiarray": "numpy._core.multiarray"}
_LITERALS = [
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
]  # fmt: skip

_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    **dict.fromkeys(["PROTO", "FRAME", "STOP"], lambda m, a: None),
    **dict.fromkeys(_LITERALS, _Machine.push),
    **dict.fromkeys(["PUT", "BINPUT", "LONG_BINPUT"], _Machine.memoize),
    **dict.fromkeys(["GET", "BINGET", "LONG_BINGET"], lambda m, a: m.push(m.memo[str(a)])),
    "MEMOIZE": lambda m, a: m.memoize(len(m.memo)),
    "NONE": lambda m, a: m.push(None),
    "NEWTRUE": lambda m, a: m.push(True),
    "NEWFALSE": lambda m, a: m.push(False),
    "EMPTY_DICT": lambda m, a: m.push({}),
    **dict.fromkeys(["EMPTY_LIST", "EMPTY_SET"], lambda m, a: m.push([])),
    "EMPTY_TUPLE": lambda m, a: m.push(()),
    "TUPLE1": lambda m, a: m.push(tuple(m.take(1))),
    "TUPLE2": lambda m, a: m.push(tuple(m.take(2))),
    "TUPLE3": lambda m, a: m.push(tuple(m.take(3))),
    "MARK": lambda m, a: m.mark(),
    "TUPLE": lambda m, a: m.push(tuple(m.since_mark())),
    **dict.fromkeys(["LIST", "FROZENSET"], lambda m, a: m.push(m.since_mark())),
    "DICT": lambda m, a: m.fill(m.since_mark()),
    "APPEND": lambda m, a: m.add(m.take(1)),
    **dict.fromkeys(["APPENDS", "ADDITEMS"], lambda m, a: m.add(m.since_mark())),
    "SETITEM": lambda m, a: m.put(m.take(2)),
    "SETITEMS": lambda m, a: m.put(m.since_mark()),
    "POP": lambda m, a: m.stack.pop(),
    "POP_MARK": lambda m, a: m.since_mark(),
    "DUP": lambda m, a: m.push(m.stack[-1]),
    "GLOBAL": lambda m, a: m.name(*a.split(" ", 1)),
    "STACK_GLOBAL": lambda m, a: m.name(*m.take(2)),
    **dict.fromkeys(["REDUCE", "NEWOBJ"], lambda m, a: m.push(_call(*m.take(2)))),
    "NEWOBJ_EX": lambda m, a: m.push(_call(*m.take(3)[:2])),
    "BUILD": lambda m, a: m.build(*m.take(2)),
    "OBJ": lambda m, a: m.make(m.since_mark()),
    "INST": lambda m, a: m.inst(a),
    "BINPERSID": lambda m, a: m.persistent(*m.take(1)),
}
# the name, reader of the argument and action by the opcode's byte
_OPCODES: dict[bytes, tuple[str, Callable[[IO[bytes]], Any] | None, Any]] = {
    one.code.encode("latin-1"): (one.name, getattr(one.arg, "reader", None), _ACTIONS.get(one.name))
    for one in pickletools.opcodes
}
