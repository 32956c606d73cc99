"""The readers of files from others: files to begin with, how these are changed and read."""

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest

import lyapy
from lyapy.errors import Interrupted, WeightsError
from lyapy.runs.checkpoint.folder import _read_state as _read_state_file
from lyapy.runs.checkpoint.folder import checkpoint_folder
from lyapy.runs.inputs import read_inputs
from lyapy.spectra.spectrum import Spectrum
from lyapy.spectra.text import spectrum_summary, spectrum_table
from lyapy.sweeps.merge import row_of_run
from lyapy.sweeps.merged_file import read_network, write_merged
from lyapy.sweeps.metadata import metadata_of
from lyapy.sweeps.result import Sweep
from lyapy.sweeps.text import rows_summary, rows_table
from lyapy.weights.frameworks.canonical import canonical_bytes
from lyapy.weights.frameworks.layer import Hints
from lyapy.weights.load import network_from_contents
from lyapy.weights.source import read_source
from tests.support.made_checkpoints import OFTEN, stop_after

from .structures import MUTATORS, Mutator

__all__ = ["SUBJECTS", "Subject"]

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
SEED_LIMIT = 32 << 10


class Target(NamedTuple):
    """A format of weights: patterns of golden files to take and to leave out, and layouts."""

    patterns: tuple[str, ...]
    without: str = ""
    layouts: tuple[str | None, ...] = (None,)


TARGETS = {
    "torch": Target(("torch_files/*.pt",), without="_old"),
    "torch-legacy": Target(("torch_files/*_old.pt",)),
    "safetensors": Target(("jax_files/*.safetensors",)),
    "npz": Target(
        ("jax_files/*.npz", "tensorflow1_files/*.npz"),
        layouts=(None, "haiku", "tensorflow1"),
    ),
    "hdf5": Target(("keras_files/*.h5",)),
    "keras": Target(("keras_files/*.keras",)),
    "onnx": Target(("onnx_files/*.onnx",)),
    "msgpack": Target(("jax_files/*.msgpack",)),
    "equinox": Target(("jax_files/*.eqx",), layouts=("equinox",)),
}

NETWORK = lyapy.random_network("gru", 3, 2, seed=1)
DRIVE = np.random.default_rng(0).normal(size=(2, 160, 2))


class Subject(NamedTuple):
    """A reader: its seeds by name, mutator and suffix, and the errors that it may end with."""

    seeds: Callable[[], Iterator[tuple[str, bytes]]]
    mutate: Mutator
    suffix: str
    read: Callable[[Path], object]
    errors: tuple[type[Exception], ...]


def _load(name: str, path: Path) -> None:
    source, contents = read_source(path)
    refusals = []
    layouts = TARGETS[name].layouts if name in TARGETS else (None,)
    for layout in layouts:
        # parameters with which layers are built whatever the file leaves open
        hints = Hints(nonlinearity="tanh", gate_nonlinearity="sigmoid", layout=layout)
        try:
            network_from_contents(source, contents, hints)
        except WeightsError as error:
            refusals.append(error)
    if len(refusals) == len(layouts):
        raise refusals[-1]


def _read_run(path: Path) -> None:
    found = Spectrum.load(path)
    spectrum_table(found)
    spectrum_summary(found)
    row_of_run("a", path)


def _read_merged(path: Path) -> None:
    found = Sweep.load(path)
    rows_table(found)
    rows_summary(found)
    for row in found.rows[:2]:
        if row.has_result:
            read_network(path, row.name)


def _read_state(path: Path) -> None:
    # the segments that a state names are sealed likewise
    _read_state_file(path)


def _run(folder: Path, **options: object) -> Path:
    path = folder / "run.h5"
    settled = {"backend": "numpy", "threads": 1, "checkpoint": path, **options}
    lyapy.lyapunov_spectrum(NETWORK, DRIVE, **settled)  # type: ignore[arg-type]
    return path


def _runs() -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as name:
        yield "plain", _run(Path(name)).read_bytes()
    with tempfile.TemporaryDirectory() as name:
        record = {"record": ("growth", "states", "frames"), "record_every": 1}
        yield "records", _run(Path(name), **record).read_bytes()


def _merged() -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as name:
        run = _run(Path(name))
        rows = [row_of_run(text, run)._replace(metadata={"lr": 0.1, "kind": text}) for text in "ab"]
        rows.append(row_of_run("c", Path(name) / "none.h5"))
        path = Path(name) / "all.h5"
        write_merged(rows, {"a": run, "b": run}, path)
        yield "three", path.read_bytes()


