"""What touches a heavy test file: the file, its imports, what it covers, and what that imports directly."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import PurePosixPath

from tests.heavy.need.files import HeavyFile
from tests.heavy.need.record import RECORD
from tests.import_graph import MODULES, ROOT, TESTS, imported_by, target

COMMON = (
    "tests.times",
    *(
        f"rackwright.{name}"
        for name in (
            "_fast_imports cache cli errors fleet launch operations package_set ports remote "
            "report resolve route run runner state stopping values"
        ).split()
    ),
)
"""What nearly everything imports: changing it would touch every test. `make test` runs it on real hosts at each
landing, so it touches only the heavy tests that declare it. The same holds for scripts in these folders."""
FIGURES = (RECORD, "tests/durations.json")
"""These decide when tests run, not what their results are."""

_PATHS = {
    path.resolve().relative_to(ROOT.resolve()).as_posix(): name
    for modules in (TESTS, MODULES)
    for name, path in modules.items()
}
_NAMES = {name: path for path, name in _PATHS.items()}


def touching(file: HeavyFile, changed: Collection[str]) -> list[str]:
    """Return which of these changed files touch the test file."""
    reached = _reached(file)
    folders = {str(PurePosixPath(path).parent) for path in reached if not _in(_PATHS[path], COMMON)}

    def touches(path: str) -> bool:
        if path in reached or any(map(PurePosixPath(path).is_relative_to, file.covers)):
            return True
        owner = None if path.endswith(".py") else _owner(path)
        return owner in reached or owner in folders

    return sorted(path for path in changed if path not in FIGURES and touches(path))


@cache
def _reached(file: HeavyFile) -> frozenset[str]:
    own = _PATHS[file.path]
    covered = {name for path, name in _PATHS.items() if any(map(PurePosixPath(path).is_relative_to, file.covers))}
    return frozenset(_NAMES[module] for module in _imported({own, *_conftests(own), *covered}))


def _imported(starts: Collection[str]) -> set[str]:
    """Return these modules and their imports: all those of tests and the lab, one step of others."""
    found: set[str] = set()
    left = list(starts)
    while left:
        module = left.pop()
        if module in found or (module not in starts and _in(module, COMMON)):
            continue
        found.add(module)
        if module in starts or _in(module, ("tests", "rackwright.lab")):
            left += _next(module)
    return found


def _next(module: str) -> Iterator[str]:
    for imported in map(target, imported_by(module)):
        yield from (name for name in _with_parents(imported) if name in _NAMES)
    yield from _programs(module)


def _programs(module: str) -> Iterable[str]:
    """Return all modules of a test package without tests: some of them are run as programs, not imported."""
    inside = [name for name in TESTS if name.startswith(f"{module}.")]
    if module not in TESTS or any(".test_" in name for name in inside):
        return ()
    return inside


def _with_parents(module: str) -> Iterator[str]:
    while module:
        yield module
        module = module.rpartition(".")[0]


def _conftests(module: str) -> list[str]:
    return [name for package in _with_parents(module) if (name := f"{package}.conftest") in TESTS]


def _in(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _owner(path: str) -> str | None:
    """Return what owns a non-Python file: the module of the same name next to it, or its package's folder."""
    module = PurePosixPath(path).with_suffix(".py")
    if str(module) in _PATHS:
        return str(module)
    return next((str(parent) for parent in module.parents if str(parent / "__init__.py") in _PATHS), None)
