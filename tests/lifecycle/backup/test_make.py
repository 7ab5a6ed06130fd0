from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from rackwright.errors import FleetError, HostsFailed, UsageError
from rackwright.lifecycle.apply.plan import first_snapshots, refuse_restic
from rackwright.lifecycle.backup.destinations import places
from rackwright.lifecycle.backup.make import Made, ResticProgress, Verb, _problem, _watched, make, make_first
from rackwright.lifecycle.backup.snapshots import listed
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey
from rackwright.remote.completed import Completed
from rackwright.roles.backup.settings import Repository, Settings
from rackwright.roles.backup.state import BackupState, FoundRepository, RepositoryState

SETTINGS = Settings(
    host="gate1",
    repositories=tuple(Repository(name=name, url=f"/srv/{name}/gate1") for name in ("one", "two")),
    sources=(),
    must=(),
)
GOOD = RepositoryState("one", snapshot="a", snapshot_age=1, check_at="2026-11-25T02:30:00Z", check_age=1)


def session(**hosts: Settings | None) -> Session:
    models = {name: SimpleNamespace(backup=settings) for name, settings in hosts.items()}
    return cast(Session, SimpleNamespace(hosts=models))


def surveyed(*states: RepositoryState, restic: str | None = "0.18.0") -> Survey:
    known = BackupState({state.name: state for state in states}, restic)
    return cast(Survey, SimpleNamespace(hosts={"gate1": SimpleNamespace(backup=known)}))


def test_a_first_snapshot_is_due_where_no_good_one_is_known() -> None:
    assert list(first_snapshots(session(gate1=SETTINGS), surveyed(GOOD))) == [("gate1", "two")]
    tried = replace(GOOD, name="two", snapshot=None, failures=("the last snapshot failed: x",))
    assert list(first_snapshots(session(gate1=SETTINGS), surveyed(GOOD, tried))) == [("gate1", "two")]
    assert list(first_snapshots(session(gate1=SETTINGS), surveyed(GOOD, replace(GOOD, name="two")))) == []
    assert list(first_snapshots(session(gate1=None), surveyed())) == []


def test_hosts_that_only_restore_make_no_snapshot() -> None:
    only = session(gate1=SETTINGS.model_copy(update={"snapshots": False}), gpu1=None)
    assert list(first_snapshots(only, surveyed())) == []
    with pytest.raises(UsageError, match=r"backup\.snapshots: is no: these hosts only restore; should be yes"):
        make(only, "run", (("gate1", "one"),), cast(Console, None))


def test_an_old_restic_is_refused_only_where_it_is_needed() -> None:
    refuse_restic(session(gate1=SETTINGS), surveyed())
    refuse_restic(session(gate1=SETTINGS), surveyed(restic=None))
    refuse_restic(session(gate1=None), surveyed(restic="0.16.4"))
    with pytest.raises(FleetError, match=r"gate1: backup: restic 0\.16\.4 is too old; should be 0\.17\.0 or newer"):
        refuse_restic(session(gate1=SETTINGS), surveyed(restic="0.16.4"))


@pytest.mark.parametrize(
    ("found", "next"),
    [
        (None, None),
        (FoundRepository("abc", 2), "rackwright restore gate1, or rackwright backup run gate1 --to one --adopt"),
        (FoundRepository("abc"), "rackwright backup run gate1 --to one --adopt"),
    ],
)
def test_a_refused_snapshot_says_what_to_do(found: FoundRepository | None, next: str | None) -> None:
    assert Made("gate1", "one", replace(GOOD, found=found), "refused").next == next
    assert Made("gate1", "one", replace(GOOD, found=found), None).next is None


def test_a_first_snapshot_that_is_refused_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = replace(GOOD, snapshot=None, found=FoundRepository("abc", 2))
    results = (Made("gate1", "one", refused, "refused"), Made("gate1", "two", GOOD, "no space"))
    monkeypatch.setattr("rackwright.lifecycle.backup.make.make", lambda *_: results)
    error = make_first(session(), (), cast(Console, None))
    assert isinstance(error, HostsFailed)
    assert [problem.next for problem in error.problems] == [
        "rackwright restore gate1, or rackwright backup run gate1 --to one --adopt",
        "rackwright backup run gate1",
    ]


def test_places_are_those_of_the_hosts_and_the_repository_asked_for() -> None:
    asked = session(gate1=SETTINGS, gpu1=None)
    assert places(asked) == (("gate1", "one"), ("gate1", "two"))
    assert places(asked, "two") == (("gate1", "two"),)
    with pytest.raises(UsageError, match="three: no repository of that name; should be one of one, two"):
        places(asked, "three")
    with pytest.raises(UsageError, match="the fleet file sets no backup"):
        places(session(gate1=None))


