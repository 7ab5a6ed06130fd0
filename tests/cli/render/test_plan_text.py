"""A plan as the operator reads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rackwright.cli.render.plan_text import plan_view
from rackwright.fleet.fleet import Replica
from rackwright.fleet.fleet_file import FleetFile
from rackwright.lifecycle.apply.effects import ModelRestart
from rackwright.lifecycle.apply.plan import Plan, Restart
from rackwright.lifecycle.apply.retiring import Retirement, Retiring
from rackwright.lifecycle.session.survey import Survey
from rackwright.run import Outcome, Run, Step
from tests.fleet.fleets import make_fleet

GPU1 = Replica("assistant", 1, "gpu1", 1)
EMPTY = Plan(Run((Step("gate1", "gateway", "Write", Outcome.UNCHANGED),)), {}, (), (), (), (), (), Survey({}, {}))
EMPTY = replace(EMPTY, pace="one at a time", gateways=("gate1",))


FLEET = make_fleet(Path("site.yml")).file
NAMES = ["gpt-4o-mini", "gpt-4o"]
CLOUDS = {"openai": {"url": "https://api.openai.com/v1", "key": "env:KEY", "names": NAMES}}


def seen(plan: Plan, fleet: FleetFile = FLEET, *, diff: bool = False) -> str:
    return "\n".join(plan_view(plan, fleet, diff=diff))


def changes(*roles: str, host: str = "gate1") -> Run:
    return Run(tuple(Step(host, role, "Write", Outcome.WOULD_CHANGE, diff="old becomes new") for role in roles))


def noticed(plan: Plan, fleet: FleetFile = FLEET) -> list[str]:
    text = seen(plan, fleet).split("what clients notice:\n")[1]
    return [line.strip() for line in text.split("\n\n")[0].splitlines()]


def test_a_plan_without_changes_says_only_that() -> None:
    assert seen(EMPTY) == "gate1: nothing would change\n\nnothing would change; 1 unchanged"


def test_it_ends_with_what_clients_notice_and_where_the_rest_is() -> None:
    assert (
        seen(replace(EMPTY, run=changes("journald")))
        == """\
gate1: 1 change
  journald  Write

1 change on 1 host; 0 unchanged

what clients notice:
  nothing

every operation, with the differences in files: rackwright plan --diff"""
    )


def test_with_diff_every_operation_is_there_with_its_difference() -> None:
    text = seen(replace(EMPTY, run=changes("journald")), diff=True)
    assert "  journald\n    ~ Write\n        old becomes new\n" in text
    assert "--diff" not in text


def test_clients_notice_gateways_and_no_role_of_other_hosts() -> None:
    assert noticed(replace(EMPTY, run=changes("firewall", "gateway", "vip"))) == [
        "gate1: its packet filter changes: see who gets in",
        "gate1: the gateway starts, or reloads and finishes the requests in flight",
        "gate1: keepalived starts or reloads",
    ]
    assert noticed(replace(EMPTY, run=changes("certificate"))) == [
        "gate1: the gateway starts, or reloads and finishes the requests in flight"
    ]
    assert noticed(replace(EMPTY, run=changes("firewall", "host_proxy", host="gpu1"))) == ["nothing"]


def test_a_change_of_a_gateway_says_which_requests_go_to_a_cloud() -> None:
    changed = replace(EMPTY, run=changes("gateway"))
    unused = make_fleet(Path("site.yml"), clouds=CLOUDS).file
    document = unused.model_dump(mode="json", by_alias=True, exclude_unset=True)
    used = FleetFile.model_validate({**document, "models": {"chat": {"cloud": "openai", "names": NAMES}}})
    assert noticed(changed, used)[1:] == ["requests for gpt-4o, gpt-4o-mini go to the cloud openai"]
    assert noticed(changed, unused)[1:] == ["no request goes to the cloud openai"]
    assert noticed(replace(EMPTY, run=changes("journald")), used) == ["nothing"]


def test_restarts_say_how_many_at_a_time_and_whether_others_serve() -> None:
    restarts = (ModelRestart("a", 2, others_serve=True), ModelRestart("b", 1, others_serve=True))
    last = ModelRestart("c", 1, others_serve=False)
    restarting = replace(EMPTY, restarts=(Restart(GPU1, "why"),), model_restarts=(*restarts, last))
    assert noticed(restarting) == [
        "a: 2 engines restart, one at a time, while others serve",
        "b: 1 engine restarts while others serve",
        "c: the only replica that serves restarts: downtime, which needs --allow-outage",
    ]
    assert seen(restarting).startswith("engines that would be drained and restarted:\n  gpu1/assistant@1: why\n\n")


def test_a_move_without_room_for_both_is_downtime() -> None:
    leaving = Retirement((Retiring(GPU1, 8100, "its GPUs are needed on gpu1"),), ("assistant",))
    moving = replace(EMPTY, run=changes("gateway"), retirement=leaving)
    assert noticed(moving)[0] == "no replica of assistant serves while it moves: planned downtime"
    assert "gpu1/assistant@1: stops first: its GPUs are needed on gpu1" in seen(moving)
