"""What an interval adds to the growth and to its errors, in one launch where kernels can be had."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Array
from .device import Device, Kernel
from .kernel_text import BLOCK, Place, Written, elementwise_kernel, grid_for, prelude
from .qr import Orthonormal
from .trace import Tape, Traced

__all__ = ["Counting"]

RESULTS = ("growth", "error", "noise")
GIVEN = ("growth", "error", "log_r", "duals")


class Counting:
    """Counts what `lyapy.tangent.state.Carry` does in `count` and `settle`.

    Parameters
    ----------
    device : Device
    state_size : int
        D.
    limit : float
        Of the spread.
    roundoff : float
    """

    def __init__(self, device: Device, state_size: int, limit: float, roundoff: float) -> None:
        self.limit = limit
        self.roundoff = roundoff
        self.floor = float(np.log(state_size * roundoff))
        self._kernels: tuple[Kernel, Kernel] | None = None
        if device.compile_kernel is not None:
            plain, hidden = (device.compile_kernel(self._text(h), "add") for h in (False, True))
            self._kernels = plain, hidden

    def __call__(
        self, found: Orthonormal, growth: Array, error: Array, hidden: bool
    ) -> tuple[Array, Array, Array]:
        """Return growth and error (B, k) with those of an interval, and its noise (B, k).

        Parameters
        ----------
        growth, error : array (B, k)
            So far; may be changed in place.
        hidden : bool
            Whether some growth may be below what the arithmetic resolves.
        """
        B, k = growth.shape
        if self._kernels is None:
            top = found.extremes[0][:, None]
            return self._counted(growth, error, found.log_r, found.duals, top, hidden)
        noise = np.empty_like(growth)
        arrays = (growth, error, noise, found.log_r, found.duals, found.extremes)
        self._kernels[hidden](grid_for(B * k), BLOCK, (*arrays, k, B * k))
        return growth, error, noise

    def _counted(
        self, growth: Any, error: Any, log_r: Any, duals: Any, top: Any, hidden: bool
    ) -> tuple[Any, Any, Any]:
        noise = np.exp(top) * np.maximum(np.exp(-log_r), np.abs(duals))
        if hidden:
            below = top - log_r > self.limit
            log_r = np.where(below, np.logaddexp(log_r, self.floor + top), log_r)
        return growth + log_r, error + self.roundoff * noise, noise

    def _text(self, hidden: bool) -> str:
        """Return the kernel, in which each entry of (B, k) is a vector of one entry."""
        tape = Tape()
        growth, error, log_r, duals = (
            Traced(tape, tape.add(("read", name, 0), 1)) for name in GIVEN
        )
        # the largest log R_ii stands first among the extremes
        top = Traced(tape, tape.add(("element", "extremes", "b / k"), 0))
        places = {name: Place(name, 1) for name in (*GIVEN, "noise", "extremes")}
        values = self._counted(growth, error, log_r, duals, top, hidden)
        results = [
            Written(places[name], 0, 1, value.number)
            for name, value in zip(RESULTS, values, strict=True)
        ]
        parameters = [f"double* {name}" for name in RESULTS]
        parameters += [f"const double* {name}" for name in ("log_r", "duals", "extremes")]
        return prelude("float64") + elementwise_kernel(
            "add", [*parameters, "long long k"], [], tape, places, results
        )
