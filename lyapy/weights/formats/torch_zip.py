"""What torch.save writes since PyTorch 1.6: a zip of one pickle and raw storages."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from numpy.typing import NDArray

from lyapy.weights.formats.elements import Order
from lyapy.weights.formats.refusal import RefusedError
from lyapy.weights.formats.torch_globals import STATE_DICT
from lyapy.weights.formats.torch_pickle import load_pickle
from lyapy.weights.formats.torch_tensor import Storage, arrays_of

__all__ = ["read"]

_ORDERS: dict[bytes, Order] = {b"little": "<", b"big": ">"}


def read(archive: zipfile.ZipFile) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read every tensor, and what modules tell of their nonlinearities; see `arrays_of`.

    Parameters
    ----------
    archive
        The archive, whose directory was checked.
    """
    members = {member.filename: member for member in archive.infolist()}
    root = _root(members)

    def content(name: str, default: bytes | None = None) -> bytes:
        if root + name in members:
            return archive.read(root + name)
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
    return arrays_of(load_pickle(io.BytesIO(content("data.pkl"))), load, order)


def _root(members: dict[str, zipfile.ZipInfo]) -> str:
    roots = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise RefusedError("holds more than one data.pkl", STATE_DICT)
    if any(name.startswith((roots[0] + "constants.pkl", roots[0] + "code/")) for name in members):
        remedy = "torch.save(torch.jit.load(file).state_dict(), other_file)"
        raise RefusedError("is a TorchScript archive, which holds a program", remedy)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
        raise RefusedError("is a compressed archive, which torch.save never writes", STATE_DICT)
    return roots[0]
