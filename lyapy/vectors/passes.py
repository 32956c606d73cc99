"""A frame forward in time, and the same intervals again from the last to the first.

On the way forward a few frames are kept, from which the pieces between them are computed again, to
the same bits, when their turn comes on the way back. Longer pieces are cut again: memory grows with
the logarithm of the steps, and each level costs one more forward pass.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..cells import Cell
from ..networks.apply import tangent_step
from ..networks.blocks import diagonal_blocks
from ..networks.forward import LayerForward, forward_chunk
from ..networks.network import Network
from ..networks.program import by_products
from ..networks.structure import component_labels
from ..tangent.graded.elimination import sorted_qr
from ..tangent.interval import SHARE, Control, accept_interval, next_rate
from ..tangent.state import UNKNOWN_RATE
from .images import Factored, images_of

# steps of a forward pass of the states, and of a piece of which every interval is kept
PIECE = 64
# frames kept on each level
KEPT = 64


class Position(NamedTuple):
    """Before step ``step``: state (D,), frame (k, D), and the spread per step to expect."""

    step: int
    state: Array
    frame: Array
    rate: float


class Interval(NamedTuple):
    """Steps between two reorthonormalizations."""

    start: int
    stop: int
    # the frames Q before and Q′ after the steps (k, D)
    before: Array
    after: Array
    # R (k, k) of each stage, in order: the images of the rows of Q are Rᵀ Q′
    factors: Sequence[Array]
    # (stop − start, C)
    coefficients: Array

    @property
    def growth(self) -> Array:
        """Sums of log R_ii (k,)."""
        with np.errstate(divide="ignore"):
            return np.asarray(sum(np.log(np.diagonal(R)) for R in self.factors))


class Passes:
    """Forward passes of one trajectory with a frame, and the way back through its intervals.

    Inputs are (T, m), ``vectors`` is k, and before the steps ``cuts``, ascending, an interval ends
    in any case; ``run_layer`` is the loop of the forward pass over time.
    """

    def __init__(
        self,
        network: Network,
        inputs: Array,
        vectors: int,
        cuts: Array,
        control: Control,
        run_layer: LayerForward,
    ) -> None:
        self.network = network
        self.inputs = inputs
        (self.block,) = diagonal_blocks(network, whole=True)
        self.program = self.block.program
        self.cuts = cuts
        self.control = control
        self.run_layer = run_layer
        self.vectors = vectors
        self.images = images_of(self.program, vectors, _scaled if self.diagonal else None)

    @cached_property
    def diagonal(self) -> bool:
        """Whether no column of the state reads another, so that J is diagonal."""
        labels = component_labels(self.program, {}, connection="weak")[: self.program.state_size]
        return len(np.unique(labels)) == len(labels)

    def run(self, position: Position, stop: int) -> Position:
        """Return the position before step ``stop``."""
        for _, reached in self.forward(position, stop):
            position = reached
        return position

    def forward(self, position: Position, stop: int) -> Iterator[tuple[Interval, Position]]:
        """Yield the intervals up to step ``stop``, each with the position after it."""
        step, state, frame, rate = position
        while step < stop:
            # the same pieces wherever a pass begins, so that it ends with the same bits
            end = min((step // PIECE + 1) * PIECE, stop)
            chunk = forward_chunk(self.network, self.inputs[step:end], state, self.run_layer)
            _check_finite(chunk.states, chunk.coefficients, step)
            coefficients = self.block.select(chunk.coefficients)
            first = step
            while step < end:
                cut = int(np.searchsorted(self.cuts, step, side="right"))
                until = min(end, int(self.cuts[cut])) if cut < len(self.cuts) else end
                rest = coefficients[step - first : until - first]
                after, factors, rate, steps = self._interval(frame, rest, rate)
                interval = Interval(step, step + steps, frame, after, factors, rest[:steps])
                step, frame = step + steps, after
                state = chunk.states[step - first - 1]
                yield interval, Position(step, state, frame, rate)

    def begin(self, state: Array, frames: Sequence[Array], transient: int) -> list[Position]:
        """Return the positions after the transient of several frames (k, D)."""
        starts = (Position(0, state, frame, UNKNOWN_RATE) for frame in frames)
        return [self.run(start, transient) for start in starts]

    def back(self, position: Position, stop: int) -> Iterator[Interval]:
        """Yield the intervals between a position and step ``stop``, from the last to the first."""
        if stop - position.step <= PIECE:
            yield from reversed([interval for interval, _ in self.forward(position, stop)])
            return
        kept = [position]
        for end in self.ends(position.step, stop)[:-1]:
            kept.append(self.run(kept[-1], end))
        while kept:
            position = kept.pop()
            yield from self.back(position, stop)
            stop = position.step

    def ends(self, start: int, stop: int) -> list[int]:
        """Return the steps before which the pieces of some steps end."""
        size = PIECE
        while size * KEPT < stop - start:
            size *= KEPT
        return [*range((start // size + 1) * size, stop, size), stop]

    def memory(self, steps: int) -> int:
        """Return the bytes of frames, factors and coefficients that ``steps`` need at most."""
        k, D = self.vectors, self.program.state_size
        entries = sum(c.size for layer in self.network.program.coefficients for c in layer.values())
        levels = 1
        while PIECE * KEPT**levels < steps:
            levels += 1
        return 8 * (PIECE * (k * D + k * k + entries + D) + levels * KEPT * (k * D + D))

    def _interval(
        self, frame: Array, coefficients: Array, rate: float
    ) -> tuple[Array, Sequence[Array], float, int]:
        """Return the frame after an interval, its factors, the spread per step, its steps."""

        def attempt(steps: int) -> tuple[Factored, float]:
            factored = self.images.factored(coefficients[:steps], frame, self.control.limit)
            return factored, factored.spread

        (after, R, _), spread, steps, _ = accept_interval(
            attempt, rate, len(coefficients), self.control
        )
        if not np.isfinite(after).all():
            raise FloatingPointError("deviation vectors overflow: a Jacobian exceeds float64")
        rate = min(next_rate(rate, spread, steps), UNKNOWN_RATE)
        if steps == 1 and spread > self.control.alone and not by_products(self.program):
            return *self._graded(frame, coefficients[0]), rate, 1
        return after, [R], rate, steps

    def _graded(self, frame: Array, coefficients: Array) -> tuple[Array, Sequence[Array]]:
        """Take one step stage by stage, by QR with sorted rows."""
        admitted = SHARE * np.exp(self.control.limit)
        stages = self.program.stages or (self.program,)
        factors = []
        for stage in stages:
            frame = tangent_step(stage, coefficients, frame)
            sizes = np.linalg.norm(frame, axis=0)
            if stage is not stages[-1] and sizes.max() <= admitted * sizes.min():
                continue
            frame, upper = sorted_qr(frame, sizes)
            factors.append(upper)
        return frame, factors


def _scaled(image: Array) -> tuple[Array, Array]:
    """Return them for multiples of unit vectors, exactly."""
    factors = image.sum(axis=1)
    return np.abs(np.sign(image)) * np.sign(factors)[:, None], np.diag(np.abs(factors))


def decayed(sines: Array, grown: Array) -> Array:
    """Return how far spans of the first i rows are off, from the ``sines`` (k,) at the beginning.

    They fall with the growth (..., k) since then: by that of row i over that of row i + 1.
    """
    gaps = np.diff(grown, axis=-1, append=grown[..., -1:])
    return np.asarray(np.minimum(sines * np.exp(np.minimum(gaps, 0.0)), 1.0))


def living_directions(
    network: Network, inputs: Array, state: Array, transient: int, run_layer: LayerForward
) -> int:
    """Return how many directions no Jacobian annihilates after the transient."""
    blocks = diagonal_blocks(network, whole=False)
    cells = {type(cell) for block in blocks for cell in block.cells}
    constant = all(cell.dead_directions is Cell.dead_directions for cell in cells)
    stop = 1 if constant else len(inputs)
    dead = np.zeros(len(blocks), dtype=np.int64)
    for start in range(0, stop, PIECE):
        chunk = forward_chunk(network, inputs[start : start + PIECE], state, run_layer)
        _check_finite(chunk.states, chunk.coefficients, start)
        state = chunk.states[-1]
        counted = (
            chunk.coefficients if constant else chunk.coefficients[max(transient - start, 0) :]
        )
        if len(counted):
            found = [block.dead_directions(block.select(counted)).max() for block in blocks]
            dead = np.maximum(dead, found)
    return network.state_size - int(dead.sum())


def _check_finite(states: Array, coefficients: Array, start: int) -> None:
    for name, array in (("state", states), ("Jacobian", coefficients)):
        finite = np.isfinite(array).all(axis=-1)
        if not finite.all():
            step = start + int(finite.argmin())
            raise FloatingPointError(f"the {name} is not finite in step {step}: it diverges")
