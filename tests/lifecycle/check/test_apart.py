from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.lifecycle.check.apart import Trial, trials
from rackwright.lifecycle.check.requirements import judge, parse, script
from rackwright.lifecycle.check.result import Condition, State
from rackwright.roles.backup.settings import Repository, Settings
from tests.lifecycle.check.test_requirements import GOOD, HOST

CONFINE = "limit each host's login to its own folder, as docs/backup.md shows under Keep hosts apart"


def saved(name: str, *repositories: str) -> HostSpec:
    places = tuple(Repository(name=each, url=f"sftp:{name}@vault:/{each}/{name}") for each in repositories)
    return replace(HOST, name=name, backup=Settings(host=name, repositories=places, sources=(), must=()))


SPECS = {name: saved(name, "one", "two") for name in ("gate1", "gpu1", "gpu2")}


def test_each_host_tries_the_next_one_at_every_repository() -> None:
    found = {name: [(one.repository, one.other) for one in trials(SPECS, name)] for name in SPECS}
    assert found == {
        "gate1": [("one", "gpu1"), ("two", "gpu1")],
        "gpu1": [("one", "gpu2"), ("two", "gpu2")],
        "gpu2": [("one", "gate1"), ("two", "gate1")],
    }
    assert "sftp:gpu2@vault:/two/gpu2" in trials(SPECS, "gpu1")[1].question


def test_a_host_without_backups_and_a_host_alone_try_nothing() -> None:
    assert trials({"gate1": SPECS["gate1"], "gpu1": HOST}, "gate1") == ()
    assert trials({"gate1": SPECS["gate1"], "gpu1": HOST}, "gpu1") == ()


@pytest.mark.parametrize(
    ("said", "condition"),
    [
        ("0 10", (State.OK, "one: it can't open gpu1's repository", None)),
        ("0 0", (State.FAILED, "one: it can read gpu1's snapshots", CONFINE)),
        ("0 12", (State.FAILED, "one: the server gives it gpu1's repository; only the password stops it", CONFINE)),
        ("", (State.WARNING, "one: not tried on gpu1's repository: apply installs the backups first", None)),
        (
            "1 1",
            (
                State.WARNING,
                "one: not proven that it can't open gpu1's repository: its own doesn't open, or the server is slow",
                "rackwright backup list gate1",
            ),
        ),
    ],
)
def test_what_comes_of_it_names_both_hosts(said: str, condition: tuple[State, str, str | None]) -> None:
    asked = (Trial("one", "gpu1", "true"),)
    conditions = judge(SPECS["gate1"], parse(f"{GOOD}other one {said}\n"), 1000.0, trials=asked)
    (found,) = (one for one in conditions if one.what == "backup")
    assert found == Condition("gate1", "backup", *condition)


def test_the_script_asks_all_at_once_and_waits_for_each(tmp_path: Path) -> None:
    other = tmp_path / "other"
    waits = f"for i in $(seq 600); do [ ! -e {other} ] || break; sleep 0.05; done; [ -e {other} ] && echo 0 && echo 1"
    asked = (Trial("one", "gpu1", waits), Trial("two", "gpu1", f"touch {other}; echo 0; echo 12"))
    text = script(SPECS["gate1"], trials=asked)
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
    assert set(parse(done.stdout).values["other"]) == {"one 0 1", "two 0 12"}
