"""A tangent engine that does nothing but say what it was asked, and full spectra of it."""

from collections import namedtuple

import numpy as np

from lyapy.tangent.interval import make_control
from lyapy.tangent.state import Carry
from lyapy.tangent.two_ended import FullTangent

TILE = 64
CONTROL = make_control("auto", 1e-8, TILE)
Call = namedtuple("Call", "tiles ends alive frame rate control")


class Told:
    """A tangent whose growth is its coefficients, but for tiles on which it goes wrong.

    A coefficient is the number of its tile; ``wrong`` holds those of tiles that ordinary
    steps do not get right, ``by`` so much.
    """

    def __init__(self, wrong=(), by=1.0, spread=5.0):
        self.calls, self.wrong, self.by, self.spread = [], set(wrong), by, spread

    def advance(self, coefficients, ends, alive, carry, control):
        assert len(coefficients) == ends[-1]
        tiles = coefficients[ends - 1, 0]
        self.calls.append(
            Call(
                tiles.tolist(),
                ends.tolist(),
                alive.tolist(),
                carry.frame.copy(),
                carry.rate,
                control,
            )
        )
        growth = growth_of(tiles, len(carry.frame))
        if not control.graded:
            growth[np.isin(tiles, list(self.wrong)), 0] += self.by
        carry.frame = carry.frame + 0.25
        carry.rate, carry.error = 2.0, carry.error + np.arange(len(carry.frame))
        carry.intervals, carry.rejections, carry.largest_spread = 3, 1, self.spread
        carry.graded_steps += 5
        return growth

    @property
    def way(self):
        return [(call.tiles, call.control.graded) for call in self.calls]


def growth_of(tiles, k):
    return np.asarray(tiles)[:, None] + np.arange(k) / 8.0


def ends_of(tiles):
    return TILE * np.arange(1, tiles + 1)


def run(tangent, tiles, carry=None, alive=None, first=0, control=CONTROL):
    carry = carry or Carry(np.eye(tangent.size))
    alive = np.full(tiles, tangent.size) if alive is None else np.asarray(alive)
    numbers = np.repeat(np.arange(first, first + tiles, dtype=float), TILE)[:, None]
    return tangent.advance(numbers, ends_of(tiles), alive, carry, control), carry


def one_frame(told, D=4, **options):
    logs = options.pop("logs", lambda c: growth_of(c[:, 0], D).sum(axis=1) / TILE)
    return FullTangent(told, None, lambda c: c, logs, D)


def both_ends(front, back, D=40, logs=None, invert=lambda c: c):
    p = D // 2
    logs = logs or (
        lambda c: (growth_of(c[:, 0], p).sum(axis=1) - growth_of(c[:, 0], D - p).sum(axis=1)) / TILE
    )
    return FullTangent(front, back, invert, logs, D)
