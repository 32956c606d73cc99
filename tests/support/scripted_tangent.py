"""A tangent with scripted growth that records its calls, and full spectra of it."""

from collections import namedtuple
from types import SimpleNamespace

import numpy as np

from lyapy.tangent.interval import make_control
from lyapy.tangent.reference import Tangent
from lyapy.tangent.state import Carry
from lyapy.tangent.two_ended import FullTangent

TILE = 64
CONTROL = make_control("auto", 1e-8, TILE)
Call = namedtuple("Call", "tiles ends alive frame rate control")


class Scripted(Tangent):
    """A tangent whose growth is its coefficients, except for tiles on which it goes wrong.

    A coefficient is the number of its tile; ``wrong`` holds those of tiles that ordinary
    steps do not get right, ``by`` so much.
    """

    def __init__(self, wrong=(), by=1.0, spread=5.0):
        super().__init__(None, 0)
        self.calls, self.wrong, self.by, self.spread = [], set(wrong), by, spread

    def advance(self, coefficients, ends, alive, carry, control):
        assert len(coefficients) == ends[-1]
        tiles, state, counted = coefficients[ends - 1, 0], carry.state, carry.statistics
        lists = (array.tolist() for array in (tiles, ends, alive))
        self.calls.append(Call(*lists, state.frame.copy(), state.rate, control))
        growth = growth_of(tiles, len(state.frame))
        if not control.graded:
            growth[np.isin(tiles, list(self.wrong)), 0] += self.by
        state.frame, state.rate = state.frame + 0.25, 2.0
        state.graded_steps += 5
        counted.error = counted.error + np.arange(len(state.frame))
        counted.exchange = counted.exchange + counted.error[:, None]
        counted.count(3, 1, self.spread)
        return growth

    @property
    def way(self):
        return [(call.tiles, call.control.graded) for call in self.calls]


def growth_of(tiles, k):
    return np.asarray(tiles)[:, None] + np.arange(k) / 8.0


def ends_of(tiles):
    return TILE * np.arange(1, tiles + 1)


def run(tangent, tiles, carry=None, alive=None, first=0, control=CONTROL):
    carry = carry or Carry.begin(np.eye(tangent.vectors))
    alive = np.full(tiles, tangent.vectors) if alive is None else np.asarray(alive)
    numbers = np.repeat(np.arange(first, first + tiles, dtype=float), TILE)[:, None]
    return tangent.advance(numbers, ends_of(tiles), alive, carry, control), carry


def one_frame(scripted, D=4, **options):
    logs = options.pop("logs", lambda c: growth_of(c[:, 0], D).sum(axis=1) / TILE)
    return FullTangent(block_of(D, logs), scripted, None)


def both_ends(front, back, D=40, logs=None, invert=lambda c: c):
    p = D // 2
    logs = logs or (
        lambda c: (growth_of(c[:, 0], p).sum(axis=1) - growth_of(c[:, 0], D - p).sum(axis=1)) / TILE
    )
    return FullTangent(block_of(D, logs, invert), front, back)


def block_of(D, logs, invert=None):
    program = SimpleNamespace(state_size=D)
    return SimpleNamespace(program=program, log_abs_det=logs, inverse_coefficients=invert)
