"""What the files of a migration's folder have in their lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rackwright.migrate.replayed_answer import Asked

FileKind = Literal["requests", "sample", "answers-cloud", "answers-again", "answers-fleet"]
"""Recorded requests, those of them that are replayed, and answers to these. The beginning of a file's name."""
ANSWERS: Mapping[Asked, FileKind] = {"cloud": "answers-cloud", "again": "answers-again", "fleet": "answers-fleet"}
