"""How a full spectrum is followed, and where its frame is cut, which results do not show.

Whatever fails is repeated in a slower way.
"""

import math

import numpy as np
import pytest

from lyapy.tangent import two_ended as full
from lyapy.tangent.interval import make_control
from lyapy.tangent.state import Carry
from lyapy.tangent.two_ended import MARGIN, Way, best_split
from tests.support.scripted_tangent import (
    CONTROL,
    TILE,
    Scripted,
    both_ends,
    growth_of,
    one_frame,
    run,
)


def test_the_way_is_reconsidered_after_powers_of_two():
    scripted = Scripted()
    tangent = one_frame(scripted)
    growth, _ = run(tangent, 20)
    spans = [len(call.tiles) for call in scripted.calls]
    assert spans == [1, 1, 1, 1, 1, 3, 1, 7, 1, 3]
    np.testing.assert_array_equal(growth, growth_of(range(20), 4))
    assert tangent.way.tiles == 20
    # it goes on with the next chunk
    run(tangent, 20, first=20)
    assert [len(call.tiles) for call in scripted.calls[10:]] == [12, 1, 7]
    assert scripted.calls[10].tiles == list(range(20, 32))


def test_directions_that_die_divide_the_tiles():
    scripted = Scripted()
    tangent = one_frame(scripted, logs=lambda c: np.full(len(c), -np.inf))
    tangent.way.tiles = 17
    tangent.way.two_ended = True
    run(tangent, 8, alive=[4, 4, 4, 2, 2, 1, 0, 0])
    assert [call.tiles for call in scripted.calls] == [[0, 1, 2], [3, 4], [5], [6, 7]]
    assert [call.alive for call in scripted.calls] == [[4, 4, 4], [2, 2], [1], [0, 0]]
    for call in scripted.calls:
        assert call.ends == [TILE * (i + 1) for i in range(len(call.ends))]
    assert not tangent.way.two_ended


def test_tiles_after_one_that_fails_are_thrown_away():
    scripted = Scripted(wrong=[2])
    tangent = one_frame(scripted)
    tangent.way.tiles = 17
    carry = Carry.begin(np.eye(4))
    growth, _ = run(tangent, 8, carry)
    assert scripted.way == [
        ([0, 1, 2, 3, 4, 5, 6, 7], False),
        ([0, 1], False),
        # halved until it is one tile, which is repeated in graded steps, as are those after it
        ([2, 3, 4, 5, 6, 7], False),
        ([2, 3, 4], False),
        ([2], False),
        ([2], True),
        ([3, 4, 5, 6, 7], True),
    ]
    np.testing.assert_array_equal(growth, growth_of(range(8), 4))
    # kept are the second, the sixth and the last
    assert carry.statistics.intervals == 3 * 3
    np.testing.assert_array_equal(carry.state.frame, np.eye(4) + 3 * 0.25)
    assert tangent.way.graded
    # until the way is reconsidered
    run(tangent, 8, carry, first=8)
    assert scripted.way[7:] == [(list(range(8, 15)), True), ([15], False)]


def test_the_first_of_two_tiles_is_kept_or_repeated():
    for wrong, way in (
        ([1], [([0, 1], False), ([0], False), ([1], False), ([1], True)]),
        ([0], [([0, 1], False), ([0], False), ([0], True), ([1], True)]),
    ):
        scripted = Scripted(wrong)
        tangent = one_frame(scripted)
        tangent.way.tiles = 17
        growth, _ = run(tangent, 2)
        assert scripted.way == way
        np.testing.assert_array_equal(growth, growth_of(range(2), 4))


def test_one_frame_goes_on_with_its_rate_and_tilt():
    scripted = Scripted()
    tangent = one_frame(scripted)
    tangent.way.rates = [3.0, 4.0]
    carry = Carry.begin(np.eye(4))
    run(tangent, 1, carry)
    assert scripted.calls[0].rate == 3.0
    assert tangent.way.rates == [2.0, 4.0]
    assert carry.state.graded_steps == 5


def test_a_fixed_interval_is_not_graded():
    scripted = Scripted(wrong=[0])
    run(one_frame(scripted), 1, control=make_control(2, 1e-8, TILE))
    assert scripted.way == [([0], False), ([0], False)]
    scripted = Scripted(wrong=[0])
    run(one_frame(scripted), 1, control=make_control(1, 1e-8, TILE))
    assert scripted.way == [([0], False), ([0], True)]


