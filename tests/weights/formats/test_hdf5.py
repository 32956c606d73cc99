"""HDF5 files come back exactly; those that point elsewhere, lie or are damaged are refused."""

import io
import re
import resource
import struct
import zlib

import h5py
import numpy as np
import pytest

from lyapy.weights.formats import read_contents
from tests.support.weights_files import read_arrays, refused, zipped


def written(fill):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def test_arrays_and_texts_come_back_exactly(tmp_path):
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
        file["group"].attrs["keras_version"] = np.arange(3)
    found, metadata = read_contents(path)
    for name, array in (arrays | {"packed": np.arange(99.0)}).items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype.isnative and not found[name].flags.writeable
    assert len(found) == len(arrays) + 1
    assert metadata == {"model_config": "text", "group@name": "fixed"}


def test_a_keras_archive_holds_hdf5(tmp_path):
    inner = written(lambda file: file.__setitem__("layers/vars/0", np.arange(3.0)))
    config = '{"class_name": "Sequential"}'
    path = tmp_path / "a.keras"
    path.write_bytes(zipped([("config.json", config), ("model.weights.h5", inner)]))
    found, metadata = read_contents(path)
    np.testing.assert_array_equal(found["layers/vars/0"], np.arange(3.0))
    assert metadata == {"model_config": config}


def holding(value):
    return lambda file: file.__setitem__("a", value)


def dataset(*args, **kwargs):
    return lambda file: file.create_dataset("a", *args, **kwargs)


def filled(part, *args, **kwargs):
    return lambda file: file.create_dataset("a", *args, **kwargs).__setitem__(part, 1.0)


def filtered(*filters):
    def fill(file):
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((4,))
        for number, values in filters:
            properties.set_filter(number, h5py.h5z.FLAG_OPTIONAL, values)
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F64LE, space, properties)

    return fill


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "a", (4,))
    file.create_virtual_dataset("a", layout)


def bomb_in_a_chunk(file):
    packed = file.create_dataset("a", (4,), "f8", chunks=(4,), compression="gzip")
    try:
        packed.id.write_direct_chunk((0,), zlib.compress(bytes(400 << 20)))
    except OSError:
        pytest.skip("HDF5 1.14 writes no such chunk")


def short_checksum(size):
    """HDF5's own library crashes on a chunk that is shorter than its checksum."""

    def fill(file):
        chunked = file.create_dataset("a", (4,), "f8", chunks=(4,), fletcher32=True)
        chunked.id.write_direct_chunk((0,), bytes(size))

    return fill


def wrong_checksum(file):
    chunked = file.create_dataset("a", (4,), "f8", chunks=(4,), fletcher32=True)
    chunked.id.write_direct_chunk((0,), bytes([*range(36)]))


