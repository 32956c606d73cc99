"""Whether growth is stationary: the limits of each finding, worked out by another way."""

import numpy as np
import pytest
import scipy.stats

from lyapy.spectra.stationarity import apart, escaping, memory
from lyapy.spectra.uncertainty import uncertainty

ROW = 64


@pytest.mark.parametrize(
    ("largest", "found"),
    [
        # of each quarter
        ([1.0, 2.1, 4.5, 9.5], True),
        ([1.0, 1.9, 4.5, 9.5], False),
        ([1.0, 2.1, 4.5, 8.9], False),
    ],
)
def test_a_state_that_doubles_in_each_quarter_escapes(largest, found):
    ends = ROW * np.arange(1, 21)
    sizes = np.repeat(largest, 5)[None]
    assert escaping(sizes, ends).tolist() == [found]
    # the first row is one of the first quarter, and the largest one counts
    sizes[0, 0] = 5.0
    assert not escaping(sizes, ends).any()


@pytest.mark.parametrize("trajectories", [2, 3, 6])
@pytest.mark.parametrize("factor", [0.995, 1.005])
def test_trajectories_may_be_apart_by_their_errors(trajectories, factor):
    k, rows = 2, 40
    # the last row is shorter
    ends = np.append(ROW * np.arange(1, rows), ROW * (rows - 1) + 10)
    lengths = np.diff(ends, prepend=0)[:, None]
    growth = np.random.default_rng(1).normal(size=(trajectories, rows, k))
    growth -= lengths * growth.sum(axis=1, keepdims=True) / ends[-1]
    each = [uncertainty(one[None], ends) for one in growth]
    within = np.median([one.standard_error[0] ** 2 for one in each])
    freedom = np.median([one.degrees_of_freedom[0] for one in each])
    # the median of χ², and of two values their mean
    within *= 1.0 if trajectories == 2 else freedom / scipy.stats.chi2.median(freedom)
    pooled = 0.5 * trajectories * freedom
    allowed = scipy.stats.f.isf(1e-3 / k, trajectories - 1, pooled) * within + 0.01**2
    shifts = np.arange(trajectories) - 1.0
    shifts *= factor * np.sqrt(allowed / shifts.var(ddof=1))
    growth[:, :, 0] += shifts[:, None] * lengths[:, 0]
    assert apart(growth, ends, 0.01).tolist() == [factor > 1.0, False]


def test_the_memory_of_growth_is_its_autocorrelation_time():
    """Of an AR(1) process it is φ / (1 − φ) rows more than that of independent rows."""
    rng, phi, B, rows = np.random.default_rng(2), 0.9, 100, 2001
    noise = np.zeros((B, rows, 1))
    for row in range(1, rows):
        noise[:, row] = phi * noise[:, row - 1] + rng.normal(size=(B, 1))
    # the last row has one step: next to the others it is an outlier unless the mean is subtracted
    ends = np.append(ROW * np.arange(1, rows), ROW * (rows - 1) + 1)
    lengths = np.diff(ends, prepend=0)[:, None]
    found = memory(noise * lengths / ROW - 10.0 * lengths, ends, 1e-8)
    assert found == pytest.approx(ROW * phi / (1 - phi), rel=0.06)
    # rows that agree within the tolerance have none, and neither have too few
    assert memory(np.full((B, rows, 1), -10.0) * lengths, ends, 1e-8) == 0.0
    assert memory(noise[:, -15:] + 1.0, ROW * np.arange(1, 16), 1e-8) == 0.0
    assert memory(noise[:, -16:] + 1.0, ROW * np.arange(1, 17), 1e-8) != 0.0
