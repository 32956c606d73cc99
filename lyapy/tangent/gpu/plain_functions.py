"""Python functions of numbers as CUDA C++, so that the device decides by the CPU's own text.

Understood are assignments, ``if``, ``return``, arithmetic, comparisons, and the calls in `CALLS`.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["HELPERS", "cuda_functions"]

TYPES = {"float": "double", "int": "long long", "bool": "bool"}
CALLS = {
    "abs": "fabs",
    "int": "(long long)",
    "max": "greater_of",
    "min": "lesser_of",
    "math.exp": "exp",
    "math.log": "log",
    "math.log1p": "log1p",
}
INFIX = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.And: "&&", ast.Or: "||"}
INFIX |= {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
# Python's rules: the first of equals, and division that rounds down
HELPERS = """
template <class A, class B> __device__ inline auto greater_of(A a, B b) -> decltype(a + b)
{ return b > a ? b : a; }
template <class A, class B> __device__ inline auto lesser_of(A a, B b) -> decltype(a + b)
{ return b < a ? b : a; }
__device__ inline long long floor_of(long long a, long long b)
{ return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
"""


def cuda_functions(*functions: Callable[..., Any]) -> str:
    """Return device functions of the same names; one may call those before it."""
    return "".join(_function(one) for one in functions)


def _function(function: Callable[..., Any]) -> str:
    (tree,) = ast.parse(inspect.getsource(function)).body
    assert isinstance(tree, ast.FunctionDef)
    names = [argument.arg for argument in tree.args.args]
    types = [_type(argument.annotation) for argument in tree.args.args]
    declared = ", ".join(f"{t} {name}" for t, name in zip(types, names, strict=True))
    body = _Body(function.__globals__, set(names)).statements(tree.body)
    return f"__device__ inline {_type(tree.returns)} {tree.name}({declared})\n{{\n{body}}}\n"


def _type(annotation: ast.expr | None) -> str:
    assert isinstance(annotation, ast.Name)
    return TYPES[annotation.id]


class _Body:
    """Statements and expressions, with the names that are known so far."""

    def __init__(self, constants: dict[str, Any], names: set[str]) -> None:
        self.constants = constants
        self.names = names

    def statements(self, statements: list[ast.stmt]) -> str:
        return "".join(self._statement(one) for one in statements)

    def _statement(self, one: ast.stmt) -> str:
        match one:
            case ast.Expr(ast.Constant(str())):
                return ""
            case ast.Assign([ast.Name(name)], value):
                kind = "" if name in self.names else "auto "
                text = f"{kind}{name} = {self._value(value)};\n"
                self.names.add(name)
                return text
            case ast.If(test, body, otherwise):
                text = f"if ({self._value(test)}) {{\n{self.statements(body)}}}\n"
                return text + (f"else {{\n{self.statements(otherwise)}}}\n" if otherwise else "")
            case ast.Return(value) if value is not None:
                return f"return {self._value(value)};\n"
        raise NotImplementedError(ast.unparse(one))

    def _value(self, one: ast.expr) -> str:
        value = self._value
        match one:
            case ast.Constant(bool() | float() | int() as number):
                return _literal(number)
            case ast.Name(name) if name in self.names:
                return name
            case ast.Name(name):
                return _literal(self.constants[name])
            case ast.Attribute(ast.Name("math"), "inf"):
                return "(1.0 / 0.0)"
            case ast.UnaryOp(ast.USub(), operand):
                return f"(-{value(operand)})"
            case ast.UnaryOp(ast.Not(), operand):
                return f"(!{value(operand)})"
            case ast.BinOp(left, ast.Div(), right):
                return f"((double){value(left)} / {value(right)})"
            case ast.BinOp(left, ast.FloorDiv(), right):
                return f"floor_of({value(left)}, {value(right)})"
            case ast.BinOp(left, ast.Mod(), right):
                over, under = value(left), value(right)
                return f"({over} - floor_of({over}, {under}) * {under})"
            case ast.BinOp(left, operator, right):
                return f"({value(left)} {INFIX[type(operator)]} {value(right)})"
            case ast.BoolOp(operator, values):
                return "(" + f" {INFIX[type(operator)]} ".join(map(value, values)) + ")"
            case ast.Compare(left, operators, others):
                sides = [value(side) for side in (left, *others)]
                pairs = zip(sides, operators, sides[1:], strict=False)
                return "(" + " && ".join(f"{a} {INFIX[type(o)]} {b}" for a, o, b in pairs) + ")"
            case ast.IfExp(test, body, otherwise):
                return f"({value(test)} ? {value(body)} : {value(otherwise)})"
            case ast.Call(function, arguments, []):
                name = ast.unparse(function)
                if name == "max" and len(arguments) != 2:
                    raise NotImplementedError(ast.unparse(one))
                return f"{CALLS.get(name, name)}({', '.join(map(value, arguments))})"
        raise NotImplementedError(ast.unparse(one))


def _literal(number: float) -> str:
    if isinstance(number, bool):
        return "true" if number else "false"
    return f"{number}LL" if isinstance(number, int) else repr(float(number))
