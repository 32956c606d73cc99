"""Which way a full spectrum goes: told by engines that do nothing but say what they were asked.

The results do not show it: whatever fails is done again in a slower way.
"""

import math

import numpy as np
import pytest

from lyapy.tangent import two_ended as full
from lyapy.tangent.interval import make_control
from lyapy.tangent.split import MARGIN
from lyapy.tangent.state import Carry
from tests.support.told_tangent import CONTROL, TILE, Told, both_ends, growth_of, one_frame, run


def test_the_way_is_reconsidered_after_powers_of_two():
    told = Told()
    tangent = one_frame(told)
    growth, _ = run(tangent, 20)
    spans = [len(call.tiles) for call in told.calls]
    assert spans == [1, 1, 1, 1, 1, 3, 1, 7, 1, 3]
    np.testing.assert_array_equal(growth, growth_of(range(20), 4))
    assert tangent.tiles == 20
    # it goes on with the next chunk
    run(tangent, 20, first=20)
    assert [len(call.tiles) for call in told.calls[10:]] == [12, 1, 7]
    assert told.calls[10].tiles == list(range(20, 32))


def test_directions_that_die_divide_the_tiles():
    told = Told()
    tangent = one_frame(told, logs=lambda c: np.full(len(c), -np.inf))
    tangent.tiles, tangent.tried = 17, True
    tangent.trailing = Told()
    run(tangent, 8, alive=[4, 4, 4, 2, 2, 1, 0, 0])
    assert [call.tiles for call in told.calls] == [[0, 1, 2], [3, 4], [5], [6, 7]]
    assert [call.alive for call in told.calls] == [[4, 4, 4], [2, 2], [1], [0, 0]]
    assert all(call.ends == [TILE * (i + 1) for i in range(len(call.ends))] for call in told.calls)
    assert tangent.trailing is None


def test_what_follows_a_tile_that_fails_is_thrown_away():
    told = Told(wrong=[2])
    tangent = one_frame(told)
    tangent.tiles, tangent.tried = 17, True
    carry = Carry(np.eye(4))
    growth, _ = run(tangent, 8, carry)
    assert told.way == [
        ([0, 1, 2, 3, 4, 5, 6, 7], False),
        ([0, 1], False),
        # halved until it is one tile, which is mended, and from there on
        ([2, 3, 4, 5, 6, 7], False),
        ([2, 3, 4], False),
        ([2], False),
        ([2], True),
        ([3, 4, 5, 6, 7], True),
    ]
    np.testing.assert_array_equal(growth, growth_of(range(8), 4))
    # kept are the second, the sixth and the last
    assert carry.intervals == 3 * 3
    np.testing.assert_array_equal(carry.frame, np.eye(4) + 3 * 0.25)
    assert tangent.graded
    # until the way is reconsidered
    run(tangent, 8, carry, first=8)
    assert told.way[7:] == [(list(range(8, 15)), True), ([15], False)]


def test_the_first_of_two_tiles_is_kept_or_mended():
    for wrong, way in (
        ([1], [([0, 1], False), ([0], False), ([1], False), ([1], True)]),
        ([0], [([0, 1], False), ([0], False), ([0], True), ([1], True)]),
    ):
        told = Told(wrong)
        tangent = one_frame(told)
        tangent.tiles, tangent.tried = 17, True
        growth, _ = run(tangent, 2)
        assert told.way == way
        np.testing.assert_array_equal(growth, growth_of(range(2), 4))


def test_one_frame_goes_on_with_its_rate_and_tilt():
    told = Told()
    tangent = one_frame(told)
    tangent.rates = [3.0, 4.0]
    carry = Carry(np.eye(4))
    run(tangent, 1, carry)
    assert told.calls[0].rate == 3.0
    assert tangent.rates == [2.0, 4.0]
    assert carry.graded_steps == 5


def test_a_fixed_interval_is_not_graded():
    told = Told(wrong=[0])
    run(one_frame(told), 1, control=make_control(2, 1e-8, TILE))
    assert told.way == [([0], False), ([0], False)]
    told = Told(wrong=[0])
    run(one_frame(told), 1, control=make_control(1, 1e-8, TILE))
    assert told.way == [([0], False), ([0], True)]


@pytest.mark.parametrize(("part", "calls"), [(0.999, 1), (1.001, 2), (-0.999, 1), (-1.001, 2)])
def test_how_far_growth_may_be_from_the_determinant(part, calls):
    told = Told(wrong=[0], by=part * 1e-8 * TILE * math.sqrt(4))
    run(one_frame(told), 1)
    assert len(told.calls) == calls


def test_a_determinant_of_zero_tells_nothing():
    told = Told(wrong=[0, 1])
    tangent = one_frame(told, logs=lambda c: np.where(c[:, 0] == 1, -np.inf, c[:, 0] * np.nan))
    run(tangent, 2)
    assert told.way == [([0], False), ([1], False)]
    np.testing.assert_array_equal(tangent.logs, [*[np.nan] * TILE, *[-np.inf] * TILE])


@pytest.mark.parametrize(("D", "split"), [(31, 31), (32, 16), (33, 16)])
def test_small_networks_are_not_cut(D, split):
    assert both_ends(Told(), Told(), D).split == split
    assert one_frame(Told(), D).split == D