def _states() -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as name:
        with pytest.MonkeyPatch.context() as patch, suppress(Interrupted):
            stop_after(8, patch)
            records = {"record": ("growth", "states"), "record_every": 32}
            _run(Path(name), checkpoint_every=OFTEN, **records)
        for path in checkpoint_folder(Path(name) / "run.h5").glob("state-*.h5"):
            yield path.name, path.read_bytes()


def _golden(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield files that frameworks wrote, and lyapy's own canonical form, by their names."""
    target = TARGETS[name]
    for pattern in target.patterns:
        for path in sorted(GOLDEN.glob(pattern)):
            if target.without and target.without in path.name:
                continue
            if path.stat().st_size <= SEED_LIMIT:
                yield path.name, path.read_bytes()
    if name == "hdf5":
        for kind in ("vanilla", "gru", "lstm", "lstm-projected"):
            yield f"canonical_{kind}", canonical_bytes(lyapy.random_network(kind, 3, 2))


def _weights(name: str) -> Iterator[tuple[str, bytes]]:
    yield from _golden(name)
    if name == "hdf5":
        buffer = io.BytesIO()
        with h5py.File(buffer, "w", libver="earliest") as file:
            packed = {"compression": "gzip", "shuffle": True, "fletcher32": True}
            file.create_dataset("a", data=np.arange(3e4), chunks=(999,), **packed)
            file.attrs["model_config"] = "x" * 500
            for i in range(300):
                file[f"layers/lstm_{i}/cell/vars/0"] = np.arange(6.0)
        yield "large", buffer.getvalue()


def _matlab() -> Iterator[tuple[str, bytes]]:
    from scipy.io import savemat

    arrays = {"W_rec": np.eye(3), "W_in": np.ones((3, 2)), "b": np.zeros(3, np.float32)}
    for packed in (False, True):
        buffer = io.BytesIO()
        savemat(buffer, arrays, do_compression=packed)
        yield f"packed_{packed}", buffer.getvalue()


def _arrays(suffix: str) -> Iterator[tuple[str, bytes]]:
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, DRIVE)
    elif suffix == ".npz":
        np.savez_compressed(buffer, drive=DRIVE)
    else:
        with h5py.File(buffer, "w", libver="earliest") as file:
            file.create_dataset("a/drive", data=DRIVE, compression="gzip", chunks=(1, 30, 2))
    yield "drive", buffer.getvalue()


def _tables() -> Iterator[tuple[str, bytes]]:
    yield "losses", b"name,loss,epoch,kind\na,0.5,1,x\nb,nan,2,y\nc/a,1e-3,3,\n"
    yield "weights", b'weights,lr,text\na.npz,0.1,"a, b"\nb.npz,0.01,"c"\n'


def _read_table(path: Path) -> object:
    return metadata_of({"a": "a.npz", "b": "b.npz", "c/a": "c/a.npz"}, None, path, {})


_HOW = {"torch": "archive", "torch-legacy": "legacy", "npz": "archive", "keras": "archive",
        "onnx": "protobuf", "equinox": "npy", "matlab": "matlab"}  # fmt: skip
_FAILURES = (ValueError, OSError)

SUBJECTS: dict[str, Subject] = {
    **{
        name: Subject(
            _matlab if name == "matlab" else partial(_weights, name),
            MUTATORS[_HOW.get(name, name)],
            ".weights",
            partial(_load, name),
            (WeightsError,),
        )
        for name in (*TARGETS, "matlab")
    },
    "run": Subject(_runs, MUTATORS["resealed"], ".h5", _read_run, _FAILURES),
    "merged": Subject(_merged, MUTATORS["resealed"], ".h5", _read_merged, _FAILURES),
    "state": Subject(_states, MUTATORS["resealed"], ".h5", _read_state, _FAILURES),
    **{
        f"inputs{suffix}": Subject(
            partial(_arrays, suffix),
            MUTATORS[how],
            suffix,
            lambda path: read_inputs(path, NETWORK),
            # of arrays that are not of real numbers
            (*_FAILURES, TypeError),
        )
        for suffix, how in ((".npy", "npy"), (".npz", "archive"), (".h5", "hdf5"))
    },
    "table": Subject(_tables, MUTATORS["table"], ".csv", _read_table, _FAILURES),
}
