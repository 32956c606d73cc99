"""The strict reader of HDF5 agrees with h5py, and no damage gets past its one error."""

import io
import struct
import time

import h5py
import numpy as np
import pytest

from lyapy.storage.hdf5 import Group, Hdf5Error, open_hdf5
from lyapy.storage.hdf5_arrays import element_of, shape_of

ARRAYS = {
    "swapped": np.arange(5, dtype=">i2"),
    "bool": np.array([True, False]),
    "half": np.array([[1.5, -np.inf]], "f2"),
    "unsigned": np.array([2**64 - 1], "u8"),
    "fixed": np.array([b"relu", b"tanh"]),
    "scalar": np.float64(2.5),
    "none": np.zeros((0, 3)),
    "group/inner": np.arange(6.0).reshape(2, 3),
}
TEXTS = ["", "a", "ä" * 300]
CHUNKED = {
    "packed": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "checked": {"fletcher32": True},
    "shuffled": {"shuffle": True},
}
ATTRIBUTES = {
    "int": -3, "real": 0.1, "yes": True, "text": "λ\n", "empty": "", "list": TEXTS,
    "numbers": np.arange(3), "fixed": np.bytes_(b"fixed"),
}  # fmt: skip


@pytest.fixture(scope="module")
def content():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as file:
        for name, array in ARRAYS.items():
            file[name] = array
        values = np.random.default_rng(0).normal(size=(33, 47))
        for name, options in CHUNKED.items():
            file.create_dataset(name, data=values, chunks=(10, 11), **options)
        file.create_dataset("odd", data=np.arange(331, dtype="u1"), chunks=(13,), fletcher32=True)
        texts = np.array(TEXTS * 9, dtype=h5py.string_dtype())
        file.create_dataset("texts", data=texts, chunks=(4,), compression="gzip")
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        file.create_dataset("compact", data=np.arange(5.0), dcpl=compact)
        # as deep as groups may be
        file.create_group("/deep" * 32)
        file.attrs.update(ATTRIBUTES, nothing=h5py.Empty("f8"))
        for number in range(300):
            file[f"many/{number}"] = number
    return buffer.getvalue()


def opened(content, **options):
    return open_hdf5(io.BytesIO(content), len(content), **options)


def test_it_agrees_with_h5py(content):
    root = opened(content)
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(lambda name, item: compare(root[name], item))
        for name in ATTRIBUTES:
            wanted = file.attrs[name]
            wanted = wanted.decode() if isinstance(wanted, bytes) else wanted
            np.testing.assert_array_equal(root.attrs[name], wanted)
            assert type(root.attrs[name]) is type(wanted)
    assert root.attrs["nothing"] is None
    assert root.get("many/300") is None and "many/299" in root and len(root["many"]) == 300


def compare(found, item):
    if isinstance(item, h5py.Group):
        assert sorted(found) == sorted(item)
        return
    is_text = item.dtype.kind == "O"
    wanted = (item.asstr() if is_text else item)[()]
    np.testing.assert_array_equal(found.read(), wanted)
    assert found.dtype == found.read().dtype == item.dtype.newbyteorder("=")
    whole = np.empty_like(found.read())
    for place, block in found.blocks():
        whole[place] = block
    np.testing.assert_array_equal(whole, wanted)


def everything(group):
    for found in group.values():
        everything(found) if isinstance(found, Group) else found.read()
        list(found.attrs.values())
    list(group.attrs.values())


def test_damage_is_found_or_harmless_and_takes_no_time(content):
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            damaged[place] = rng.choice([0, 1, 8, 127, 255, rng.integers(256)])
        begin = time.process_time()
        try:
            everything(opened(damaged))
        except Hdf5Error:
            refused += 1
        assert time.process_time() - begin < 1.0
    assert refused > 10


def test_a_truncated_file_is_refused(content):
    for length in range(0, len(content), 997):
        with pytest.raises(Hdf5Error, match=r"truncated|not an HDF5 file"):
            opened(content[:length])


def test_a_superblock_of_version_1_has_four_bytes_more():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["a"] = 2.5
    content = buffer.getvalue()
    # they push out the end of what HDF5 keeps of the root
    changed = content[:8] + b"\x01" + content[9:24] + b"\x20\0\0\0" + content[24:92] + content[96:]
    assert opened(changed)["a"].read() == 2.5


@pytest.mark.parametrize(("dtype", "shortest"), [("?", 20), ("<i2", 12), (">f8", 20), ("S5", 8)])
def test_a_type_that_is_cut_short_is_refused(dtype, shortest):
    # after two bytes of h5py's own
    body = h5py.h5t.py_create(np.dtype(dtype), logical=True).encode()[2:]
    found = element_of(body, "a")
    assert found.is_bool == (dtype == "?") and found.is_bool == (found.dtype != np.dtype(dtype))
    for length in range(shortest):
        with pytest.raises(Hdf5Error):
            element_of(body[:length], "a")
    for length in range(shortest, len(body)):
        assert not element_of(body[:length], "a").is_text


def test_shapes_of_both_versions_are_read():
    assert shape_of(struct.pack("<BBB5x2Q", 1, 2, 0, 3, 4), "a") == (3, 4)
    assert shape_of(struct.pack("<BBBB2Q", 2, 2, 0, 1, 3, 4), "a") == (3, 4)


def test_an_unknown_filter_is_named():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("a", data=np.zeros(100), compression="lzf")
    with pytest.raises(Hdf5Error, match="the filter lzf, which is not read; write it with gzip"):
        opened(buffer.getvalue())["a"].read()


@pytest.mark.parametrize("options", [{"libver": "latest"}, {"track_order": True}])
def test_newer_structures_are_refused_with_a_remedy(options):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        file["a/b"] = 1.0
    with pytest.raises(Hdf5Error, match=r"newer HDF5 structures.*; write it with h5py's default"):
        everything(opened(buffer.getvalue()))


def test_a_group_inside_itself_ends():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number in range(100):
            file[f"{number}"] = file["/"]
    begin = time.process_time()
    with pytest.raises(Hdf5Error, match="nests its groups too deeply"):
        everything(opened(buffer.getvalue()))
    assert time.process_time() - begin < 1.0


def test_arrays_are_refused_beyond_the_limit(content):
    root = opened(content, limit=33 * 47 * 8 + 4000)
    root["shuffled"].read()
    with pytest.raises(Hdf5Error, match=r"bytes and declares more than \d+ with 'packed'"):
        root["packed"].read()


def test_one_text_referred_to_by_many_is_refused_beyond_the_limit():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        texts = file.create_dataset("a", (10_000,), h5py.string_dtype(), chunks=(10_000,))
        texts[:] = ["x" * 5000] * 10_000
    content = bytearray(buffer.getvalue())
    assert len(opened(content)["a"].read()) == 10_000
    with pytest.raises(Hdf5Error, match="declares more than"):
        opened(content, limit=20 << 20)["a"].read()
