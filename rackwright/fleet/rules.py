"""What a fleet file must hold beyond the form of its values."""

from __future__ import annotations

from pathlib import Path

from rackwright.fleet.nodes import Entries, Findings


def check_rules(root: Entries, folder: Path, findings: Findings) -> None:
    """Add every problem of a resolved fleet file whose relative paths start at `folder`."""
