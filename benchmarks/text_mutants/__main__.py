"""Mutants of templates and scripts: `python -m benchmarks.text_mutants [ROLE] … [--seed N] [--again]`.

The tests run over a copy of this tree, one mutant at a time; this tree isn't touched. `--again` tries only those that
survived the last time.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.text_mutants.mutants import Mutant, sampled
from benchmarks.text_mutants.roles import ROLES, Role
from benchmarks.text_mutants.score import explained, shown
from benchmarks.text_mutants.trial import copy_of, killed_by

ROOT = Path(__file__).parents[2]
RAW = ROOT / "benchmarks/raw/text_mutants.json"
SEED = 29
TARGET = 0.9


def main() -> None:
    # A copy of the tree goes also when somebody ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    asked = _asked()
    raw = json.loads(RAW.read_text()) if RAW.exists() else {"mutants": []}
    roles = {role.name: role for role in ROLES}
    chosen = [roles[name] for name in asked.roles or roles]
    with copy_of(ROOT) as copy:
        for role in chosen:
            kept = [told for told in raw["mutants"] if told["role"] != role.name]
            raw["mutants"] = kept + _tried(copy, role, asked.seed, raw["mutants"] if asked.again else None)
            raw |= {"seed": asked.seed, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
            RAW.write_text(json.dumps(raw, indent=1) + "\n")
    print(shown(raw["mutants"]))
    sys.exit(0 if all(score >= TARGET for score in explained(raw["mutants"]).values()) else 1)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text_mutants")
    parser.add_argument("roles", nargs="*", choices=[[], *(role.name for role in ROLES)])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--again", action="store_true")
    return parser.parse_args()


def _tried(copy: Path, role: Role, seed: int, last: list[dict[str, object]] | None) -> list[dict[str, object]]:
    """Return what became of each mutant of a role, as the raw file has it."""
    if failed := killed_by(copy, None, role.tests):
        sys.exit(f"{role.name}: without a mutant {failed} fails")
    killed = {_key(told): told for told in last or [] if told["killed_by"]}
    return [killed.get(_key(asdict(mutant))) or _trial(copy, role, mutant) for mutant in sampled(copy, role, seed)]


def _trial(copy: Path, role: Role, mutant: Mutant) -> dict[str, object]:
    began = time.monotonic()
    killer = killed_by(copy, mutant, role.tests)
    word = f"killed by {killer}" if killer else "SURVIVED"
    print(f"{time.monotonic() - began:5.1f} s  {mutant.file}:{mutant.line}  {mutant.kind}  {word}", flush=True)
    return asdict(mutant) | {"killed_by": killer}


def _key(told: dict[str, object]) -> tuple[object, ...]:
    return told["file"], told["line"], told["old"], told["new"]


if __name__ == "__main__":
    main()
