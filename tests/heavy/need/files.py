"""The heavy test files and what they declare, read without importing them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.import_graph import ROOT

FOLDER = ROOT / "tests" / "heavy"


@dataclass(frozen=True, order=True)
class HeavyFile:
    name: str
    """The file's name in tests/heavy."""
    covers: tuple[str, ...]
    """Files and folders of the repository that it tests."""
    machine: bool
    """Whether it needs a virtual machine."""

    @property
    def path(self) -> str:
        return f"tests/heavy/{self.name}"


@cache
def heavy_files() -> tuple[HeavyFile, ...]:
    return tuple(read(path) for path in sorted(FOLDER.glob("test_*.py")))


def read(path: Path) -> HeavyFile:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return HeavyFile(path.name, _covers(tree), "machine" in marks(tree))


def marks(tree: ast.Module) -> set[str]:
    """Return the markers of a module's tests: X of each `pytest.mark.X`."""
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {node.attr for node in attributes if isinstance(node.value, ast.Attribute) and node.value.attr == "mark"}


def _covers(tree: ast.Module) -> tuple[str, ...]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(to, ast.Name) and to.id == "COVERS" for to in node.targets
        ):
            return tuple(ast.literal_eval(node.value))
    return ()
