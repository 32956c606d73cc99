"""The forward pass with few launches: a product, and one kernel for all that follows it.

A step computed operation by operation launches a kernel for each, some sixty for a GRU. Traced,
it is products with weights and expressions of single entries between them; those between two
products go into one kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...cells.base import Step, Vectors
from ...networks.forward import layer_forward
from .device import Device, Kernel
from .kernel_text import BLOCK, Place, Written, elementwise_kernel, grid_for
from .precision import Precision
from .trace import Matrix, NotTraceableError, Tape, Traced
from .whole_forward import THREADS, whole_forward

__all__ = ["FusedForward"]

# of a state whose steps are one launch: a multiprocessor multiplies 64 × 64 matrices in about the
# time of a launch
MOST_COLUMNS = 64


class _Product(NamedTuple):
    """Product j, of columns of the state or of a vector that a kernel has written.

    Attributes
    ----------
    columns : slice or None
        Of the state.
    size, rows : int
        Of the vector and of the result.
    matrix : array (size, rows)
    """

    columns: slice | None
    size: int
    rows: int
    matrix: Array


class _Stage(NamedTuple):
    """A kernel, and the products that can be taken after it."""

    kernel: Kernel | None
    products: tuple[int, ...]
    entries: int


class _Plan(NamedTuple):
    """A step in stages.

    Attributes
    ----------
    constants : list of array
        Vectors of the weights.
    written : set of int
        Products whose vectors kernels write.
    whole : Kernel or None
        All steps in one launch, where the layer is small.
    matrices : list of array
        Those of the products, for that kernel.
    """

    stages: list[_Stage]
    products: list[_Product]
    constants: list[Array]
    written: list[int]
    whole: Kernel | None
    matrices: list[Array]


class FusedForward:
    """The loop of a layer over time, as `layer_forward`, with a kernel for each stage of a step.

    Parameters
    ----------
    device : Device
        That compiles kernels.
    precision : Precision
    most_columns : int, optional
        Of a state whose steps are one launch.

    Attributes
    ----------
    plain : set of str
        Why steps were computed operation by operation.
    """

    def __init__(
        self, device: Device, precision: Precision, most_columns: int = MOST_COLUMNS
    ) -> None:
        self.device = device
        self.precision = precision
        self.most_columns = most_columns
        self.plain: set[str] = set()
        # a layer keeps its weights as long as its network lives
        self._plans: dict[tuple[int, int], tuple[object, _Plan | None]] = {}

    def __call__(
        self, step: Step, weights: object, drive: Array, states: Array, coefficients: Array
    ) -> None:
        """Run ``step`` over time: states[t] → states[t + 1], coefficients[t]."""
        key = id(weights), coefficients.shape[-1]
        if key not in self._plans:
            self._plans[key] = weights, self._make_plan(step, weights, drive, states, coefficients)
        plan = self._plans[key][1]
        if plan is None or not all(a.flags.c_contiguous for a in (drive, states, coefficients)):
            layer_forward(step, weights, drive, states, coefficients)
        else:
            self._run(plan, drive, states, coefficients)

    def _run(self, plan: _Plan, drive: Array, states: Array, coefficients: Array) -> None:
        B = states.shape[1]
        if plan.whole is not None:
            sizes = [one.rows for one in plan.products]
            sizes += [plan.products[j].size for j in plan.written]
            scratch = [np.empty_like(states, shape=(B, size)) for size in sizes]
            arrays = (states, drive, coefficients, *plan.constants, *scratch, *plan.matrices)
            plan.whole(B, THREADS, (*arrays, len(drive), B))
            return
        results = [np.empty_like(states, shape=(B, one.rows)) for one in plan.products]
        vectors = {j: np.empty_like(states, shape=(B, plan.products[j].size)) for j in plan.written}
        given = (states, drive, coefficients, *plan.constants)
        for t in range(len(drive)):
            for kernel, products, entries in plan.stages:
                if kernel is not None:
                    arrays = (*given, *results, *vectors.values())
                    kernel(grid_for(B * entries), BLOCK, (*arrays, t, B))
                for j in products:
                    columns, _, _, matrix = plan.products[j]
                    vector = vectors[j] if columns is None else states[t][:, columns]
                    self.device.multiply(vector[None], matrix, results[j][None])

    def _make_plan(
        self, step: Step, weights: object, drive: Array, states: Array, coefficients: Array
    ) -> _Plan | None:
        sizes = states.shape[-1], drive.shape[-1], coefficients.shape[-1]
        try:
            small = sizes[0] <= self.most_columns
            return _plan(step, weights, sizes, self.device, self.precision, small)
        except NotTraceableError as error:
            self.plain.add(str(error))
            return None


def _plan(
    step: Step,
    weights: object,
    sizes: tuple[int, int, int],
    device: Device,
    precision: Precision,
    small: bool,
) -> _Plan:
    compile_kernel = partial(device.compile_kernel, exact=True)
    D, rows, C = sizes
    tape, constants = Tape(), list[Array]()
    state, drive = (Traced(tape, tape.add(("read", *what), n)) for what, n in _reads(D, rows))
    new_state, values = step(_wrapped(weights, tape, constants), state, drive)
    levels = _levels(tape)
    products = [_product(tape, number, matrix) for number, matrix in tape.products]
    written = [j for j, product in enumerate(products) if product.columns is None]
    places = {
        "state": Place("state", D),
        "drive": Place("drive_now", rows),
        "new_state": Place("new_state", D),
        "coefficients": Place("values", C),
        **{f"c{i}": Place(f"c{i}", 0) for i in range(len(constants))},
        **{f"p{j}": Place(f"p{j}", product.rows) for j, product in enumerate(products)},
        **{f"x{j}": Place(f"x{j}", products[j].size) for j in written},
    }
    outputs = [
        *_placed(tape, places["new_state"], new_state),
        *_placed(tape, places["coefficients"], values),
    ]
    declared, before = _declared(len(constants), len(products), written), _before(sizes)
    last = max([levels[result.number] for result in outputs], default=0)
    stages, pieces_of_stages = [], []
    for level in range(last + 1):
        ready = [j for j, (number, _) in enumerate(tape.products) if levels[number] == level]
        results = [
            Written(places[f"x{j}"], 0, products[j].size, tape.products[j][0])
            for j in ready
            if j in written
        ]
        if level == last:
            ready, results = [], outputs
        kernel = None
        if results:
            text = elementwise_kernel(
                "stage", [*declared, "long long t"], before, tape, places, results
            )
            kernel = compile_kernel(precision.prelude + text, "stage")
        pieces_of_stages.append((results, ready))
        entries = max((result.size for result in results), default=0)
        stages.append(_Stage(kernel, tuple(ready), entries))
    whole, matrices = None, list[Array]()
    if small:
        vectors = {
            j: (f"x{j} + b * {one.size}", one.size)
            if one.columns is None
            else (f"state + b * {D} + {one.columns.start}", one.size)
            for j, one in enumerate(products)
        }
        text = whole_forward(tape, places, pieces_of_stages, declared, before, vectors)
        whole = compile_kernel(precision.prelude + text, "pass")
        matrices = [one.matrix.copy() for one in products]
    return _Plan(stages, products, constants, written, whole, matrices)


def _reads(D: int, rows: int) -> list[tuple[tuple[str, int], int]]:
    return [(("state", 0), D), (("drive", 0), rows)]


def _declared(constants: int, products: int, written: list[int]) -> list[str]:
    """Return the parameters of kernels that are arrays."""
    parameters = [f"real* {name}" for name in ("states", "drive", "coefficients")]
    parameters += [f"const real* c{i}" for i in range(constants)]
    parameters += [f"real* p{j}" for j in range(products)]
    return parameters + [f"real* x{j}" for j in written]


def _before(sizes: tuple[int, int, int]) -> list[str]:
    """Return the statements with which a step begins."""
    D, rows, C = sizes
    return [
        f"const real* state = states + t * count * {D};",
        f"real* new_state = states + (t + 1) * count * {D};",
        f"const real* drive_now = drive + t * count * {rows};",
        f"real* values = coefficients + t * count * {C};",
    ]


def _wrapped(weights: Any, tape: Tape, constants: list[Array]) -> Any:
    """Return weights whose arrays are traced."""
    if isinstance(weights, (int, float)):
        return weights
    if isinstance(weights, tuple):
        inside = [_wrapped(weight, tape, constants) for weight in weights]
        return type(weights)(*inside) if hasattr(weights, "_fields") else tuple(inside)
    if hasattr(weights, "nnz"):
        raise NotTraceableError("a sparse weight")
    if getattr(weights, "ndim", 0) not in (1, 2) or weights.dtype.kind != "f":
        raise NotTraceableError(f"a weight of type {type(weights).__name__}")
    source = f"c{len(constants)}"
    constants.append(weights)
    if weights.ndim == 2:
        return Matrix(tape, weights, source)
    return Traced(tape, tape.add(("read", source, 0), len(weights)))


def _levels(tape: Tape) -> list[int]:
    """Return for each expression how many products one after the other lead to it."""
    levels: list[int] = []
    for number, entry in enumerate(tape.entries):
        level = max((levels[a] for a in tape.arguments(number)), default=0)
        if entry[0] == "read" and entry[1].startswith("p"):
            level = levels[tape.products[int(entry[1][1:])][0]] + 1
        levels.append(level)
    return levels


def _product(tape: Tape, number: int, matrix: Array) -> _Product:
    entry, size = tape.entries[number], tape.sizes[number]
    columns = None
    if entry[:2] == ("read", "state"):
        columns = slice(entry[2], entry[2] + size)
    return _Product(columns, size, matrix.shape[1], matrix)


def _placed(tape: Tape, place: Place, vectors: Vectors) -> Iterator[Written]:
    """Yield the vectors that a step returned, next to each other."""
    start = 0
    for vector in vectors:
        number = tape.number(vector)
        yield Written(place, start, tape.sizes[number], number)
        start += tape.sizes[number]
