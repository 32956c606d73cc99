"""HDF5 files: good ones come back exactly; those that point elsewhere or lie are refused."""

from __future__ import annotations

import io
import resource
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from lyapy.errors import WeightsError
from lyapy.weights.formats import read_arrays, read_contents


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


def test_a_dataset_under_two_names_is_read_once(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(3.0)
        file["group/b"] = file["a"]
    found = read_arrays(path)
    assert list(found) == ["a", "group/b"] and found["a"] is found["group/b"]
