"""The names that a torch pickle may speak, and the inert things that they make here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lyapy.weights.formats.elements import BFLOAT16
from lyapy.weights.formats.refusal import RefusedError
from lyapy.weights.formats.torch_objects import Object, is_refused
from lyapy.weights.formats.torch_tensor import Storage, Tensor

__all__ = ["STATE_DICT", "STORAGES", "Global", "call", "named", "set_items"]

STATE_DICT = "write torch.save(model.state_dict(), file) of dense tensors, or use safetensors"

_TYPES = [
    ("Double", "float64", "f8"), ("Float", "float32", "f4"), ("Half", "float16", "f2"),
    ("BFloat16", "bfloat16", BFLOAT16), ("Long", "int64", "i8"), ("Int", "int32", "i4"),
    ("Short", "int16", "i2"), ("Char", "int8", "i1"), ("Byte", "uint8", "u1"),
    ("Bool", "bool", "?"), ("ComplexFloat", "complex64", "c8"),
    ("ComplexDouble", "complex128", "c16"),
]  # fmt: skip
STORAGES = {f"torch.{storage}Storage": code for storage, _, code in _TYPES}
STORAGES |= {"torch.storage.UntypedStorage": "u1"}
_DTYPES = {f"torch.{dtype}": code for _, dtype, code in _TYPES}
_DTYPES |= {"torch.uint16": "u2", "torch.uint32": "u4", "torch.uint64": "u8"}


@dataclass(frozen=True, slots=True)
class Global:
    """The name of something in a Python module, never the thing.

    Parameters
    ----------
    name
        With its module's.
    """

    name: str

    def __str__(self) -> str:
        return self.name


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any, code: str | None = None
) -> Tensor:
    if not (isinstance(storage, Storage) and type(shape) is type(strides) is tuple):
        raise RefusedError("holds a tensor without storage or shape", STATE_DICT)
    if any(rest[2:]):
        raise RefusedError(
            "holds a lazily conjugated or negated tensor", "save tensor.resolve_neg()"
        )
    return Tensor(storage, code or storage.code, offset, shape, strides)


def _tensor_v3(*args: Any) -> Tensor:
    return _tensor(*args[:6], *args[7:], code=_DTYPES[args[6].name])


def _subclass(function: Any, _: Any, args: Any, __: Any) -> Any:
    return call(function, args)


def _first(first: Any, *_: Any) -> Any:
    return first


def _nothing(*_: Any) -> None:
    return None


def _dict(*args: Any) -> dict[Any, Any]:
    if args and isinstance(args[-1], dict):
        return args[-1]
    found: dict[Any, Any] = {}
    if args and isinstance(args[-1], list):
        set_items(found, args[-1])
        # So that a short pickle cannot copy a long list many times.
        args[-1].clear()
    return found


def set_items(target: object, pairs: Iterable[Any]) -> None:
    """Put pairs in a dict from a pickle.

    Parameters
    ----------
    target
        The dict, or what a hostile pickle has in its place.
    pairs
        Keys and values.
    """
    if isinstance(target, Object):
        target = target.entries
    if not isinstance(target, dict):
        raise RefusedError("sets items of what is no dict", STATE_DICT)
    for key, value in pairs:
        # The hash of a nested tuple recurses without bound; a stand-in's is its identity.
        if not isinstance(key, str | int | float | Global | Object | None):
            raise RefusedError(f"has a dict with a key of type {type(key).__name__}", STATE_DICT)
        target[key] = value


_CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch.Size": _first,
    "builtins.set": _first,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _dict,
    "collections.Counter": _dict,
    "torch.device": _nothing,
    "builtins.complex": _nothing,
    "_codecs.encode": _nothing,
    "numpy.dtype": _nothing,
    "numpy._core.multiarray.scalar": _nothing,
}
_SILENT = ["torch.Tensor", "torch.nn.parameter.Parameter"]
_SILENT += [f"builtins.{name}" for name in ("dict", "list", "int", "long", "float")]
_NAMES = frozenset([*_CALLS, *STORAGES, *_DTYPES, *_SILENT])


def named(module: str, name: str) -> Global:
    """Return the name that a pickle calls for, or refuse it.

    Parameters
    ----------
    module, name
        As the pickle gives them.
    """
    found = f"{module}.{name}"
    if found not in _NAMES and is_refused(module, name):
        raise RefusedError(f"calls for {found!r} in its pickle, which is not allowed", STATE_DICT)
    return Global(found)


def call(function: object, args: Any) -> Any:
    """Make what a pickle asks one of its names to make.

    Parameters
    ----------
    function
        One of the names that make something; of any other that is allowed, a stand-in is made.
    args
        The arguments.
    """
    if isinstance(function, Object) or (
        isinstance(function, Global) and function.name not in _NAMES
    ):
        return Object(function.name, args)
    if not isinstance(function, Global) or function.name not in _CALLS:
        raise RefusedError("calls what is no function in its pickle", STATE_DICT)
    if not isinstance(args, tuple) or len(args) > 8:
        raise RefusedError(f"calls {function.name} with impossible arguments", STATE_DICT)
    return _CALLS[function.name](*args)
