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
FLEET: Any = SimpleNamespace(control=HOSTS)


@pytest.fixture
def hosts(tmp_path: Path) -> FolderHosts:
    return FolderHosts({name: FolderShell(name=name, var=str(tmp_path / name)) for name in HOSTS})


def applied(run: str, hours: int) -> Applied:
    when = NOW + timedelta(hours=hours)
    return Applied(About(fleet_file="site.yml", who="anna", run=run, when=when), {"site.yml": b"fleet: acme\n"})


def last(hosts: Any) -> str | None:
    found = last_applied(hosts, FLEET)
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
