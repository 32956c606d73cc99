"""A cell: weights, a forward step, and its tangent step as a linear program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array, as_numpy
from .activations import EXACT
from .random_weights import Draw

if TYPE_CHECKING:
    from .boxes import Box, Enclosure

TILE = 64
# condition number from which on float64 has no inverse
INVERTIBLE = 1e15
# products of residues stay within 64 bits
PRIMES = (2147483647, 2147483629)

Vectors: TypeAlias = tuple[Array, ...]
Step = Callable[[Any, Array, Array], tuple[Vectors, Vectors]]


class Cell(ABC):
    """A recurrent cell: one forward step gives the next state and the Jacobian's coefficients.

    Constructors raise ValueError where a shape does not fit or a value is not finite. To write one,
    see the page on adding a cell:

    1. Give `name`, and the `program`: the tangent step as text, one assignment a line,
       ``dTARGET' = TERM + TERM …``. A term is ``left MATRIX right dSOURCE``, where
       ``left`` and ``right`` are coefficient vectors (lower case) and ``MATRIX`` a constant
       weight (upper case), each optional. ``dh`` is the old deviation of the state variable
       ``h``, ``dh'`` the new one, ``dx`` that of the input; other targets are auxiliary.
    2. Name the `coefficients` in the order in which `step` returns them.
    3. Set in ``__init__``: ``W`` (rows, m) and ``b`` (rows,), the input's weight and bias;
       ``weights``, a NamedTuple that `step` reads; ``variables`` and ``auxiliary``, name → size;
       ``constants``, name → value of coefficients that are the same at every step;
       ``zeros``, name → which entries of other coefficients are zero at every step, if any;
       ``arguments``, name → value of the constructor's, for weights files to hold the cell.
    4. Write `step`; `matrices` where they are not ``U`` and ``W``; `log_abs_det` where it has a
       closed form; `exact` where coefficients of zero have not underflowed; `read` where the next
       layer reads no state variable, and the auxiliary one as `output`.
    5. Where ``program`` is the product of simpler maps, give them as `stages`: each should
       become ungraded when its rows are scaled. They resolve exponents of saturated units.
    6. Register the class in ``lyapy/cells/__init__.py``: the tests then cover it.
    """

    name: ClassVar[str]
    program: str
    coefficients: tuple[str, ...]
    output: str = "h"
    stages: ClassVar[tuple[str, ...]] = ()
    # letters of the gates whose rows are stacked in W, U and b
    gates: ClassVar[str] = ""
    # arguments of random cells
    typical: ClassVar[Mapping[str, Any]] = {}
    # whether `step` runs in plain Python only
    plain: bool = False
    # whether the program stands in for a derivative that `step` does not have
    surrogate: ClassVar[bool] = False
    # whether no unit reads another, so that each keeps its own directions
    decoupled: ClassVar[bool] = False

    W: Array
    b: Array
    weights: Any
    variables: dict[str, int]
    auxiliary: Mapping[str, int] = {}
    constants: Mapping[str, Any] = {}
    zeros: Mapping[str, Array] = {}
    arguments: Mapping[str, Any] = {}

    @staticmethod
    @abstractmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        """Return the variables of the next state, and the coefficients of the Jacobian.

        Plain array code that runs on NumPy, on CuPy and compiled by Numba: the state (..., D) and
        ``drive`` = W x + b (..., rows) lie on the last axis, any axes before it are trajectories.
        """

    @staticmethod
    def read(weights: Any, new: Vectors, drive: Array) -> Array:
        """Return the next layer's input from the variables of the state after a step.

        Plain array code like `step`. Cells without it are read in the state variable `output`.
        """
        raise NotImplementedError

    def matrices(self) -> dict[str, Array]:
        """Return the constant matrices of `program`: U and W, or the rows of each gate."""
        stacked = {"U": self.weights.U, "W": self.W}
        if not self.gates:
            return stacked
        return {
            f"{name}_{gate}": rows
            for name, matrix in stacked.items()
            for gate, rows in zip(self.gates, np.split(matrix, len(self.gates)), strict=True)
        }

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array | None:
        """Return log|det J| for coefficients (..., size), or None without a closed form."""
        return None

    def inverse(self) -> Inverse | None:
        """Return the program of J⁻ᵀ, or None where none is cheap or safe."""
        return None

    @property
    def exact(self) -> bool:
        """Whether coefficients of zero are exact; otherwise they may have underflowed."""
        return getattr(self.weights, "kind", None) in EXACT

    def of_units(self, units: Array) -> Cell | None:
        """Return the cell of some of the units, which read one another only; None if unknown.

        All coefficients must have an entry for each unit.
        """
        return None

    def curvature(self, state: Array, drive: Array, radius: float) -> float | None:
        """Return a Lipschitz constant of J within ``radius`` of a state (D,), or None if unknown.

        In the Euclidean norms of J and of the state; infinite across a kink.
        """
        return None

    def enclose(self, state: Box, drive: Box) -> Enclosure | None:
        """Return boxes of the next states and of coefficients over boxes, or None if unknown.

        The boxes of the state (D,) may be infinite, that of the drive (rows,) is that of W x + b.
        Coefficients are those of the terms between states.
        """
        return None

    def dead_directions(self, coefficients: Mapping[str, Array]) -> Array | int:
        """Return a lower bound on the nullity of J that its structure guarantees."""
        return 0

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> Cell:
        """Return a cell of n units and m inputs, with weights from ``draw``."""
        build: Callable[..., Cell] = cls
        return build(*draw.layer(n, m, max(len(cls.gates), 1)), **{**cls.typical, **options})

    @property
    def output_columns(self) -> slice | None:
        """The columns of the state that the next layer reads, or None where it is `read`."""
        if type(self).read is not Cell.read:
            return None
        start = 0
        for name, size in self.variables.items():
            if name == self.output:
                return slice(start, start + size)
            start += size
        raise ValueError(f"{self.name} has no state variable {self.output!r} for its output")

    def outputs(self, states: Array, drive: Array) -> Array:
        """Return the next layer's inputs after each of the ``states`` (..., D)."""
        columns = self.output_columns
        if columns is not None:
            return states[..., columns]
        ends = np.cumsum([*self.variables.values()])[:-1].tolist()
        return self.read(self.weights, tuple(np.split(states, ends, axis=-1)), drive)

    def fingerprint(self) -> tuple[Array, ...]:
        """Return arrays that distinguish this cell from others of its kind."""
        return (self.W, self.b, *_flat(self.weights))

    def drive(self, x: Array) -> Array:
        """Return W x + b for inputs (T, ..., m), row by row the same for every T."""
        return project(x, self.W, self.b)

    @property
    def input_size(self) -> int:
        """Width m of the input."""
        return int(self.W.shape[1])

    @property
    def state_size(self) -> int:
        """Dimension D of the state."""
        return sum(self.variables.values())

    @property
    def output_size(self) -> int:
        """Width of the next layer's input."""
        return {**self.variables, **self.auxiliary}[self.output]

    def __repr__(self) -> str:
        sizes = set(self.variables.values())
        size = f"units={sizes.pop()}" if len(sizes) == 1 else f"state={self.state_size}"
        return f"{type(self).__name__}(inputs={self.input_size}, {size})"


