"""The tangent step of large frames (B, k, width) with few launches: matrices, products, sums.

Terms with one source become one matrix for each trajectory, which a kernel writes, and one
product. A constant weight alone is one large product over the rows of all trajectories. A
kernel for each assignment adds diagonal terms and products.
"""

from typing import NamedTuple

from ...arrays import Array
from ...cells import sparse
from ...networks.program import Coefficient, Program, Term
from ..lowering import Lowered, Product, Sum, lower
from .device import Device
from .kernel_text import Launcher, matrix_text, moved_matrices, sum_text, trajectory_kernel

__all__ = ["BatchStep", "row_width"]

# Terms are added into one matrix for each trajectory from so many vectors per column on: adding
# n × n matrices is as much traffic as a product with n / 2 vectors
MERGED_SHARE = 0.5
# rows begin at multiples of so many entries, as cuBLAS's fast products want it
ALIGNMENT = 8


def row_width(program: Program) -> int:
    """Return the distance of a frame's rows: the state, auxiliary blocks, and one entry more."""
    return -(-max(program.width, program.state_size + 1) // ALIGNMENT) * ALIGNMENT


class _Step(NamedTuple):
    """A sum; what writes the matrix of each product, where it is not constant; what adds up.

    Nothing has to be added up where there is one product without a factor before it.
    """

    sum: Sum
    merging: tuple[Launcher | None, ...]
    adding: Launcher | None


class BatchStep:
    """The tangent step of a program on the frames of many trajectories, of k = ``vectors`` rows."""

    def __init__(self, program: Program, vectors: int, device: Device) -> None:
        self.device, self.vectors = device, vectors
        self.width = row_width(program)
        lowered = lower(program, lambda term: self._many(term.source.size) or _given(term))
        self._matrices = moved_matrices(lowered, device)
        self._steps = [self._make_step(one, lowered) for one in lowered.sums]

    def _many(self, columns: int) -> bool:
        return self.vectors >= MERGED_SHARE * columns

    def __call__(self, coefficients: Array, frame: Array) -> Array:
        """Return ``frame @ J.T``, for coefficients (B, C) and frames (B, k, width)."""
        B, k, _ = frame.shape
        if frame.strides[0] != k * frame.strides[1]:
            frame = frame.copy()
        new = self.device.new(B, k, self.width)
        for (target, products, _), merging, adding in self._steps:
            found = []
            for product, merge in zip(products, merging, strict=True):
                out = new[..., target.columns]
                if adding is not None:
                    out = self.device.new(B, k, target.size)
                    found.append(out)
                rows = (new if product.new else frame)[..., product.source.columns]
                self._multiply(product, merge, coefficients, rows, out)
            if adding is not None:
                arrays = (coefficients, frame, new, *found)
                adding(B, k * target.size, *arrays, k, coefficients.shape[1])
        return new

    def _multiply(
        self,
        product: Product,
        merge: Launcher | None,
        coefficients: Array,
        rows: Array,
        out: Array,
    ) -> None:
        number, _, right = product.summands[0]
        B, _, n = rows.shape
        if merge is not None:
            matrices = self.device.new(B, n, out.shape[2])
            constants = [self._matrices[i] for i in _constants(product)]
            size = n * out.shape[2]
            merge(B, size, coefficients, matrices, *constants, coefficients.shape[1])
            self.device.multiply(rows, matrices, out)
            return
        assert isinstance(number, int)
        matrix = self._matrices[number]
        if right is not None:
            rows = rows * coefficients[:, None, right.entries]
        if hasattr(matrix, "nnz"):
            out[...] = sparse.product(rows.reshape(-1, n), matrix).reshape(out.shape)
        else:
            self.device.multiply(rows, matrix, out)

    def _make_step(self, one: Sum, lowered: Lowered) -> _Step:
        merging, scaled, diagonal = list[Launcher | None](), list[str](), one.diagonal
        for i, product in enumerate(one.products):
            (matrix, left, right), *more = product.summands
            merged = bool(more) or isinstance(matrix, Coefficient)
            # a constant matrix alone multiplies vectors that are scaled themselves, if few
            few = lowered.is_sparse(product) or not self._many(one.target.size)
            merged |= right is not None and not few
            inside = diagonal if merged and _fits(one) else ()
            merging.append(self._merging(product, one.target.size, inside) if merged else None)
            diagonal = () if inside else diagonal
            before = f"values[{left.start} + c] * " if left and not merged else ""
            scaled.append(f"{before}p{i}[i]")
        if scaled == ["p0[i]"] and not diagonal:
            return _Step(one, tuple(merging), None)
        return _Step(one, tuple(merging), self._adding(one, scaled, diagonal))

    def _merging(self, product: Product, rows: int, diagonal: tuple[Term, ...]) -> Launcher:
        size = rows * product.source.size
        body = f"""    const real* values = coefficients + b * C;
    real* matrix = matrices + b * {size};{matrix_text(product, rows, diagonal)}"""
        constants = [f"const real* m{i}" for i in _constants(product)]
        given = ["const real* coefficients", "real* matrices", *constants, "long long C"]
        text = trajectory_kernel("merge", given, body)
        return Launcher(self.device, text, "merge")

    def _adding(self, one: Sum, scaled: list[str], diagonal: tuple[Term, ...]) -> Launcher:
        found = [f"p{i} += b * rows * {one.target.size};" for i in range(len(scaled))]
        body = f"""    const real* values = coefficients + b * C;
    const real* frame = frames + b * rows * ROW;
    real* result = results + b * rows * ROW;
    {" ".join(found)}{sum_text(one, scaled, diagonal)}"""
        given = ["const real* coefficients", "const real* frames", "real* results"]
        given += [f"const real* p{i}" for i in range(len(scaled))]
        given += ["long long rows", "long long C"]
        text = trajectory_kernel("add_up", given, body, f"#define ROW {self.width}")
        return Launcher(self.device, text, "add_up")


def _given(term: Term) -> bool:
    return isinstance(term.matrix, Coefficient)


def _constants(product: Product) -> list[int]:
    """Return the numbers of the constant matrices, each once."""
    numbers = (s.matrix for s in product.summands if isinstance(s.matrix, int))
    return list(dict.fromkeys(numbers))


def _fits(one: Sum) -> bool:
    """Whether the diagonal terms can stand in the matrix of the only product."""
    if len(one.products) > 1:
        return False
    source, new = one.products[0][:2]
    same = all((term.source, term.new) == (source, new) for term in one.diagonal)
    return same and source.size == one.target.size
