"""The versions that hosts report are given here; tests/roles/test_replica.py tests that engines report them."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle import running_versions as procedure
from rackwright.lifecycle.running_versions import Running, running
from rackwright.remote.completed import Completed
from tests.fleet.fleets import make_fleet

SAID = b"replica=assistant@1\nActiveState=active\nstate=ready\nweights=0123456789abcdef \n"


class StandInRemote:
    """Answers like gpu1 and gpu2; gpu3 doesn't answer."""

    def __init__(self, targets: object) -> None:
        pass

    def __enter__(self) -> StandInRemote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def run_on(
        self, hosts: tuple[str, ...], commands: dict[str, str], *, timeout: float
    ) -> dict[str, Completed | HostError]:
        answers = {"gpu1": Completed(0, SAID, b"", "gpu1"), "gpu2": Completed(0, b"", b"", "gpu2")}
        lost = HostError("no route to host", where="gpu3")
        return {host: answers.get(host, lost) for host in hosts if commands[host]}


@pytest.fixture(autouse=True)
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procedure, "Remote", StandInRemote)


def test_each_replica_says_what_it_runs_or_why_nobody_knows():
    hosts = {f"gpu{number}": ["assistant@1"] for number in (1, 2, 3)} | {"gpu4": ["coder@1"]}
    assert running(make_fleet(Path("/x.yml"), replicas=hosts), "assistant") == (
        Running("gpu1/assistant@1", "ready", ("0123456789abcdef",)),
        Running("gpu2/assistant@1", None),
        Running("gpu3/assistant@1", None, unreachable="no route to host"),
    )


def test_a_model_without_replicas_asks_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(procedure, "Remote", None)
    assert running(make_fleet(Path("/x.yml"), replicas={"gpu1": ["coder@1"]}), "assistant") == ()
