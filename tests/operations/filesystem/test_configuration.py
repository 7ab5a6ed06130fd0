from __future__ import annotations

from rackwright.operations.facts.drop_in import Assignment, DropIns
from rackwright.operations.filesystem.configuration import unopposed
from tests.fakes import Played, play

_FOLDER = "/etc/systemd/journald.conf.d"


def look(*found: Assignment) -> Played:
    def role() -> None:
        unopposed(name="Look", path=f"{_FOLDER}/60-rackwright.conf", wanted={"A": "1", "B": "2"})

    return play(role, facts={(DropIns, "systemd/journald.conf.d"): found})


def test_a_later_file_that_sets_the_same_key_otherwise_is_named_and_left() -> None:
    played = look(Assignment(f"{_FOLDER}/90-site.conf", "A", "7"), Assignment("/run/systemd/x/95-b.conf", "B", "8"))
    assert played.notes == {
        "Look": f"{_FOLDER}/90-site.conf sets A=7, and is read after rackwright's (1)\n"
        "/run/systemd/x/95-b.conf sets B=8, and is read after rackwright's (2)"
    }
    assert played.commands == []


def test_what_is_read_before_ours_or_says_the_same_or_something_else_is_no_matter() -> None:
    early = Assignment(f"{_FOLDER}/10-site.conf", "A", "7")
    same = Assignment(f"{_FOLDER}/90-site.conf", "A", "1")
    other = Assignment(f"{_FOLDER}/90-site.conf", "C", "7")
    assert look(early, same, other).notes == {}