@pytest.mark.parametrize(("part", "calls"), [(0.999, 1), (1.001, 2), (-0.999, 1), (-1.001, 2)])
def test_how_far_growth_may_be_from_the_determinant(part, calls):
    scripted = Scripted(wrong=[0], by=part * 1e-8 * TILE * math.sqrt(4))
    run(one_frame(scripted), 1)
    assert len(scripted.calls) == calls


def test_a_determinant_of_zero_shows_nothing():
    scripted = Scripted(wrong=[0, 1])
    tangent = one_frame(scripted, logs=lambda c: np.where(c[:, 0] == 1, -np.inf, c[:, 0] * np.nan))
    run(tangent, 2)
    assert scripted.way == [([0], False), ([1], False)]
    np.testing.assert_array_equal(tangent.logs, [*[np.nan] * TILE, *[-np.inf] * TILE])


@pytest.mark.parametrize(("D", "split"), [(31, 31), (32, 16), (33, 16)])
def test_small_networks_are_not_cut(D, split):
    assert both_ends(Scripted(), Scripted(), D).way.split == split
    assert one_frame(Scripted(), D).way.split == D


def test_both_ends_are_one_spectrum(monkeypatch):
    chosen = []
    monkeypatch.setattr(full, "best_split", lambda *a: chosen.append(a) or 15)
    front, back = Scripted(), Scripted(spread=7.0)
    tangent = both_ends(front, back, invert=lambda c: c + 0.0)
    tangent.way.rates = [3.0, 4.0]
    frame = np.linalg.qr(np.random.default_rng(1).normal(size=(40, 40)))[0]
    carry = Carry.begin(frame.copy())
    monkeypatch.setattr(tangent, "_cut", lambda split, carry: chosen.append(split))
    growth, _ = run(tangent, 1, carry)
    np.testing.assert_array_equal(growth[:, :20], growth_of([0], 20))
    np.testing.assert_array_equal(growth[:, 20:], -growth_of([0], 20)[:, ::-1])
    # the trailing end begins with the last row
    np.testing.assert_array_equal(front.calls[0].frame, frame[:20])
    np.testing.assert_array_equal(back.calls[0].frame, frame[:19:-1])
    assert (front.calls[0].rate, back.calls[0].rate) == (3.0, 4.0)
    assert front.calls[0].alive == back.calls[0].alive == [20]
    for call in (front.calls[0], back.calls[0]):
        assert call.control.limit == pytest.approx(CONTROL.limit - math.log(MARGIN))
        assert call.control.alone == pytest.approx(CONTROL.limit)
    np.testing.assert_array_equal(carry.state.frame, frame + 0.25)
    errors = [*range(20), *range(19, -1, -1)]
    counted = carry.statistics
    np.testing.assert_array_equal(counted.error, errors)
    np.testing.assert_array_equal(counted.exchange[:, 0], errors)
    assert (carry.state.split, counted.intervals, counted.trailing_intervals) == (20, 3, 3)
    assert (counted.rejections, counted.largest_spread) == (2, 7.0)
    # two frames have no tilt
    assert carry.state.graded_steps == 0
    assert tangent.way.rates == [2.0, 2.0]
    # where to cut follows from the growth per step
    (rates, limit, tile), split = chosen
    np.testing.assert_array_equal(rates, growth[0] / TILE)
    assert (limit, tile, split) == (CONTROL.limit, TILE, 15)


def test_unlike_ends_are_put_together():
    """The rows of each end are its own: 20 and 21 of 41."""
    front, back = Scripted(), Scripted()
    carry = Carry.begin(np.eye(41))
    tangent = both_ends(front, back, 41)
    tangent.way.tiles = 17
    growth, _ = run(tangent, 3, carry)
    assert (front.calls[0].alive, back.calls[0].alive) == ([20] * 3, [21] * 3)
    np.testing.assert_array_equal(growth[:, 20:], -growth_of(range(3), 21)[:, ::-1])
    np.testing.assert_array_equal(carry.statistics.error, [*range(20), *range(20, -1, -1)])


def sheared(D):
    """A frame whose rows lean on those before them, at either end."""
    frame = np.eye(D)
    frame[1, 0] = frame[D - 2, D - 1] = 1e-3
    return frame


