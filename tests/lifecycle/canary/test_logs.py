"""Reading the gateways' logs as they grow: real sh and grep, and a stand-in for journalctl."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.canary.logs import AccessLogs, of_canary, parse_lines, read_command
from rackwright.remote.completed import Completed
from tests.lifecycle.canary.lines import WRITTEN

STAND_IN = """#!/bin/sh
# A stand-in for journalctl: prints the file, and a cursor as the real one does, where there is any line after it.
echo "$@" >>{folder}/asked
for word in "$@"; do case $word in --after-cursor=*) after=${{word#--after-cursor=}} ;; esac; done
tail -n "+$((${{after:-0}} + 1))" {folder}/journal
[ "$(wc -l <{folder}/journal)" -le "${{after:-0}}" ] || echo "-- cursor: $(wc -l <{folder}/journal | tr -d ' ')"
"""


@dataclass
class Gateway:
    folder: Path
    gone: bool = False

    def write(self, **said: object) -> None:
        with (self.folder / "journal").open("a") as journal:
            journal.write(json.dumps({**WRITTEN, **said}, separators=(",", ":")) + "\n")

    @property
    def asked(self) -> str:
        return (self.folder / "asked").read_text().splitlines()[-1]


@dataclass
class Remote:
    gateways: dict[str, Gateway]
    timeouts: list[float] = field(default_factory=list)

    def run_on(self, names: tuple[str, ...], commands: dict[str, str], *, timeout: float) -> dict[str, Any]:
        return {name: self._run(name, commands[name], timeout) for name in names}

    def _run(self, name: str, command: str, timeout: float) -> Completed | HostError:
        gateway = self.gateways[name]
        if gateway.gone:
            return HostError("unreachable", where=name)
        path = {"PATH": f"{gateway.folder}:/usr/bin:/bin"}
        done = subprocess.run(["sh", "-c", command], capture_output=True, env=path, timeout=timeout, check=False)
        return Completed(done.returncode, done.stdout, done.stderr, name)


@pytest.fixture
def gateways(tmp_path: Path) -> dict[str, Gateway]:
    made = {}
    for name in ("gate1", "gate2"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "journal").touch()
        (folder / "journalctl").write_text(STAND_IN.format(folder=folder))
        (folder / "journalctl").chmod(0o755)
        made[name] = Gateway(folder)
    return made


@pytest.fixture
def logs(gateways: dict[str, Gateway]) -> AccessLogs:
    session = SimpleNamespace(remote=Remote(gateways), fleet=SimpleNamespace(gateways=tuple(gateways)))
    made = AccessLogs(session, of_canary("assistant"))  # type: ignore[arg-type]
    made.begin()
    return made


def test_only_what_is_new_and_was_dealt_out_is_read_of_all_gateways(gateways, logs):
    gateways["gate1"].write(conversation=1)
    gateways["gate1"].write(canary=None, conversation=None)
    gateways["gate1"].write(model="coder", conversation=2)
    gateways["gate2"].write(canary=False, conversation=3)
    assert sorted((one.conversation, one.canary) for one in logs.read()) == [(1, True), (3, False)]
    assert logs.read() == []
    gateways["gate2"].write(conversation=4)
    assert [one.conversation for one in logs.read()] == [4]


def test_it_begins_with_the_gateways_own_time(gateways, logs):
    logs.read()
    assert "--since=@" in gateways["gate1"].asked
    assert "--output=cat --show-cursor -t rackwright-access -p info..info" in gateways["gate1"].asked
    gateways["gate1"].write()
    logs.read()
    logs.read()
    assert "--after-cursor=1" in gateways["gate1"].asked


def test_of_a_gateway_that_was_away_nothing_is_lost_nor_read_twice(gateways, logs):
    gateways["gate1"].write(conversation=1)
    gateways["gate2"].write(conversation=2)
    gateways["gate2"].gone = True
    with pytest.raises(HostError, match="gate2: unreachable"):
        logs.read()
    gateways["gate2"].gone = False
    assert sorted(one.conversation for one in logs.read() if one.conversation) == [1, 2]


def test_a_log_that_can_not_be_read_is_not_an_empty_one(gateways, logs):
    (gateways["gate1"].folder / "journalctl").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(HostError, match="gate1: journalctl failed"):
        logs.read()


def test_a_line_that_was_cut_short_is_left_out():
    lines, cursor = parse_lines(json.dumps(WRITTEN) + '\n{"format":"access/1","ti\n-- cursor: s=1;i=2\n')
    assert (len(lines), cursor) == (1, "s=1;i=2")


def test_a_model_whose_name_begins_alike_is_another():
    written = [json.dumps({**WRITTEN, "model": model}, separators=(",", ":")) + "\n" for model in ("chat2", "chat")]
    script = f"journalctl() {{ cat; }}\n{read_command(of_canary('chat'), '--since=@1')}"
    found = subprocess.run(["sh", "-c", script], input="".join(written), capture_output=True, text=True, check=True)
    assert [one.model for one in parse_lines(found.stdout)[0]] == ["chat"]
