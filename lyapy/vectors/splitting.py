"""Angles of the splitting into fast and slow directions, from two frames and no R factor."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import Array, check_size
from ..networks.network import Network
from ..networks.transposed import transposed
from ..runs.progress import Progress
from ..runs.threads import limit_blas
from ..tangent.interval import Control, accept_interval, make_control
from ..tangent.spans import span_sines
from ..tangent.state import UNKNOWN_RATE
from .along import check_along
from .covariant import random_frame
from .images import Images, images_of
from .passes import PIECE, Passes, decayed, living_directions


def splitting_angles(
    network: Network,
    inputs: Any = None,
    *,
    j: int | Sequence[int],
    steps: int | None = None,
    at: Any = None,
    transient: int = 0,
    backward_transient: int | str = "auto",
    initial_state: Any = None,
    seed: int = 0,
    tolerance: float = 1e-8,
    progress: bool = False,
) -> Array:
    """Compute the angles between the j fastest covariant directions and all others.

    A frame of the largest j rows goes forward under J, and two others, from random starts at the
    end, backward under Jᵀ; the angle is arcsin σ_min of the products of their first j rows (Kuptsov
    and Parlitz 2012, J. Nonlinear Sci. 22, 727). So large networks need j vectors only, and no
    vector has to converge alone.

    Parameters
    ----------
    network : Network
        Its Jacobian must be known in full, not by products.
    j : int or sequence of int
        Numbers of fast directions, each below D.
    tolerance : float
        Error of the sine, from two random starts of each frame, below which an angle counts as
        converged; and the rounding error admitted in an interval.
    inputs, steps, at, transient, backward_transient, initial_state, seed, progress
        As for `covariant_vectors`.

    Returns
    -------
    array (steps, len(j))
        In radians, 0 to π/2, at the steps ``at`` in ascending order; NaN, with a warning, where it
        has not converged.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit.
    FloatingPointError
        If the network diverges.

    Examples
    --------
    >>> import lyapy
    >>> network = lyapy.random_network("vanilla", 8, gain=2.0, seed=1)
    >>> at = range(200, 210)
    >>> lyapy.splitting_angles(network, j=[1, 4], steps=1200, transient=200, at=at).shape
    (10, 2)
    """
    along = check_along(
        network, inputs, steps, at, transient, backward_transient, initial_state, seed
    )
    sizes = np.atleast_1d(j).tolist()
    alive = living_directions(network, along.inputs, along.state, transient, along.run_layer)
    for size in sizes:
        check_size("j", size, 1, min(network.state_size - 1, alive), "others must remain and live")
    m = max(sizes)
    rows = min(m + 1, alive)
    control = make_control("auto", tolerance, PIECE)
    passes = Passes(network, along.inputs, rows, along.at, control, along.run_layer)
    backward = _Backward(images_of(transposed(passes.program), m), control)
    rng = np.random.default_rng([seed, 3])
    frames = [random_frame(rng, rows, network.state_size) for _ in range(2)]
    slow = [random_frame(rng, m, network.state_size) for _ in range(2)]
    sines = np.full((2, len(along.at), len(sizes)), np.nan)
    grown, total = np.empty((len(along.at), rows)), np.zeros(rows)
    display = Progress(along.stop - transient, progress)
    with limit_blas(1):
        try:
            begin, other = passes.begin(along.state, frames, transient)
            for interval in passes.back(begin, along.stop):
                slow = [backward(interval.coefficients, each) for each in slow]
                total = total + interval.growth
                row = int(np.searchsorted(along.at, interval.start))
                if row < len(along.at) and along.at[row] == interval.start:
                    sines[:, row] = [_sines(interval.before[:m], each, sizes) for each in slow]
                    grown[row] = total
                display.update(interval.stop - interval.start)
        finally:
            display.close()
    forward = decayed(span_sines(begin.frame, other.frame), total - grown)
    errors = np.abs(np.diff(sines, axis=0)[0]) + forward[:, np.array(sizes) - 1]
    open_ones = ~(errors <= tolerance)
    if open_ones.any():
        warnings.warn(
            f"{np.count_nonzero(open_ones)} of {open_ones.size} angles have not converged and are "
            f"NaN, first at step {along.at[open_ones.any(axis=1)][0]}; give a longer transient and "
            "more steps after them",
            RuntimeWarning,
            stacklevel=2,
        )
    return np.asarray(np.arcsin(np.where(open_ones, np.nan, np.minimum(sines[0], 1.0))))


class _Backward:
    """Moves a frame backward under Jᵀ; ``rate`` is the spread per step to expect."""

    def __init__(self, images: Images, control: Control) -> None:
        self.images = images
        self.control = control
        self.rate = UNKNOWN_RATE

    def __call__(self, coefficients: Array, frame: Array) -> Array:
        """Return the frame before the steps, orthonormal."""
        left = coefficients[::-1]
        while len(left):

            def attempt(steps: int, left: Array = left, frame: Array = frame) -> Any:
                factored = self.images.factored(left[:steps], frame, self.control.limit)
                return factored.frame, factored.spread

            frame, spread, steps, _ = accept_interval(attempt, self.rate, len(left), self.control)
            self.rate = min(max(spread / steps, 0.95 * self.rate), UNKNOWN_RATE)
            left = left[steps:]
        return frame


def _sines(fast: Array, slow: Array, sizes: Sequence[int]) -> list[float]:
    overlaps = fast @ slow.T
    return [float(np.linalg.svd(overlaps[:s, :s], compute_uv=False)[-1]) for s in sizes]
