from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rackwright.errors import Problem
from rackwright.lifecycle import audit as procedure
from rackwright.lifecycle.audit import Audit, Noted
from rackwright.state.audit import Act
from tests.cli.command_line import rackwright


def noted(host: str, minute: int, what: str = "drain gpu1/assistant@1: fan") -> Noted:
    when = datetime(2026, 11, 25, 9, minute, tzinfo=UTC)
    who = "ops@desk (anna, SHA256:abc)"
    return Noted(host, Act(time=when, operator=who, run="r1", command="drain", what=what, outcome="done"))


@pytest.fixture
def found(monkeypatch):
    def reads(audit: Audit) -> list[tuple[object, ...]]:
        asked: list[tuple[object, ...]] = []

        def read(fleet, hosts, wanted):
            asked.append((hosts, wanted.who, wanted.run))
            return audit

        monkeypatch.setattr(procedure, "audit", read)
        return asked

    return reads


def test_each_act_is_listed_with_time_host_operator_command_and_outcome(site, found):
    asked = found(Audit((noted("gate1", 1), noted("gpu1", 2)), {}, ()))
    ran = rackwright("-f", site, "audit", "--who", "anna", "--run", "r1")
    assert ran.exit_code == 0
    assert ran.stdout.splitlines() == [
        "2026-11-25T09:01:00Z  gate1  ops@desk (anna, SHA256:abc)  r1  drain",
        "    drain gpu1/assistant@1: fan: done",
        "2026-11-25T09:02:00Z  gpu1   ops@desk (anna, SHA256:abc)  r1  drain",
        "    drain gpu1/assistant@1: fan: done",
    ]
    assert asked == [(("gate1", "gpu1", "gpu2"), "anna", "r1")]


@pytest.mark.parametrize("option", ["--host", "--limit", "-l"])
def test_hosts_and_groups_are_chosen(site, found, option):
    asked = found(Audit((), {}, ()))
    assert rackwright("-f", site, "audit", option, "gpu-nodes").stdout == "no actions\n"
    assert asked[0][0] == ("gpu1", "gpu2")


def test_an_unreachable_host_and_a_damaged_line_are_named(site, found):
    damage = Problem("gpu1: /var/lib/rackwright/audit.log:3", "is damaged: Invalid JSON", next="look at it")
    found(Audit((noted("gpu1", 1),), {}, (damage,)))
    ran = rackwright("-f", site, "audit")
    assert ran.exit_code == 12
    assert ran.stderr == f"{damage.where}: {damage.what}\n  next: look at it\n"
    found(Audit((noted("gpu1", 1),), {"gpu2": "no route to host"}, (damage,)))
    ran = rackwright("-f", site, "audit")
    assert ran.exit_code == 3
    assert "gpu2: its log couldn't be read: no route to host" in ran.stderr
    document = rackwright("-f", site, "audit", "--json").document
    (act,) = document["acts"]
    assert (act["host"], act["time"], act["run"]) == ("gpu1", "2026-11-25T09:01:00Z", "r1")
    assert list(act) == ["host", "format", "time", "operator", "run", "command", "what", "outcome"]
    assert document["unreachable"] == {"gpu2": "no route to host"}
    assert document["damaged"] == [{"where": damage.where, "what": damage.what}]


def test_a_log_cannot_steer_the_terminal(site, found):
    found(Audit((noted("gpu1", 1, "\x1b[2Jgone\x07"),), {}, ()))
    assert "    \\x1b[2Jgone\\x07: done" in rackwright("-f", site, "audit").stdout


def test_what_is_no_time_is_refused_before_a_host_is_asked(site, found):
    asked = found(Audit((), {}, ()))
    ran = rackwright("-f", site, "audit", "--since", "yesterday")
    assert ran.exit_code == 2
    assert "error: --since yesterday: isn't a time; should be like 12h" in ran.stderr
    assert asked == []
