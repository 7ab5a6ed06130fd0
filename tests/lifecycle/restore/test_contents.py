from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.fleet.fleet import Fleet
from rackwright.gateway.server_states import DrainRecord
from rackwright.lifecycle.restore import contents as reading
from rackwright.lifecycle.restore.contents import Contents, read_contents
from rackwright.state.applied import About
from rackwright.state.control import ControlRecord
from rackwright.state.formats import utc_now
from rackwright.state.journal import Entry, Event
from rackwright.state.migrations import Entry as Noted
from rackwright.state.migrations import Head
from tests.fleet.fleets import make_fleet
from tests.state.test_golden import golden

DRAINED = "gpu1.assistant.1.8100"
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
DRAIN = DrainRecord(who="ada", reason="fan", manual=True, time=utc_now())
ABOUT = About(fleet_file="acme.yml", who="ada", run="r", when=utc_now())
OPENED = Entry(time=utc_now(), rollout="r1", run="r1", operator="ada", event=Event.OPENED, detail="model update")
NOTED = Noted(
    migration="support",
    number=1,
    time=utc_now(),
    who="ada",
    machine="laptop",
    step="score",
    what="passed",
    plan="a" * 64,
)
GOOD = {
    f"drains/{DRAINED}": DRAIN.model_dump_json(),
    f"golden/assistant/{golden().kind.key}.json": golden().model_dump_json(),
    "control-host.json": ControlRecord(hosts=("gate1",), number=2, since=utc_now(), who="ada").model_dump_json(),
    "migrations/support.log/000001.json": NOTED.text(),
    "migrations/heads/support.json": Head(migration="support", number=1, sha256="a" * 64).model_dump_json(),
    "migrations/support.score/000001-0123456789ab.json": '{"format": "score/1", "pairs": 7}',
    "control/journal": OPENED.line(),
    "control/token": "7",
    "control/lease": "lease/1 7 0 0\n{}",
    "fleet/applied.json": ABOUT.model_dump_json(),
    "fleet/acme.yml": "fleet: acme\n",
    "fleet/acme.keys.yml": "format: keys/1\n",
}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return make_fleet(tmp_path / "acme.yml")


def contents(fleet: Fleet, changed: dict[str, str | None]) -> Contents:
    files = {name: text.encode() for name, text in (GOOD | changed).items() if text is not None}
    return read_contents(files, fleet, "gate1")


def test_good_state_is_read_with_what_a_restore_must_know(fleet: Fleet) -> None:
    found = contents(fleet, {})
    assert not found.problems
    assert not found.unknown
    assert found.about == ABOUT
    assert found.control
    assert found.control.number == 2
    assert found.opened == OPENED
    assert found.drains == {DRAINED: DRAIN}


