"""Variants of LSTM and GRU: derivatives, determinants and dead directions away from the kinks."""

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum
from lyapy.cells import GRUResetBeforeVariant, GRUVariant, LSTMVariant
from lyapy.cells.activations import NONLINEARITIES
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine
from tests.conftest import difference_jacobian, orbit_jacobians

RNG = np.random.default_rng(23)
W3, U3, W4, U4, b3, b4, P = (
    RNG.normal(0.0, 0.5, s) for s in ((12, 2), (12, 4), (16, 2), (16, 4), 12, 16, (3, 4))
)
GATES = ("sigmoid", "hard-sigmoid", "hard-sigmoid-keras2")
# allowed, though not bounded by 0 and 1
UNUSUAL = ("tanh", "relu", "identity")
CELLS = [
    *(LSTMVariant(W4, U4, b4, gate=g, nonlinearity=n, peepholes=P) for g in GATES
      for n in NONLINEARITIES),
    *(LSTMVariant(W4, U4, b4, output=n, coupled=True, peepholes=P) for n in NONLINEARITIES),
    *(LSTMVariant(W4, U4, b4, gate=g, coupled=True) for g in UNUSUAL),
    LSTMVariant(W4, U4, b4, clip=0.4, peepholes=P),
    *(GRUVariant(W3, U3, b3, b3, gate=g) for g in UNUSUAL),
    *(GRUVariant(W3, U3, b3, b3, gate=g, nonlinearity="relu", clip=0.6) for g in GATES),
    *(GRUResetBeforeVariant(W3, U3, b3, gate=g, nonlinearity="identity", clip=0.6) for g in GATES),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_engines_agree_and_the_jacobian_is_the_derivative(number):
    network = lyapy.Network([CELLS[number]])
    rng = np.random.default_rng(number)
    state, x = rng.normal(size=network.state_size), rng.normal(size=2)
    found = lyapy.jacobian(network, state, x)
    wanted = difference_jacobian(network, state, x, step=1e-4)
    np.testing.assert_allclose(found, wanted, atol=1e-10)
    steps = [forward_chunk(network, x[None], state, choose_engine(b).run_layer).states
             for b in ("numpy", "numba")]  # fmt: skip
    np.testing.assert_allclose(*steps, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("coupled", [False, True])
def test_variants_keep_the_sum_rule(coupled):
    network = lyapy.Network([LSTMVariant(W4, U4, b4, peepholes=P, coupled=coupled)])
    inputs = np.random.default_rng(1).normal(size=(300, 2))
    assert lyapunov_spectrum(network, inputs).sum_rule_residual < 1e-10


def test_a_closed_hard_gate_is_a_dead_direction():
    b = b4.copy()
    b[4:6] = -50.0
    network = lyapy.Network([LSTMVariant(W4, U4, b, gate="hard-sigmoid")])
    inputs = np.random.default_rng(1).normal(size=(300, 2))
    # one direction is lost where another gate saturates at one step, which no cell counts
    with pytest.warns(RuntimeWarning, match="1 is an upper bound"):
        spectrum = lyapunov_spectrum(network, inputs)
    # the rank of the product of all Jacobians, followed through an orthonormal basis of its range
    basis = np.eye(8)
    for J in orbit_jacobians(network, inputs, np.zeros(8)):
        left, values, _ = np.linalg.svd(J @ basis, full_matrices=False)
        basis = left[:, values > 1e-12 * values[0]]
    assert basis.shape[1] == 5
    assert np.isneginf(spectrum.exponents).sum() == 2
    assert spectrum.bounded.tolist() == [False] * 5 + [True, False, False]


def test_defaults_of_variants_are_the_usual_ones():
    usual = {"gate": "sigmoid", "nonlinearity": "tanh", "clip": np.inf}
    lstm = {**usual, "output": "tanh", "coupled": False, "peepholes": np.zeros((3, 4))}
    for short, whole in (
        (LSTMVariant(W4, U4), LSTMVariant(W4, U4, np.zeros(16), **lstm)),
        (GRUVariant(W3, U3), GRUVariant(W3, U3, np.zeros(12), np.zeros(12), **usual)),
        (GRUResetBeforeVariant(W3, U3), GRUResetBeforeVariant(W3, U3, np.zeros(12), **usual)),
    ):
        assert lyapy.Network([short]).digest() == lyapy.Network([whole]).digest()


@pytest.mark.parametrize(
    ("variant", "plain"),
    [
        (LSTMVariant(W4, U4, b4), lyapy.LSTM(W4, U4, b4)),
        (GRUVariant(W3, U3, b3, b3[::-1]), lyapy.GRU(W3, U3, b3, b3[::-1])),
        (GRUResetBeforeVariant(W3, U3, b3), lyapy.GRUResetBefore(W3, U3, b3)),
    ],
)
def test_a_variant_with_the_usual_arguments_takes_the_plain_step(variant, plain):
    x, start = RNG.normal(size=(3, 2)), RNG.normal(size=plain.state_size)
    run = choose_engine("numpy").run_layer
    steps = [forward_chunk(lyapy.Network([c]), x, start, run).states for c in (variant, plain)]
    np.testing.assert_allclose(*steps, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("clip", [0.0, -1.0, np.nan])
def test_a_clip_must_be_positive(clip):
    with pytest.raises(ValueError, match=r"clip is .*; it must be positive"):
        GRUVariant(W3, U3, clip=clip)


def test_all_frameworks_hold_the_same_network(tmp_path):
    inputs = np.random.default_rng(2).normal(size=(200, 2))
    i, f, g, o = np.split(np.concatenate([W4, U4, b4[:, None]], axis=1), 4)
    zero = np.zeros(16)
    files = {
        "torch": {"weight_ih_l0": W4, "weight_hh_l0": U4, "bias_ih_l0": b4, "bias_hh_l0": zero},
        "equinox fields": {"weight_ih": W4, "weight_hh": U4, "bias": b4},
        "keras": {"a/kernel": W4.T, "a/recurrent_kernel": U4.T, "a/bias": b4},
        "flax": {f"i{n}/kernel": a[:, :2].T for n, a in zip("ifgo", (i, f, g, o), strict=True)}
        | {f"h{n}/kernel": a[:, 2:-1].T for n, a in zip("ifgo", (i, f, g, o), strict=True)}
        | {f"h{n}/bias": a[:, -1] for n, a in zip("ifgo", (i, f, g, o), strict=True)},
        "haiku": {"a/linear/w": np.concatenate([i, g, f, o])[:, :-1].T,
                  "a/linear/b": np.concatenate([i, g, f, o])[:, -1]},
        "tensorflow1": {"lstm/kernel": np.concatenate([i, g, f, o])[:, :-1].T,
                        "lstm/bias": np.concatenate([i, g, f, o])[:, -1]},
    }  # fmt: skip
    hints = {"keras": {"gate_nonlinearity": "sigmoid"}}
    hints |= {name: {"layout": name, "forget_bias": 0.0} for name in ("haiku", "tensorflow1")}
    spectra = []
    for name, arrays in files.items():
        np.savez(tmp_path / "a.npz", **arrays)
        network = lyapy.load(tmp_path / "a.npz", **hints.get(name, {}))
        spectra.append(lyapunov_spectrum(network, inputs).exponents)
    for other in spectra[1:]:
        np.testing.assert_allclose(other, spectra[0], atol=1e-12)
