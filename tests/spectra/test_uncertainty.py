"""Standard errors, confidence intervals and finite-time exponents."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import lyapy
from lyapy.spectra.uncertainty import autocorrelation_time, half_width, uncertainty
from tests.support.made_spectra import made

ENDS = np.arange(1, 1025) * 64


def autoregressive(phi, rows, series, seed=0):
    """AR(1) series (rows, series) of variance 1, with autocorrelation time (1 + φ)/(1 − φ)/2."""
    rng = np.random.default_rng(seed)
    x = np.empty((rows, series))
    x[0] = rng.normal(size=series)
    for i in range(1, rows):
        x[i] = phi * x[i - 1] + math.sqrt(1 - phi**2) * rng.normal(size=series)
    return x


def coverage(samples, ends, truth=0.0, level=0.95):
    """Share of the columns of ``samples`` whose interval holds the truth."""
    found = uncertainty(samples[None], ends)
    mean = samples.sum(axis=0) / ends[-1]
    return np.mean(np.abs(mean - truth) <= half_width(found, level))


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_autocorrelation_time_of_ar1(phi):
    exact = 0.5 * (1 + phi) / (1 - phi)
    found = autocorrelation_time(autoregressive(phi, 20_000, 20))
    np.testing.assert_allclose(found.mean(), exact, rtol=0.05)
    assert autocorrelation_time(np.ones((10, 1))).tolist() == [0.5]
    one = autoregressive(phi, 500, 3)
    several = np.stack([one, one])
    np.testing.assert_allclose(autocorrelation_time(several), autocorrelation_time(one))


@pytest.mark.parametrize(
    ("phi", "rows"), [(0.0, 16), (0.0, 300), (0.5, 100), (0.8, 300), (0.9, 1000)]
)
def test_intervals_cover_the_mean_of_correlated_growth(phi, rows):
    samples = autoregressive(phi, rows, 3000, seed=rows)
    assert 0.925 < coverage(samples, ENDS[:rows]) < 0.975
    # blocks of single rows would not
    plain = np.std(samples, axis=0, ddof=1) / math.sqrt(rows)
    width = stats.t.ppf(0.975, rows - 1) * plain
    if phi:
        assert np.mean(np.abs(samples.mean(axis=0)) <= width) < 0.8


def test_intervals_of_rows_of_unequal_length_cover_the_mean():
    rng = np.random.default_rng(3)
    ends = np.array([64, 128, 192, 256, 320, 384, 448, 512, 520])
    lengths = np.diff(ends, prepend=0)[:, None]
    samples = 2.0 * lengths + np.sqrt(lengths) * rng.normal(size=(9, 4000))
    assert 0.925 < coverage(samples, ends, truth=2.0) < 0.975
    assert np.all(uncertainty(2.0 * np.ones((1, 9, 1)) * lengths, ends).standard_error < 1e-15)


def test_unknown_errors_are_nan():
    rng = np.random.default_rng(4)
    growth = rng.normal(size=(1, 3, 2))
    assert np.isnan(np.stack(uncertainty(growth, ENDS[:3]))).all()
    assert uncertainty(growth[:, :, :0], ENDS[:3]).standard_error.shape == (0,)
    growth = rng.normal(size=(1, 40, 2))
    growth[0, 5, 1] = -np.inf
    found = uncertainty(growth, ENDS[:40])
    np.testing.assert_array_equal(np.isnan(np.stack(found)), [[False, True]] * 3)
    both = uncertainty(np.concatenate([growth, growth]), ENDS[:40])
    assert np.isnan(both.standard_error[1])


def test_trajectories_under_one_drive_are_not_independent():
    """They contract to the same growth, whose mean is no more certain for being seen twice."""
    series = autoregressive(0.3, 100, 1, seed=5)
    one = uncertainty(series[None], ENDS[:100])
    many = np.stack([series, series, series])
    assert uncertainty(many, ENDS[:100]).standard_error[0] < 1e-15
    shared = uncertainty(many, ENDS[:100], shared_inputs=True)
    np.testing.assert_allclose(shared.standard_error, one.standard_error)
    np.testing.assert_allclose(shared.degrees_of_freedom, one.degrees_of_freedom)
    # where they differ nevertheless, as in two basins of attraction, that counts
    apart = uncertainty(many + np.arange(3)[:, None, None], ENDS[:100], shared_inputs=True)
    np.testing.assert_allclose(apart.standard_error, 1 / math.sqrt(3) / 64)


def test_trajectories_of_a_driven_network_share_inputs():
    network = lyapy.random_network("vanilla", 4, 2, gain=0.5, seed=1)
    inputs = np.random.default_rng(2).normal(size=(3000, 2))
    options = {"transient": 200, "backend": "numpy", "frame": "identity"}
    one = lyapy.lyapunov_spectrum(network, inputs, **options)
    three = lyapy.lyapunov_spectrum(network, inputs, trajectories=3, **options)
    np.testing.assert_allclose(three.standard_error, one.standard_error, rtol=1e-3)
    assert np.all(three.standard_error > 1e-4)


def test_confidence_interval_is_students():
    spectrum = made([0.5, -1.0, -np.inf])
    low, high = spectrum.confidence_interval(0.9).T
    width = stats.t.ppf(0.95, 2) * spectrum.standard_error
    np.testing.assert_allclose(high - spectrum.exponents, width)
    np.testing.assert_allclose(spectrum.exponents - low, width)
    assert np.isnan(low[2])
    for level in (0.0, 1.0, 95):
        with pytest.raises(ValueError, match=r"level is .*; it must lie between 0 and 1"):
            spectrum.confidence_interval(level)


def test_finite_time_exponents_are_means_over_windows():
    spectrum = made([0.5, -1.0], trajectories=2, rows=20)
    found = spectrum.finite_time_exponents(64 * 3)
    assert found.shape == (2, 6, 2)
    order = spectrum.order
    wanted = spectrum.growth[1, 3:6][:, order].sum(axis=0) / 192
    np.testing.assert_allclose(found[1, 1], wanted)
    whole = spectrum.finite_time_exponents(spectrum.steps)
    np.testing.assert_allclose(whole[:, 0], spectrum.per_trajectory)


def test_windows_that_do_not_fit_are_refused():
    spectrum = made([0.5, -1.0], rows=20)
    for window in (100, 0, -64, 64.0, True):
        with pytest.raises(
            ValueError,
            match=r"window is .*; .* rows of 64 steps: give a multiple.*record_every=WINDOW",
        ):
            spectrum.finite_time_exponents(window)
    with pytest.raises(ValueError, match="longer than the 1280 counted steps"):
        spectrum.finite_time_exponents(64 * 21)


def test_a_time_step_divides_rates_and_their_errors():
    network = lyapy.random_network("vanilla", 5, gain=2.0, seed=1)
    options = {"steps": 640, "trajectories": 3, "backend": "numpy"}
    step = lyapy.lyapunov_spectrum(network, **options)
    flow = lyapy.lyapunov_spectrum(network, dt=0.1, **options)
    assert (step.dt, step.units) == (1.0, "nats per step")
    assert (flow.dt, flow.units) == (0.1, "nats per unit of time")
    assert "nats per unit of time" in repr(flow)
    for name in ("exponents", "per_trajectory", "standard_error", "mean", "entropy_rate"):
        np.testing.assert_allclose(getattr(flow, name), 10 * np.array(getattr(step, name)))
    for name in ("convergence", "confidence_interval"):
        np.testing.assert_allclose(getattr(flow, name)(), 10 * getattr(step, name)())
    windows = [s.finite_time_exponents(64) for s in (flow, step)]
    np.testing.assert_allclose(windows[0], 10 * windows[1])
    np.testing.assert_array_equal(flow.growth, step.growth)
    one, other = (spectrum.measures()["kaplan_yorke_dimension"] for spectrum in (flow, step))
    assert (one.low, one.high) == pytest.approx((other.low, other.high))
    for dt in (0.0, -1.0, np.inf, True, "0.1"):
        with pytest.raises(ValueError, match=r"dt is .*; it must be the time of a step"):
            lyapy.lyapunov_spectrum(network, steps=3, dt=dt)


def autocorrelation_by_hand(series):
    """One lag after another, of one series."""
    centred = series - np.mean(series)
    variance, total = np.mean(centred**2), 0.5
    if not variance:
        return 0.5
    for lag in range(1, len(series)):
        total += np.mean(centred[lag:] * centred[:-lag]) / variance
        if lag >= 5 * total:
            break
    return total


def errors_by_hand(series, ends):
    """One series, block after block."""
    rows, lengths = len(series), np.diff(ends, prepend=0)
    deviations = series - lengths * np.sum(series) / ends[-1]
    time = max(autocorrelation_by_hand(deviations), 0.5)
    # an AR(1) process of this time: φ, and the bias 2 φ / (1 − φ²) of blocks of one row
    phi = (2 * time - 1) / (2 * time + 1)
    bias = 2 * phi / (1 - phi**2)
    # sixteen blocks at most, four at least, and of two rows if there are so many
    wanted = max(math.ceil(4 * bias), math.ceil(rows / 16), 2)
    length = min(wanted, rows // 4)
    count = rows // length
    cuts = [block * rows // count for block in range(count + 1)]
    sums = [deviations[a:b].sum() for a, b in pairwise(cuts)]
    variance = sum(x**2 for x in sums) * count / (count - 1)
    kept = max(1 - bias / length, 0.25)
    return math.sqrt(variance / kept) / ends[-1], count - 1, time * lengths[0]


@pytest.mark.parametrize("rows", [4, 5, 7, 8, 9, 16, 17, 33, 100, 400])
def test_errors_are_those_of_blocks_of_rows(rows):
    rng = np.random.default_rng(rows)
    series = np.stack([autoregressive(phi, rows, 1, rows)[:, 0] for phi in (0, 0.5, 0.9, -0.9)])
    series = np.stack([*series, np.arange(rows), 1e-6 * series[1], 7 * np.ones(rows)], axis=1)
    for last in (64, 8):
        ends = np.cumsum([64] * (rows - 1) + [last])
        found = uncertainty(series[None], ends)
        wanted = np.array([errors_by_hand(column, ends) for column in series.T]).T
        np.testing.assert_allclose(np.stack(found), wanted, rtol=1e-9, atol=1e-15)
    # those of trajectories, of which each is a sample
    for B in (2, 3):
        many = rng.normal(size=(B, rows, 2))
        found = uncertainty(many, ends)
        means = many.sum(axis=1) / ends[-1]
        np.testing.assert_allclose(found.standard_error, means.std(axis=0, ddof=1) / math.sqrt(B))
        np.testing.assert_array_equal(found.degrees_of_freedom, B - 1)


def test_autocorrelation_of_a_series_that_never_forgets():
    trend = np.arange(12.0)[:, None]
    assert autocorrelation_time(trend)[0] == pytest.approx(autocorrelation_by_hand(trend[:, 0]))
    both = np.concatenate([trend, 1e-9 * trend], axis=1)
    np.testing.assert_allclose(*autocorrelation_time(both))


def test_the_largest_of_many_equal_exponents():
    """30 units that do not read one another: the largest sample is 2 errors too large."""
    n = 30
    truth, inside = 0.2, []
    base = made(np.full(n, truth), trajectories=1, rows=20)
    base = replace(base, final_frame=np.eye(n)[None])
    for seed in range(100):
        noise = np.random.default_rng(seed).normal(size=(1, 20, n))
        found = replace(base, growth=64 * truth + noise)
        low, high = found.confidence_interval().T
        inside.append((low[0] <= truth <= high[0], low[-1] <= truth <= high[-1]))
        assert found.widening.min() > 1.0
        usual = half_width(found.uncertainty, 0.95)
    assert np.mean(inside, axis=0).min() >= 0.92
    # those of one block are not sorted by chance, and keep their intervals
    one = replace(base, final_frame=np.ones((1, n, n)), growth=64 * truth + noise)
    same = one.widening == 1.0
    assert same.mean() > 0.8
    np.testing.assert_allclose(np.diff(one.confidence_interval())[same, 0] / 2, usual[same])


def test_rows_that_are_correlated_widen_the_interval():
    rng = np.random.default_rng(0)
    spectrum = made([0.5, -1.0], trajectories=1, rows=400)
    noise = rng.normal(size=(1, 400, 2))
    noise[:, 1:, 0] += noise[:, :-1, 0]
    found = replace(spectrum, growth=spectrum.growth + noise)
    np.testing.assert_allclose(found.widening, [2.2, 1.0])


@pytest.mark.parametrize("trajectories", [1, 4])
def test_intervals_of_an_intermittent_map_cover_its_exponent(trajectories):
    """Pomeau and Manneville's, z = 1.8: 70 % of the usual intervals contain the exponent."""
    z, runs, rows = 1.8, 60, 128
    x = np.random.default_rng(1).random((runs, trajectories))
    logs = np.zeros((runs, trajectories, rows + 30))
    for row in range(rows + 30):
        for _ in range(64):
            logs[..., row] += np.log1p(z * x ** (z - 1))
            x = (x + x**z) % 1.0
    base = made([0.3], trajectories=trajectories, rows=rows)
    inside = []
    for growth in logs[:, :, 30:, None]:
        low, high = replace(base, growth=growth).confidence_interval()[0]
        inside.append(low <= 0.3172 <= high)
    assert np.mean(inside) >= 0.85
