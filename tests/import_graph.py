"""Which module imports which. It is read with ast, so an import inside a function counts too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rackwright"


def _files() -> Iterator[Path]:
    for path in (PACKAGE, PACKAGE / "roles", PACKAGE / "deploys"):
        for found in sorted(path.resolve().rglob("*.py")):
            yield PACKAGE / path.name / found.relative_to(path.resolve()) if path != PACKAGE else found


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in _files()}
"""The package's modules, by name."""
TESTS = {name_of(path): path for path in sorted((ROOT / "tests").rglob("*.py"))}
"""The tests' modules, by name."""


def imports(source: str, module: str, *, is_package: bool = False) -> Iterator[str]:
    """Given a module's source and name, return the full names that it imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                above = parts[: len(parts) - node.level + is_package]
                base = ".".join([*above, base] if base else above)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def target(imported: str) -> str:
    """`from rackwright.run import Run` is an import of rackwright.run."""
    while imported not in MODULES and imported not in TESTS and "." in imported:
        imported = imported.rpartition(".")[0]
    return imported


@cache
def imported_by(module: str) -> tuple[str, ...]:
    path = MODULES.get(module) or TESTS[module]
    return tuple(imports(path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py"))
