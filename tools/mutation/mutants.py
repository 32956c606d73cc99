"""Which mutants of a module are made: cosmic-ray's, a part of its operators."""

import ast
from collections.abc import Iterator

from cosmic_ray.work_item import MutationSpec

COMPARISONS = (
    "Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is"
)
BINARY = (
    "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_FloorDiv Pow_Mul BitOr_BitAnd BitAnd_BitOr "
    "LShift_RShift RShift_LShift"
)
# one or two replacements each: those that a slip of the pen would make
OPERATORS = {
    "NumberReplacer",  # + 1 and − 1
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "AddNot",
    *(f"ReplaceUnaryOperator_Delete_{name}" for name in ("USub", "Not", "Invert")),
    *(f"ReplaceComparisonOperator_{name}" for name in COMPARISONS.split()),
    *(f"ReplaceBinaryOperator_{name}" for name in BINARY.split()),
}

Position = tuple[int, int]
Passage = tuple[Position, Position]


class Passages:
    """The passages of a module that decide whether a mutant is worth a try."""

    def __init__(self, source: str) -> None:
        nodes = list(ast.walk(ast.parse(source)))
        self.annotations = [passage(node) for node in _annotations(nodes)]
        # cosmic-ray takes the * and / of signatures for operators, too
        self.operators = [
            (passage(node.left)[1], passage(node.right)[0])
            for node in nodes
            if isinstance(node, ast.BinOp)
        ]
        # their negation is another comparison
        self.comparisons = {
            passage(node.test)[0]
            for node in nodes
            if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert)
            and isinstance(node.test, ast.Compare)
            and len(node.test.ops) == 1
        }

    def admit(self, mutation: MutationSpec) -> bool:
        """Return whether the mutant is of the set, and can change a result."""
        name = mutation.operator_name.removeprefix("core/")
        start = mutation.start_pos
        if name not in OPERATORS or any(a <= start < b for a, b in self.annotations):
            return False
        if name.startswith("ReplaceBinaryOperator"):
            return any(a <= start < b for a, b in self.operators)
        return name != "AddNot" or tuple(start) not in self.comparisons


def _annotations(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            yield node.returns
        elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation


def passage(node: ast.expr) -> Passage:
    """Return where an expression starts and ends: lines from 1, columns from 0."""
    assert node.end_lineno is not None and node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
