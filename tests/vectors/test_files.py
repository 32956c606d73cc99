"""Covariant vectors in files: saved, read, interrupted and continued to the same bits."""

from dataclasses import fields

import h5py
import numpy as np
import pytest
from matplotlib.figure import Figure

import lyapy
from lyapy.cli import main
from lyapy.errors import Interrupted
from lyapy.vectors import covariant, plots
from lyapy.vectors.checkpoint import Checkpoints
from lyapy.vectors.passes import Passes

NETWORK = lyapy.random_network("vanilla", 6, gain=2.0, seed=1)
OPTIONS = {"steps": 1500, "transient": 200, "at": range(300, 1200, 9), "k": 4}


def assert_same(one, other):
    for field in fields(lyapy.CovariantVectors):
        if field.name != "settings":
            left, right = getattr(one, field.name), getattr(other, field.name)
            np.testing.assert_array_equal(left, right, err_msg=field.name)


def test_a_file_holds_all(tmp_path):
    found = lyapy.covariant_vectors(NETWORK, **OPTIONS)
    found.save(tmp_path / "vectors.h5")
    again = lyapy.CovariantVectors.load(tmp_path / "vectors.h5")
    assert_same(found, again)
    assert again.settings["tolerance"] == 1e-8 and again.advice == found.advice
    with h5py.File(tmp_path / "vectors.h5") as file:
        assert file["vectors"].dims[1].label == "" and file["vectors"].attrs["units"] == "1"
        assert [d[0].name for d in file["vectors"].dims] == ["/step", "/vector", "/state"]
    with pytest.raises(FileExistsError):
        found.save(tmp_path / "vectors.h5")
    with pytest.raises(ValueError, match=r"the suffix \.npz hides"):
        found.save(tmp_path / "vectors.npz")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "run.h5"
    lyapy.lyapunov_spectrum(NETWORK, steps=100).save(path)
    with pytest.raises(ValueError, match=r"run.h5: has no covariant vectors; give a file of"):
        lyapy.CovariantVectors.load(path)
    with pytest.raises(FileExistsError):
        lyapy.covariant_vectors(NETWORK, **OPTIONS, checkpoint=path)


@pytest.fixture
def stop_after(monkeypatch):
    """Return the whole result, and set after which share of its two ways the next run stops."""
    interval, count, last = Passes._interval, [], [np.inf]

    def stopping(*words):
        count.append(0)
        if len(count) >= last[0]:
            raise KeyboardInterrupt
        return interval(*words)

    def set_share(share):
        monkeypatch.setattr(Passes, "_interval", stopping)
        whole = lyapy.covariant_vectors(NETWORK, **OPTIONS)
        last[0] = len(count) * (1.0 + share)
        return whole, lambda: len(count) >= last[0]

    return set_share


@pytest.mark.parametrize("share", [0.02, 0.3, 0.55, 0.9])
@pytest.mark.parametrize("killed", [False, True])
def test_an_interrupted_computation_continues_to_the_same_bits(
    tmp_path, monkeypatch, stop_after, share, killed
):
    path, write = tmp_path / "vectors.h5", Checkpoints.write
    whole, stopped = stop_after(share)
    if killed:
        # nothing is written at the end
        monkeypatch.setattr(Checkpoints, "write", lambda self: stopped() or write(self))
    every = {"checkpoint": path, "checkpoint_every": 1e-9}
    with pytest.raises(Interrupted, match=r"vectors\.h5: interrupted"):
        lyapy.covariant_vectors(NETWORK, **OPTIONS, **every)
    monkeypatch.undo()
    assert not path.exists()
    left = []
    way = covariant._back
    monkeypatch.setattr(covariant, "_back", lambda *words: left.append(words[2]) or way(*words))
    assert_same(lyapy.covariant_vectors(NETWORK, **OPTIONS, **every), whole)
    assert (left[0] < 1700) == (share > 0.5)
    assert not list(tmp_path.glob("*.checkpoints"))
    # finished: read, and refused to others
    assert_same(lyapy.covariant_vectors(NETWORK, **OPTIONS, **every), whole)
    with pytest.raises(ValueError, match=r"holds other vectors, .*seed is 0 there, 1 here"):
        lyapy.covariant_vectors(NETWORK, **OPTIONS, **every, seed=1)
    other = lyapy.covariant_vectors(NETWORK, **OPTIONS, **every, seed=1, overwrite=True)
    assert_same(lyapy.CovariantVectors.load(path), other)


