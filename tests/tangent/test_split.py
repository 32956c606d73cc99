"""Where a frame is cut, against the cost of every cut."""

import math

import numpy as np
import pytest

from lyapy.tangent.split import best_split


def cost_of(rates, limit, tile, graded):
    """Operations of QR per step: rows², once in as many steps as the spread allows."""
    # single intervals spread by a fifth more than the mean
    spread = 1.2 * (max(rates) - min(rates))
    steps = min(max(math.floor(0.95 * limit / spread), 1), tile) if spread else tile
    return len(rates) ** 2 / steps * (graded if spread > limit else 1.0)


def cheapest(rates, limit, tile):
    D = len(rates)
    # a graded step is eight QRs; next to a cut rounding is sixteen times as large
    costs = [cost_of(rates, limit, tile, 8.0)]
    short = limit - math.log(16.0)
    for p in range(D - 1, 0, -1):
        ends = [cost_of(end, short, tile, math.inf) for end in (rates[:p], rates[p:])]
        # and the second pass costs as much as two rows more
        costs.append(sum(ends) + 2.0 * D)
    # the smallest cut of those that cost the same
    return D - (len(costs) - 1 - int(np.argmin(costs[::-1])))


@pytest.mark.parametrize("limit", [18.4, 9.0])
@pytest.mark.parametrize("tile", [64, 10])
def test_no_cut_is_cheaper(limit, tile):
    rng = np.random.default_rng(1)
    found = []
    for _ in range(150):
        D, width = rng.integers(1, 60), np.exp(rng.uniform(-3.0, 4.0))
        rates = np.sort(width * rng.normal(size=D) ** rng.integers(1, 4))[::-1]
        # a frame is not quite in the order of its growth
        rates += 0.01 * width * rng.normal(size=D)
        found.append(best_split(rates, limit, tile) / D)
        assert best_split(rates, limit, tile) == cheapest(rates.tolist(), limit, tile)
    assert min(found) < 0.3 < max(found)
