"""Small files that would take much time or memory: each is refused, or read, before it does."""

import json
import struct
import subprocess
import sys
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from tests.support.weights_files import THING, read_arrays, tensor, torch_file, zipped
from tests.weights.formats.test_hdf5 import written

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")

# the modulus of Python's hash of numbers, so that all of its multiples have the hash 0
MODULUS = (1 << 61) - 1
READ = """
import json, resource, sys, time
from pathlib import Path
import msgpack, safetensors
from lyapy import WeightsError
from lyapy.weights.formats import mat_file, msgpack_file, npy, read_contents, torch_file
from lyapy.weights.frameworks import LAYOUTS, find_layers
from lyapy.weights.frameworks.layer import Hints
for layout in LAYOUTS:
    __import__(f"lyapy.weights.frameworks.{layout}")
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + (512 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
found = {}
for path in sys.argv[1:]:
    begin = time.process_time()
    try:
        find_layers(path, read_contents(path), Hints())
        text = "read"
    except WeightsError as error:
        text = str(error)
    found[Path(path).name] = text, time.process_time() - begin
print(json.dumps(found))
"""
# processor time on a busy machine
SECONDS = 4.0


def long_integer(value):
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def numbers_of_one_hash():
    keys = b"".join(long_integer(k * MODULUS) + b"N" for k in range(30_000))
    return torch_file(b"\x80\x02}(" + keys + b"u.")


def places_of_one_hash():
    return torch_file(b"N" + b"".join(b"p%d\n" % (k * MODULUS) for k in range(30_000)) + b".")


def opcodes():
    return torch_file(b"\x80\x02" + b"N0" * 5_000_000 + b"N.")


def equal_keys():
    return torch_file(b"}(I1\nNV1\nNI1\nNu.")


def nested_names():
    msgpack = pytest.importorskip("msgpack", reason="needs the extra flax")
    leaf = msgpack.ExtType(1, msgpack.packb(((1,), "float32", bytes(4))))
    return msgpack.packb({"a": {"k" * 1_000_000: {str(i): leaf for i in range(3000)}}})


def numbers_as_keys():
    msgpack = pytest.importorskip("msgpack", reason="needs the extra flax")
    return msgpack.packb({"a": {k << 40: None for k in range(1000)}})


def long_group(file):
    group = file.create_group("g" * 250_000)
    for i in range(3000):
        group[str(i)] = np.float32(1)


def names_in_one_another():
    """A group of which each name is the end of the one before, all in 256 kB."""
    content = bytearray(written(lambda file: file.__setitem__("a", np.float32(1))))
    heap, tree, node = (content.index(name) for name in (b"HEAP", b"TREE", b"SNOD"))
    _, address, _ = struct.unpack_from("<QQI", content, node + 8)
    names = b"y" * 256_000 + b"\0"
    struct.pack_into("<QQQ", content, heap + 8, len(names), (1 << 64) - 1, len(content))
    content += names
    struct.pack_into("<Q", content, tree + 32, len(content))
    entries = [struct.pack("<QQI20x", i, address, 0) for i in range(3000)]
    content += b"SNOD\1\0" + struct.pack("<H", len(entries)) + b"".join(entries)
    # the end of the file
    struct.pack_into("<Q", content, 40, len(content))
    return bytes(content)


def many_texts():
    """Texts with one heap each, all heaps in the same bytes."""

    def fill(file):
        file["a"] = np.arange(3.0)
        for i in range(700):
            file[f"a{i}"] = np.float32(1)
            file[f"a{i}"].attrs["name"] = "t" * 60

    content = bytearray(written(fill))
    heaps = []
    place = -1
    while (place := content.find(b"GCOL", place + 1)) >= 0:
        heaps.append(place)
    for heap in heaps:
        struct.pack_into("<Q", content, heap + 8, len(content) - heap)
    return bytes(content)


def archive(config, weights=None):
    if weights is None:
        weights = written(lambda file: file.__setitem__("a", np.float32(1)))
    members = [("config.json", config), ("model.weights.h5", weights)]
    return zipped(members, zipfile.ZIP_DEFLATED)


def beyond(name):
    """An archive with a member that inflates to 100 MB and declares 1000 bytes."""
    large = bytes(100_000_000)
    content = archive(large) if name == "config.json" else archive("{}", large)
    return content.replace(struct.pack("<I", len(large)), struct.pack("<I", 1000))


def half_precision(tmp_path):
    path = tmp_path / "half.npz"
    np.savez_compressed(path, weight_hh_l0=np.zeros((8000, 8000), np.float16))
    return path.read_bytes()


def bytes_as_numbers():
    """MATLAB's bytes of the class double, of which each takes eight."""

    def element(kind, data):
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    count = 120_000_000
    parts = [element(6, struct.pack("<II", 6, 0)), element(5, struct.pack("<ii", 1, count))]
    matrix = element(14, b"".join([*parts, element(1, b"U"), element(1, bytes(count))]))
    packed = zlib.compress(matrix)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\x01IM"
    return head + struct.pack("<II", 15, len(packed)) + packed


def slow_names():
    """Names on which a pattern of Keras's layout went back and forth: 8 ms for each."""
    header = {
        f"{'cell/' * 197}{i:04d}": {
            "dtype": "F32",
            "shape": [1],
            "data_offsets": [4 * i, 4 * i + 4],
        }
        for i in range(1000)
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4 * len(header))


def empty_values(sort):
    """A text of JSON just below the limit, of empty lists or dicts."""
    return "[" + ",".join([sort] * 1_398_000) + "]"


def test_small_files_take_little_time_and_memory(tmp_path):
    again = "is damaged: it refers to the same bytes over and over"
    files = {
        "numbers.pt": (numbers_of_one_hash(), "holds no arrays"),
        "places.pt": (places_of_one_hash(), "holds no arrays"),
        "equal.pt": (equal_keys(), "two keys 1"),
        "opcodes.pt": (opcodes(), "holds too many values"),
        "thing.pt": (torch_file(THING + b")\x81" + b"0" + THING + b")\x81."), "holds no arrays"),
        "nested.msgpack": (nested_names(), "names that are too long"),
        "keys.msgpack": (numbers_as_keys(), "int is not allowed for map key"),
        "group.h5": (written(long_group), "names that are too long"),
        "ends.h5": (names_in_one_another(), again),
        "texts.h5": (many_texts(), "read"),
        "lists.keras": (archive(empty_values("[]")), "read"),
        "dicts.keras": (archive(empty_values("{}")), "read"),
        "packed.keras": (archive("[" + " " * (8 << 20) + "]"), "more than 4 MiB"),
        "beyond.keras": (beyond("config.json"), "Bad CRC-32"),
        "beyond2.keras": (beyond("model.weights.h5"), "Bad CRC-32"),
        "half.npz": (half_precision(tmp_path), "holds numbers that need 512000000"),
        "bytes.mat": (bytes_as_numbers(), "unpacks to more"),
        "slow.safetensors": (slow_names(), "read"),
    }
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-c", READ, *(str(tmp_path / name) for name in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for name, (_, finding) in files.items():
        text, seconds = found[name]
        assert finding in text, (name, text)
        assert seconds < SECONDS, (name, seconds)


def test_numbers_as_keys_of_a_pickle_are_texts(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(torch_file(b"}(I0\n" + tensor() + b"Va\nF0.5\nu."))
    assert list(read_arrays(path)) == ["0"]


def test_a_group_of_a_usual_file_is_far_from_the_limits(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for i in range(2000):
            file[f"layers/layer_{i:060d}/cell/vars/0"] = np.arange(3.0)
    assert len(read_arrays(path)) == 2000
