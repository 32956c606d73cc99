"""The tangent step of a program on the frames of many trajectories at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...cells.sparse import Sparse, product
from ...networks.program import Assignment, Coefficient, Columns, Program, Term
from . import whole_interval
from .choices import CHOICES
from .device import Device
from .fused_step import FusedStep
from .precision import Precision

__all__ = ["BatchStep", "make_step", "make_walk"]


def make_step(
    program: Program, vectors: int, device: Device, precision: Precision
) -> Callable[[Array, Array], Array]:
    """Return the tangent step, from coefficients (B, C) and frames (B, k, D) to frames.

    It is put together of kernels where the device compiles them.
    """
    if device.compile_kernel is not None:
        return FusedStep(program, vectors, device, precision)
    return BatchStep(program, vectors, lambda x: device.moved(x, precision.name))


def make_walk(
    program: Program, vectors: int, device: Device, precision: Precision
) -> Callable[[Array, Array], Array]:
    """Return the tangent steps of an interval, from coefficients (T, B, C) and frames to frames."""
    if whole_interval.fits(program, vectors, device, precision):
        return whole_interval.WholeInterval(program, device, precision)
    step = make_step(program, vectors, device, precision)

    def walk(coefficients: Array, frame: Array) -> Array:
        for t in range(len(coefficients)):
            frame = step(coefficients[t], frame)
        return frame

    return walk


class _Group(NamedTuple):
    """Terms that are added into one product: the same source, and constant matrices."""

    source: Columns
    new: bool
    terms: tuple[Term, ...]


class BatchStep:
    """The tangent step of frames (B, k, D), with the weights on the device.

    Terms with the same source are added into one matrix for each trajectory, and multiplied
    once, where there are enough deviation vectors to pay for it. A term alone is one large
    product over the B k rows of all trajectories.

    Parameters
    ----------
    program : Program
    vectors : int
        k.
    to_device : callable
        Copies a matrix, dense or sparse.
    """

    def __init__(
        self, program: Program, vectors: int, to_device: Callable[[Array | Sparse], Any]
    ) -> None:
        self.program = program
        # a matrix can stand in several terms
        matrices: dict[int, Any] = {}

        def moved(term: Term) -> Term:
            matrix = term.matrix
            if matrix is None or isinstance(matrix, Coefficient):
                return term
            if id(matrix) not in matrices:
                matrices[id(matrix)] = to_device(matrix)
            return term._replace(matrix=matrices[id(matrix)])

        self.assignments = [
            (assignment.target.columns, _groups(assignment, vectors, moved))
            for assignment in program.assignments
        ]

    def __call__(self, coefficients: Array, frame: Array) -> Array:
        """Return ``frame @ J.T`` for coefficients (B, C) and frames (B, k, D)."""
        new = np.empty_like(frame, shape=(*frame.shape[:2], self.program.width))
        for columns, groups in self.assignments:
            target = new[..., columns]
            for i, group in enumerate(groups):
                source = (new if group.new else frame)[..., group.source.columns]
                value = _apply(group, coefficients, source, target.shape[-1])
                if i == 0:
                    target[...] = value
                else:
                    target += value
            if not groups:
                target[...] = 0.0
        return new[..., : self.program.state_size]


def _groups(assignment: Assignment, vectors: int, moved: Callable[[Term], Term]) -> list[_Group]:
    by_source: dict[object, list[Term]] = {}
    for i, term in enumerate(assignment.terms):
        constant = not (term.matrix is None or isinstance(term.matrix, Coefficient | Sparse))
        # merging n × n matrices costs as much as a product with few vectors
        merged = constant and vectors >= CHOICES.merged_share * term.source.size
        by_source.setdefault((term.source, term.new) if merged else i, []).append(moved(term))
    return [_Group(terms[0].source, terms[0].new, tuple(terms)) for terms in by_source.values()]


def _apply(group: _Group, coefficients: Array, vectors: Array, rows: int) -> Array:
    if len(group.terms) > 1:
        matrix = _scaled(group.terms[0], coefficients)
        for term in group.terms[1:]:
            matrix = matrix + _scaled(term, coefficients)
        return vectors @ np.swapaxes(matrix, 1, 2)
    (term,) = group.terms
    if term.right is not None:
        vectors = vectors * _values(term.right, coefficients)[:, None, :]
    if isinstance(term.matrix, Coefficient):
        matrix = _values(term.matrix, coefficients).reshape(-1, rows, term.source.size)
        vectors = vectors @ np.swapaxes(matrix, 1, 2)
    elif term.matrix is not None:
        flat = product(vectors.reshape(-1, term.source.size), term.matrix)
        vectors = flat.reshape(*vectors.shape[:2], rows)
    if term.left is not None:
        vectors = vectors * _values(term.left, coefficients)[:, None, :]
    return vectors


def _scaled(term: Term, coefficients: Array) -> Array:
    """Return diag(left) · matrix · diag(right) (B, rows, columns)."""
    matrix = term.matrix
    if term.left is not None:
        matrix = _values(term.left, coefficients)[:, :, None] * matrix
    if term.right is not None:
        matrix = matrix * _values(term.right, coefficients)[:, None, :]
    return matrix


def _values(coefficient: Coefficient, coefficients: Array) -> Array:
    return coefficients[:, coefficient.entries]
