"""Weights under the names of a cell's arguments: in an npz, in the canonical form, and by hand."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

import lyapy
from lyapy import WeightsError, cells, lyapunov_spectrum
from lyapy.cli import main
from lyapy.networks.forward import forward_chunk
from lyapy.weights.frameworks.canonical import canonical_bytes
from lyapy.weights.frameworks.named import NAMED, named_arrays, named_numbers

RNG = np.random.default_rng(3)
U = random_array((6, 6), density=0.4, rng=RNG, data_sampler=RNG.normal)
NETWORKS = {
    kind.name: lyapy.random_network(kind.name, 4, 3, layers=2, bias=0.5, seed=1)
    for kind in cells.OTHERS
} | {
    "autonomous": lyapy.Network([cells.PLRNN(None, [0.5, 0.4], np.ones((2, 2)))]),
    "sparse": lyapy.Network([cells.Reservoir(RNG.normal(size=(6, 2)), U, leak=0.3)]),
    "each": lyapy.Network([cells.Rate(None, np.ones((2, 2)), dt=[0.1, 0.2])]),
    "numbers": lyapy.Network(
        [
            cells.Lipschitz(None, U.toarray(), U.toarray(), epsilon=0.1, beta=0.7, gamma=0.2,
                            alpha=0.5, nonlinearity="relu"),
        ]
    ),
    "detached": lyapy.Network([cells.SpikingSurrogate(None, np.ones((2, 2)), detached_reset=True)]),
    "RK4": lyapy.random_network("rate-rk4", 3, dt=0.05),
}  # fmt: skip


def npz_of(network):
    """Return the arrays of a file as a user would write it, layer by layer."""
    arrays = {}
    for number, cell in enumerate(network.cells):
        own = {**dict(named_arrays(cell)), **named_numbers(cell)}
        arrays |= {f"net.{number}.{name}": value for name, value in own.items()}
    return arrays


@pytest.mark.parametrize("name", NETWORKS)
def test_every_cell_survives_a_round_trip(tmp_path, name):
    network = NETWORKS[name]
    (tmp_path / "a.h5").write_bytes(canonical_bytes(network))
    np.savez(tmp_path / "a.npz", **npz_of(network))
    canonical = lyapy.load(tmp_path / "a.h5")
    named = lyapy.load(tmp_path / "a.npz", cell=network.cells[0].name)
    for found in (canonical, named):
        assert found.digest() == network.digest()
        assert [type(c) for c in found.cells] == [type(c) for c in network.cells]
        assert found.assumptions == ()


@pytest.mark.parametrize("kind", [cell.name for cell in cells.OTHERS])
def test_the_command_line_reads_named_arrays(tmp_path, monkeypatch, capsys, kind):
    """From an npz to a spectrum, and by way of the canonical form to the same."""
    monkeypatch.chdir(tmp_path)
    network = lyapy.random_network(kind, 4, 3, bias=0.5, seed=1)
    arrays = npz_of(network)
    np.savez("net.npz", **{name.removeprefix("net.0."): array for name, array in arrays.items()})
    inputs = RNG.normal(size=(80, 3))
    np.save("x.npy", inputs)
    assert main(["convert", "net.npz", "--cell", kind, "-o", "canonical.h5"]) == 0
    run = ["--inputs", "x.npy", "--transient", "20", "--backend", "numpy", "--quiet"]
    assert main(["spectrum", "net.npz", "--cell", kind, "-o", "a.h5", *run]) == 0
    assert main(["spectrum", "canonical.h5", "-o", "b.h5", *run]) == 0
    wanted = lyapunov_spectrum(network, inputs, transient=20, backend="numpy")
    for name in ("a.h5", "b.h5"):
        np.testing.assert_array_equal(lyapy.Spectrum.load(name).growth, wanted.growth)
    assert main(["info", "net.npz", "--cell", kind]) == 0
    printed = capsys.readouterr()
    assert f"layer 0: {kind}, 3 inputs" in printed.out
    assert "not recurrent" not in printed.out
    assert printed.err == ""


def test_a_peephole_lstm_by_its_own_names(tmp_path):
    arrays = {"W": (8, 3), "U": (8, 2), "b": 8, "peepholes": (3, 2)}
    arrays = {name: RNG.normal(size=shape) for name, shape in arrays.items()}
    np.savez(tmp_path / "a.npz", **arrays, gate="hard-sigmoid")
    found = lyapy.load(tmp_path / "a.npz", cell="lstm-variant")
    wanted = lyapy.Network([cells.LSTMVariant(**arrays, gate="hard-sigmoid")])
    assert found.digest() == wanted.digest()
    assert found.assumptions == tuple(
        f"layer 0: {line}" for line in ("nonlinearity tanh", "output tanh", "coupled False")
    )


def test_a_closed_loop_of_an_unusual_cell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (cell,) = lyapy.random_network("cornn", 4, 2, seed=2).cells
    R, c = RNG.normal(size=(2, 4)), RNG.normal(size=2)
    np.savez("net.npz", **npz_of(lyapy.Network([cell])), **{"head.weight": R, "head.bias": c})
    run = ["--steps", "60", "--backend", "numpy", "--quiet", "-o", "a.h5"]
    assert main(["spectrum", "net.npz", "--cell", "cornn", "--closed-loop", *run]) == 0
    loop = lyapy.ClosedLoop(lyapy.Network([cell]), R, c)
    wanted = lyapunov_spectrum(loop, steps=60, backend="numpy")
    np.testing.assert_array_equal(lyapy.Spectrum.load("a.h5").growth, wanted.growth)


def test_hints_are_taken_and_the_rest_is_assumed(tmp_path):
    np.savez(tmp_path / "a.npz", W=np.ones((2, 1)), U=np.eye(2), other=np.ones(3))
    found = lyapy.load(tmp_path / "a.npz", cell="reservoir", nonlinearity="relu")
    wanted = lyapy.Network([cells.Reservoir(np.ones((2, 1)), np.eye(2), nonlinearity="relu")])
    assert found.digest() == wanted.digest()
    assert found.assumptions == ("layer 0: leak 1.0",)


CORNN = {"W": np.ones((2, 1)), "U_y": np.eye(2), "U_z": np.eye(2), "dt": 0.1, "gamma": 1.0}


@pytest.mark.parametrize(
    ("arrays", "cell", "message"),
    [
        (CORNN, None, r"no recurrent layer is recognised.*give cell= \(--cell\).*as W, U and b of"),
        (CORNN, "cornn", "layer 0 has no epsilon; add them .*W, U_y, U_z, b, dt, gamma, epsilon"),
        ({**CORNN, "epsilon": np.ones(2)}, "cornn", r"epsilon has shape \(2,\); it must be one v"),
        ({**CORNN, "epsilon": "1.0"}, "cornn", r"epsilon is .*'1.0'.*; it must be a number"),
        ({"U": np.eye(2), "nonlinearity": 1.0}, "rate", "nonlinearity is .*; it must be a text"),
        ({"2/u": np.ones(2)}, "independent", r"has the layers \[2\] of ''; number them from 0"),
        ({"u": 1j * np.ones(2)}, "independent", "u is complex; it must be real"),
        ({"u.real": np.ones(2)}, "independent", "holds u.real; give u, or u.data"),
        ({"U.data": 1.0, "U.indices": 2, "U.indptr": 3}, "reservoir", "U is no sparse matrix"),
        (
            {"U.data": [1.0], "U.indices": [7], "U.indptr": [0, 1]}, "reservoir",
            "U is no sparse matrix",
        ),
        ({"eigenvalues": np.ones(2), "C": np.ones((1, 3))}, "state-space", r"C has shape \(1, 3\)"),
        ({"U": np.eye(2), "nonlinearity": "sine"}, "rate", "nonlinearity is 'sine'; it must be"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit(tmp_path, arrays, cell, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(WeightsError, match=message):
        lyapy.load(tmp_path / "a.npz", cell=cell)


def test_a_hint_that_the_cell_does_not_take(tmp_path):
    np.savez(tmp_path / "a.npz", **CORNN, epsilon=1.0)
    with pytest.raises(WeightsError, match="nonlinearity is no argument of cornn"):
        lyapy.load(tmp_path / "a.npz", cell="cornn", nonlinearity="relu")
    (tmp_path / "a.h5").write_bytes(canonical_bytes(NETWORKS["cornn"]))
    with pytest.raises(WeightsError, match="holds a cell 'cornn', not 'rate'; leave cell out"):
        lyapy.load(tmp_path / "a.h5", cell="rate")


def test_sparse_weights_are_still_sparse(tmp_path):
    np.savez(tmp_path / "a.npz", **npz_of(NETWORKS["sparse"]))
    (cell,) = lyapy.load(tmp_path / "a.npz", cell="reservoir").cells
    assert len(cell.weights.U.values) == csr_array(U).nnz
    inputs = RNG.normal(size=(5, 2))
    states = [
        forward_chunk(lyapy.Network([c]), inputs, np.zeros(6)).states
        for c in (cell, cells.Reservoir(cell.W, U.toarray(), leak=0.3))
    ]
    np.testing.assert_allclose(*states, rtol=1e-13)


def test_the_page_names_all_arguments():
    """The table of the page on all cells, against the constructors."""
    page = (Path(__file__).parents[3] / "docs" / "cells.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) \| (.*)\|$", page, re.MULTILINE)
    assert {name for name, _, _ in rows[1:]} == NAMED
    for name, arrays, numbers in rows[1:]:
        printed = re.findall(r"`(\w+)`", arrays + numbers)
        parameters = inspect.signature(cells.CELLS[name]).parameters
        assert sorted(printed) == sorted(parameters)