@pytest.mark.parametrize("fault", ["determinant", "inverse", "front", "back"])
def test_one_frame_repeats_a_tile_that_both_ends_get_wrong(fault, monkeypatch):
    monkeypatch.setattr(full, "best_split", lambda *a: 40)
    limit = CONTROL.limit
    front = Scripted(spread=limit + (fault == "front"))
    back = Scripted(spread=limit + (fault == "back"))

    def logs(c):
        """Those of one frame, with which the growth of both ends does not agree."""
        known = growth_of(c[:, 0], 40).sum(axis=1) / TILE
        return known if fault == "determinant" else np.full(len(c), np.nan)

    def invert(c):
        return c + np.inf if fault == "inverse" else c

    tangent = both_ends(front, back, logs=logs, invert=invert)
    frame = sheared(40)
    carry = Carry.begin(frame.copy())
    run(tangent, 1, carry)
    assert tangent.way.split == 40 and not tangent.way.graded
    last = front.calls[-1]
    assert len(last.frame) == 40 and last.rate == 40.0 and not last.control.graded
    # before that each end is orthonormalized in its own order
    np.testing.assert_allclose(last.frame @ last.frame.T, np.eye(40), atol=1e-15)
    np.testing.assert_array_equal(last.frame[[0, 39]], frame[[0, 39]])
    assert len(front.calls) == (1 if fault == "inverse" else 2)
    assert carry.state.split == 40 and carry.statistics.trailing_intervals == 0


def test_where_one_frame_fails_too_steps_are_graded(monkeypatch):
    monkeypatch.setattr(full, "best_split", lambda *a: 40)
    front = Scripted(wrong=[0])
    tangent = both_ends(front, Scripted(), logs=lambda c: growth_of(c[:, 0], 40).sum(axis=1) / TILE)
    tangent.way.tiles = 17
    run(tangent, 1)
    assert [len(call.frame) for call in front.calls] == [20, 40, 40]
    assert [call.control.graded for call in front.calls] == [False, False, True]


def test_a_cut_elsewhere_begins_again():
    tangent = both_ends(Scripted(), Scripted())
    carry = Carry.begin(sheared(40))
    tangent.way.rates = [3.0, 4.0]
    tangent._cut(20, carry)
    assert tangent.way.rates == [3.0, 4.0]
    np.testing.assert_array_equal(carry.state.frame, sheared(40))
    tangent._cut(12, carry)
    assert (tangent.way.split, tangent.way.rates) == (12, [40.0, 40.0])
    np.testing.assert_allclose(carry.state.frame @ carry.state.frame.T, np.eye(40), atol=1e-15)


def test_an_interrupted_run_goes_on_its_way():
    tangent = both_ends(Scripted(), Scripted())
    tangent.way = Way(13, [3.0, 4.0], two_ended=True, graded=True, tiles=5)
    saved = tangent.save()
    tangent.way.rates[0] = 9.0
    assert saved["rates"] == [3.0, 4.0] and saved["two_ended"]
    other = both_ends(Scripted(), Scripted())
    other.restore(saved)
    assert other.save() == saved
    other.way.rates[0] = 9.0
    assert saved["rates"] == [3.0, 4.0]
    # with two ends, to an engine that has one
    alone = one_frame(Scripted(), 40)
    alone.restore(saved)
    assert (alone.way.split, alone.way.rates, alone.way.tiles) == (40, [40.0, 40.0], 5)
    # and with one end, to an engine that has two
    other.restore(alone.save() | {"rates": [3.0, 4.0]})
    assert other.way == Way(40, [3.0, 4.0], two_ended=False, graded=True, tiles=5)


def test_the_last_of_a_span_is_its_rate(monkeypatch):
    """Growth per step of the last tile, which may be shorter."""
    chosen = []
    monkeypatch.setattr(full, "best_split", lambda rates, *a: chosen.append(rates) or 20)
    tangent = both_ends(Scripted(), Scripted(), logs=lambda c: np.full(len(c), np.nan))
    tangent.way.tiles = 29
    ends = np.array([64, 128, 138])
    numbers = np.repeat([1.0, 2.0, 3.0], [64, 64, 10])[:, None]
    growth = tangent.advance(numbers, ends, np.full(3, 40), Carry.begin(np.eye(40)), CONTROL)
    np.testing.assert_array_equal(chosen[0], growth[2] / 10)


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
