"""HDF5 files: good ones come back exactly; those that point elsewhere or lie are refused."""

from __future__ import annotations

import io
import re
import resource
import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from lyapy.errors import WeightsError
from lyapy.formats import hdf5_walks, read_arrays, read_contents


def test_arrays_and_texts(tmp_path):
    path = tmp_path / "a.h5"
    arrays = {
        "plain": np.arange(6.0).reshape(2, 3),
        "group/inner/half": np.array([1, 2.5], "f2"),
        "group/swapped": np.arange(3, dtype=">f4"),
        "scalar": np.float64(2.5),
        "empty": np.zeros((0, 3)),
        "names": np.array([b"relu", b"tanh"]),
    }
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
        packed = {"compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("packed", data=np.arange(99.0), chunks=(10,), **packed)
        file.attrs["model_config"] = "text"
        file["group"].attrs["name"] = np.bytes_(b"fixed")
        file["group"].attrs["backend"] = np.arange(3)
    found, metadata = read_contents(path)
    for name, array in (arrays | {"packed": np.arange(99.0)}).items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype.isnative and not found[name].flags.writeable
    assert len(found) == len(arrays) + 1
    assert metadata == {"model_config": "text", "group@name": "fixed"}


def test_keras_archive_of_hdf5(tmp_path):
    inner = io.BytesIO()
    with h5py.File(inner, "w") as file:
        file["layers/vars/0"] = np.arange(3.0)
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", '{"class_name": "Sequential"}')
        archive.writestr("model.weights.h5", inner.getvalue())
    found, metadata = read_contents(tmp_path / "a.keras")
    np.testing.assert_array_equal(found["layers/vars/0"], np.arange(3.0))
    assert metadata == {"model_config": '{"class_name": "Sequential"}'}


def soft(file):
    file["a"] = h5py.SoftLink("/elsewhere")


def external(file):
    file["a"] = h5py.ExternalLink("other.h5", "/a")


def external_data(file):
    file.create_dataset("a", (4,), "f8", external=[("other.bin", 0, 32)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "a", (4,))
    file.create_virtual_dataset("a", layout)


def bomb(file):
    file.create_dataset("a", (1 << 39,), "f8", chunks=(1 << 20,))[:3] = 1.0


def huge_chunk(file):
    file.create_dataset("a", (4,), "f8", chunks=(1 << 28,), maxshape=(None,))


def never_written(file):
    file.create_dataset("a", (4,), "f8")


def objects(file):
    file.create_dataset("a", data=["text"], dtype=h5py.string_dtype())


def vectors(file):
    file.create_dataset("a", (2,), h5py.vlen_dtype(np.float64))


def references(file):
    file.create_dataset("a", data=file.ref, dtype=h5py.ref_dtype)


def records(file):
    file["a"] = np.zeros(2, [("x", "f8")])


def scale_offset(file):
    file.create_dataset("a", data=np.arange(9), chunks=(9,), scaleoffset=0)


def unknown_filter(file):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((4,))
    properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
    h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((4,)), properties)


def bomb_in_a_chunk(file):
    dataset = file.create_dataset("a", (4,), "f8", chunks=(4,), compression="gzip")
    dataset.id.write_direct_chunk((0,), zlib.compress(bytes(400 << 20)))


def many_chunks(file):
    file.create_dataset("a", (15 << 20,), "f8", chunks=(100,))[0] = 1.0


def hundred_chunks(file):
    file.create_dataset("a", (1000,), "f8", chunks=(10,))[:] = 1.0


def unwritten_chunks(file):
    file.create_dataset("a", (100,), "f8", chunks=(10,))[:30] = 1.0


def packed_twice(file):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((4,))
    properties.set_deflate(1)
    properties.set_filter(h5py.h5z.FILTER_DEFLATE, h5py.h5z.FLAG_OPTIONAL, (1,))
    h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((4,)), properties)


def loop(file):
    file.create_group("a")["b"] = file["/"]


def nothing(file):
    file["a"] = h5py.Empty("f8")


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (soft, "has 'a' as a link to elsewhere"),
        (external, "has 'a' as a link to elsewhere"),
        (external_data, "keeps 'a' in another file"),
        (virtual, "has 'a' as a virtual dataset"),
        (bomb, "declares .*for 'a'"),
        (huge_chunk, "declares chunks of 2147483648 for 'a'"),
        (never_written, "for 'a' and holds 0 bytes"),
        (objects, "objects and records are not read"),
        (vectors, "objects and records are not read"),
        (references, "objects and records are not read"),
        (records, "objects and records are not read"),
        (scale_offset, "filter scaleoffset, which is not read"),
        (unknown_filter, "filter number 32015, which is not read"),
        (bomb_in_a_chunk, "packs more than a chunk of 32 bytes in 'a'"),
        (many_chunks, "cuts 'a' into 157287 chunks"),
        (hundred_chunks, "cuts an array into more than 64 chunks"),
        (unwritten_chunks, "lacks some of the 10 chunks of 'a'"),
        (packed_twice, "packs 'a' twice with one filter"),
        (loop, "has the group 'a/b/a' inside itself"),
        (nothing, "holds 'a' without values"),
    ],
)
def test_hostile_hdf5(tmp_path, write, what):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        write(file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match=what) as caught:
        read_arrays(path)
    assert "\n" not in str(caught.value)
    # in KiB; HDF5 itself would take 400 MiB for the bomb in a chunk
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_truncated(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(1000.0)
    content = path.read_bytes()
    for size in range(8, len(content), 97):
        path.write_bytes(content[:size])
        with pytest.raises(WeightsError):
            read_arrays(path)


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


def test_a_dataset_under_two_names_is_read_once(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(3.0)
        file["group/b"] = file["a"]
    found = read_arrays(path)
    assert list(found) == ["a", "group/b"] and found["a"] is found["group/b"]
