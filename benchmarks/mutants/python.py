"""The mutants of a Python module: of its code, by cosmic-ray's operators and ours, and of shell in its strings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.operators.provider import OperatorProvider

from benchmarks.mutants.mutation import Mutation, mutation
from benchmarks.mutants.operators import DropOperand, NegateFilter, RemoveStatement, SwapFunction
from benchmarks.mutants.shell import shell_mutants

_CHOSEN = (
    "AddNot",
    "ExceptionReplacer",
    "NumberReplacer",
    "ReplaceAndWithOr",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_Div_Mul",
    "ReplaceBinaryOperator_Mul_Div",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBreakWithContinue",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceUnaryOperator_Delete_Not",
    "ZeroIterationForLoop",
)
"""The others make what Python refuses or nobody writes: `a @ b` for `a + b`, `is` for `==`."""
_SKIPPED = re.compile(r"@|\+ |.*\+ [_A-Z(\"']|.*[\"'] \+|.*\*,")
"""Decorators, strings that are joined, and the star of parameters: mutants of these fail as they are imported, or are
the same program."""


def _operators() -> Iterator[Operator]:
    provider = OperatorProvider()
    for name in provider:
        if name in _CHOSEN:
            yield provider[name]()
    yield from (RemoveStatement(), DropOperand(), NegateFilter(), SwapFunction())


def python_mutants(module: str, code: str) -> Iterator[Mutation]:
    for operator in _operators():
        kind = type(operator).__name__.partition("_")[0]
        positions = sum(len(list(operator.mutation_positions(node))) for node in ast_nodes(get_ast(code)))
        for number in range(positions):
            changed = mutate_code(code, operator, number)
            found = mutation(module, kind, code, changed) if changed is not None else None
            if found and not _SKIPPED.match(found.was):
                yield found
    yield from _in_strings(module, code)


def _in_strings(module: str, code: str) -> Iterator[Mutation]:
    lines = code.splitlines(keepends=True)
    for first, last in _strings(ast.parse(code)):
        if '"""' in lines[first - 1]:
            yield from shell_mutants(module, lines, range(first, last))


def _strings(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Yield the places of strings of several lines that aren't docstrings: here, those are scripts."""
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    formatted = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        written = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        if written and id(node) not in texts | formatted and node.lineno < (node.end_lineno or 0):
            yield node.lineno, node.end_lineno or 0
