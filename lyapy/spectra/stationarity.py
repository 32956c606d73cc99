"""Whether the growth of a run is that of one stationary process, which errors take for granted."""

import math

import numpy as np

from ..arrays import Array
from .uncertainty import autocorrelation_time, uncertainty

# rows of growth with which a drift can be tested
LEAST_ROWS = 8
# probability that a run without a drift is said to have one
FALSE_ALARM = 0.01
# of trajectories on one attractor that they are said to be on several
FALSE_SPLIT = 1e-3
# trajectories whose errors are compared with the scatter of all
MEDIAN_OF = 64
# fraction of a run that stands for its beginning, seen from a short and from a long transient
BEGINNINGS = (1 / 16, 1 / 4)
# factor by which a state grows from each quarter of a run to the next if it escapes; a state that
# grows like the steps, as a phase does, stays below
ESCAPE = 2.0


def escaping(sizes: Array, ends: Array) -> Array:
    """Return which trajectories (B,) leave every bound, from the largest |state| (B, rows)."""
    quarters = np.searchsorted(ends, np.array([0.25, 0.5, 0.75, 1.0]) * ends[-1])
    if len(np.unique(quarters)) < 4:
        return np.zeros(len(sizes), bool)
    starts = np.concatenate([[0], quarters[:-1] + 1])
    largest = np.maximum.reduceat(sizes, starts, axis=1)
    return np.asarray(np.all(largest[:, 1:] > ESCAPE * largest[:, :-1], axis=1))


def apart(growth: Array, ends: Array, tolerance: float) -> Array:
    """Return for which exponents (k,) trajectories differ by more than the error of each.

    The variance between the trajectories of ``growth`` (B, rows, k) is compared with the median
    of that within them, which one trajectory that jumps does not raise.
    """
    B, rows, k = growth.shape
    if B < 2 or rows < LEAST_ROWS:
        return np.zeros(k, bool)
    from scipy.special import chdtri, fdtri

    each = [uncertainty(one[None], ends) for one in growth[:MEDIAN_OF]]
    freedom = np.median([found.degrees_of_freedom for found in each], axis=0)
    within = np.median([found.standard_error**2 for found in each], axis=0)
    if B > 2:
        within = within * freedom / chdtri(freedom, 0.5)
    between = np.var(growth.sum(axis=1) / ends[-1], axis=0, ddof=1)
    # a median is about as sure as a mean of half as many
    allowed = fdtri(B - 1, np.maximum(0.5 * len(each) * freedom, 1.0), 1.0 - FALSE_SPLIT / k)
    return np.asarray(between > allowed * within + tolerance**2)


def memory(growth: Array, ends: Array, tolerance: float) -> float:
    """Return the longest autocorrelation time, in steps, of growth (B, rows, k) about its mean.

    It is that of all trajectories together, in excess of what independent rows may show. Exponents
    whose trajectories and rows agree within the tolerance have none.
    """
    lengths = np.diff(ends, prepend=0)[:, None]
    rates = growth / lengths
    varies = np.ptp(rates, axis=(0, 1)) > tolerance
    if not varies.any() or growth.shape[1] < 2 * LEAST_ROWS:
        return 0.0
    deviations = growth - lengths * (growth.sum(axis=(0, 1)) / (len(growth) * ends[-1]))
    times = autocorrelation_time(deviations[:, :, varies])
    return float((times.max() - 0.5 - time_noise(growth[..., 0].size)) * lengths[0, 0])


def time_noise(rows: int) -> float:
    """Return how far the autocorrelation time of independent rows may be above ½, in rows.

    Two standard errors of a sum of four autocorrelations, each of variance 1 / rows.
    """
    return 4.0 / math.sqrt(rows)


def drifting(growth: Array, ends: Array, tolerance: float, *, shared_inputs: bool) -> Array:
    """Return for which exponents (k,) growth (B, rows, k) drifts (Geweke 1992).

    The first sixteenth and the first quarter of the run are compared with its second half, from
    which the errors come: a drift at the beginning would enlarge those of the whole run.
    """
    k = growth.shape[2]
    if len(ends) < LEAST_ROWS:
        return np.zeros(k, bool)
    half = min(int(np.searchsorted(ends, 0.5 * ends[-1])) + 1, len(ends) - 1)
    from scipy.special import stdtrit

    late, length = growth[:, half:], ends[-1] - ends[half - 1]
    found = uncertainty(late, ends[half:] - ends[half - 1], shared_inputs=shared_inputs)
    error, freedom, _ = found
    second = late.sum(axis=1).mean(axis=0) / length
    allowed = stdtrit(freedom, 1.0 - 0.5 * FALSE_ALARM / (k * len(BEGINNINGS)))
    drifts = np.zeros(k, bool)
    for fraction in BEGINNINGS:
        last = int(np.searchsorted(ends, fraction * ends[-1]))
        first = growth[:, : last + 1].sum(axis=1).mean(axis=0) / ends[last]
        # the variance of a mean falls with the steps
        width = allowed * error * np.sqrt(length / ends[last] + 1.0)
        drifts |= np.abs(first - second) > width + tolerance
    return drifts
