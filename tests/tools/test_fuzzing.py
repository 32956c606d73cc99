"""The structural fuzzer finds what it counts, and its finds stay found."""

import os
import sys
import time
from pathlib import Path
from random import Random

import pytest

from tools.fuzzing import hostile
from tools.fuzzing.structures import MUTATORS, protobuf
from tools.fuzzing.subjects import SUBJECTS, Subject

CORPUS = sorted(path for path in hostile.CORPUS.rglob("*") if path.is_file())
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")


def crash(path):
    os.abort()


def foreign(path):
    raise KeyError("a")


def heavy(path):
    bytearray(1 << 30)


def hang(path):
    while True:
        pass


def slow(path):
    begin = time.process_time()
    while time.process_time() - begin < 1.1:
        pass


def refused(path):
    raise ValueError("no")


@pytest.mark.parametrize("read", [crash, foreign, heavy, hang, slow, refused, Path.read_bytes])
def test_the_fuzzer_counts_each_kind_and_goes_on(monkeypatch, read):
    monkeypatch.setattr(hostile, "PROCESSOR", 2.0)
    bad = Subject(lambda: iter([]), MUTATORS["plain"], ".x", read, (ValueError, MemoryError))
    monkeypatch.setitem(SUBJECTS, "bad", bad)
    count = 1 if read in (hang, slow) else 3
    found = list(hostile.outcomes("bad", lambda number: b"a", count))
    kind = "read" if read is Path.read_bytes else read.__name__
    assert [(n, outcome.kind) for n, outcome in found] == [(n, kind) for n in range(count)]


def test_a_find_is_minimized(monkeypatch):
    def read(path):
        if b"xy" in path.read_bytes():
            raise KeyError("xy")

    bad = Subject(lambda: iter([]), MUTATORS["plain"], ".x", read, (ValueError,))
    monkeypatch.setitem(SUBJECTS, "bad", bad)
    assert len(hostile.minimized("bad", b"a" * 50 + b"xy" + b"b" * 50, "foreign")) < 8


def test_changed_files_are_the_same_again():
    assert [hostile.changed("table", 1)(n) for n in range(5)] == [
        hostile.changed("table", 1)(n) for n in range(5)
    ]


@pytest.mark.parametrize("mutate", MUTATORS.values(), ids=MUTATORS)
def test_broken_files_are_changed_again(mutate):
    for number in range(40):
        assert isinstance(mutate(b"blocks " * 100, Random(number)), bytes)


@pytest.mark.parametrize("name", ["hdf5", "torch", "run", "inputs.npz", "table"])
def test_changed_files_are_read_or_refused(name):
    pytest.importorskip("onnx", reason="needs the extra onnx")
    counts, _ = hostile.fuzz(name, 60, 3)
    assert counts["read"] + counts["refused"] == 60, counts


def test_lengths_of_messages_are_repaired():
    onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
    golden = Path(__file__).parents[1] / "golden/onnx_files/rnn.onnx"
    whole = 0
    for number in range(40):
        try:
            onnx.ModelProto().ParseFromString(protobuf(golden.read_bytes(), Random(number)))
            whole += 1
        except Exception:
            continue
    # of texts that are not UTF-8 any more
    assert whole > 20


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_finds_are_refused_or_read(path):
    content = path.read_bytes()
    ((_, outcome),) = hostile.outcomes(path.parent.name, lambda _: content, 1)
    assert outcome.kind in ("read", "refused"), outcome
