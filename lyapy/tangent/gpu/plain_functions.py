"""Python functions of numbers as CUDA C++, so that the device decides by the CPU's own text.

Understood are assignments, ``if``, ``return``, arithmetic, comparisons, and the calls in `CALLS`.
"""

import ast
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["HELPERS", "cuda_functions"]

TYPES = {"float": "double", "int": "long long", "bool": "bool"}
CALLS = {
    **{"abs": "fabs", "int": "(long long)", "max": "greater_of", "min": "lesser_of"},
    **{f"math.{name}": name for name in ("exp", "log", "log1p")},
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


def cuda_functions(*functions: Callable[..., Any]) -> str:
    """Return device functions of the same names; one may call those before it."""
    return "".join(map(_function, functions))


def _function(function: Callable[..., Any]) -> str:
    (tree,) = ast.parse(inspect.getsource(function)).body
    assert isinstance(tree, ast.FunctionDef)
    names = {argument.arg for argument in tree.args.args}
    declared = ", ".join(f"{_type(one.annotation)} {one.arg}" for one in tree.args.args)
    body = "".join(_statement(one, names, function.__globals__) for one in tree.body)
    return f"__device__ inline {_type(tree.returns)} {tree.name}({declared})\n{{\n{body}}}\n"


def _type(annotation: ast.expr | None) -> str:
    assert isinstance(annotation, ast.Name)
    return TYPES[annotation.id]


def _statement(one: ast.stmt, names: set[str], constants: dict[str, Any]) -> str:
    """Return a statement; ``names`` are the variables known so far."""
    match one:
        case ast.Expr(ast.Constant(str())):
            return ""
        case ast.Assign([ast.Name(name)], value):
            kind = "" if name in names else "auto "
            text = f"{kind}{name} = {_value(value, names, constants)};\n"
            names.add(name)
            return text
        case ast.If(test, body, otherwise):
            both = ("".join(_statement(s, names, constants) for s in x) for x in (body, otherwise))
            return "if ({}) {{\n{}}}\nelse {{\n{}}}\n".format(_value(test, names, constants), *both)
        case ast.Return(value) if value is not None:
            return f"return {_value(value, names, constants)};\n"
    raise NotImplementedError(ast.unparse(one))


def _value(one: ast.expr, names: set[str], constants: dict[str, Any]) -> str:
    def value(each: ast.expr) -> str:
        return _value(each, names, constants)

    match one:
        case ast.Constant(bool() | float() | int() as number):
            return _literal(number)
        case ast.Name(name):
            return name if name in names else _literal(constants[name])
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
            return "(" + " && ".join(OPERATORS[type(o)].format(*pair) for o, *pair in pairs) + ")"
        case ast.IfExp(test, body, otherwise):
            return f"({value(test)} ? {value(body)} : {value(otherwise)})"
        case ast.Call(function, arguments, []):
            name = ast.unparse(function)
            if name != "max" or len(arguments) == 2:
                return f"{CALLS.get(name, name)}({', '.join(map(value, arguments))})"
    raise NotImplementedError(ast.unparse(one))


def _literal(number: float) -> str:
    if isinstance(number, bool):
        return "true" if number else "false"
    return f"{number}LL" if isinstance(number, int) else repr(float(number))
