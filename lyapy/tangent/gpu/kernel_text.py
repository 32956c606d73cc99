"""Text of the kernels that apply a tangent step, from its lowering, as CUDA compiles it.

Frames are rows `ROW` apart; `frame` is one trajectory's before a step, `result` the one after it,
`values` its coefficients. `thread` of `threads` take the entries of a loop in turn.
"""

from collections.abc import Sequence

from ...arrays import Array
from ...cells.sparse import Sparse
from ...networks.program import Coefficient, Term
from ..lowering import Lowered, Product, Sum
from .device import Device

__all__ = ["Launcher", "matrix_text", "moved_matrices", "sum_text", "trajectory_kernel"]

# threads of a block, and most blocks of a launch, where several share a trajectory
BLOCK, MOST_BLOCKS = 128, 4096


def trajectory_kernel(name: str, parameters: Sequence[str], body: str, before: str = "") -> str:
    """Return a kernel whose blocks take one trajectory b each, or ``pieces`` of them share it."""
    declared = ",\n    ".join([*parameters, "long long pieces"])
    return f"""{before}
extern "C" __global__ void {name}(
    {declared})
{{
    const long long b = blockIdx.x / pieces;
    const int thread = blockIdx.x % pieces * blockDim.x + threadIdx.x;
    const int threads = pieces * blockDim.x;
{body}
}}
"""


class Launcher:
    """A kernel of a text from `trajectory_kernel`, over so many entries of each trajectory."""

    def __init__(self, device: Device, text: str, name: str) -> None:
        self._kernel = device.compile(text, name)

    def __call__(self, trajectories: int, entries: int, *arguments: Array | int) -> None:
        pieces = max(1, min(-(-entries // BLOCK), MOST_BLOCKS // trajectories))
        self._kernel(trajectories * pieces, BLOCK, (*arguments, pieces))


def moved_matrices(lowered: Lowered, device: Device) -> list[Array]:
    """Return a program's constant matrices on the device, dense ones transposed."""
    return [device.moved(m if isinstance(m, Sparse) else m.T) for m in lowered.matrices]


def matrix_text(product: Product, rows: int, diagonal: Sequence[Term] = ()) -> str:
    """Return the loop that writes a product's matrices, added up and transposed, to `matrix`."""
    columns, entries = product.source.size, []
    for matrix, left, right in product.summands:
        entry = f"m{matrix}[j]"
        if isinstance(matrix, Coefficient):
            entry = f"values[{matrix.start} + r * {columns} + c]"
        entries.append(_scaled(left, "r", entry, right))
    entries += [_scaled(term.left, "c", "(real)(r == c)", term.right) for term in diagonal]
    return f"""
    for (int j = thread; j < {columns * rows}; j += threads) {{
        const int c = j / {rows}, r = j % {rows};
        matrix[j] = {" + ".join(entries)};
    }}"""


def sum_text(one: Sum, products: Sequence[str] = (), diagonal: Sequence[Term] = ()) -> str:
    """Return the loop that writes a sum's target: given products and diagonal terms."""
    n, summands = one.target.size, [*products]
    for term in diagonal:
        entry = f"{'image' if term.new else 'vector'}[{term.source.start} + c]"
        summands.append(_scaled(term.left, "c", entry, term.right))
    return f"""
    for (int i = thread; i < rows * {n}; i += threads) {{
        const int c = i % {n};
        const real* vector = frame + i / {n} * ROW;
        real* image = result + i / {n} * ROW;
        image[{one.target.start} + c] = {" + ".join(summands) or "0"};
    }}"""


def _scaled(left: Coefficient | None, row: str, entry: str, right: Coefficient | None) -> str:
    """Return an entry of column c with the factors before and after it."""
    before = [f"values[{left.start} + {row}]"] if left else []
    return " * ".join([*before, entry, *([f"values[{right.start} + c]"] if right else [])])
