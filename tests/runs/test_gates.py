"""Spectra from exported gates, against dense Jacobians, sum rules and closed forms."""

import numpy as np
import pytest

import lyapy
from lyapy import spectrum_of_gates

T, D = 400, 5


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def delta_net(steps=T, d=D, seed=2):
    """Gated DeltaNet: S′ = α (1 − β k kᵀ) S + …; return log α, β and the gates."""
    rng = np.random.default_rng(seed)
    log_alpha = -rng.exponential(0.05, size=(steps, 1))
    beta = rng.uniform(0.05, 0.95, size=(steps, 1))
    k = unit(rng.normal(size=(steps, d)))
    return log_alpha, beta, (log_alpha, -np.exp(log_alpha) * beta * k, k)


def test_gates_agree_with_dense_jacobians(backend, rng):
    decay, left, right = -rng.exponential(size=(T, D)), *rng.normal(size=(2, T, D))
    J = np.exp(decay)[:, :, None] * np.eye(D) + left[:, :, None] * right[:, None]
    options = {"transient": 50, "frame": np.eye(D), "tolerance": 1e-12}
    found = spectrum_of_gates(decay, left, right, backend=backend, **options)
    wanted = lyapy.spectrum_of_jacobians(J, **options)
    np.testing.assert_allclose(found.exponents, wanted.exponents, atol=1e-11)
    assert found.sum_rule_residual < 1e-12


def test_gated_delta_net_sums_to_its_decays_and_updates():
    log_alpha, beta, gates = delta_net()
    found = spectrum_of_gates(*gates)
    wanted = D * log_alpha.mean() + np.log(1.0 - beta).mean()
    assert found.exponents.sum() == pytest.approx(wanted, rel=1e-12)
    assert found.sum_rule_residual < 1e-13


def test_rwkv_7_sums_to_its_decays_and_removals(rng):
    """S′ = S (diag w − κ̂ (a κ̂)ᵀ) + v kᵀ: rows of S are multiplied from the right."""
    log_w = -0.60653 / (1.0 + np.exp(-rng.normal(size=(T, D))))
    kappa, a = unit(rng.normal(size=(T, D))), rng.uniform(size=(T, D))
    found = spectrum_of_gates(log_w, -a * kappa, kappa)
    w = np.exp(log_w)
    wanted = log_w.sum(axis=1) + np.log(np.abs(1.0 - (a * kappa**2 / w).sum(axis=1)))
    assert found.exponents.sum() == pytest.approx(wanted.mean(), rel=1e-11)
    # the state itself: its change after a step is that of a row
    S, dS = rng.normal(size=(2, 3, D))
    M = np.diag(w[0]) - np.outer(kappa[0], a[0] * kappa[0])
    J = np.diag(w[0]) + np.outer(-a[0] * kappa[0], kappa[0])
    np.testing.assert_allclose((S + dS) @ M - S @ M, dS @ J.T, atol=1e-14)


def test_layers_of_sru_by_their_gates(rng):
    """Two layers by the published step: the union of their spectra is that of the stack."""
    n, steps, weights = 3, 3000, rng.normal(size=(2, 3, 3, 3))
    (v_f, v_r), b = rng.normal(size=(2, 2, n)), rng.normal(size=(2, 2, n))

    def sru(c, x):
        """Return the next states (2, n) and the logarithms for spectrum_of_gates."""
        new, logs = [], []
        for i in range(2):
            candidate, to_f, to_r = weights[i] @ x
            f, r = (
                1 / (1 + np.exp(-a))
                for a in (to_f + v_f[i] * c[i] + b[i, 0], to_r + v_r[i] * c[i] + b[i, 1])
            )
            logs.append(np.log(np.abs(f + (c[i] - candidate) * f * (1 - f) * v_f[i])))
            new.append(f * c[i] + (1 - f) * candidate)
            x = r * new[i] + (1 - r) * x
        return np.array(new), np.array(logs)

    c, J, logs = np.zeros((2, n)), [], []
    for x in rng.normal(size=(steps, n)):
        ends = [[sru(c + s * d.reshape(2, n), x)[0] for d in 1e-6 * np.eye(2 * n)] for s in (1, -1)]
        J.append((np.array(ends[0]) - ends[1]).reshape(2 * n, 2 * n).T / 2e-6)
        c, found = sru(c, x)
        logs.append(found)
    layers = [spectrum_of_gates(decay).exponents for decay in np.swapaxes(logs, 0, 1)]
    stack = lyapy.spectrum_of_jacobians(np.array(J))
    np.testing.assert_allclose(stack.exponents, np.sort(np.ravel(layers))[::-1], atol=5e-3)


