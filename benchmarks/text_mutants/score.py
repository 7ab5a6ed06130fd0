"""How many mutants of each role were killed, and why the others survived."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

EXPLAINED = Path(__file__).parent / "survivors.json"
"""Each survivor's file, old and new text, and why: `equivalent: …`, or `lab: ` and the test that kills it."""


def explanations() -> dict[tuple[str, str, str], str]:
    if not EXPLAINED.exists():
        return {}
    return {(told["file"], told["old"], told["new"]): told["why"] for told in json.loads(EXPLAINED.read_text())}


def scores(tried: list[dict[str, str]]) -> dict[str, float]:
    """Return, by role, the share that unit tests killed."""
    every = Counter(told["role"] for told in tried)
    killed = Counter(told["role"] for told in tried if told["killed_by"])
    return {role: killed[role] / count for role, count in every.items()}


def shown(tried: list[dict[str, str]]) -> str:
    """Return the table of scores, and each survivor with its explanation."""
    every, known = Counter(told["role"] for told in tried), explanations()
    score = scores(tried)
    lines = [f"{role:12} {count:4} mutants  {score[role]:6.1%} killed" for role, count in every.items()]
    for told in tried:
        if not told["killed_by"]:
            why = known.get((told["file"], told["old"].strip(), told["new"].strip()), "NOT EXPLAINED")
            lines += [f"\n{told['file']}:{told['line']} {told['kind']}: {why}"]
            lines += [f"- {told['old'].strip()}", f"+ {told['new'].strip()}"]
    return "\n".join(lines)