# a function that fills a file, and the finding; some point to pipes in test_audit
HOSTILE = {
    "soft": (holding(h5py.SoftLink("/elsewhere")), "'a' as a link to another place"),
    "external": (holding(h5py.ExternalLink("other.h5", "/a")), "newer HDF5 structures"),
    "external_data": (dataset((4,), "f8", external=[("other.bin", 0, 32)]), "'a' in another file"),
    "virtual": (virtual, "'a' as a virtual dataset"),
    "bomb": (filled(slice(3), (1 << 39,), "f8", chunks=(1 << 20,)), "declares more than .*'a'"),
    "huge_chunk": (
        dataset((4,), "f8", chunks=(1 << 28,), maxshape=(None,)),
        "declares more than .*'a'",
    ),
    "never_written": (dataset((4,), "f8"), "for 'a' and holds 0 bytes"),
    "objects": (dataset(data=["text"], dtype=h5py.string_dtype()), "of texts or truth values"),
    "vectors": (dataset((2,), h5py.vlen_dtype(np.float64)), "'a' of lists"),
    "references": (
        lambda file: file.create_dataset("a", data=file.ref, dtype=h5py.ref_dtype),
        "'a' of references",
    ),
    "records": (holding(np.zeros(2, [("x", "f8")])), "'a' of records"),
    "scale_offset": (dataset(data=np.arange(9), chunks=(9,), scaleoffset=0), "filter scaleoffset"),
    "unknown_filter": (filtered((32015, ())), "filter number 32015, which is not read"),
    "packed_twice": (filtered((1, (1,)), (1, (1,))), "applies one filter twice to 'a'"),
    "bomb_in_a_chunk": (bomb_in_a_chunk, "a chunk of 37 bytes in 'a'"),
    "many_chunks": (filled(0, (15 << 20,), "f8", chunks=(100,)), "'a' and holds 1 of its chunks"),
    "unwritten_chunks": (filled(slice(30), (100,), "f8", chunks=(10,)), "holds 3 of its chunks"),
    "no_checksum": (short_checksum(3), "a chunk of 0 bytes in 'a'"),
    "wrong_checksum": (wrong_checksum, "a wrong checksum in 'a'"),
    "loop": (
        lambda file: file.create_group("a").__setitem__("b", file["/"]),
        "has the group 'a/b' inside itself",
    ),
    "deep": (lambda file: file.create_group("/a" * 33), "nests its groups too deeply"),
    "nothing": (holding(h5py.Empty("f8")), "holds 'a' without values"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_hdf5_is_refused(tmp_path, name):
    fill, finding = HOSTILE[name]
    content = written(fill)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(tmp_path / "a.h5", content, finding)
    # in KiB; HDF5 itself would take 400 MiB for the bomb in a chunk
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_a_dataset_under_two_names_is_read_once(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(3.0)
        file["group/b"] = file["a"]
    found = read_arrays(path)
    assert list(found) == ["a", "group/b"] and found["a"] is found["group/b"]


def text_in_a_heap(file):
    file["a"] = np.arange(3.0)
    file.attrs["keras_version"] = "a text in a heap"


def damaged(signature, change):
    content = bytearray(written(text_in_a_heap))
    change(content, content.index(signature))
    return bytes(content)


def put(offset, data):
    length = len(data)
    return lambda content, at: content.__setitem__(slice(at + offset, at + offset + length), data)


def no_step(content, at):
    """Make the first object a free space of size 0, which HDF5 2.0 never leaves."""
    content[at + 16 : at + 32] = bytes(16)


def cycle(content, at):
    """Make a free block follow itself, for which HDF5 2.0 takes memory without end."""
    length, block, data = struct.unpack_from("<QQQ", content, at + 8)
    assert block < length
    content[data + block : data + block + 8] = struct.pack("<Q", block)


def long_text(content, at):
    """Claim a longer text; HDF5 would allocate it before it finds that the text is shorter."""
    at = content.index(struct.pack("<IQI", 16, at, 1))
    content[at : at + 4] = struct.pack("<I", 1500 << 20)


def no_object(content, at):
    """Let a text be in the free space of its heap."""
    at = content.index(struct.pack("<IQI", 16, at, 1))
    content[at + 12 : at + 16] = bytes(4)


@pytest.mark.parametrize(
    ("signature", "change", "finding"),
    [
        (b"GCOL", no_object, "a text in '@keras_version' longer than its heap"),
        (b"GCOL", no_step, "a text in '@keras_version' longer than its heap"),
        (b"GCOL", put(24, b"\xff" * 8), None),
        (b"GCOL", put(8, b"\xff" * 8), "truncated or damaged"),
        (b"GCOL", long_text, "a text in '@keras_version' longer than its heap"),
        (b"HEAP", cycle, None),
        (b"\x89HDF", put(13, b"\x04"), "offsets of other than 8 bytes"),
    ],
)
def test_damaged_structures_are_refused_or_harmless(tmp_path, signature, change, finding):
    content = damaged(signature, change)
    if finding is not None:
        return refused(tmp_path / "a.h5", content, finding)
    # files that break HDF5 break no reader here
    (tmp_path / "a.h5").write_bytes(content)
    found = read_contents(tmp_path / "a.h5")
    np.testing.assert_array_equal(found.arrays["a"], np.arange(3.0))
    assert found.metadata == {"keras_version": "a text in a heap"}


def test_a_tree_below_itself_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for i in range(400):
            file[f"number_{i}"] = np.arange(3.0)
    assert len(read_arrays(path)) == 400
    content = bytearray(path.read_bytes())
    places = [m.start() for m in re.finditer(b"TREE", content)]
    (top,) = [place for place in places if content[place + 5] == 1]
    # its first child, after a key
    content[top + 32 : top + 40] = struct.pack("<Q", top)
    refused(path, content, "a tree has a wrong node")
