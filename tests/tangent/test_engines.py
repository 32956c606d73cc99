"""The engines agree with one another, with a plain QR loop, and with themselves bit by bit."""

import re
import warnings

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum, spectrum_of_jacobians
from lyapy.cells import CELLS, Cell
from lyapy.networks.forward import forward_chunk
from lyapy.runs import schedule
from lyapy.tangent.engine import choose_engine
from tests.conftest import (
    Rate,
    RateByParts,
    difference_jacobian,
    mixed_stack,
    orbit_jacobians,
    qr_growth,
)

RATE_J = np.random.default_rng(3).normal(size=(7, 7)) / np.sqrt(7)

RATE_W = np.random.default_rng(4).normal(size=(7, 3))


def small(kind, **options):
    return lyapy.random_network(kind, 6, 3, **{"gain": 1.2, "bias": 0.3, "seed": 1} | options)


def drive(*shape, seed=2):
    return np.random.default_rng(seed).normal(size=shape)


def totals(spectrum):
    return spectrum.growth.sum(axis=1)


def assert_identical(a, b):
    for name in ("growth", "final_state", "final_frame", "exponents", "intervals", "rejections"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_engines_agree(kind):
    network, inputs = small(kind, layers=2), drive(2, 300, 3)
    states = [
        forward_chunk(network, inputs[0], np.zeros(network.state_size), choose_engine(b).run_layer)
        for b in ("numpy", "numba")
    ]
    np.testing.assert_allclose(states[0].states, states[1].states, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(states[0].coefficients, states[1].coefficients, atol=1e-13)
    numpy, numba = (lyapunov_spectrum(network, inputs, backend=b) for b in ("numpy", "numba"))
    assert (numpy.settings["backend"], numba.settings["backend"]) == ("numpy", "numba")
    np.testing.assert_allclose(numpy.per_trajectory, numba.per_trajectory, atol=1e-9)
    np.testing.assert_allclose(numpy.growth, numba.growth, atol=1e-6)
    np.testing.assert_array_equal(numpy.growth_steps, numba.growth_steps)


@pytest.mark.parametrize("cell", [Rate, RateByParts])
def test_programs_with_factors_on_both_sides(cell, backend):
    network = lyapy.Network([cell(RATE_J, 0.2, RATE_W)])
    state, x = drive(7), drive(3)
    J = difference_jacobian(network, state, x)
    np.testing.assert_allclose(lyapy.jacobian(network, state, x), J, atol=1e-12)
    inputs = drive(100, 3)
    spectrum = lyapunov_spectrum(network, inputs, frame="identity", backend=backend)
    wanted = qr_growth(orbit_jacobians(network, inputs, np.zeros(7)), np.eye(7))
    np.testing.assert_allclose(totals(spectrum)[0], wanted, atol=1e-7)


@pytest.mark.parametrize(
    "kinds", [("lstm", "gru-reset-before", "vanilla"), ("lstm-projected", "gru")]
)
def test_mixed_stack_with_a_given_frame(kinds, backend):
    network, inputs = mixed_stack(kinds), drive(120, 2)
    frame = np.linalg.qr(drive(network.state_size, 6))[0].T
    with pytest.warns(RuntimeWarning, match="are followed as one"):
        spectrum = lyapunov_spectrum(network, inputs, frame=frame, backend=backend)
    wanted = qr_growth(orbit_jacobians(network, inputs, np.zeros(network.state_size)), frame)
    np.testing.assert_allclose(totals(spectrum)[0], wanted, atol=1e-6)


@pytest.mark.parametrize(("D", "k"), [(1, 1), (2, 1), (16, 16), (17, 17), (40, 33), (70, 70)])
def test_reorthonormalization_of_every_size(D, k):
    jacobians = drive(40, D, D) / np.sqrt(D)
    wanted = qr_growth(jacobians, np.eye(D)[:k])
    for backend in ("numpy", "numba"):
        spectrum = spectrum_of_jacobians(jacobians, k=k, frame="identity", backend=backend)
        np.testing.assert_allclose(totals(spectrum)[0], wanted, atol=1e-6)
        frame = spectrum.final_frame[0]
        np.testing.assert_allclose(frame @ frame.T, np.eye(k), atol=1e-4)


@pytest.mark.parametrize("n", [20, 48])
def test_full_spectra_do_not_depend_on_the_route(n, backend):
    """A named frame may be followed from both ends, a given one is not."""
    for kind in ("vanilla", "lstm"):
        network, inputs = lyapy.random_network(kind, n, 3, seed=1), drive(150, 3)
        D = network.state_size
        named = lyapunov_spectrum(network, inputs, frame="identity", backend=backend)
        given = lyapunov_spectrum(network, inputs, frame=np.eye(D), backend=backend, interval=1)
        sure = named.resolved & given.resolved
        assert sure.mean() > 0.8
        np.testing.assert_allclose(totals(named)[0][sure], totals(given)[0][sure], atol=1e-6)


@pytest.mark.parametrize("T", [1, 2, 63, 64, 65, 129, 200])
def test_every_step_is_counted(T, backend):
    network, inputs = small("gru", gain=0.3), drive(T, 3)
    wanted = qr_growth(orbit_jacobians(network, inputs, np.zeros(6)), np.eye(6))
    for interval in ("auto", 1, 3, 10):
        options = {"interval": interval, "frame": "identity", "backend": backend}
        spectrum = lyapunov_spectrum(network, inputs, **options)
        np.testing.assert_allclose(totals(spectrum)[0], wanted, atol=1e-7)
        assert spectrum.steps == T
        assert spectrum.growth_steps[-1] == T


def test_batch_is_a_loop(kind, backend):
    network, inputs = small(kind), drive(3, 150, 3)
    states = drive(3, network.state_size, seed=5)
    options = {"frame": "identity", "backend": backend}
    batch = lyapunov_spectrum(network, inputs, initial_state=states, **options)
    for b in range(3):
        alone = lyapunov_spectrum(network, inputs[b], initial_state=states[b], **options)
        for name in ("growth", "final_state", "final_frame", "intervals", "largest_spread"):
            np.testing.assert_array_equal(getattr(batch, name)[b], getattr(alone, name)[0])
    np.testing.assert_allclose(batch.exponents, batch.per_trajectory.mean(axis=0), rtol=1e-14)


def test_the_sum_rule_is_checked_in_a_batch(kind, backend):
    inputs = drive(3, 150, 3)
    spectrum = lyapunov_spectrum(small(kind), inputs, backend=backend)
    compared = spectrum.determinants[:, 0, 2]
    closed_form = CELLS[kind].log_abs_det is not Cell.log_abs_det
    assert compared.tolist() == ([150.0] * 3 if closed_form else [64.0, 0.0, 0.0])
    assert spectrum.sum_rule_residual < 1e-9 or not spectrum.resolved.all()


def test_threads_change_nothing(structure):
    network, inputs = small(structure, layers=2), drive(3, 150, 3)
    one, two = (lyapunov_spectrum(network, inputs, threads=t) for t in (1, 2))
    assert_identical(one, two)


@pytest.mark.parametrize(
    ("name", "value"), [("CHUNK_TILES", 1), ("CHUNK_BYTES", 1), ("CHUNK_TILES", 3)]
)
def test_chunks_change_nothing(structure, backend, name, value, monkeypatch):
    network, inputs = small(structure, layers=2), drive(500, 3)
    whole = lyapunov_spectrum(network, inputs, transient=70, backend=backend)
    monkeypatch.setattr(schedule, name, value)
    assert_identical(whole, lyapunov_spectrum(network, inputs, transient=70, backend=backend))


def test_interval_keeps_the_tolerance(kind, backend):
    network, inputs = small(kind), drive(400, 3)
    fine = lyapunov_spectrum(network, inputs, interval=1, backend=backend)
    rounding = 400 * fine.numerical_error.max()
    counts = []
    for tolerance in (1e-12, 1e-8, 1e-4):
        auto = lyapunov_spectrum(network, inputs, tolerance=tolerance, backend=backend)
        counts.append(int(auto.intervals.sum()))
        # an interval may bring an error of about one tolerance, by itself and by exchange
        error = np.abs(totals(auto) - totals(fine)).max()
        assert error <= 4.0 * tolerance * counts[-1] + rounding
    # where the tiles end the intervals, the tolerance changes nothing
    assert counts[0] >= counts[1] >= counts[2] < 200
    assert counts[0] > counts[2] or counts[0] == -(-len(inputs) // 64) * len(auto.intervals[0])


def test_intervals_that_overshoot_are_repeated(backend):
    network, inputs = lyapy.random_network("gru", 8, 3, gain=1.2, bias=0.3, seed=1), drive(400, 3)
    inputs[:200] *= 0.05
    inputs[200:] *= 3.0
    auto, fine = (
        lyapunov_spectrum(network, inputs, interval=i, frame="identity", backend=backend)
        for i in ("auto", 1)
    )
    assert auto.rejections.sum() > 5
    assert fine.rejections.sum() == 0
    assert auto.largest_spread.max() <= np.log(1e-8 / 2.0**-53)
    np.testing.assert_allclose(totals(auto), totals(fine), atol=1e-7)


@pytest.mark.parametrize("interval", [1, 5, 7])
def test_fixed_interval_is_obeyed(interval, backend):
    spectrum = lyapunov_spectrum(
        small("gru", gain=0.3), drive(300, 3), transient=101, interval=interval, backend=backend
    )
    assert spectrum.intervals.tolist() == [[-(-199 // interval)]]


def test_fixed_interval_that_is_too_long(backend):
    network, inputs = small("gru", gain=2.0), drive(300, 3)
    pattern = (
        r"interval=\d+ is too long: R_ii spread by (\d+\.\d) nats in one interval, 18\.3 are "
        r"allowed; of 6 exponents (?:none|\d) ha.*; use interval='auto', or at most (\d+)"
    )
    with pytest.warns(RuntimeWarning, match=pattern) as caught:
        spectrum = lyapunov_spectrum(network, inputs, interval=9, backend=backend)
    spread, most = re.search(pattern, str(caught[0].message)).groups()
    assert float(spread) == pytest.approx(spectrum.largest_spread.max(), abs=0.051)
    assert caught[0].filename == __file__
    assert 2 < int(most) < 9
    lyapunov_spectrum(network, inputs, interval=int(most) // 2, backend=backend)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_single_step_left_of_a_fixed_interval_may_be_graded():
    """The last interval of an odd number of steps is one step, which no interval could shorten."""
    network, inputs = small("lstm", gain=60.0), drive(31, 3)
    one, two = (
        lyapunov_spectrum(network, inputs, interval=2, backend=backend)
        for backend in ("numpy", "numba")
    )
    np.testing.assert_array_equal(one.bounded, two.bounded)
    known = ~one.bounded
    np.testing.assert_allclose(
        one.exponents[known], two.exponents[known], atol=1e-3 + one.rounding_error[known].max()
    )


def test_transient_moves_state_and_frame(structure, backend):
    network, inputs = small(structure), drive(300, 3)
    options = {"backend": backend, "tolerance": 1e-12}
    before = lyapunov_spectrum(network, inputs[:110], frame="identity", **options)
    start = {"initial_state": before.final_state, "frame": before.final_frame[0]}
    with warnings.catch_warnings():
        # units that do not read one another are followed as one in a given frame
        warnings.filterwarnings("ignore", ".* are followed as one")
        after = lyapunov_spectrum(network, inputs[110:], **start, **options)
    both = lyapunov_spectrum(network, inputs, transient=110, frame="identity", **options)
    assert (both.steps, both.transient) == (190, 110)
    np.testing.assert_array_equal(both.final_state, after.final_state)
    np.testing.assert_allclose(totals(both), totals(after), atol=1e-9)


def test_history_is_the_course_of_the_sum(structure, backend, monkeypatch):
    network, inputs = small(structure), drive(400, 3)
    options = {"transient": 30, "frame": "identity", "dt": "step", "backend": backend}
    fine = lyapunov_spectrum(network, inputs, **options)
    monkeypatch.setattr(schedule, "HISTORY_ROWS", 3)
    coarse = lyapunov_spectrum(network, inputs, **options)
    assert fine.growth_steps.tolist() == [64, 128, 192, 256, 320, 370]
    assert coarse.growth_steps.tolist() == [128, 256, 370]
    np.testing.assert_allclose(coarse.growth[:, 1], fine.growth[:, 2:4].sum(axis=1), rtol=1e-12)
    early = lyapunov_spectrum(network, inputs[: 30 + 256], **options)
    sums = coarse.growth[0, :2].sum(axis=0)
    np.testing.assert_allclose(sums, totals(early)[0], atol=1e-9)
    np.testing.assert_allclose(coarse.convergence()[-1], coarse.exponents, rtol=1e-12)
    np.testing.assert_allclose(coarse.convergence()[1], sums[coarse.order] / 256, rtol=1e-12)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_leading_exponents_are_the_first_of_all(kind, backend, k):
    network = lyapy.random_network(kind, 4, 2, bias=0.3, layers=2, seed=3)
    inputs = np.random.default_rng(10).normal(size=(900, 2))
    options = {"transient": 300, "frame": "identity", "backend": backend}
    full = lyapunov_spectrum(network, inputs, **options)
    leading = lyapunov_spectrum(network, inputs, k=k, **options)
    assert leading.exponents.shape == leading.standard_error.shape == (k,)
    # units that keep their directions are all followed, however few are asked for
    assert np.isnan(leading.sum_rule_residual) or k == 5 or CELLS[kind].decoupled
    # an oscillator's two vectors turn for ever, so that either of them may be the longer one
    if kind != "cornn":
        np.testing.assert_allclose(leading.exponents, full.exponents[:k], atol=1e-9)
    for layer, cell in enumerate(network.cells):
        D = cell.state_size
        rows = D if cell.decoupled else min(k, D)
        first, wanted = leading.growth[:, :, layer * rows :], full.growth[:, :, layer * D :]
        np.testing.assert_allclose(first[..., :rows], wanted[..., :rows], atol=1e-8)
