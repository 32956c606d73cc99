"""Text of kernels as CUDA compiles it: tangent steps from their lowering, functions from Python.

Frames are rows `ROW` apart; `frame` is one trajectory's before a step, `result` the one after it,
`values` its coefficients. `thread` of `threads` take the entries of a loop in turn.

Python functions of numbers are translated, so that the device decides by the CPU's own text.
Understood are assignments, ``if``, ``return``, arithmetic, comparisons, and the calls in `CALLS`.
"""

import ast
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ...arrays import Array
from ...cells.sparse import Sparse
from ...networks.program import Coefficient, Term
from ..lowering import Lowered, Product, Sum
from .device import Device

__all__ = [
    "HELPERS",
    "Launcher",
    "cuda_functions",
    "matrix_text",
    "moved_matrices",
    "sum_text",
    "trajectory_kernel",
]

# threads of a block, and most blocks of a launch, where several share a trajectory
BLOCK, MOST_BLOCKS = 128, 4096
TYPES = {"float": "double", "int": "long long", "bool": "bool"}
CALLS = {
    **{"abs": "fabs", "int": "(long long)", "max": "greater_of", "min": "lesser_of"},
    **{f"math.{name}": name for name in ("exp", "log", "log1p", "sqrt")},
}
# {0} and {1} are the operands; `/` is never of whole numbers
INFIX: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.And: "&&", ast.Or: "||"}
INFIX |= {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
OPERATORS = {kind: f"({{0}} {sign} {{1}})" for kind, sign in INFIX.items()}
OPERATORS |= {ast.Div: "((double){0} / {1})", ast.FloorDiv: "floor_of({0}, {1})"}
OPERATORS |= {ast.Mod: "({0} - floor_of({0}, {1}) * {1})", ast.USub: "(-{0})", ast.Not: "(!{0})"}
# Python's rules: the first of equals, and division that rounds down
HELPERS = """
template <class A, class B> __device__ inline auto greater_of(A a, B b) -> decltype(a + b)
{ return b > a ? b : a; }
template <class A, class B> __device__ inline auto lesser_of(A a, B b) -> decltype(a + b)
{ return b < a ? b : a; }
__device__ inline long long floor_of(long long a, long long b)
{ return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
"""


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


def cuda_functions(*functions: Callable[..., Any]) -> str:
    """Return device functions of the same names; one may call those before it."""
    return "".join(map(_function, functions))


def _function(function: Callable[..., Any]) -> str:
    (tree,) = ast.parse(inspect.getsource(function)).body
    assert isinstance(tree, ast.FunctionDef)
    # variables known so far
    names = {argument.arg for argument in tree.args.args}

    def statement(one: ast.stmt) -> str:
        match one:
            case ast.Expr(ast.Constant(str())):
                return ""
            case ast.Assign([ast.Name(name)], given):
                kind = "" if name in names else "auto "
                text = f"{kind}{name} = {value(given)};\n"
                names.add(name)
                return text
            case ast.If(test, body, otherwise):
                both = ("".join(map(statement, some)) for some in (body, otherwise))
                return "if ({}) {{\n{}}}\nelse {{\n{}}}\n".format(value(test), *both)
            case ast.Return(given) if given is not None:
                return f"return {value(given)};\n"
        raise NotImplementedError(ast.unparse(one))

    def value(one: ast.expr) -> str:
        match one:
            case ast.Constant(bool() | float() | int() as number):
                return _literal(number)
            case ast.Name(name):
                return name if name in names else _literal(function.__globals__[name])
            case ast.Attribute(ast.Name("math"), "inf"):
                return "(1.0 / 0.0)"
            case ast.UnaryOp(operator, operand) if type(operator) in OPERATORS:
                return OPERATORS[type(operator)].format(value(operand))
            case ast.BinOp(left, operator, right) if type(operator) in OPERATORS:
                return OPERATORS[type(operator)].format(value(left), value(right))
            case ast.BoolOp(operator, values):
                return "(" + f" {INFIX[type(operator)]} ".join(map(value, values)) + ")"
            case ast.Compare(left, operators, others):
                sides = [value(side) for side in (left, *others)]
                pairs = zip(operators, sides, sides[1:], strict=False)
                return "(" + " && ".join(OPERATORS[type(o)].format(*two) for o, *two in pairs) + ")"
            case ast.IfExp(test, body, otherwise):
                return f"({value(test)} ? {value(body)} : {value(otherwise)})"
            case ast.Call(called, arguments, []):
                name = ast.unparse(called)
                if name != "max" or len(arguments) == 2:
                    return f"{CALLS.get(name, name)}({', '.join(map(value, arguments))})"
        raise NotImplementedError(ast.unparse(one))

    declared = ", ".join(f"{_type(one.annotation)} {one.arg}" for one in tree.args.args)
    body = "".join(map(statement, tree.body))
    return f"__device__ inline {_type(tree.returns)} {tree.name}({declared})\n{{\n{body}}}\n"


def _type(annotation: ast.expr | None) -> str:
    assert isinstance(annotation, ast.Name)
    return TYPES[annotation.id]


def _literal(number: float) -> str:
    if isinstance(number, bool):
        return "true" if number else "false"
    return f"{number}LL" if isinstance(number, int) else repr(float(number))
