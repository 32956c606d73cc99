"""Numbers that underflow in graded steps: growth that depends on them is marked, in both engines.

Steps are diagonal, of slopes that are known; 0 stands for a slope below the range.
"""

import numpy as np
import pytest

from lyapy.tangent.compiled import CompiledTangent
from lyapy.tangent.graded.run import add_underflowed
from lyapy.tangent.interval import make_control
from lyapy.tangent.reference import ArrayTangent
from lyapy.tangent.state import Carry
from tests.support.made_programs import scaling

CONTROL = make_control("auto", 1e-8, 64)._replace(graded=True)


def followed(tangent, slopes, frame, control=CONTROL):
    carry, ends = Carry.begin(np.array(frame)), np.array([len(slopes)])
    follow = tangent(scaling(slopes.shape[1]), len(frame))
    growth = follow.advance(slopes, ends, np.array([len(frame)]), carry, control)
    return growth[0], carry.statistics.numerical_error


TANGENTS = pytest.mark.parametrize("tangent", [ArrayTangent, CompiledTangent])


@TANGENTS
def test_a_share_that_underflows_may_outgrow_its_vector(tangent):
    """In the end the second coordinate is all that is left of the first vector."""
    slopes = np.array([[1.0, 1e-200], [1.0, 1e-200], *10 * [[1e-100, 1.0]]])
    growth, error = followed(tangent, slopes, np.array([[1.0, 1.0], [0.0, 1.0]]))
    sums = np.log(slopes).sum(axis=0)
    assert abs(growth[0] - sums.max()) > 100.0
    assert np.all(np.abs(growth - np.sort(sums)[::-1]) <= error)


@TANGENTS
def test_a_share_that_does_not_come_back_is_no_error(tangent):
    slopes = np.array([[1.0, 1e-200], [1.0, 1e-200]] + 10 * [[1.0, 1e-40]])
    growth, error = followed(tangent, slopes, np.array([[1.0, 1e-10], [0.0, 1.0]]))
    np.testing.assert_allclose(growth, np.log(slopes).sum(axis=0), rtol=1e-12)
    assert error.max() < 1e-10


@TANGENTS
def test_vectors_after_one_that_vanished_in_an_interval_are_hidden(tangent):
    slopes = np.array([[1.0, 1e-200, 0.5], [1.0, 1e-200, 0.5]])
    fixed = make_control(2, 1e-8, 64)
    error = followed(tangent, slopes, np.eye(3), fixed)[1]
    np.testing.assert_array_equal(np.isinf(error), [False, True, True])


@TANGENTS
def test_vectors_after_one_that_vanished_are_hidden(tangent):
    """Where it points decides on their growth."""
    slopes = np.array([[1.0, 0.0, 1.0, 0.1], [1.0, 0.5, 0.1, 0.1]])
    growth, error = followed(tangent, slopes, np.eye(4))
    assert error[0] < 1e-10 and np.isinf(error[1:]).all()
    # the vector in its place has a share of the second direction, and of the growth there
    bounds = np.log([1.0, 1e-323, 0.1, 0.01])
    assert np.all(growth[1:] >= bounds[1:]) and growth[1] < -600.0


def test_only_coordinates_in_which_numbers_underflow_are_moved():
    frame = np.array([[1.0, 0.0, 1e-200, 0.0], [0.5, 2.0, 0.0, 0.0]])
    moved = add_underflowed(frame)
    np.testing.assert_array_equal(moved[:, :2], frame[:, :2])
    assert moved[0, 2] == 1e-200
    assert 0.0 < abs(moved[1, 2]) < 1e-300
    assert np.all((moved[:, 3] != 0.0) & (np.abs(moved[:, 3]) < 1e-300))
