"""Files of torch.save: a zip of a pickle and raw storages, or before PyTorch 1.6 all in a row."""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .contents import Contents, Order, decode, itemsize
from .refusal import NAME_LIMIT, RefusedError
from .torch_pickle import STATE_DICT, Encoded, NumpyArray, Object, Storage, Tensor, load_pickle
from .zip_archive import read_member

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_ORDERS: dict[bytes, Order] = {b"little": "<", b"big": ">"}
_RANK_LIMIT = 32
_DEPTH_LIMIT = 32
_CELL_LIMIT = 10_000
# values visited again where lists and dicts are shared; a tensor counts as several
_AGAIN_LIMIT, _TENSOR_SHARE = 300_000, 30
# of a size: the product of longer numbers would take long
_BIT_LIMIT = 64


def read_zip(archive: zipfile.ZipFile) -> Contents:
    """Read every tensor of an archive whose directory was checked."""
    members = {member.filename: member for member in archive.infolist()}
    roots = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise RefusedError("holds more than one data.pkl", STATE_DICT)
    root = roots[0]
    if any(name.startswith((f"{root}constants.pkl", f"{root}code/")) for name in members):
        remedy = "torch.save(torch.jit.load(file).state_dict(), other_file)"
        raise RefusedError("is a TorchScript archive, which holds a program", remedy)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
        raise RefusedError("is a compressed archive, which torch.save never writes", STATE_DICT)

    def content(name: str, default: bytes | None = None) -> bytes:
        if root + name in members:
            return read_member(archive, root + name)
        if default is None:
            raise RefusedError(f"lacks the member {name!r}")
        return default

    def load(storage: Storage) -> bytes:
        raw = content("data/" + storage.key)
        if len(raw) != storage.nbytes:
            raise RefusedError(f"has a storage of {len(raw)} bytes, declared with {storage.nbytes}")
        return raw

    order = _ORDERS.get(content("byteorder", b"little"))
    if order is None:
        raise RefusedError("has an unknown byte order", STATE_DICT)
    return _contents(load_pickle(io.BytesIO(content("data.pkl"))), load, order)


def read_legacy(file: BinaryIO) -> Contents:
    """Read every tensor of a file of five pickles and raw storages, little-endian."""
    data = memoryview(file.read())
    stream = io.BytesIO(data)
    magic, protocol, system = (load_pickle(stream) for _ in range(3))
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise RefusedError("is of an unknown version of torch.save", STATE_DICT)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedError("was written by a big-endian machine", STATE_DICT)
    declared: dict[str, Storage] = {}
    value, keys = load_pickle(stream, declared), load_pickle(stream)
    regions: dict[str, memoryview] = {}
    start = stream.tell()
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str) or key not in declared or key in regions:
            raise RefusedError("holds a storage that no tensor names", STATE_DICT)
        count = int.from_bytes(data[start : start + 8], "little")
        storage = declared[key]
        regions[key] = data[start + 8 : start + 8 + storage.nbytes]
        if count != storage.count or len(regions[key]) != storage.nbytes:
            raise RefusedError("is cut short, or declares two sizes for one storage")
        start += 8 + storage.nbytes
    if start != len(data):
        raise RefusedError(f"has {len(data) - start} bytes after its last tensor", STATE_DICT)

    def load(storage: Storage) -> memoryview:
        if storage.key not in regions:
            raise RefusedError("lacks its data")
        return regions[storage.key]

    return _contents(value, load)


def _contents(
    value: object, load: Callable[[Storage], bytes | memoryview], order: Order = "<"
) -> Contents:
    """Name the tensors, and vanilla cells' nonlinearities, in nested values by dotted paths.

    ``load`` returns as many bytes as a storage declares, or refuses.
    """
    decoded: dict[tuple[Storage, str], NDArray[Any]] = {}
    encoded: dict[int, bytes] = {}
    arrays: dict[str, NDArray[Any]] = {}
    metadata: dict[str, str] = {}
    for name, leaf in _Walk().leaves("", value, _DEPTH_LIMIT):
        if isinstance(leaf, Object):
            metadata[f"{name}.nonlinearity" if name else "nonlinearity"] = str(leaf.nonlinearity)
            if len(metadata) > _CELL_LIMIT:
                raise RefusedError("holds too many recurrent modules", "save a dict of tensors")
            continue
        if not name:
            raise RefusedError("is one tensor without a name", "save a dict of tensors")
        if name in arrays:
            raise RefusedError(f"holds two tensors that would be named {name!r}", "rename one")
        try:
            if isinstance(leaf, NumpyArray):
                arrays[name] = _numpy(leaf, encoded)
                continue
            _check(leaf)
            key = leaf.storage, leaf.dtype
            if key not in decoded:
                decoded[key] = decode(load(leaf.storage), leaf.dtype, order)
        except RefusedError as refusal:
            raise RefusedError(f"tensor {name!r} {refusal.finding}", refusal.remedy) from None
        arrays[name] = _view(leaf, decoded[key])
    return Contents(arrays, metadata)


