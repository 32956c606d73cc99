"""Sums of growth over windows of time."""

import numpy as np

from ..arrays import Array


def window_sums(growth: Array, growth_steps: Array, window: int) -> Array:
    """Return the sums (B, windows, k) of growth (B, rows, k) over windows of so many steps.

    Rows end at ``growth_steps`` and are equally long but for the last. Raises ValueError if
    windows do not end with rows, or are longer than the run.
    """
    row, steps = int(growth_steps[0]), int(growth_steps[-1])
    whole = isinstance(window, (int, np.integer)) and not isinstance(window, bool)
    if not whole or window < 1 or window % row:
        raise ValueError(
            f"window is {window!r}; the history of this run is kept in rows of {row} steps: give "
            f"a multiple of {row}, or compute without a checkpoint and with record_every=WINDOW"
        )
    count = steps // window
    if not count:
        raise ValueError(f"window is {window}, longer than the {steps} counted steps")
    rows = window // row
    full = growth[:, : count * rows]
    return np.asarray(full.reshape(len(full), count, rows, -1).sum(axis=2))
