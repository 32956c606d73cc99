"""Find the step in which deviation vectors overflow, for an error message."""

import numpy as np

from ..arrays import Array
from ..networks.apply import tangent_step
from ..networks.program import Program
from .interval import Control
from .qr import orthonormalize


def describe_overflow(
    program: Program, coefficients: Array, frame: Array, start: int, control: Control
) -> str:
    """Describe which vectors overflow, where and why, for an error message.

    Parameters
    ----------
    coefficients : array (T, C)
        Of a chunk in which deviation vectors are not finite at the end of an interval.
    frame : array (k, D)
        Before the first step of the chunk.
    start : int
        Number of that step.
    """
    sound = np.isfinite(coefficients).all(axis=1)
    if not sound.all():
        return (
            f"the Jacobian is not finite in step {start + int(sound.argmin())}: the map has no "
            "derivative there, or one beyond the range of float64"
        )
    found = _find_overflow(program, coefficients, frame, control)
    where = f"steps {start} to {start + len(coefficients) - 1}"
    if found is not None:
        where = f"step {start + found}"
    if control.fixed > 1:
        return f"deviation vectors overflow in {where}; use a shorter interval or 'auto'"
    return f"deviation vectors overflow in {where}: one Jacobian exceeds the range of float64"


def _find_overflow(
    program: Program, coefficients: Array, frame: Array, control: Control
) -> int | None:
    """Return the first step in which deviation vectors overflow, found step by step.

    The compiled engine sums squares, which can overflow while the vectors are finite.
    """
    length = max(control.fixed, 1)
    for size in (np.asarray, _row_squares):
        image = frame
        for t, step in enumerate(coefficients):
            with np.errstate(over="ignore", invalid="ignore"):
                image = tangent_step(program, step, image)
                if not np.isfinite(size(image)).all():
                    return t
            if (t + 1) % length == 0:
                image = orthonormalize(image)[0]
    return None


def _row_squares(frame: Array) -> Array:
    return np.asarray(np.square(frame).sum(axis=1))