def _numpy(array: NumpyArray, encoded: dict[int, bytes]) -> NDArray[Any]:
    """Return an array of NumPy; texts that several share are encoded once."""
    shape, name, fortran, content = array.parts()
    if not re.fullmatch(r"[<>=]?([fiub][1248]|c8|c16)", name):
        raise RefusedError(f"has the dtype {name!r}", "save plain arrays of numbers")
    if isinstance(content, Encoded):
        if id(content.text) not in encoded:
            encoded[id(content.text)] = content.text.encode("latin-1")
        content = encoded[id(content.text)]
    dtype = np.dtype(name)
    if len(shape) > _RANK_LIMIT or any(type(n) is not int or not 0 <= n < 1 << 63 for n in shape):
        raise RefusedError("has an impossible shape")
    if not isinstance(content, bytes) or prod(shape) * dtype.itemsize != len(content):
        raise RefusedError(f"declares {shape} of {dtype}, which it does not hold")
    found: NDArray[Any] = np.ndarray(shape, dtype, content, order="F" if fortran else "C")
    return found.astype(dtype.newbyteorder("="), copy=False)


def _check(tensor: Tensor) -> None:
    shape, strides = tensor.shape, tensor.strides
    if len(shape) != len(strides) or len(shape) > _RANK_LIMIT:
        raise RefusedError("has an impossible shape")
    numbers = (tensor.offset, *shape, *strides)
    if any(type(number) is not int or number < 0 for number in numbers):
        raise RefusedError("has a negative shape, stride or offset")
    if any(number.bit_length() > _BIT_LIMIT for number in numbers):
        raise RefusedError("has an impossible shape")
    count = prod(shape)
    steps = zip(shape, strides, strict=True)
    last = tensor.offset + sum((length - 1) * stride for length, stride in steps)
    # the first bound keeps a stride of 0 from making much of little
    if count and max(count, last + 1) * itemsize(tensor.dtype) > tensor.storage.nbytes:
        finding = f"of shape {shape} is larger than its storage"
        raise RefusedError(finding, "save tensor.clone() where a tensor was expanded")


def _view(tensor: Tensor, flat: NDArray[Any]) -> NDArray[Any]:
    if not prod(tensor.shape):
        return np.zeros(tensor.shape, flat.dtype)
    step = flat.itemsize
    # numpy would multiply the arbitrary stride of a length of 1
    pairs = zip(tensor.shape, tensor.strides, strict=True)
    strides = tuple(stride * step if length > 1 else step for length, stride in pairs)
    return np.ndarray(tensor.shape, flat.dtype, flat, tensor.offset * step, strides)


class _Walk:
    """Finds tensors and cells in nested values; a shared value without any is visited once."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.barren: set[int] = set()
        self.again = 0

    def leaves(
        self, name: str, value: object, depth: int
    ) -> Iterator[tuple[str, Tensor | NumpyArray | Object]]:
        if isinstance(value, _ARRAYS):
            yield name, value
            return
        fruitful = False
        if isinstance(value, Object) and value.nonlinearity is not None:
            fruitful = True
            yield name, value
        repeated = id(value) in self.seen
        self.seen.add(id(value))
        for key, child in _children(value):
            self.again += repeated * (_TENSOR_SHARE if isinstance(child, _ARRAYS) else 1)
            if self.again > _AGAIN_LIMIT:
                raise RefusedError("holds too many values", "save a dict of tensors")
            if not isinstance(child, _BRANCHES) or id(child) in self.barren:
                continue
            if not depth:
                raise RefusedError("nests its values too deeply", "save a flat dict of tensors")
            label = str(key)
            if len(name) + len(label) > NAME_LIMIT:
                raise RefusedError("holds names that are too long", "save a flat dict of tensors")
            for leaf in self.leaves(f"{name}.{label}" if name else label, child, depth - 1):
                fruitful = True
                yield leaf
        if not fruitful:
            self.barren.add(id(value))


_ARRAYS = (Tensor, NumpyArray)
_BRANCHES = (dict, list, tuple, Object, *_ARRAYS)


def _children(value: object) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        return iter(value.items())
    if isinstance(value, Object):
        return value.children()
    return enumerate(value) if isinstance(value, list | tuple) else iter(())