@pytest.mark.parametrize(("share", "shown"), [(0.3, "forward at step "), (0.8, "back at step ")])
def test_an_unfinished_computation_is_shown(
    tmp_path, monkeypatch, stop_after, capsys, share, shown
):
    stop_after(share)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Interrupted):
        lyapy.covariant_vectors(NETWORK, **OPTIONS, checkpoint="v.h5", checkpoint_every=1e-9)
    assert main(["show", "v.h5"]) == 0
    assert f"v.h5: unfinished covariant vectors, on the way {shown}" in capsys.readouterr().out
    assert main(["verify", "v.h5"]) == 0
    assert "state.h5: whole" in capsys.readouterr().out
    state = tmp_path / "v.h5.checkpoints" / "state.h5"
    state.write_bytes(state.read_bytes()[:-8] + bytes(8))
    assert main(["verify", "v.h5"]) == 1
    assert "DAMAGED" in capsys.readouterr().out


def test_the_command_computes_shows_and_plots_vectors(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    weights = {"weight_ih_l0": (15, 2), "weight_hh_l0": (15, 5), "bias_ih_l0": 15, "bias_hh_l0": 15}
    np.savez("gru.npz", **{name: rng.normal(size=size) for name, size in weights.items()})
    np.save("drive.npy", rng.normal(size=(900, 2)))
    words = ["vectors", "gru.npz", "--inputs", "drive.npy", "--transient", "300", "-k", "2"]
    words += ["--at", "400:600:20", "-o", "vectors.h5", "--plot", "vectors.png"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "CovariantVectors(2 of 5 at 10 steps" in shown
    assert shown.endswith("written to vectors.h5 and vectors.png\n")
    found = lyapy.CovariantVectors.load("vectors.h5")
    assert str(found) in shown
    assert main(["show", "vectors.h5"]) == 0
    assert capsys.readouterr().out == f"{found}\n"
    assert main(["show", "vectors.h5", "--json"]) == 2
    assert "holds covariant vectors, for which there is no --json" in capsys.readouterr().err
    assert main(["verify", "vectors.h5"]) == 0
    assert "vectors.h5: whole, SHA-256" in capsys.readouterr().out
    assert main(["plot", "vectors.h5", "-o", "again.png"]) == 0
    network, inputs = lyapy.load("gru.npz"), np.load("drive.npy")
    at = range(400, 600, 20)
    assert_same(found, lyapy.covariant_vectors(network, inputs, transient=300, k=2, at=at))
    # finished already
    assert main([*words[:-2], "--quiet"]) == 0
    assert main([*words[:-2], "--seed", "3"]) == 2
    assert "holds other vectors" in capsys.readouterr().err
    assert main([*words[:-2], "--at", "5"]) == 2
    assert "is no START:STOP" in capsys.readouterr().err


def test_the_command_reads_text_by_a_vocabulary(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows, ids = rng.normal(size=(3, 2)), rng.integers(3, size=400)
    arrays = {"weight_ih_l0": rng.normal(size=(4, 2)), "weight_hh_l0": rng.normal(size=(4, 4)) / 4}
    np.savez("net.npz", **arrays, **{"embedding.weight": rows})
    (tmp_path / "x.txt").write_text("".join("cab"[i] for i in ids))
    (tmp_path / "v.txt").write_text("cab")
    words = ["vectors", "net.npz", "--nonlinearity", "tanh", "--inputs", "x.txt", "--quiet"]
    words += ["--vocabulary", "v.txt", "--transient", "100", "-k", "2", "--at", "150:200:10"]
    assert main([*words, "-o", "vectors.h5"]) == 0
    network = lyapy.load("net.npz", nonlinearity="tanh")
    at = range(150, 200, 10)
    wanted = lyapy.covariant_vectors(network, ids, transient=100, k=2, at=at)
    assert_same(lyapy.CovariantVectors.load("vectors.h5"), wanted)


def test_plots_show_shares_and_angles(tmp_path):
    found = lyapy.covariant_vectors(NETWORK, **OPTIONS)
    axes = plots.plot_vectors(found, Figure().subplots())
    (image,) = axes.get_images()
    shares = image.get_array()
    assert shares.shape == (4, 6)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    axes = plots.plot_angles(found, [1, 2], Figure().subplots())
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "first and the others",
        "first 2 and the others",
    ]
    plots.plot_vectors_summary(found, tmp_path / "vectors.svg")
    with pytest.raises(FileExistsError):
        plots.plot_vectors_summary(found, tmp_path / "vectors.svg")