@pytest.mark.parametrize(
    ("verb", "after", "problem"),
    [
        ("run", replace(GOOD, snapshot="b"), None),
        ("run", GOOD, "the unit ended without a new snapshot"),
        ("run", replace(GOOD, snapshot="b", failures=("the last snapshot failed: full",)), "full"),
        ("run", replace(GOOD, snapshot="b", failures=("the last check failed: damaged",)), None),
        ("run", replace(GOOD, failures=("the last snapshot ended by signal",)), "the last snapshot ended by signal"),
        ("check", replace(GOOD, check_at="2026-11-25T03:30:00Z"), None),
        ("check", GOOD, "the unit ended without a check"),
        ("check", replace(GOOD, failures=("the last check failed: damaged",)), "damaged"),
    ],
)
def test_what_came_of_it_is_judged_by_what_the_host_knows(
    verb: Verb, after: RepositoryState, problem: str | None
) -> None:
    assert _problem(verb, GOOD, after) == problem


def test_a_snapshot_is_listed_with_its_author_whoever_made_it() -> None:
    snapshot = {"id": "f00", "time": "2026-11-25T03:31:07.285703663+01:00", "hostname": "gate1", "username": "root"}
    shown = [{**snapshot, "summary": {"total_files_processed": 1, "total_bytes_processed": 2}}]
    shown += [{**snapshot, "id": "bad", "hostname": "gpu1"}, {**snapshot, "id": "user", "username": ""}]
    asked: list[str] = []

    def run(command: str, **_: object) -> Completed:
        asked.append(command)
        return Completed(0, json.dumps(shown).encode())

    reached = session(gate1=SETTINGS)
    reached.remote = SimpleNamespace(  # type: ignore[misc, assignment]
        connection=lambda _: SimpleNamespace(run=run), each=lambda names, ask: [ask(name) for name in names]
    )
    found, problems = listed(reached, [("gate1", "one")])
    assert not problems
    assert {one.id: (one.author, one.foreign) for one in found} == {
        "f00": ("root@gate1", False),
        "bad": ("root@gpu1", True),
        "user": ("nobody@gate1", True),
    }
    assert "--host" not in asked[0]


_SYSTEMCTL = """#!/bin/sh
# A stand-in: the unit starts after the first question that follows `start`, and has ended after the fifth.
case $1 in
  is-active) exit 3 ;;
  start) echo 0 >asked ;;
  show)
    [ -e asked ] && echo $(($(cat asked) + 1)) >asked
    asked=$(cat asked 2>/dev/null || echo 0)
    if [ "$asked" -le 1 ]; then set -- "$3" inactive before
    elif [ "$asked" -le 5 ]; then set -- "$3" activating after
    else set -- "$3" inactive after; fi
    case $1 in ActiveState) echo "$2" ;; *) echo "$3" ;; esac ;;
esac
"""


def test_a_unit_that_starts_while_it_is_looked_at_is_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "systemctl"
    program.write_text(_SYSTEMCTL)
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"

    def run(command: str) -> Completed:
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env={"PATH": path}, capture_output=True, check=True
        )
        return Completed(0, done.stdout)

    reached = session(gate1=SETTINGS)
    reached.remote = SimpleNamespace(connection=lambda _: SimpleNamespace(run=run))  # type: ignore[misc, assignment]
    monkeypatch.setattr("rackwright.lifecycle.backup.make.POLL_SECONDS", 0)
    show = ResticProgress(cast(Console, None), "gate1: snapshot at one")
    assert _watched(reached, "run", ("gate1", "one"), show, lambda: False) is None
    assert int((tmp_path / "asked").read_text()) > 5


def test_progress_is_told_at_every_tenth() -> None:
    said: list[str] = []
    tell = ResticProgress(cast("object", SimpleNamespace(say=said.append)), "gate1: snapshot at one")  # type: ignore[arg-type]
    for done in (0.01, 0.11, 0.15, 0.2):
        status = {"message_type": "status", "percent_done": done, "bytes_done": done * 10**9, "total_bytes": 10**9}
        tell(json.dumps({**status, "seconds_remaining": 75}))
    for other in ("", "{half", "[]", '{"message_type":"summary"}'):
        tell(other)
    assert said == [
        "gate1: snapshot at one: 110.0 MB of 1.0 GB, 1 min 15 s left",
        "gate1: snapshot at one: 200.0 MB of 1.0 GB, 1 min 15 s left",
    ]
