"""Carry the tilt of a frame through a QR; see `lyapy.tangent.graded.tilt`."""

from __future__ import annotations

from ...arrays import Array
from . import blas
from .jit import compiled, inlined
from .products import address

__all__ = ["carry"]

# rows whose zeros are left out of the products
BLOCK = 32


def _carry(
    upper: Array,
    frame: Array,
    image: Array,
    in_image: Array,
    in_frame: Array,
    tilt: Array,
    noise: Array,
    largest: float,
    wrong: Array,
    errors: Array,
    carried: Array,
) -> None:
    """Write the errors of the growth and of the new frame, for each sample.

    Parameters
    ----------
    upper : array (k, k)
        R.
    frame, image, in_image, in_frame : array (k, D)
        The new frame, the image from which it is made, and sizes of the rounding in both.
    noise : array (2, rows, samples, D)
        Of unit variance. Vectors from ``rows`` on are left out.
    wrong : array (rows, samples, D)
        Workspace of the caller: Numba would free an array made here before BLAS has read it.
    errors, carried : array (k, samples), array (k, samples, k)
        Of log R_ii, and the new tilt, which is zero on entry; up to ``largest``.
    """
    k, D = image.shape
    rows, samples = noise.shape[1:3]
    # of vector j only the shares of the vectors from j on are needed
    for j in range(0, rows, BLOCK):
        count = min(BLOCK, rows - j) * samples
        blas.multiply(
            1.0, address(tilt, j * samples * k + j), k, address(image, j * D), D, False,
            0.0, address(wrong, j * samples * D), D, count, rows - j, D,
        )  # fmt: skip
    _add(noise[0], in_image, wrong)
    blas.solve(address(upper, 0), k, address(wrong, 0), samples * D, rows, samples * D)
    _add(noise[1], in_frame, wrong)
    for j in range(0, rows, BLOCK):
        count = min(BLOCK, rows - j) * samples
        blas.multiply(
            1.0, address(wrong, j * samples * D), D, address(frame, j * D), D, True,
            0.0, address(carried, j * samples * k + j), k, count, D, rows - j,
        )  # fmt: skip
    for j in range(rows):
        for s in range(samples):
            errors[j, s] = _clip(carried[j, s, j], largest)
            carried[j, s, j - j % BLOCK : j + 1] = 0.0
            _clip_row(carried[j, s, j + 1 :])


@inlined
def _add(noise: Array, sizes: Array, wrong: Array) -> None:
    rows, samples = noise.shape[:2]
    for j in range(rows):
        for s in range(samples):
            _add_row(noise[j, s], sizes[j], wrong[j, s])


@inlined
def _add_row(noise: Array, sizes: Array, wrong: Array) -> None:
    for d in range(len(sizes)):
        wrong[d] += sizes[d] * noise[d]


@inlined
def _clip_row(values: Array) -> None:
    for i in range(len(values)):
        values[i] = _clip(values[i], 1.0)


@inlined
def _clip(value: float, largest: float) -> float:
    """Return ``value`` within its bound; NaN becomes the bound."""
    return max(-largest, value) if value < largest else largest


carry = compiled(_carry)
