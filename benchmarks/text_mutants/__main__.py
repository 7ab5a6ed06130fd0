"""Mutants of templates and scripts: `python -m benchmarks.text_mutants [ROLE] … [--seed N] [--again]`.

The tests run on a copy of this checkout, one mutant at a time; the checkout itself isn't changed. `--again` tries
only mutants that survived last time, and new ones. The results of another seed are printed and not kept. Exits with 1
if less than 90 % of a role's mutants are killed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.text_mutants.mutants import Mutant, sampled
from benchmarks.text_mutants.roles import ROLES, Role
from benchmarks.text_mutants.score import scores, shown
from benchmarks.text_mutants.trial import copy_of, killed_by

ROOT = Path(__file__).parents[2]
RAW = ROOT / "benchmarks/raw/text_mutants.json"
SEED = 29
TARGET = 0.9
Key = tuple[str, int, str, str]
"""File, line, old and new text."""


def main() -> None:
    # The copy is also removed if this process is terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    asked = _asked()
    kept = asked.seed == SEED
    tried = json.loads(RAW.read_text())["mutants"] if kept and RAW.exists() else []
    roles = {role.name: role for role in ROLES}
    with copy_of(ROOT) as copy:
        for name in asked.roles or roles:
            known = {_key(told): told for told in tried if asked.again and told["killed_by"]}
            tried = [told for told in tried if told["role"] != name]
            for told in _tried(copy, roles[name], asked.seed, known):
                tried.append(told)
                if kept:
                    _write(tried)
    print(shown(tried))
    sys.exit(0 if all(score >= TARGET for score in scores(tried).values()) else 1)


def _write(tried: list[dict[str, Any]]) -> None:
    raw = {"seed": SEED, "cores": os.cpu_count(), "load": os.getloadavg()[0], "mutants": tried}
    RAW.write_text(json.dumps(raw, indent=1) + "\n")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text_mutants")
    parser.add_argument("roles", nargs="*", choices=[[], *(role.name for role in ROLES)])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--again", action="store_true")
    return parser.parse_args()


def _tried(copy: Path, role: Role, seed: int, known: dict[Key, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what becomes of each mutant of a role, first of those that are known."""
    chosen = sampled(copy, role, seed)
    yield from (known[_key(asdict(mutant))] for mutant in chosen if _key(asdict(mutant)) in known)
    due = [mutant for mutant in chosen if _key(asdict(mutant)) not in known]
    if due and (failed := killed_by(copy, None, role.tests)):
        sys.exit(f"{role.name}: without a mutant {failed} fails")
    yield from (_trial(copy, role, mutant) for mutant in due)


def _trial(copy: Path, role: Role, mutant: Mutant) -> dict[str, Any]:
    began = time.monotonic()
    killer = killed_by(copy, mutant, role.tests)
    word = f"killed by {killer}" if killer else "SURVIVED"
    print(f"{time.monotonic() - began:5.1f} s  {mutant.file}:{mutant.line}  {mutant.kind}  {word}", flush=True)
    return asdict(mutant) | {"killed_by": killer}


def _key(told: dict[str, Any]) -> Key:
    return told["file"], told["line"], told["old"], told["new"]


if __name__ == "__main__":
    main()
