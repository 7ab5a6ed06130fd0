"""What status shows about a replica's traffic, and when it calls a fleet healthy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from rackwright.errors import HostError
from rackwright.gateway import CanaryShare, DrainRecord, LeftRecord, ServerState
from rackwright.gateway.usage import Usages
from rackwright.lifecycle.status.parts import (
    Drained,
    HostState,
    HostStatus,
    KitStatus,
    ReplicaStatus,
    Status,
    TrafficState,
)
from rackwright.lifecycle.status.replicas import added_reuse
from rackwright.lifecycle.status.saved import backups, kits
from rackwright.lifecycle.status.traffic import traffic_of
from rackwright.lifecycle.status.warnings import _left, _paused_keys, drained_of
from rackwright.roles.backup.state import RepositoryState
from rackwright.roles.replica.state import PausedKey, ReplicaState
from rackwright.roles.usage.program.day import Day
from rackwright.roles.usage.program.form import days_text
from rackwright.state.kit import KitRecord, KnownKit
from tests.fleet.test_backup import DISK, SSH, WEB, fleet
from tests.lifecycle.backup.test_make import SETTINGS
from tests.shells import FolderHosts, FolderShell
from tests.state.test_kit import SAVED

MOMENT = datetime(2026, 11, 27, 3, 15, tzinfo=UTC)
RECORD = DrainRecord(who="ada (SHA256:x) on laptop", reason="model update assistant", manual=False, time=MOMENT)
SERVER = ServerState("gpu1", "assistant@1", True, True, 3, RECORD, CanaryShare(5.0, MOMENT, "r1"))
REPLICA = ReplicaStatus(
    "gpu1/assistant@1", "assistant", ("assistant",), "ready", None, TrafficState.YES, 0, "b1", None
)
HOST = HostStatus("gpu1", HostState.OK, None, {})
WELL = Status((HOST,), (REPLICA,), (), None, (), ())


def test_a_canary_is_drained_and_says_what_it_gets():
    assert traffic_of(SERVER) is TrafficState.DRAINED
    one = replace(REPLICA, traffic=TrafficState.DRAINED, drained=drained_of(SERVER.record), canary=5.0)
    assert one.traffic_text == (
        "drained: model update assistant (ada, since 2026-11-27 03:15 UTC); canary: 5 % of the conversations"
    )
    assert replace(one, canary=None).traffic_text.endswith("UTC)")


def test_cache_hits_are_the_share_of_todays_prompts_over_all_gateways(tmp_path: Path):
    today = MOMENT.toordinal() - date(1970, 1, 1).toordinal()
    days = {
        "gate1": [Day(today, reuse={"gpu1/chat@1": (100, 60)})],
        "gate2": [Day(today, reuse={"gpu1/chat@1": (100, 2), "gpu2/chat@1": (8, 0)})],
        "stopped": [Day(today - 1, reuse={"gpu1/chat@1": (1000, 1000)})],
        "new": [],
    }
    shells = {name: FolderShell(name, var=str(tmp_path / name)) for name in (*days, "broken")}
    for name, texts in {**{name: days_text(name, found) for name, found in days.items()}, "broken": "{"}.items():
        (tmp_path / name / "usage").mkdir(parents=True)
        (tmp_path / name / "usage" / "reuse.json").write_text(texts)
    (tmp_path / "new" / "usage" / "reuse.json").unlink()
    answers = Usages(FolderHosts(shells), tuple(shells)).reuse(MOMENT.date())  # type: ignore[arg-type]
    assert isinstance(answers.pop("broken"), HostError)
    found = added_reuse(answer for answer in answers.values() if not isinstance(answer, HostError))
    assert found == {"gpu1/chat@1": (200, 62), "gpu2/chat@1": (8, 0)}
    assert replace(REPLICA, prompt_tokens=200, cached_tokens=62).cache_text == "31 %"
    assert REPLICA.cache_text == "-"


def test_one_that_was_drained_without_a_record_says_so_alone():
    server = replace(SERVER, record=None)
    assert (traffic_of(server), drained_of(server.record)) == (TrafficState.DRAINED, None)
    assert replace(REPLICA, traffic=TrafficState.DRAINED).traffic_text == "drained"


@pytest.mark.parametrize(
    ("host", "replica", "healthy"),
    [
        (HOST, REPLICA, True),
        (replace(HOST, state=HostState.DISABLED, reason="RMA 4711"), REPLICA, True),
        (replace(HOST, state=HostState.UNREACHABLE, reason="no route"), REPLICA, False),
        (
            HOST,
            replace(REPLICA, traffic=TrafficState.DRAINED, drained=Drained("fan", "ada", "2026", manual=True)),
            True,
        ),
        (HOST, replace(REPLICA, traffic=TrafficState.NO), False),
        (HOST, replace(REPLICA, traffic=TrafficState.UNKNOWN), False),
    ],
)
def test_a_fleet_is_healthy_when_all_that_should_serve_does(
    host: HostStatus, replica: ReplicaStatus, healthy: bool
) -> None:
    assert replace(WELL, hosts=(host,), replicas=(replica,)).healthy is healthy


@pytest.mark.parametrize(
    ("manual", "command"),
    [(True, "undrain gate1"), (False, "rollout resume, or rackwright undrain gate1")],
)
def test_a_gateway_that_has_left_is_named_with_who_and_why_and_the_way_back(manual: bool, command: str) -> None:
    left = LeftRecord(who="ada (SHA256:x) on laptop", reason="new kernel", manual=manual, time=MOMENT)
    surveyed = SimpleNamespace(hosts={"gate1": SimpleNamespace(left=left), "gate2": SimpleNamespace(left=None)})
    (warning,) = _left(surveyed)  # type: ignore[arg-type]
    assert warning == (
        "gate1: this gateway takes no connections: new kernel (ada, since 2026-11-27 03:15 UTC); "
        f"next: rackwright {command}"
    )


def test_a_paused_key_is_named_with_its_replica_and_the_end_of_the_pause() -> None:
    paused = ReplicaState("assistant@1", "active", "ready", None, None, "", paused=(PausedKey("ci", 3, 1796000000),))
    host = SimpleNamespace(replicas={"assistant@1": paused, "coder@1": replace(paused, paused=())})
    (warning,) = _paused_keys(SimpleNamespace(hosts={"gpu1": host}))  # type: ignore[arg-type]
    assert warning == (
        "gpu1/assistant@1: requests of the key ci ended its engine 3 times; the key is paused there until 00:53 UTC; "
        "next: rackwright logs gpu1/assistant@1; rackwright key revoke ci"
    )


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({}, None),
        ({"current": None}, None),
        ({"age": 10**9}, None),
        ({"snapshot": None}, "there is no kit at web yet; next: rackwright backup kit --to web"),
        (
            {"current": False},
            "the kit at web doesn't hold what was applied last; next: rackwright backup kit --to web",
        ),
        (
            {"with_ca_key": False},
            "the kit at web has no CA key; next: rackwright backup kit --to web, on a machine that has the key",
        ),
    ],
)
def test_a_kit_that_is_missing_outdated_or_without_the_cas_key_is_a_warning(
    changes: dict[str, object], warning: str | None
) -> None:
    kit = KitStatus("web", "abc", "2026-11-29T08:00:00Z", 60, with_ca_key=True, current=True)
    assert replace(kit, **changes).warning == warning  # type: ignore[arg-type]


def test_kits_are_shown_by_what_the_control_hosts_recorded(tmp_path: Path) -> None:
    session = SimpleNamespace(fleet=fleet(tmp_path, DISK, SSH, WEB))
    record = KitRecord(at={"web": SAVED})
    surveyed = SimpleNamespace(hosts={"gate1": SimpleNamespace(kit=KnownKit(record, "r2"))})
    missing, found = kits(session, surveyed, SAVED.when + timedelta(hours=5))  # type: ignore[arg-type]
    assert missing == KitStatus("ssh", None, None, None, None, None)
    assert found == KitStatus("web", "abcdef02", "2026-11-29T08:00:00Z", 5 * 3600, with_ca_key=True, current=False)
    assert not list(kits(session, SimpleNamespace(hosts={}), SAVED.when))  # type: ignore[arg-type]
    copy = SimpleNamespace(fleet=fleet(tmp_path, SSH, WEB, snapshots="no"))
    assert not list(kits(copy, surveyed, SAVED.when))  # type: ignore[arg-type]


def test_a_host_that_only_restores_has_no_backups_to_show() -> None:
    states = SimpleNamespace(of=lambda repository: RepositoryState(repository.name))
    surveyed = SimpleNamespace(hosts={"gate1": SimpleNamespace(backup=states)})
    found = {}
    for snapshots in (True, False):
        settings = SETTINGS.model_copy(update={"snapshots": snapshots})
        session = SimpleNamespace(hosts={"gate1": SimpleNamespace(backup=settings)})
        found[snapshots] = [one.repository for one in backups(session, surveyed)]  # type: ignore[arg-type]
    assert found == {True: ["one", "two"], False: []}
