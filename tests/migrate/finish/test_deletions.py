"""The list of deletions only grows, and a kill leaves whole lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.migrate.finish.deletions import Deletions

FILE = ("files", "file-1")


def test_the_last_line_about_an_object_counts(tmp_path: Path) -> None:
    found = Deletions(tmp_path).load()
    found.note(FILE, "asked")
    assert (found.asked(FILE), found.absent(FILE)) == (True, False)
    found.note(FILE, "kept", "it is still there", accepted=True)
    found.note(("files", "file-2"), "kept", "HTTP 403")
    found.note(("files", "file-3"), "deleted")
    again = Deletions(tmp_path).load()
    assert again.known == found.known
    assert (again.asked(FILE), again.asked(("files", "file-2")), again.absent(("files", "file-3"))) == (
        True,
        False,
        True,
    )
    assert again.kept[FILE].reason == "it is still there"
    assert again.counts() == {("files", "kept"): 2, ("files", "deleted"): 1}
    again.note(FILE, "deleted")
    assert FILE not in again.kept


def test_what_a_killed_run_left_of_a_line_is_no_line(tmp_path: Path) -> None:
    found = Deletions(tmp_path).load()
    found.note(FILE, "deleted")
    known = found.sha256()
    with (tmp_path / Deletions.FILE).open("a") as stream:
        stream.write('{"format":"export-del')
    again = Deletions(tmp_path).load()
    assert (again.known, again.sha256()) == (found.known, known)
    again.note(("files", "file-2"), "asked")
    assert len(Deletions(tmp_path).load().known) == 2
    assert again.sha256(found.length) == known


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / Deletions.FILE).write_text('{"format":"export-deletion/1"}\n')
    with pytest.raises(RackwrightError, match=rf"{Deletions.FILE} line 1: a line is damaged"):
        Deletions(tmp_path).load()
