"""What git knows about a change; None if it doesn't know.

It doesn't know without a repository, in a clone that is too shallow, or if a commit isn't an ancestor of HEAD.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.heavy.need.record import RECORD
from tests.import_graph import ROOT

_RECIPES = re.compile(r"^(?:(?:HEAVY|WORKERS|BY_FILE)\b|test-(?:heavy|machines)).*\n(?:\t.*\n)*", re.MULTILINE)


def commit(name: str, root: Path = ROOT) -> str | None:
    """Return the commit's full id, if it is an ancestor of HEAD."""
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found is None or _git(root, "merge-base", "--is-ancestor", found.strip(), "HEAD") is None:
        return None
    return found.strip()


def head(root: Path = ROOT) -> str | None:
    """Return HEAD's id, with `-dirty` if anything but the record differs from it."""
    at, changed = commit("HEAD", root), changed_since("HEAD", root)
    return f"{at}-dirty" if at and changed and changed - {RECORD} else at


def changed_since(base: str, root: Path = ROOT) -> frozenset[str] | None:
    """Return the paths that differ from this ancestor, committed or not."""
    if commit(base, root) is None:
        return None
    listed = [
        _git(root, "diff", "--name-only", "--no-renames", "-z", base, "--"),
        _git(root, "ls-files", "--others", "--exclude-standard", "-z"),
    ]
    if None in listed:
        return None
    return frozenset("".join(filter(None, listed)).split("\0")) - {""}


def same_recipes(base: str, root: Path = ROOT) -> bool:
    """Return whether the Makefile runs heavy tests as it did at this commit."""
    before = _git(root, "show", f"{base}:Makefile")
    return before is not None and recipes(before) == recipes((root / "Makefile").read_text(encoding="utf-8"))


def recipes(makefile: str) -> list[str]:
    return _RECIPES.findall(makefile)


def follows(later: str, earlier: str, root: Path = ROOT) -> bool:
    """Return whether `later` is `earlier` or one of its descendants."""
    return _git(root, "merge-base", "--is-ancestor", earlier, later) is not None


def commits_since(base: str, root: Path = ROOT) -> int | None:
    counted = _git(root, "rev-list", "--count", f"{base}..HEAD")
    return None if counted is None else int(counted)


def _git(root: Path, *words: str) -> str | None:
    """Return what git prints; None if it fails, or if `root` isn't the top of a repository."""
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout
