"""A program as products: applied one by one, they are the tangent step."""

import numpy as np
import pytest
import scipy.sparse

import lyapy
from lyapy.cells import Reservoir
from lyapy.cells.sparse import as_weight, product
from lyapy.networks.apply import tangent_step
from lyapy.networks.program import Assignment, Coefficient, Columns, Program, Term
from lyapy.tangent.lowering import lower
from tests.conftest import mixed_stack


def scaled(matrix, left, right, coefficients):
    for factor, axis in ((left, 1), (right, 0)):
        if factor is not None:
            matrix = matrix * np.expand_dims(coefficients[factor.entries], axis)
    return matrix


def apply(lowered, coefficients, frame, program):
    new = np.full((len(frame), program.width), np.nan)
    for target, products, diagonal in lowered.sums:
        total = np.zeros((len(frame), target.size))
        for source, is_new, summands in products:
            vectors = (new if is_new else frame)[:, source.columns]
            for number, left, right in summands:
                if isinstance(number, Coefficient):
                    matrix = coefficients[number.entries].reshape(target.size, source.size)
                else:
                    matrix = product(np.eye(source.size), lowered.matrices[number]).T
                total += vectors @ scaled(matrix, left, right, coefficients).T
        for term in diagonal:
            vectors = (new if term.new else frame)[:, term.source.columns]
            total += scaled(vectors, None, term.left, coefficients)
        new[:, target.columns] = total
    return new[:, : program.state_size]


@pytest.mark.parametrize("merge", [True, False])
def test_products_applied_one_by_one_are_the_tangent_step(kind, merge):
    networks = [
        lyapy.random_network(kind, 6, 2, layers=2, bias=0.3, seed=1),
        mixed_stack([kind, "lstm-projected", "gru"]),
        lyapy.Network([Reservoir(np.ones((9, 2)), scipy.sparse.random_array((9, 9), rng=1))]),
    ]
    rng = np.random.default_rng(2)
    for network in networks:
        program = network.program
        size = sum(c.size for layer in program.coefficients for c in layer.values())
        coefficients, frame = rng.normal(size=size), rng.normal(size=(4, program.state_size))
        found = apply(lower(program, lambda term: merge), coefficients, frame, program)
        np.testing.assert_allclose(found, tangent_step(program, coefficients, frame), atol=1e-12)


def test_terms_of_one_source_share_a_product_unless_sparse_or_kept_apart():
    h, a = Columns(0, 2), Columns(2, 2)
    A, B = np.eye(2), np.ones((2, 2))
    S = as_weight(scipy.sparse.csr_array(A), "S", (2, 2))
    given, left = Coefficient(0, 4), Coefficient(4, 2)
    terms = (
        Term(h, False, A, left, None),
        Term(h, False, None, left, None),
        Term(a, True, A, None, None),
        Term(h, False, S, None, None),
        Term(h, False, B, None, left),
        Term(h, True, given, None, None),
    )
    program = Program((Assignment(h, terms), Assignment(a, ())), 2, 4, ({},))
    lowered = lower(program)
    assert [len(m) for m in lowered.matrices] == [2, 2, 4]
    (target, products, diagonal), empty = lowered.sums
    assert target == h and diagonal == (terms[1],) and empty == (a, (), ())
    assert [(p.source, p.new) for p in products] == [(h, 0), (a, 1), (h, 0), (h, 1)]
    assert products[0].summands == ((0, left, None), (1, None, left))
    assert products[1].summands == ((0, None, None),)
    assert [lowered.is_sparse(p) for p in products] == [False, False, True, False]
    assert products[3].summands == ((given, None, None),)
    apart = lower(program, lambda term: term.matrix is not B).sums[0].products
    assert [len(p.summands) for p in apart] == [1, 1, 1, 1, 1]
