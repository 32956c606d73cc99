"""Runs on a GPU or its stand-in: checkpoints, memory, float32, the command line."""

import os
import signal
import sys
import threading

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum
from lyapy.cli import main
from lyapy.errors import Interrupted
from lyapy.runs import schedule
from lyapy.runs.gpu import batch
from lyapy.runs.gpu import devices as running
from lyapy.runs.trajectory import Trajectory
from lyapy.weights.frameworks.canonical import canonical_bytes
from tests.support.made_checkpoints import assert_same_bits, interrupted

DRIVE = np.random.default_rng(0).normal(size=(3, 300, 2))
NETWORK = lyapy.random_network("lstm", 5, 2, layers=2, seed=1)


pytestmark = pytest.mark.usefixtures("device")


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)


def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, monkeypatch):
    options = {"backend": "cupy", "transient": 70, "record": ("states", "frames", "growth")}
    whole = lyapunov_spectrum(NETWORK, DRIVE, checkpoint=tmp_path / "whole.h5", **options)
    path = tmp_path / "run.h5"
    for chunks in (1, 3):
        with interrupted(monkeypatch, chunks, batch.Batch):
            lyapunov_spectrum(NETWORK, DRIVE, checkpoint=path, **options)
    continued = lyapunov_spectrum(NETWORK, DRIVE, checkpoint=path, **options)
    assert_same_bits(continued, whole)
    assert continued.settings["versions"]


def test_trajectories_that_had_ended_have_the_same_bits(tmp_path, monkeypatch):
    options = {"backend": "cupy", "threads": 1, "k": 5}
    whole = lyapunov_spectrum(NETWORK, DRIVE, **options)
    # the first of three takes five
    with interrupted(monkeypatch, 7, batch.Batch):
        lyapunov_spectrum(NETWORK, DRIVE, checkpoint=tmp_path / "run.h5", **options)
    found = lyapunov_spectrum(NETWORK, DRIVE, checkpoint=tmp_path / "run.h5", **options)
    assert_same_bits(found, whole)


def test_the_host_does_as_much_for_many_trajectories(counts, monkeypatch):
    """All calls in a chunk are counted, but for one that looks at each trajectory's inputs."""
    advance, calls = batch.Batch.advance, []

    def counted(self):
        calls.append(0)

        def count(frame, event, argument):
            calls[-1] += event.endswith("call")

        sys.setprofile(count)
        try:
            return advance(self)
        finally:
            sys.setprofile(None)

    monkeypatch.setattr(batch.Batch, "advance", counted)
    most = {}
    for B in (2, 20):
        calls.clear()
        network = lyapy.random_network("gru", 6, 2, gain=0.8, seed=1)
        inputs = np.broadcast_to(DRIVE[:1], (B, 300, 2))
        lyapunov_spectrum(network, inputs, backend="cupy", frame="identity", k=2)
        # the first one compiles
        most[B] = max(calls[1:])
    assert 100 < most[20] <= most[2] + 20


@pytest.mark.parametrize("restarts", [False, True])
def test_a_signal_keeps_the_chunk_that_is_being_computed(restarts, tmp_path, monkeypatch):
    """Even where a checkpoint is too expensive to be written now and then.

    NVRTC, once it has compiled a kernel, leaves handlers after which waiting is restarted.
    """
    advance, done = batch.Batch.advance, []
    stop, noticed = running.Progress.stop, threading.Event()

    def stopped(self):
        stop(self)
        noticed.set()

    monkeypatch.setattr(running.Progress, "stop", stopped)

    def signalled(self):
        if len(done) == 2:
            signal.siginterrupt(signal.SIGINT, not restarts)
            os.kill(os.getpid(), signal.SIGINT)
            # the handler runs in the main thread, which then stops the others
            assert noticed.wait(20.0)
        done.append(1)
        return advance(self)

    monkeypatch.setattr(batch.Batch, "advance", signalled)
    monkeypatch.setattr(running, "CHECKPOINT_SHARE", -np.inf)
    options = {"backend": "cupy", "checkpoint": tmp_path / "run.h5"}
    with pytest.raises(Interrupted, match="checkpoint 1 is kept"):
        lyapunov_spectrum(NETWORK, DRIVE, **options)
    assert len(done) == 3
    found = lyapunov_spectrum(NETWORK, DRIVE, **options)
    assert len(done) == 5
    whole = lyapunov_spectrum(NETWORK, DRIVE, backend="cupy")
    np.testing.assert_array_equal(found.growth, whole.growth)


