"""Tensors as a torch pickle describes them, checked, and turned into arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lyapy.weights.formats.elements import Order, decode, itemsize
from lyapy.weights.formats.refusal import RefusedError
from lyapy.weights.formats.torch_objects import Object

__all__ = ["Storage", "Tensor", "arrays_of"]

_RANK_LIMIT = 32
_DEPTH_LIMIT = 32
_NAME_LIMIT = 1000
_CELL_LIMIT = 10_000
# How many values may be looked at again where lists and dicts are shared, and for how many a
# tensor counts.
_AGAIN_LIMIT, _TENSOR_SHARE = 300_000, 30
# Of a size: the product of longer numbers would take long.
_BIT_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of bytes in the file.

    Parameters
    ----------
    key
        Its name in the file.
    count
        How many elements it holds.
    code
        The type of its elements, as in `lyapy.weights.formats.elements`.
    """

    key: str
    count: int
    code: str

    @property
    def itemsize(self) -> int:
        """The bytes of one element."""
        return itemsize(self.code)

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.count * self.itemsize


@dataclass(frozen=True, slots=True)
class Tensor:
    """A strided view of a storage, as declared and not yet checked.

    Parameters
    ----------
    storage
        The bytes.
    code
        The type of the tensor's elements; other than the storage's where that is untyped.
    offset, shape, strides
        In elements.
    """

    storage: Storage
    code: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def arrays_of(
    value: object, load: Callable[[Storage], bytes | memoryview], order: Order = "<"
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Gather the tensors in nested dicts, lists, tuples and modules under dotted names.

    Also returned is the nonlinearity of each vanilla cell that the modules tell, under its
    module's name and ``nonlinearity``.

    Parameters
    ----------
    value
        What a pickle held.
    load
        Returns as many bytes as a storage declares, or refuses.
    order
        Their byte order, ``"<"`` or ``">"``.
    """
    decoded: dict[tuple[Storage, str], NDArray[Any]] = {}
    arrays: dict[str, NDArray[Any]] = {}
    told: dict[str, str] = {}
    for name, leaf in _Walk().leaves("", value, _DEPTH_LIMIT):
        if isinstance(leaf, Object):
            told[f"{name}.nonlinearity" if name else "nonlinearity"] = str(leaf.nonlinearity)
            if len(told) > _CELL_LIMIT:
                raise RefusedError("holds too many recurrent modules", "save a dict of tensors")
            continue
        if not name:
            raise RefusedError("is one tensor without a name", "save a dict of tensors")
        if name in arrays:
            raise RefusedError(f"holds two tensors that would be named {name!r}", "rename one")
        try:
            _check(leaf)
            key = leaf.storage, leaf.code
            if key not in decoded:
                decoded[key] = decode(load(leaf.storage), leaf.code, order)
        except RefusedError as refusal:
            raise RefusedError(f"tensor {name!r} {refusal.what}", refusal.remedy) from None
        arrays[name] = _view(leaf, decoded[key])
    return arrays, told


def _check(tensor: Tensor) -> None:
    shape, strides = tensor.shape, tensor.strides
    if len(shape) != len(strides) or len(shape) > _RANK_LIMIT:
        raise RefusedError("has an impossible shape")
    if any(type(number) is not int or number < 0 for number in (tensor.offset, *shape, *strides)):
        raise RefusedError("has a negative shape, stride or offset")
    if any(number.bit_length() > _BIT_LIMIT for number in (tensor.offset, *shape, *strides)):
        raise RefusedError("has an impossible shape")
    count = prod(shape)
    steps = zip(shape, strides, strict=True)
    last = tensor.offset + sum((length - 1) * stride for length, stride in steps)
    # The first bound keeps a stride of 0 from making much of little.
    if count and max(count, last + 1) * itemsize(tensor.code) > tensor.storage.nbytes:
        what = f"of shape {shape} is larger than its storage"
        raise RefusedError(what, "save tensor.clone() where a tensor was expanded")


class _Walk:
    """Finds tensors and cells in nested values; what is shared and holds none is seen once."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.barren: set[int] = set()
        self.again = 0

    def leaves(self, name: str, value: object, depth: int) -> Iterator[tuple[str, Tensor | Object]]:
        if isinstance(value, Tensor):
            yield name, value
            return
        fruitful = isinstance(value, Object) and value.nonlinearity is not None
        if fruitful and isinstance(value, Object):
            yield name, value
        repeated = id(value) in self.seen
        self.seen.add(id(value))
        for key, child in _children(value):
            self.again += repeated * (_TENSOR_SHARE if isinstance(child, Tensor) else 1)
            if self.again > _AGAIN_LIMIT:
                raise RefusedError("holds too many values", "save a dict of tensors")
            if not isinstance(child, _BRANCHES) or id(child) in self.barren:
                continue
            if not depth:
                raise RefusedError("nests its values too deeply", "save a flat dict of tensors")
            label = str(key)
            if len(name) + len(label) > _NAME_LIMIT:
                raise RefusedError("holds too long names", "save a flat dict of tensors")
            for leaf in self.leaves(f"{name}.{label}" if name else label, child, depth - 1):
                fruitful = True
                yield leaf
        if not fruitful:
            self.barren.add(id(value))


_BRANCHES = (dict, list, tuple, Object, Tensor)


def _children(value: object) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        return iter(value.items())
    if isinstance(value, Object):
        return value.children()
    return enumerate(value) if isinstance(value, list | tuple) else iter(())


def _view(tensor: Tensor, flat: NDArray[Any]) -> NDArray[Any]:
    if not prod(tensor.shape):
        return np.zeros(tensor.shape, flat.dtype)
    step = flat.itemsize
    # numpy would multiply the arbitrary stride of a length of 1.
    pairs = zip(tensor.shape, tensor.strides, strict=True)
    strides = tuple(stride * step if length > 1 else step for length, stride in pairs)
    return np.ndarray(tensor.shape, flat.dtype, flat, tensor.offset * step, strides)
