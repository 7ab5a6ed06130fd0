"""What `python -m tests.times` prints of one run."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.times import figures
from tests.times.junit import Suite

_FILES = 30
_TESTS = 20
_KINDS_OF_A_FILE = 3


def show(suite: Suite, console: Console) -> None:
    """Print everything about this run."""
    workers = figures.workers(suite)
    worked = sum(case.seconds for case in suite.cases)
    console.print(f"[bold]{escape(suite.name)}[/bold]: {len(suite.cases)} tests, {suite.seconds:.0f} s")
    if workers:
        _print(console, _workers(workers))
        console.print(f"At the end one worker is alone for {figures.alone(workers):.0f} s.")
        _print(console, _kinds(suite, worked))
    _print(console, _files(suite))
    _print(console, _tests(suite))


def _print(console: Console, table: Table) -> None:
    console.print()
    console.print(table)


def _workers(workers: list[figures.Worker]) -> Table:
    table = _table("worker", "tests", "start-up s", "busy s", "between tests s", "idle at the end s")
    for worker in workers:
        spans = (worker.before, worker.busy, worker.between, worker.after)
        table.add_row(worker.name, str(worker.tests), *map(_seconds, spans))
    return table


def _kinds(suite: Suite, worked: float) -> Table:
    kinds = figures.by_kind(suite.cases)
    rest = worked - sum(kinds.values())
    table = _table("spent on", "s", "%")
    for kind, seconds in [*kinds.items(), ("everything else", rest)]:
        table.add_row(escape(kind), _seconds(seconds), f"{100 * seconds / worked if worked else 0:.0f}")
    return table


def _files(suite: Suite) -> Table:
    files = figures.by_file(suite)
    table = _table("file", "tests", "s", "setup s")
    table.add_column("most of it")
    for file in files[:_FILES]:
        table.add_row(file.name, str(file.tests), _seconds(file.seconds), _seconds(file.setup), _most(file))
    if others := files[_FILES:]:
        tests, seconds, setup = (
            sum(file.tests for file in others),
            sum(file.seconds for file in others),
            sum(file.setup for file in others),
        )
        table.add_row(f"{len(others)} other files", str(tests), _seconds(seconds), _seconds(setup), "")
    return table


def _most(file: figures.File) -> str:
    kinds = list(file.spent.items())[:_KINDS_OF_A_FILE]
    return escape(", ".join(f"{kind} {_seconds(seconds)}" for kind, seconds in kinds if seconds >= 1))


def _tests(suite: Suite) -> Table:
    table = _table("slowest tests", "s", "setup s")
    for case in figures.slowest(suite, _TESTS):
        name = f"{case.file}::{case.name}"
        table.add_row(escape(name), _seconds(case.seconds), _seconds(case.setup_seconds))
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}"