@pytest.mark.parametrize(("first", "second"), [("cupy", "numpy"), ("numpy", "cupy")])
def test_another_backend_continues_on_request(first, second, tmp_path, monkeypatch):
    kind = batch.Batch if first == "cupy" else Trajectory
    network = lyapy.random_network("vanilla", 33, 2, gain=0.8, seed=1)
    options = {"frame": "identity", "threads": 1, "checkpoint": tmp_path / "run.h5"}
    with interrupted(monkeypatch, 2, kind):
        lyapunov_spectrum(network, DRIVE[:1], backend=first, **options)
    with pytest.raises(ValueError, match=r"backend is .* continue it with any_backend=True"):
        lyapunov_spectrum(network, DRIVE[:1], backend=second, **options)
    with pytest.warns(RuntimeWarning, match="continues under other conditions.*backend is"):
        found = lyapunov_spectrum(network, DRIVE[:1], backend=second, any_backend=True, **options)
    assert any("backend is" in change for change in found.settings["environment_changes"])
    wanted = lyapunov_spectrum(network, DRIVE[:1], frame="identity", backend="numpy")
    np.testing.assert_allclose(found.growth, wanted.growth, atol=1e-6)
    np.testing.assert_allclose(found.exponents, wanted.exponents, atol=1e-9)


def exhaust(monkeypatch, error, most, chunks=0):
    """Let memory run out under more than so many trajectories, after so many chunks."""
    sizes, advance = [], batch.Batch.advance

    def advanced(self):
        if self.position == 64 * chunks:
            sizes.append(len(self.names))
            if len(self.names) > most:
                raise error
        return advance(self)

    monkeypatch.setattr(batch.Batch, "advance", advanced)
    return sizes


ERRORS = [
    MemoryError("out of memory"),
    RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"),
    RuntimeError("cudaErrorMemoryAllocation: out of memory"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_a_batch_is_halved_where_memory_runs_out(error, monkeypatch, caplog):
    """CuPy's own memory, or that of CUDA and its libraries."""
    whole = lyapunov_spectrum(NETWORK, DRIVE, backend="cupy")
    sizes = exhaust(monkeypatch, error, 1)
    with caplog.at_level("INFO"):
        halved = lyapunov_spectrum(NETWORK, DRIVE, backend="cupy")
    assert sizes == [3, 1, 2, 1, 1]
    assert "memory of the GPU ran out: 1 trajectories at a time, instead of 3" in caplog.text
    np.testing.assert_allclose(halved.growth, whole.growth, atol=1e-7)


@pytest.mark.parametrize(
    ("most", "chunks", "message"),
    [
        (0, 0, r"with 1 trajectories at a time, .*\(state of 20, 20 .* give a smaller k, or prec"),
        (2, 1, r"with 3 trajectories at a time, .* 64 steps, float64\); give threads=1 \(--thr"),
    ],
)
def test_memory_that_does_not_suffice_names_a_remedy(most, chunks, message, monkeypatch):
    """For one trajectory, or in the middle of a run, which is not begun again."""
    exhaust(monkeypatch, ERRORS[0], most, chunks)
    with pytest.raises(MemoryError, match=message):
        lyapunov_spectrum(NETWORK, DRIVE, backend="cupy")


def test_float32_keeps_a_tolerance_of_its_own():
    """An explicit choice: its tolerance follows from its roundoff, and so do the intervals."""
    network = lyapy.random_network("gru", 8, 2, gain=0.8, seed=3)
    double = lyapunov_spectrum(network, DRIVE, backend="cupy", frame="identity")
    single = lyapunov_spectrum(
        network, DRIVE, backend="cupy", frame="identity", precision="float32"
    )
    assert (single.settings["precision"], single.settings["tolerance"]) == ("float32", 2.5e-4)
    assert single.largest_spread.max() <= np.log(2.5e-4 / 2.0**-24)
    assert single.intervals.min() > 1.3 * double.intervals.max()
    error = np.abs(single.growth.sum(axis=1) - double.growth.sum(axis=1)).max(axis=1)
    # of each interval at most a tolerance
    assert np.all(error <= 2.5e-4 * single.intervals[:, 0])
    assert np.all(error > 1e-9)
    assert single.growth.dtype == np.float64


@pytest.mark.repeats
def test_the_command_line_takes_a_precision(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.h5").write_bytes(canonical_bytes(NETWORK))
    np.save("drive.npy", DRIVE[:, :100])
    words = ["spectrum", "net.h5", "--inputs", "drive.npy", "-o", "run.h5", "--backend", "cupy"]
    assert main([*words, "--precision", "float32", "--quiet"]) == 0
    found = lyapy.Spectrum.load("run.h5")
    assert (found.settings["backend"], found.settings["precision"]) == ("cupy", "float32")
    assert not capsys.readouterr().err.startswith("lyapy: error")