def test_both_ends_are_one_spectrum(monkeypatch):
    chosen = []
    monkeypatch.setattr(full, "best_split", lambda *a: chosen.append(a) or 15)
    front, back = Told(), Told(spread=7.0)
    tangent = both_ends(front, back, invert=lambda c: c + 0.0)
    tangent.rates = [3.0, 4.0]
    frame = np.linalg.qr(np.random.default_rng(1).normal(size=(40, 40)))[0]
    carry = Carry(frame.copy())
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
    np.testing.assert_array_equal(carry.frame, frame + 0.25)
    np.testing.assert_array_equal(carry.error, [*range(20), *range(19, -1, -1)])
    assert (carry.split, carry.intervals, carry.trailing_intervals) == (20, 3, 3)
    assert (carry.rejections, carry.largest_spread) == (2, 7.0)
    # two frames have no tilt
    assert carry.graded_steps == 0
    assert tangent.rates == [2.0, 2.0]
    # where to cut follows from the growth per step
    (rates, limit, tile), split = chosen
    np.testing.assert_array_equal(rates, growth[0] / TILE)
    assert (limit, tile, split) == (CONTROL.limit, TILE, 15)


def test_unlike_ends_are_put_together():
    """The rows of each end are its own: 20 and 21 of 41."""
    front, back = Told(), Told()
    carry = Carry(np.eye(41))
    tangent = both_ends(front, back, 41)
    tangent.tiles, tangent.tried = 17, True
    growth, _ = run(tangent, 3, carry)
    assert (front.calls[0].alive, back.calls[0].alive) == ([20] * 3, [21] * 3)
    np.testing.assert_array_equal(growth[:, 20:], -growth_of(range(3), 21)[:, ::-1])
    np.testing.assert_array_equal(carry.error, [*range(20), *range(20, -1, -1)])


def sheared(D):
    """A frame whose rows lean on those before them, at either end."""
    frame = np.eye(D)
    frame[1, 0] = frame[D - 2, D - 1] = 1e-3
    return frame


@pytest.mark.parametrize("fault", ["determinant", "inverse", "front", "back"])
def test_one_frame_mends_what_both_ends_do_not(fault, monkeypatch):
    monkeypatch.setattr(full, "best_split", lambda *a: 40)
    limit = CONTROL.limit
    front = Told(spread=limit + (fault == "front"))
    back = Told(spread=limit + (fault == "back"))

    def logs(c):
        """Those of one frame, with which the growth of both ends does not agree."""
        known = growth_of(c[:, 0], 40).sum(axis=1) / TILE
        return known if fault == "determinant" else np.full(len(c), np.nan)

    def invert(c):
        return c + np.inf if fault == "inverse" else c

    tangent = both_ends(front, back, logs=logs, invert=invert)
    frame = sheared(40)
    carry = Carry(frame.copy())
    run(tangent, 1, carry)
    assert tangent.split == 40 and not tangent.graded
    last = front.calls[-1]
    assert len(last.frame) == 40 and last.rate == 40.0 and not last.control.graded
    # before that each end is orthonormalized in its own order
    np.testing.assert_allclose(last.frame @ last.frame.T, np.eye(40), atol=1e-15)
    np.testing.assert_array_equal(last.frame[[0, 39]], frame[[0, 39]])
    assert len(front.calls) == (1 if fault == "inverse" else 2)
    assert carry.split == 40 and carry.trailing_intervals == 0


def test_where_one_frame_fails_too_steps_are_graded(monkeypatch):
    monkeypatch.setattr(full, "best_split", lambda *a: 40)
    front = Told(wrong=[0])
    tangent = both_ends(front, Told(), logs=lambda c: growth_of(c[:, 0], 40).sum(axis=1) / TILE)
    tangent.tiles, tangent.tried = 17, True
    run(tangent, 1)
    assert [len(call.frame) for call in front.calls] == [20, 40, 40]
    assert [call.control.graded for call in front.calls] == [False, False, True]


def test_a_cut_elsewhere_begins_anew():
    tangent = both_ends(Told(), Told())
    carry = Carry(sheared(40))
    tangent.rates = [3.0, 4.0]
    tangent._cut(20, carry)
    assert tangent.rates == [3.0, 4.0]
    np.testing.assert_array_equal(carry.frame, sheared(40))
    tangent._cut(12, carry)
    assert (tangent.split, tangent.rates) == (12, [40.0, 40.0])
    np.testing.assert_allclose(carry.frame @ carry.frame.T, np.eye(40), atol=1e-15)


def test_an_interrupted_run_goes_on_its_way():
    tangent = both_ends(Told(), Told())
    tangent.split, tangent.graded, tangent.tiles, tangent.tried = 13, True, 5, True
    tangent.rates = [3.0, 4.0]
    saved = tangent.save()
    tangent.rates[0] = 9.0
    assert saved["rates"] == [3.0, 4.0] and saved["two_ended"]
    other = both_ends(Told(), Told())
    other.restore(saved)
    assert other.save() == saved and other.trailing is not None
    other.rates[0] = 9.0
    assert saved["rates"] == [3.0, 4.0]
    # with two ends, to an engine that has one
    alone = one_frame(Told(), 40)
    alone.restore(saved)
    assert (alone.split, alone.rates, alone.tiles) == (40, [40.0, 40.0], 5)
    # and with one end, to an engine that has two
    other.restore(alone.save() | {"rates": [3.0, 4.0]})
    assert other.trailing is None and (other.split, other.rates) == (40, [3.0, 4.0])


def test_the_last_of_a_span_is_its_rate(monkeypatch):
    """Growth per step of the last tile, which may be shorter."""
    chosen = []
    monkeypatch.setattr(full, "best_split", lambda rates, *a: chosen.append(rates) or 20)
    tangent = both_ends(Told(), Told(), logs=lambda c: np.full(len(c), np.nan))
    tangent.tiles, tangent.tried = 29, True
    ends = np.array([64, 128, 138])
    numbers = np.repeat([1.0, 2.0, 3.0], [64, 64, 10])[:, None]
    growth = tangent.advance(numbers, ends, np.full(3, 40), Carry(np.eye(40)), CONTROL)
    np.testing.assert_array_equal(chosen[0], growth[2] / 10)
