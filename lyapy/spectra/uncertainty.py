"""How far the mean growth over a finite time may be from its limit."""

from typing import NamedTuple

import numpy as np

from ..arrays import Array

LEAST_BLOCKS = 4
MOST_BLOCKS = 16
# blocks in units of the bias of their variance, which falls as one over their length
BLOCK_LENGTH = 4.0
# standard errors by which the correlation of successive rows exceeds 0 where it counts as seen
SLOW = 2.0
# the window of the sum of autocorrelations, in autocorrelation times
WINDOW = 5.0


class Uncertainty(NamedTuple):
    """Statistical errors of the mean exponents; NaN where unknown.

    Attributes
    ----------
    standard_error : array (k,)
        In nats per step.
    degrees_of_freedom : array (k,)
        Of Student's t, for confidence intervals.
    correlation_time : array (k,)
        Integrated autocorrelation time of the growth, in steps; half a row of the history where
        rows are not seen to be correlated.
    """

    standard_error: Array
    degrees_of_freedom: Array
    correlation_time: Array


def uncertainty(growth: Array, ends: Array, *, shared_inputs: bool = False) -> Uncertainty:
    """Return the statistical errors of the mean exponents.

    Of several trajectories, from their scatter; of one, from blocks of consecutive rows, at least
    four times as long as the autocorrelation makes necessary. The remaining bias of their variance
    is corrected as for an AR(1) process. Trajectories that read the same inputs are not
    independent: for them the blocks are those of their mean growth, and the larger error is
    returned.

    Parameters
    ----------
    growth : array (B, rows, k)
    ends : array (rows,)
        Steps at which the rows end.
    shared_inputs : bool
        Whether all trajectories read the same inputs.

    Returns
    -------
    Uncertainty
        Each (k,). NaN for one trajectory of fewer than four rows, or where the growth is −∞.
    """
    B, _, k = growth.shape
    sound = np.isfinite(growth).all(axis=(0, 1))
    series = growth[:, :, sound]
    blocks = _over_blocks(series.mean(axis=0), ends)
    found = blocks
    if B > 1:
        samples = series.sum(axis=1) / ends[-1]
        error = np.std(samples, axis=0, ddof=1) / np.sqrt(B)
        found = blocks._replace(
            standard_error=error, degrees_of_freedom=np.full(len(error), B - 1.0)
        )
        if shared_inputs:
            larger = blocks.standard_error > error
            pairs = zip(blocks, found, strict=True)
            found = Uncertainty(*(np.where(larger, *pair) for pair in pairs))
    return Uncertainty(*(_spread_out(values, sound, k) for values in found))


def half_width(found: Uncertainty, level: float) -> Array:
    """Return half the width of the confidence interval at ``level``, by Student's t.

    Raises ValueError if ``level`` is not between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level!r}; it must lie between 0 and 1, such as 0.95")
    from scipy.special import stdtrit

    quantile = stdtrit(found.degrees_of_freedom, 0.5 * (1.0 + level))
    return np.asarray(quantile * found.standard_error)


def slowly_correlated(growth: Array) -> Array:
    """Return for which exponents (k,) rows of growth (B, rows, k) are visibly correlated.

    A run that shows correlations over rows may hide longer ones, as an intermittent map does
    between its long laminar phases.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        deviations = growth - growth.mean(axis=(0, 1))
        products = np.sum(deviations[:, 1:] * deviations[:, :-1], axis=(0, 1))
        found = products / np.sum(deviations**2, axis=(0, 1))
        return np.asarray(found * np.sqrt(growth[..., 0].size) > SLOW)


def autocorrelation_time(series: Array) -> Array:
    """Return the integrated autocorrelation time ½ + Σ ρ(t) of each column (rows, k), in rows.

    Of several series (B, rows, k) it is that of their common autocovariance. The sum ends at the
    first lag that is five times itself (Sokal 1997). It is ½ where rows are independent, and less
    where they tend to cancel.
    """
    several = series.reshape(-1, *series.shape[-2:])
    N, k = series.shape[-2:]
    spectrum = np.fft.rfft(several - several.mean(axis=(0, 1)), 2 * N, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :N].mean(axis=0)
    # each lag has its own number of pairs
    covariance *= (N / np.arange(N, 0, -1))[:, None]
    variance = covariance[0]
    rho = covariance / np.where(variance > 0.0, variance, 1.0)
    times = np.cumsum(rho, axis=0) - 0.5
    # without its mean a series has times that are zero on average over the lags, so one closes
    closed = np.arange(N)[:, None] >= WINDOW * times
    found = times[closed.argmax(axis=0), np.arange(k)]
    return np.where(variance > 0.0, found, 0.5)


def _over_blocks(series: Array, ends: Array) -> Uncertainty:
    """Return the errors of the mean of one series of growth (rows, k)."""
    rows, k = series.shape
    lengths = np.diff(ends, prepend=0)
    if rows < LEAST_BLOCKS or not k:
        return Uncertainty(*np.full((3, k), np.nan))
    deviations = series - lengths[:, None] * (series.sum(axis=0) / ends[-1])
    times = autocorrelation_time(deviations)
    positive = np.maximum(times, 0.5)
    # relative bias of the variance of blocks of one row, for an AR(1) process
    bias = positive - 0.25 / positive
    fewest = max(2, -(-rows // MOST_BLOCKS))
    wanted = np.maximum(np.ceil(BLOCK_LENGTH * bias), fewest)
    width = np.minimum(wanted, rows // LEAST_BLOCKS).astype(int)
    error, freedom = np.empty(k), np.empty(k)
    for rows_of_block in np.unique(width):
        here = width == rows_of_block
        count = rows // rows_of_block
        sums = np.add.reduceat(deviations[:, here], np.arange(count) * rows // count, axis=0)
        variance = np.sum(sums**2, axis=0) * count / (count - 1)
        # where blocks are shorter than wanted, the correction is not to be trusted further
        kept = np.maximum(1.0 - bias[here] / rows_of_block, 1.0 / BLOCK_LENGTH)
        error[here] = np.sqrt(variance / kept) / ends[-1]
        freedom[here] = count - 1
    return Uncertainty(error, freedom, positive * lengths[0])


def _spread_out(values: Array, sound: Array, k: int) -> Array:
    full = np.full(k, np.nan)
    full[sound] = values
    return full