def test_decay_alone_is_a_mean(rng):
    decay = -rng.exponential(size=(3, T, D))
    found = spectrum_of_gates(decay, transient=10)
    wanted = np.sort(decay[:, 10:].mean(axis=(0, 1)))[::-1]
    np.testing.assert_allclose(found.exponents, wanted, rtol=1e-13)
    assert found.trajectories == 3 and np.isfinite(found.standard_error).all()


@pytest.mark.parametrize("kind", ["rank one", "decay"])
def test_multiplicity_repeats_exponents_and_errors(tmp_path, rng, kind):
    gates = delta_net()[2] if kind == "rank one" else (-rng.exponential(size=(T, D)),)
    one, four = (spectrum_of_gates(*gates, multiplicity=m, k=3) for m in (1, 4))
    np.testing.assert_array_equal(four.exponents, np.repeat(one.exponents, 4))
    np.testing.assert_array_equal(four.standard_error, np.repeat(one.standard_error, 4))
    np.testing.assert_allclose(
        four.confidence_interval(), np.repeat(one.confidence_interval(), 4, axis=0)
    )
    assert four.state_size == 4 * one.state_size and four.mean == pytest.approx(one.mean)
    one_error, four_error = (s.measures()["mean"].standard_error for s in (one, four))
    assert four_error == pytest.approx(one_error)
    four.save(tmp_path / "run.h5")
    again = lyapy.Spectrum.load(tmp_path / "run.h5")
    np.testing.assert_array_equal(again.exponents, four.exponents)
    assert again.settings["multiplicity"] == 4 and str(again.status) == str(four.status)


def test_multiplicity_counts_in_dimension_and_sum_rule():
    """Two exponents, .3 and −.2, once and three times: D_KY 2 + .1/.2 is beyond D."""
    decay = np.log(np.full((T, 3), np.exp([0.3, -0.2, -1.0])))
    one, three = (spectrum_of_gates(decay, multiplicity=m) for m in (1, 3))
    assert one.kaplan_yorke_dimension == pytest.approx(2.1)
    assert three.kaplan_yorke_dimension == pytest.approx(6.3)
    assert three.entropy_rate == pytest.approx(0.9)
    full = spectrum_of_gates(*delta_net()[2], multiplicity=3)
    assert full.sum_rule_residual < 1e-13


ONES = np.ones((4, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ONES[0],), r"log_decay has shape \(2,\); it must be \(T, d\)"),
        ((ONES * np.nan,), "of finite numbers"),
        ((-800 * ONES,), "log_decay is -800 in a step"),
        ((ONES, ONES), "right is missing"),
        ((ONES, None, ONES), "left is missing"),
        ((ONES, ONES, ONES[:, :1]), r"shapes \(4, 2\), \(4, 2\) and \(4, 1\)"),
        ((ONES, None, None, 0), "multiplicity is 0"),
    ],
)
def test_errors_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        spectrum_of_gates(*arguments)


def test_a_checkpoint_has_each_exponent_once(tmp_path):
    with pytest.raises(ValueError, match="checkpoint is for multiplicity 1"):
        spectrum_of_gates(ONES, multiplicity=2, checkpoint=tmp_path / "run.h5")