def test_a_rollout_that_was_closed_is_not_open(fleet: Fleet) -> None:
    closed = OPENED.model_copy(update={"event": Event.CLOSED})
    assert contents(fleet, {"control/journal": OPENED.line() + closed.line()}).opened is None


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        (f"drains/{DRAINED}", "{", "is damaged"),
        (f"drains/{DRAINED}", '{"format": "drain/2"}', "newer rackwright"),
        (f"golden/assistant/{golden().kind.key}.json", "{}", "is damaged"),
        ("control-host.json", "\0\0\0\0", "is damaged"),
        (
            "control-host.json",
            GOOD["control-host.json"].replace('"number":2', '"number":9999999999'),
            "has the number 9999999999",
        ),
        ("control/token", "99999999999", "is no fencing token"),
        ("control/token", "-5", "is no fencing token"),
        ("control/token", "0x7", "is no fencing token"),
        ("control/token", "7; reboot", "is no fencing token"),
        ("control/token", "010", "is no fencing token"),
        ("control/journal", OPENED.line() + "x" * (50 << 20), "bytes; 16777216 at most"),
        ("control/rollout-1.json", "[" * 100_000, "is damaged"),
        ("bench/assistant/1.json", " " * (5 << 20), "bytes; 4194304 at most"),
        ("keys.pushed", "x revoked \n", "is damaged"),
        ("control/journal", '{"format": "journal/2"}\n', "newer rackwright"),
        ("control/rollout-1.json", "{}", "is damaged"),
        ("control/patch-1.json", "{}", "is damaged"),
        ("control/trial-1.json", "[]", "is damaged"),
        ("bench/assistant/1.json", "{}", "is damaged"),
        ("canaries/assistant/1.json", "{}", "is damaged"),
        ("migrations/support.log/000001.json", "{}", "is damaged"),
        ("migrations/heads/support.json", "[]", "is damaged"),
        ("migrations/support.score/000002-0123456789ab.json", "[]", "is damaged"),
        ("fleet/applied.json", "", "is damaged"),
        ("fleet/applied.json", None, "is damaged"),
        ("fleet/acme.yml", None, "acme.yml is missing"),
        ("fleet/acme.yml", "fleet: other\n", "is of the fleet other; should be of acme"),
        ("fleet/acme.keys.yml", "keys: [", "acme.keys.yml"),
        ("fleet/acme.lock", "format: lock/99\n", "acme.lock"),
        ("fleet/../../../etc/passwd", "x", "is outside of it"),
        ("fleet//etc/passwd", "x", "is outside of it"),
        ("fleet/acme.yml/x", "x", "fleet: is damaged"),
        (f"fleet/{'x' * 300}", "x", "fleet: is damaged"),
        ("fleet/\0", "x", "fleet: is damaged"),
        ("fleet/acme.yml", BOMB, "more than 50,000 values"),
        ("fleet/acme.yml", "fleet: " + "[" * 5000, "nested deeper than"),
        ("fleet/acme.keys.yml", f"format: keys/1\n{BOMB}keys: *a8\n", "acme.keys.yml"),
        ("fleet/acme.keys.yml", "- x\n" * (2 << 20), "bytes; 4194304 at most"),
        ("fleet/acme.lock", "format: !!python/object/apply:os.system [id]\n", "acme.lock"),
    ],
)
def test_what_rackwright_could_not_read_is_a_problem(fleet: Fleet, name: str, text: str | None, wrong: str) -> None:
    (problem,) = contents(fleet, {name: text}).problems
    assert wrong in str(problem)


def test_every_problem_is_named_at_once(fleet: Fleet) -> None:
    wrong = contents(fleet, {"control-host.json": "x", "fleet/acme.yml": "fleet: other\n", f"drains/{DRAINED}": "x"})
    assert len(wrong.problems) == 3


def test_files_of_other_programs_are_named_and_no_problem(fleet: Fleet) -> None:
    found = contents(fleet, {"bench/assistant/notes.txt": "x", "drains/.new": "", "golden/x": "y"})
    assert found.unknown == ("bench/assistant/notes.txt", "golden/x")
    assert not found.problems


@pytest.mark.parametrize("name", ["x", "gpu1.assistant.1", "gpu1.assistant.1.8100.2", "GPU.a.1.1", "gpu1.a.1.1 b"])
def test_a_drain_of_no_server_is_left_out_because_gateways_could_not_read_it(fleet: Fleet, name: str) -> None:
    found = contents(fleet, {f"drains/{name}": DRAIN.model_dump_json()})
    assert found.unknown == (f"drains/{name}",)
    assert found.drains == {DRAINED: DRAIN}


def test_a_record_of_a_control_host_that_is_not_the_fleets_is_not_taken(fleet: Fleet) -> None:
    record = ControlRecord(hosts=("evil",), number=3, since=utc_now(), who="eve").model_dump_json()
    found = contents(fleet, {"control-host.json": record})
    assert (found.control, found.problems) == (None, ())


@pytest.mark.parametrize("hosts", [("gate1", "gpu1", "gpu2"), ("gpu1",)])
def test_a_record_of_control_hosts_that_may_be_gone_is_not_taken(tmp_path: Path, hosts: tuple[str, ...]) -> None:
    """Also if the fleet file names them: with it, every command would look for lease and journal there."""
    fleet = make_fleet(tmp_path / "acme.yml", control=["gate1", "gpu1", "gpu2"])
    assert fleet.control_hosts == ("gate1",)
    record = ControlRecord(hosts=hosts, number=3, since=utc_now(), who="ada").model_dump_json()
    assert contents(fleet, {"control-host.json": record}).control is None
    assert contents(fleet, {}).control


def test_a_parser_that_fails_in_an_unexpected_way_finds_a_problem(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recurses(text: str, where: str) -> object:
        raise RecursionError

    monkeypatch.setattr(reading, "_JSON", {**reading._JSON, r"control/token": recurses})
    (problem,) = contents(fleet, {}).problems
    assert str(problem) == "gate1: control/token: is damaged"