class Inverse(NamedTuple):
    """The map J⁻ᵀ of a cell, as a linear program over the same state variables."""

    program: str
    coefficients: tuple[str, ...]
    auxiliary: Mapping[str, int]
    matrices: dict[str, Array]
    # from the cell's coefficients; where these are not finite, J has no inverse
    values: Callable[[Mapping[str, Array]], dict[str, Array]]
    # of the weight that was inverted
    condition: float


class Determinant(NamedTuple):
    """The share of a constant square weight in log|det J| and in the dead directions."""

    log_abs: float
    nullity: int
    condition: float


def determinant(matrix: Array) -> Determinant:
    """Return log|det| (NaN if rounding hides it), exact nullity and condition number."""
    from scipy.linalg import lapack

    factors, _, _ = lapack.dgetrf(matrix)
    rcond, _ = lapack.dgecon(factors, np.linalg.norm(matrix, 1))
    # singular values are expensive, and needed only where the cheap estimate leaves a doubt
    nullity, log_abs = 0, -np.inf
    unsure = not rcond > len(matrix) * np.finfo(np.float64).eps
    if unsure:
        nullity = len(matrix) - max(_rank(matrix, prime) for prime in PRIMES)
    if not nullity:
        # rounding can be all of a determinant near zero
        log_abs = np.nan if unsure else float(np.sum(np.log(np.abs(np.diagonal(factors)))))
    return Determinant(log_abs, nullity, 1.0 / rcond if rcond else np.inf)


