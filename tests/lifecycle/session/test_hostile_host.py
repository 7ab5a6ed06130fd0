"""One host of three answers with garbage: it is unreachable, and the others are reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rackwright.cli.plan import plan_document
from rackwright.cli.render.plan_text import plan_view
from rackwright.cli.status import _lines
from rackwright.lifecycle.apply.plan import plan
from rackwright.lifecycle.status.parts import HostState
from rackwright.lifecycle.status.procedure import status
from tests.lifecycle.hostile import HOSTILE, session_with

GARBAGE = {
    "words": b"motd: be good",
    "lines": b"a b c d e f g h\n" * 3,
    "binary": bytes(range(256)),
    "fields": b"state \nnow now\n-- stat\nx\n== drain x\n{}\nuser \n",
    "numbers": b"/proc/1e999/cgroup\nnow " + b"9" * 5000,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_status_goes_on(garbage: bytes, tmp_path: Path) -> None:
    found = status(session_with(lambda _: garbage, tmp_path))
    assert [(host.host, host.state) for host in found.hosts] == [
        ("gate1", HostState.OK),
        ("gpu1", HostState.OK),
        (HOSTILE, HostState.UNREACHABLE),
    ]
    reason = "host gpu2: unreachable: answered something that rackwright can't read: the survey at: ours before"
    assert reason in "\n".join(_lines(found))


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_plan_goes_on(garbage: bytes, tmp_path: Path) -> None:
    session = session_with(lambda _: garbage, tmp_path)
    planned = plan(session)
    assert set(planned.surveyed.hosts) == {"gate1", "gpu1"}
    assert planned.run.failed_hosts == (HOSTILE,)
    assert "can't read: the survey at: ours before" in "\n".join(plan_view(planned, session.fleet.file))
    assert HOSTILE in json.dumps(plan_document(planned, session.fleet.file))
