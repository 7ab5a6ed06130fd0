from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import LeasedError, RackwrightError
from rackwright.state.formats import NewerFormat
from rackwright.state.lease import Owner
from rackwright.state.lease_session import LeaseSession, now
from rackwright.state.rollout import (
    AnyRollout,
    HostPart,
    HostRollout,
    Rollout,
    parse_rollout,
    read_rollout,
    write_rollout,
)
from rackwright.state.store import FileStore
from tests.shells import LocalShell

LOCK = {"format": "lock/1", "fleet": "acme", "models": {}, "runtimes": {}, "ports": {}}
UPDATE: dict[str, Any] = {
    "format": "rollout/1",
    "id": "r1",
    "what": "model update assistant",
    "who": "ada@desk",
    "when": "2026-11-25T04:05:01Z",
    "models": ["assistant"],
    "units": {"gpu1/assistant@1": "a" * 64},
    "due": ["gpu1/assistant@1"],
    "taken": ["gpu1/assistant@1"],
    "files": "b" * 64,
    "before": LOCK,
    "after": LOCK,
}
"""As the first version of rackwright with rollouts wrote it."""
REBOOT: dict[str, Any] = {
    "format": "host-rollout/1",
    "procedure": "reboot",
    "id": "r1",
    "what": "apply --reboot",
    "who": "ada@desk",
    "when": "2026-11-25T04:05:01Z",
    "hosts": [{"name": "gpu1", "why": "no module runs", "boot": "id\n1.2\n3"}],
}


def told(document: dict[str, Any], **changes: Any) -> str:
    return json.dumps({**document, **changes})


# Which procedure opened it.


def test_a_document_of_an_update_is_read_as_it_always_was() -> None:
    read = parse_rollout(told(UPDATE), "rollout r1")
    assert isinstance(read, Rollout)
    assert (read.models, read.due) == (("assistant",), ("gpu1/assistant@1",))
    assert (read.outages, read.idle, read.canaries, read.commit) == ((), (), (), None)


def test_a_document_of_a_change_of_hosts_is_read() -> None:
    read = parse_rollout(told(REBOOT), "rollout r1")
    assert isinstance(read, HostRollout)
    assert read.procedure == "reboot"
    assert read.hosts == (HostPart(name="gpu1", why="no module runs", boot="id\n1.2\n3"),)
    assert (read.outages, read.hosts[0].replicas, read.hosts[0].idle) == ((), (), ())


@pytest.mark.parametrize("document", [UPDATE, REBOOT])
def test_what_it_is_does_not_depend_on_what_stands_in_it(document: dict[str, Any]) -> None:
    """A command or a lock may look like the name of a format."""
    other = '"format": "host-rollout/1", "format": "rollout/2"'
    assert type(parse_rollout(told(document, what=other), "r1")) is type(parse_rollout(told(document), "r1"))


@pytest.mark.parametrize("document", [UPDATE, REBOOT])
def test_keys_that_a_later_version_added_are_ignored(document: dict[str, Any]) -> None:
    assert parse_rollout(told(document, soaked=3), "r1") == parse_rollout(told(document), "r1")


# What can't be read.


@pytest.mark.parametrize("kind", ["rollout", "host-rollout"])
def test_a_newer_format_is_refused(kind: str) -> None:
    newer = told(REBOOT if kind == "host-rollout" else UPDATE, format=f"{kind}/2")
    with pytest.raises(NewerFormat) as caught:
        parse_rollout(newer, "rollout r1")
    (problem,) = caught.value.problems
    assert (problem.where, problem.what) == ("rollout r1", f"was written by a newer rackwright ({kind}/2)")
    assert problem.next == "install the newer version of rackwright"


def test_a_procedure_that_this_version_lacks_is_refused() -> None:
    with pytest.raises(NewerFormat, match=r"rollout r1: was written by a newer rackwright \(network-rollout\)"):
        parse_rollout(told(REBOOT, format="network-rollout/1"), "rollout r1")


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("", "rollout/1"),
        ("{}", "rollout/1"),
        ("[]", "rollout/1"),
        (told(UPDATE)[:-40], "rollout/1"),
        (told(REBOOT)[:-10], "host-rollout/1"),
        (told(UPDATE, models=7), "rollout/1"),
        (told(REBOOT, hosts=[{"name": "gpu1"}]), "host-rollout/1"),
        (told(REBOOT, hosts=[{"name": "../gpu1", "why": "", "boot": ""}]), "host-rollout/1"),
        (told(REBOOT, procedure="dance"), "host-rollout/1"),
        (told(REBOOT, when="0001-01-01T00:00:00Z"), "host-rollout/1"),
    ],
)
def test_a_damaged_document_is_refused(text: str, format: str) -> None:
    with pytest.raises(RackwrightError, match=rf"rollout r1: is damaged: .*; should be of format {format}") as caught:
        parse_rollout(text, "rollout r1")
    assert not isinstance(caught.value, NewerFormat)


# On the control host.

ADA = Owner(who="ada@desk", machine="desk", why="apply", run="r1")


@pytest.mark.parametrize("document", [UPDATE, REBOOT])
def test_what_is_stored_is_read_again(tmp_path: Path, document: dict[str, Any]) -> None:
    store = FileStore(LocalShell(), str(tmp_path))
    rollout: AnyRollout = parse_rollout(told(document), "r1")
    write_rollout(LeaseSession(store, store.acquire(ADA), now()), rollout)
    assert read_rollout(store, "r1") == rollout


def test_without_the_lease_nothing_is_stored(tmp_path: Path) -> None:
    store = FileStore(LocalShell(), str(tmp_path))
    lease_session = LeaseSession(store, store.acquire(ADA), now())
    store.release(lease_session.lease)
    with pytest.raises(LeasedError):
        write_rollout(lease_session, parse_rollout(told(REBOOT), "r1"))
    with pytest.raises(RackwrightError, match="is missing"):
        read_rollout(store, "r1")


def test_a_rollout_of_which_nothing_is_kept_can_still_be_left(tmp_path: Path) -> None:
    store = FileStore(LocalShell(), str(tmp_path))
    with pytest.raises(RackwrightError, match=r"the file of the rollout r1 is missing(.|\n)*rollout abort --leave"):
        read_rollout(store, "r1")