def _rank(matrix: Array, prime: int) -> int:
    """Return the rank of the matrix modulo a prime, which almost never is below the exact one."""
    fractions, exponents = np.frexp(matrix)
    rows = np.ldexp(fractions, 53).astype(np.int64) % prime
    powers, places = np.unique(exponents - 53, return_inverse=True)
    scales = np.array([pow(2, int(power), prime) for power in powers], dtype=np.int64)
    rows = rows * scales[places].reshape(rows.shape) % prime
    rank = 0
    for column in range(rows.shape[1]):
        found = np.flatnonzero(rows[rank:, column])
        if not len(found):
            continue
        rows[[rank, rank + found[0]]] = rows[[rank + found[0], rank]]
        pivot = rows[rank] * pow(int(rows[rank, column]), -1, prime) % prime
        below = rows[rank + 1 :]
        below -= below[:, column, None] * pivot % prime
        below %= prime
        rank += 1
    return rank


def log_abs_product(x: Array) -> Array:
    """Return Σ log|x| over the last axis, with one logarithm for each thousand factors."""
    fractions, exponents = np.frexp(x)
    # products of that many fractions, each at least 1/2, stay within the range of float64
    starts = range(0, x.shape[-1], 1000)
    products = [np.prod(fractions[..., i : i + 1000], axis=-1) for i in starts]
    with np.errstate(divide="ignore"):
        logs = sum(np.log(np.abs(product)) for product in products)
    return logs + np.log(2.0) * exponents.sum(axis=-1)


def project(x: Array, W: Array, b: Array) -> Array:
    """Return ``x @ W.T + b`` for x (T, ..., m), in products of exactly `TILE` rows.

    So the rounding of a row does not depend on how time is cut into chunks.
    """
    drive = np.empty_like(x, shape=(*x.shape[:-1], len(b)))
    drive[...] = b
    for start in range(0, len(x) if W.shape[1] else 0, TILE):
        rows = x[start : start + TILE].copy()
        count = len(rows)
        if count < TILE:
            padded = np.zeros_like(x, shape=(TILE, *x.shape[1:]))
            padded[:count], rows = rows, padded
        drive[start : start + TILE] += (rows @ W.T)[:count]
    return drive


def as_layer(
    W: Any, U: Any, b: Any, gates: str = "", square: bool = True
) -> tuple[Array, Array, Array]:
    """Return W (rows, m), U (rows, n) and b (rows,), checked; None stands for no inputs or bias.

    ``gates`` has a letter for each gate whose rows are stacked; ``square``: n is a gate's rows.
    """
    rows, count = len(np.asarray(U)), max(len(gates), 1)
    if rows % count:
        listed = ", ".join(gates)
        raise ValueError(f"U has {rows} rows; they must be a multiple of {count} (gates {listed})")
    U = as_matrix(U, "U", (rows, rows // count if square else None))
    return as_input(W, rows), U, as_vector(b, "b", rows)


def as_matrix(value: Any, name: str, shape: tuple[int | None, int | None]) -> Array:
    """Return ``value`` as a C-ordered float64 matrix of ``shape`` (None: any length)."""
    matrix = np.ascontiguousarray(as_numpy(value), dtype=np.float64)
    fits = matrix.ndim == 2 and all(
        want is None or want == have for want, have in zip(shape, matrix.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if s is None else str(s) for s in shape)
        raise ValueError(f"{name} has shape {matrix.shape}; it must be ({wanted})")
    return _finite(matrix, name)


def as_input(value: Any, rows: int, name: str = "W") -> Array:
    """Return the input weight (rows, m); None means no inputs."""
    return as_matrix(np.zeros((rows, 0)) if value is None else value, name, (rows, None))


def as_vector(value: Any, name: str, size: int) -> Array:
    """Return ``value`` as a float64 vector; None means zeros."""
    if value is None:
        return np.zeros(size)
    vector = np.ascontiguousarray(as_numpy(value), dtype=np.float64)
    if vector.shape != (size,):
        raise ValueError(f"{name} has shape {vector.shape}; it must be ({size},)")
    return _finite(vector, name)


def as_each(value: Any, name: str, size: int) -> Array:
    """Return ``value`` as a float64 vector; a number stands for all entries."""
    return as_vector(np.full(size, value) if np.ndim(value) == 0 else value, name, size)


def _flat(weights: tuple[Any, ...]) -> Iterator[Any]:
    for weight in weights:
        yield from _flat(weight) if isinstance(weight, tuple) else (weight,)


def _finite(array: Array, name: str) -> Array:
    bad = int(np.size(array) - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise ValueError(f"{name} holds {bad} values that are NaN or infinite")
    return array
