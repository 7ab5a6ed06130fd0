from __future__ import annotations

import hashlib

from rackwright.operations.facts.drop_in import Assignment, DropIns
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.roles.core_dumps.role import core_dumps
from rackwright.roles.core_dumps.settings import COREDUMP, LIMITS, Settings
from tests.fakes import play


def written() -> dict[str, str]:
    """Return the files that a fresh host gets, by path."""
    played = play(core_dumps, settings=Settings(), facts={PathState: None})
    return {path.removesuffix(".rackwright-new"): text for path, text in played.uploads.items()}


def as_wanted() -> dict[object, object]:
    return {
        (PathState, path): Found("regular file", 0o644, "root", "root", hashlib.sha256(text.encode()).hexdigest())
        for path, text in written().items()
    }


def test_neither_a_login_nor_systemd_writes_one() -> None:
    assert written()[LIMITS].splitlines()[1:] == ["* hard core 0", "root hard core 0"]
    assert written()[COREDUMP].splitlines()[1:] == ["[Coredump]", "Storage=none", "ProcessSizeMax=0"]


def test_a_second_run_changes_nothing() -> None:
    played = play(core_dumps, settings=Settings(), facts=as_wanted())
    assert (played.commands, played.notes) == ([], {})


def test_a_later_file_that_keeps_dumps_is_named() -> None:
    later = Assignment("/etc/systemd/coredump.conf.d/90-site.conf", "Storage", "external")
    played = play(core_dumps, settings=Settings(), facts={**as_wanted(), DropIns: (later,)})
    assert list(played.notes.values()) == [
        f"{later.file} sets Storage=external, and is read after rackwright's (none)"
    ]


def test_what_is_not_managed_is_not_even_looked_at() -> None:
    assert play(core_dumps, settings=Settings(manage="no"), facts={}).operations == []
