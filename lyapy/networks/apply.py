"""The tangent step in plain array code."""

import numpy as np

from ..arrays import Array
from ..cells.sparse import Sparse, product
from .program import Applied, Assignment, Coefficient, Program, Term

Matrix = Array | Sparse | Coefficient | Applied | None


def tangent_step(program: Program, coefficients: Array, frame: Array) -> Array:
    """Return ``frame @ J.T`` by the network's linear program.

    The coefficients (..., C) are those of one step, or of several; deviation vectors are rows of
    the frame (..., k, D), and (k, D) is the same frame for all steps.
    """
    each = np.broadcast_shapes(coefficients.shape[:-1], frame.shape[:-2])
    new = np.zeros_like(frame, shape=(*each, frame.shape[-2], program.width))
    for assignment in program.assignments:
        for term in assignment.terms:
            source = (new if term.new else frame)[..., term.source.columns]
            rows = assignment.target.size
            new[..., assignment.target.columns] += _apply(term, rows, coefficients, source)
    return new[..., : program.state_size]


def log_diagonal(program: Program, coefficients: Array) -> Array:
    """Return log|J_ii| (..., D) for coefficients (..., C) of diagonal Jacobians."""
    ones = np.ones((1, program.state_size))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.abs(tangent_step(program, coefficients, ones)[..., 0, :])))


def absolute(program: Program) -> Program:
    """Return the program with the absolute values of its weights.

    Applied to those of coefficients and frame, it bounds the sums that are rounded on the way.
    """
    assignments = tuple(
        Assignment(target, tuple(term._replace(matrix=_absolute(term.matrix)) for term in terms))
        for target, terms in program.assignments
    )
    return program._replace(assignments=assignments)


def _absolute(matrix: Matrix) -> Matrix:
    if isinstance(matrix, Sparse):
        return matrix._replace(values=np.abs(matrix.values))
    return matrix if isinstance(matrix, Coefficient | Applied | None) else np.abs(matrix)


def _apply(term: Term, rows: int, coefficients: Array, vectors: Array) -> Array:
    if term.right is not None:
        vectors = vectors * _values(term.right, coefficients)[..., None, :]
    if isinstance(term.matrix, Coefficient):
        matrix = _values(term.matrix, coefficients)
        matrix = matrix.reshape(*matrix.shape[:-1], rows, term.source.size)
        vectors = vectors @ np.swapaxes(matrix, -1, -2)
    elif isinstance(term.matrix, Applied):
        vectors = _applied(term.matrix, coefficients, vectors)
    elif term.matrix is not None:
        vectors = product(vectors, term.matrix)
    if term.left is not None:
        vectors = vectors * _values(term.left, coefficients)[..., None, :]
    return vectors


def _applied(matrix: Applied, coefficients: Array, vectors: Array) -> Array:
    entries = _values(matrix.entries, coefficients)
    each = np.broadcast_shapes(entries.shape[:-1], vectors.shape[:-2])
    entries = np.broadcast_to(entries, (*each, entries.shape[-1]))
    vectors = np.broadcast_to(vectors, (*each, *vectors.shape[-2:]))
    images = np.empty_like(vectors)
    for at in np.ndindex(each):
        images[at] = matrix.function(entries[at], vectors[at])
    return images


def _values(coefficient: Coefficient, coefficients: Array) -> Array:
    return coefficients[..., coefficient.entries]
