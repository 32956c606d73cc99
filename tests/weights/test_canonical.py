"""The canonical form: an exact round trip for every cell, by hand and on the command line."""

import json

import h5py
import numpy as np
import pytest

import lyapy
from lyapy import Map, WeightsError
from lyapy.cells import PLAIN, VARIANTS, GRUResetBeforeVariant, GRUVariant, LSTMVariant, Vanilla
from lyapy.cli import main
from lyapy.weights.frameworks.canonical import canonical_bytes

RNG = np.random.default_rng(5)
W3, U3, W4, U4, B3, B4 = (RNG.normal(size=s) for s in ((9, 2), (9, 3), (12, 2), (12, 3), 9, 12))
CHOSEN = {
    "relu": Vanilla(U3[:3, :2], U3[:3], None, "relu"),
    "lstm": LSTMVariant(
        W4, U4, B4, gate="hard-sigmoid", nonlinearity="relu", output="identity", coupled=True,
        peepholes=U4[:3], clip=0.3,
    ),
    "lstm one": LSTMVariant(W4, U4, B4, nonlinearity="relu"),
    "gru": GRUVariant(W3, U3, B3, B3, gate="hard-sigmoid-keras2", nonlinearity="relu", clip=2.0),
    "before": GRUResetBeforeVariant(W3, U3, B3, nonlinearity="sigmoid"),
}  # fmt: skip
KINDS = [cell.name for cell in (*PLAIN, *VARIANTS)]
NETWORKS = {name: lyapy.random_network(name, 4, 3, layers=2, bias=0.5, seed=1) for name in KINDS}
NETWORKS |= {"autonomous": lyapy.random_network("gru", 4)}
NETWORKS |= {name: lyapy.Network([cell]) for name, cell in CHOSEN.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_survives_a_round_trip(tmp_path, name):
    network, path = NETWORKS[name], tmp_path / "a.h5"
    path.write_bytes(canonical_bytes(network))
    found = lyapy.load(path)
    assert [type(c) for c in found.cells] == [type(c) for c in network.cells]
    assert found.digest() == network.digest()
    assert found.assumptions == ()


def test_a_converted_file_is_the_same_network(tmp_path, capsys):
    arrays = {"rnn.weight_ih_l0": W3, "rnn.weight_hh_l0": U3, "head": np.ones(3)}
    np.savez(tmp_path / "a.npz", **arrays)
    target = str(tmp_path / "b.h5")
    assert main(["convert", str(tmp_path / "a.npz"), "-o", target]) == 0
    assert main(["convert", str(tmp_path / "a.npz"), "-o", target]) == 2
    capsys.readouterr()
    assert main(["info", target]) == 0
    printed = capsys.readouterr().out
    assert "assumed: layer 0: the GRU's reset gate comes after the product" in printed
    assert lyapy.load(target).digest() == lyapy.load(tmp_path / "a.npz").digest()
    assert main(["info", str(tmp_path / "a.npz")]) == 0
    assert "not recurrent: head (3,)" in capsys.readouterr().out


def test_info_lists_candidates(tmp_path, capsys):
    arrays = {f"{p}.weight_{s}_l0": a for p in "ab" for s, a in (("ih", W3), ("hh", U3))}
    np.savez(tmp_path / "a.npz", **arrays)
    assert main(["info", str(tmp_path / "a.npz")]) == 0
    printed = capsys.readouterr().out
    assert "2 recurrent networks; pick with --prefix" in printed
    assert "'b.' layer 0: b.weight_ih_l0 (9, 2), b.weight_hh_l0 (9, 3)" in printed
    assert main(["info", str(tmp_path / "a.npz"), "--layer", "b"]) == 0
    assert "layer 0: gru, 2 inputs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda d: "{", "damaged description"),
        (lambda d: json.dumps(d | {"cells": 3}), "damaged description"),
        (lambda d: json.dumps(d | {"version": 2}), "is version 2 of lyapy's weights; 1 is known"),
        (lambda d: json.dumps(d | {"cells": []}), "no recurrent layer"),
    ],
)
def test_a_damaged_description_is_refused(tmp_path, change, what):
    path = tmp_path / "a.h5"
    path.write_bytes(canonical_bytes(NETWORKS["gru"]))
    with h5py.File(path, "r+") as file:
        file.attrs["lyapy"] = change(json.loads(file.attrs["lyapy"]))
    with pytest.raises(WeightsError, match=what):
        lyapy.load(path)


def test_cells_without_a_form_are_refused():
    class Own(lyapy.GRU):
        name = "own"

    for cell in (Own(W3, U3), Map(lambda h, x: h, lambda h, x: np.eye(2), state_size=2)):
        with pytest.raises(ValueError, match="weights files have no form for"):
            canonical_bytes(lyapy.Network([cell]))
