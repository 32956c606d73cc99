"""Damaged structures of HDF5 that its library would follow for ever are found before it does."""

from __future__ import annotations

import io
import re
import struct

import h5py
import numpy as np
import pytest

from lyapy.errors import WeightsError
from lyapy.weights.formats import hdf5_walks, read_arrays, read_contents


def heap(change):
    """A file with texts in a heap, and a change in the heap."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["a"] = np.arange(3.0)
        file.attrs["backend"] = "a text in a heap"
    content = bytearray(buffer.getvalue())
    at = content.index(b"GCOL")
    change(content, at)
    return bytes(content)


def no_step(content, at):
    """Make the first object a free space of size 0, where HDF5 2.0 would stay for ever."""
    content[at + 16 : at + 32] = bytes(16)


def reserved(content, at):
    """Set a byte that HDF5 does not look at, and walk without end."""
    content[at + 5] = 1
    no_step(content, at)


def too_far(content, at):
    content[at + 24 : at + 32] = b"\xff" * 8


def too_large(content, at):
    content[at + 8 : at + 16] = b"\xff" * 8


def inside(content, at):
    content[at + 48 : at + 64] = b"GCOL\x01\0\0\0\x20\0\0\0\0\0\0\0"


@pytest.mark.parametrize("change", [no_step, reserved, too_far, too_large, inside])
def test_damaged_heaps(tmp_path, change):
    path = tmp_path / "a.h5"
    path.write_bytes(heap(lambda content, at: None))
    assert read_contents(path).metadata == {"backend": "a text in a heap"}
    path.write_bytes(heap(change))
    with pytest.raises(WeightsError, match="damaged heap of texts"):
        read_arrays(path)


def names(change):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["a"] = np.arange(3.0)
    content = bytearray(buffer.getvalue())
    change(content, content.index(b"HEAP"))
    return bytes(content)


def bites_its_tail(content, at):
    """Make a free block the one that follows itself, for which HDF5 2.0 takes memory for ever."""
    length, block, data = struct.unpack_from("<QQQ", content, at + 8)
    assert block < length
    content[data + block : data + block + 8] = struct.pack("<Q", block)


def test_a_list_that_bites_its_tail(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(names(bites_its_tail))
    with pytest.raises(WeightsError, match="damaged heap of names"):
        read_arrays(path)


def test_a_tree_below_itself(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for i in range(400):
            file[f"number_{i}"] = np.arange(3.0)
    assert len(read_arrays(path)) == 400
    content = bytearray(path.read_bytes())
    places = [m.start() for m in re.finditer(b"TREE", content)]
    (top,) = [place for place in places if content[place + 5] == 1]
    # its first child, behind a key
    content[top + 32 : top + 40] = struct.pack("<Q", top)
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged tree of links"):
        read_arrays(path)


def test_a_text_that_claims_to_be_long(tmp_path):
    content = bytearray(heap(lambda content, at: None))
    at = content.index(struct.pack("<IQI", 16, content.index(b"GCOL"), 1))
    # HDF5 would take as much before it finds that the text is shorter
    content[at : at + 4] = struct.pack("<I", 1500 << 20)
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(WeightsError, match="has a text longer than the file"):
        read_arrays(tmp_path / "a.h5")


def test_heaps_are_found_between_blocks(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    path.write_bytes(heap(no_step))
    for block in (3, 8, 11):
        monkeypatch.setattr(hdf5_walks, "_BLOCK", block)
        with pytest.raises(WeightsError, match="damaged heap of texts"):
            read_arrays(path)


def test_other_sizes_of_offsets(tmp_path):
    content = bytearray(heap(lambda content, at: None))
    content[13] = 4
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(WeightsError, match="offsets of other than 8 bytes"):
        read_arrays(tmp_path / "a.h5")
