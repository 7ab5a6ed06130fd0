"""Show which heavy tests run and why, and run them.

python -m tests.heavy.need [--machines] [--all] [--list] [--base COMMIT] [--record] [FILE …] [-- PYTEST'S OPTIONS]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from pathlib import Path

from tests.heavy.need import git
from tests.heavy.need.choose import RECIPES, Choice, choose
from tests.heavy.need.files import HeavyFile, heavy_files
from tests.heavy.need.record import Record, load
from tests.heavy.need.run import run, run_and_record
from tests.heavy.need.table import table


def main(words: list[str]) -> int:
    ours, pytests = _split(words)
    args = _arguments(ours)
    record = load()
    base = git.commit(args.base or record.base)
    if args.record:
        refuse_to_record(base if args.base else None, record)
    choices = chosen(args, record, base)
    print(f"Heavy tests: landing {record.number(base)}, compared with {base or 'nothing: all count as touched'}")
    print(table(choices, record, running=not args.list), flush=True)
    files = [choice.file for choice in choices if choice.why]
    if args.list or not files:
        return 0
    return run_and_record(files, pytests, record, str(base)) if args.record else run(files, pytests)


def chosen(args: argparse.Namespace, record: Record, base: str | None) -> list[Choice]:
    files = [file for file in heavy_files() if file.machine == args.machines]
    if args.all:
        return [Choice(file, "all were asked for") for file in files]
    if args.files:
        return _named(files, {Path(name).name for name in args.files})
    return choose(files, record, record.number(base), changed(base), since)


def changed(base: str | None) -> frozenset[str] | None:
    """Return what changed. None if that is unknown, or if nothing changed: then `base` is the wrong commit."""
    return since(base) if base and git.changed_since(base) else None


def since(commit: str) -> frozenset[str] | None:
    """Return what changed since a commit; None if that is unknown."""
    found = git.changed_since(commit)
    return found if found is None or git.same_recipes(commit) else found | {RECIPES}


def refuse_to_record(base: str | None, record: Record) -> None:
    """Exit unless `base` can be the commit that landed before this change."""
    if base is None:
        sys.exit("RECORD needs BASE: the commit that landed last, an ancestor of HEAD.")
    if base == git.commit("HEAD"):
        sys.exit("BASE is HEAD. It should be the commit that landed last, before this change.")
    if not git.follows(base, record.base):
        sys.exit(f"BASE is older than what landing {record.landing} began from, {record.base}.")


def _named(files: Collection[HeavyFile], names: set[str]) -> list[Choice]:
    if unknown := names - {file.name for file in files}:
        sys.exit(f"No such file of heavy tests: {', '.join(sorted(unknown))}")
    return [Choice(file, "asked for" if file.name in names else None) for file in files]


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.heavy.need", description=__doc__)
    parser.add_argument("--machines", action="store_true", help="those that need virtual machines, not the others")
    parser.add_argument("--all", action="store_true", help="whatever changed")
    parser.add_argument("--list", action="store_true", help="show what would run, and run nothing")
    parser.add_argument("--base", metavar="COMMIT", help="what landed last (the record knows, in CI)")
    parser.add_argument("--record", action="store_true", help="write down which files passed")
    parser.add_argument("files", nargs="*", metavar="FILE", help="these alone")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
