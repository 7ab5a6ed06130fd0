"""Operators that cosmic-ray lacks: for statements, operands, filters and built-in functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import parso
from cosmic_ray.operators.operator import Example, Operator
from parso.tree import BaseNode, NodeOrLeaf

Position = tuple[tuple[int, int], tuple[int, int]]

_REMOVED = frozenset(("atom_expr", "power", "raise_stmt", "assert_stmt", "del_stmt", "yield_expr"))
_SWAPPED = {"any": "all", "all": "any", "min": "max", "max": "min"}


class RemoveStatement(Operator):
    """A statement that is a call, or raises, or returns early, doesn't happen."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        if node.type == "simple_stmt" and _removable(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: BaseNode, index: int) -> BaseNode:
        first = node.children[0]
        node.children[0] = parso.parse(f"{first.get_first_leaf().prefix}pass")
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return (
            Example("held.check()\n", "pass\n"),
            Example("raise error\n", "pass\n"),
            Example("x += 1\n", "pass\n"),
        )


class DropOperand(Operator):
    """One operand of `and` and `or` isn't asked for."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        if node.type in ("and_test", "or_test"):
            for operand in node.children[::2]:
                yield operand.start_pos, operand.end_pos

    def mutate(self, node: BaseNode, index: int) -> BaseNode:
        if index == 0:
            prefix = node.get_first_leaf().prefix
            del node.children[:2]
            node.get_first_leaf().prefix = prefix
        else:
            del node.children[2 * index - 1 : 2 * index + 1]
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return (
            Example("a and b", "b"),
            Example("a and b", "a", occurrence=1),
            Example("a or b or c", "a or c", occurrence=1),
        )


class NegateFilter(Operator):
    """A comprehension takes what it should leave out, and leaves out the rest."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        if node.type == "comp_if":
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node: BaseNode, index: int) -> BaseNode:
        node.children[1] = parso.parse(f" not ({node.children[1].get_code().strip()})")
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return (Example("[a for a in b if a.c]", "[a for a in b if not (a.c)]"),)


class SwapFunction(Operator):
    """`any` asks for all, `min` gives the largest, and the other way round."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        if node.type == "name" and node.value in _SWAPPED and node.parent.type in ("atom_expr", "power"):
            yield node.start_pos, node.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        node.value = _SWAPPED[node.value]
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return (Example("any(lost)", "all(lost)"),)


def _removable(statement: NodeOrLeaf) -> bool:
    if statement.type == "expr_stmt":
        return statement.children[1].type == "operator" and statement.children[1].value not in ("=", ":")
    if statement.type == "keyword":
        return statement.value in ("raise", "return")
    return statement.type in _REMOVED
