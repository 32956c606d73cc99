"""The gain at which a random network loses stability, against exact and mean-field values."""

import numpy as np
import pytest
from scipy.optimize import brentq

import lyapy


@pytest.mark.parametrize("seed", [1, 2])
def test_a_linear_network_is_critical_at_spectral_radius_1(seed):
    """Where the spectral radius is 1."""
    found = lyapy.critical_gain("vanilla", 20, nonlinearity="identity", seed=seed, tolerance=1e-3)
    U = lyapy.random_network("vanilla", 20, seed=seed).cells[0].weights.U
    exact = 1.0 / np.abs(np.linalg.eigvals(U)).max()
    assert found.low < exact < found.high
    assert found.gain == pytest.approx(exact, rel=1e-3)
    assert found.high < 1.01 * found.low
    assert np.isinf(found.largest[-1]) or found.largest[-1] > 1.0
    assert np.all(np.diff(found.gains) > 0.0)
    assert str(found).startswith(f"critical gain {found.gain:.4g}, between {found.low:.4g} and ")


def test_noise_delays_chaos():
    """Mean field: λ₁ = ½ log g²⟨φ′(√Δ z)²⟩ with Δ = g²⟨φ²⟩ + σ² (Molgedey et al. 1992)."""
    z, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()

    def exponent(gain):
        def excess(delta):
            return gain**2 * weights @ np.tanh(np.sqrt(delta) * z) ** 2 + 1.0 - delta

        slopes = 1.0 - np.tanh(np.sqrt(brentq(excess, 0.5, 200.0)) * z) ** 2
        return np.log(gain**2 * weights @ slopes**2)

    exact = brentq(exponent, 1.0, 4.0)
    gains = [lyapy.critical_gain("vanilla", 200, 100, steps=1500, seed=s).gain for s in range(3)]
    # networks of 200 units scatter by 2 %
    assert np.mean(gains) == pytest.approx(exact, rel=0.04)
    assert exact > 1.3


def test_the_interval_covers_gains_with_an_open_sign():
    """Of few steps it is wide, and more steps narrow it; longer runs agree with its signs."""
    short, long = (
        lyapy.critical_gain("vanilla", 40, 5, steps=steps, seed=3) for steps in (300, 6000)
    )
    assert short.low <= long.gain <= short.high
    assert short.high - short.low > 2.0 * (long.high - long.low)
    open_ones = np.abs(short.largest) <= short.margins
    assert open_ones.any()
    assert np.all((short.low < short.gains[open_ones]) & (short.gains[open_ones] < short.high))


def test_impossible_searches_are_refused():
    with pytest.raises(ValueError, match=r"at gain 2 is .* which is not negative; give"):
        lyapy.critical_gain("vanilla", 20, nonlinearity="identity", between=(2.0, 4.0))
    with pytest.raises(ValueError, match="two positive gains, ascending"):
        lyapy.critical_gain("vanilla", 20, between=(2.0, 1.0))
    with pytest.raises(ValueError, match="steps is 10"):
        lyapy.critical_gain("vanilla", 20, steps=10)
    with pytest.raises(ValueError, match="tolerance is 0"):
        lyapy.critical_gain("vanilla", 20, tolerance=0)
