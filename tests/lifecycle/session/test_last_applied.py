"""Which copy of the applied fleet counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.session.last_applied import last_applied
from rackwright.state.applied import About, Applied, write_applied
from tests.shells import FolderHosts, FolderShell

HOSTS = ("gate1", "gpu1", "gpu2")
NOW = datetime(2026, 12, 1, tzinfo=UTC)
FIVE = ("ctl1", "ctl2", "ctl3", "ctl4", "ctl5")


@pytest.fixture
def hosts(tmp_path: Path) -> FolderHosts:
    return folders(tmp_path, HOSTS)


def folders(path: Path, names: tuple[str, ...]) -> FolderHosts:
    return FolderHosts({name: FolderShell(name=name, var=str(path / name)) for name in names})


def applied(run: str, hours: int) -> Applied:
    when = NOW + timedelta(hours=hours)
    return Applied(About(fleet_file="site.yml", who="anna", run=run, when=when), {"site.yml": b"fleet: acme\n"})


def last(hosts: Any, names: tuple[str, ...] = HOSTS, out: tuple[str, ...] = ()) -> str | None:
    """Return the run whose copy counts; the control hosts `out` are out of service."""
    fleet: Any = SimpleNamespace(control=tuple(name for name in names if name not in out), control_hosts=names)
    found = last_applied(hosts, fleet)
    return found.about.run if found else None


def test_a_host_that_was_down_has_an_older_one(hosts: FolderHosts) -> None:
    assert last(hosts) is None
    write_applied(hosts.connection("gate1"), applied("before", 0))
    for name in ("gpu1", "gpu2"):
        write_applied(hosts.connection(name), applied("last", 1))
    assert last(hosts) == "last"


def test_a_slow_clock_does_not_make_the_last_one_older(hosts: FolderHosts) -> None:
    """gate1 was down while two others got the files, from a laptop whose clock is an hour behind."""
    write_applied(hosts.connection("gate1"), applied("before", 1))
    for name in ("gpu1", "gpu2"):
        write_applied(hosts.connection(name), applied("last", 0))
    assert last(hosts) == "last"


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        # Later letters are newer. ctl1 and ctl2 were down when the others got the last files.
        ("AABBB", "B"),
        ("AAB??", "B"),
        ("AA?B?", "B"),
        ("A?BB?", "B"),
        ("AA???", "A"),
        # A clock was ahead, so that the copy on one or two hosts only looks newer.
        ("CCBBB", "B"),
        ("C-BB?", "B"),
        # Nobody knows. An apply that was interrupted had changed hosts before it wrote its files.
        ("AABBC", "C"),
        ("A-B--", "B"),
        ("-----", None),
    ],
)
def test_of_five_the_copy_counts_that_could_be_on_more_than_half(
    tmp_path: Path, copies: str, expected: str | None
) -> None:
    """`?` doesn't answer or is out of service, `-` has no copy."""
    hosts = folders(tmp_path, FIVE)
    out = tuple(name for name, copy in zip(FIVE, copies, strict=True) if copy == "?")
    for name, copy in zip(FIVE, copies, strict=True):
        if copy == "?":
            hosts.connection(name).gone = True
        elif copy != "-":
            write_applied(hosts.connection(name), applied(copy, ord(copy)))
    assert last(hosts, FIVE) == expected
    assert last(hosts, FIVE, out=out) == expected


def test_a_damaged_copy_counts_only_if_there_is_no_other(hosts: FolderHosts) -> None:
    write_applied(hosts.connection("gate1"), applied("last", 0))
    Path(hosts.connection("gate1").var, "fleet", "applied.json").write_text("{")
    with pytest.raises(RackwrightError, match="is damaged"):
        last(hosts)
    write_applied(hosts.connection("gpu1"), applied("last", 0))
    assert last(hosts) == "last"


def test_those_that_answer_are_enough_and_one_must(hosts: FolderHosts) -> None:
    write_applied(hosts.connection("gpu2"), applied("last", 1))
    for name in ("gate1", "gpu1"):
        hosts.connection(name).gone = True
    assert last(hosts) == "last"
    hosts.connection("gpu2").gone = True
    with pytest.raises(HostError, match="gate1: unreachable"):
        last(hosts)
