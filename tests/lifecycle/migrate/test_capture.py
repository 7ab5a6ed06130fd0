"""A capture is started, looked at, fetched and stopped; a gateway that can't be asked is named, the others go on."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate import capture as procedure
from rackwright.lifecycle.migrate.capture import CaptureResult, fetch, looked, start, stop
from tests.lifecycle.migrate.desks import IDENTITY, Desk
from tests.lifecycle.migrate.stand_in_captures import StandInCaptures, StandInGateway


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> StandInCaptures:
    found = StandInCaptures({"gate1": StandInGateway(), "gate2": StandInGateway()})
    monkeypatch.setattr(procedure, "captures_of", lambda _: found)
    return found


def test_it_starts_with_the_plans_figures_and_is_noted(desk: Desk, captures: StandInCaptures) -> None:
    desk.edit("replay:", "capture: {share: 5, duration: 1h, size: 2MB, request: 64kB}\nreplay:")
    result = start(desk.open())
    assert captures.shares == {"gpt-4o-mini": 5}
    orders = captures.gateways["gate1"].orders
    assert orders
    assert (orders.migration, orders.until - 1_800_000_000) == ("support", 3600)
    assert orders.recipient == desk.open().plan.records.recipient
    assert {host: one.running for host, one in result.gateways.items()} == {"gate1": True, "gate2": True}
    entry = desk.open().entries()[-1]
    assert (entry.step, entry.what) == ("capture", "recording 5 % at 2 gateways")
    assert desk.open().result("capture", CaptureResult) == result
    assert desk.store.show() is None


def test_the_plans_own_patterns_go_to_the_gateways(desk: Desk, captures: StandInCaptures) -> None:
    desk.edit("identity:", 'redact: {ticket: "TCK-[0-9]{6}"}\n  identity:')
    start(desk.open())
    orders = captures.gateways["gate1"].orders
    assert orders
    assert orders.redact == {"ticket": "TCK-[0-9]{6}"}


def test_a_body_that_no_file_could_have_is_not_copied(desk: Desk, captures: StandInCaptures) -> None:
    desk.edit("replay:", "capture: {request: 64MB}\nreplay:")
    start(desk.open())
    orders = captures.gateways["gate1"].orders
    assert orders
    assert orders.request == 8 * 2**20


def test_a_gateway_that_is_down_is_named_and_the_others_record(desk: Desk, captures: StandInCaptures) -> None:
    captures.gateways["gate2"].down = True
    result = start(desk.open())
    assert result.missed == {"gate2": "can't be reached"}
    assert list(result.gateways) == ["gate1"]
    assert captures.gateways["gate1"].orders


def test_files_are_in_the_folder_and_noted_before_they_are_removed(desk: Desk, captures: StandInCaptures) -> None:
    for gateway, lines in zip(captures.gateways.values(), (("1", "2"), ("3",)), strict=True):
        gateway.record(*lines)
    place = desk.open()
    result = fetch(place)
    assert captures.done == ["complete"]
    assert (result.fetched_files, result.fetched_requests, result.missed) == (2, 3, {})
    assert sorted(desk.open().folder.read("requests")) == ["1", "2", "3"]
    assert not any(gateway.files for gateway in captures.gateways.values())
    entry = desk.open().entries()[-1]
    assert entry.what == "fetched 3 requests in 2 files"
    assert entry.manifest == place.folder.sha256()
    assert fetch(desk.open()).fetched_files == 0
    assert len(list(desk.open().folder.read("requests"))) == 3


def test_a_fetch_that_could_not_remove_is_repeated_without_a_duplicate(desk: Desk, captures: StandInCaptures) -> None:
    captures.gateways["gate1"].record("1")
    captures.gateways["gate1"].keeps = True
    result = fetch(desk.open())
    assert result.missed == {"gate1": "its files were fetched, but not removed: removing the recorded files failed"}
    captures.gateways["gate1"].keeps = False
    fetch(desk.open())
    assert list(desk.open().folder.read("requests")) == ["1"]
    assert captures.gateways["gate1"].files == {}


def test_nothing_is_removed_that_could_not_be_noted(
    desk: Desk, captures: StandInCaptures, monkeypatch: pytest.MonkeyPatch
) -> None:
    captures.gateways["gate1"].record("1")
    place = desk.open()
    desk.open().note("import", "another machine's")
    with pytest.raises(RackwrightError):
        fetch(place)
    assert captures.gateways["gate1"].files


def test_what_changes_on_the_way_is_not_taken(desk: Desk, captures: StandInCaptures) -> None:
    captures.gateways["gate1"].record("1")
    captures.gateways["gate1"].damages = True
    captures.gateways["gate2"].record("2")
    result = fetch(desk.open())
    assert result.missed == {"gate1": "00000001-1.age changed while it was fetched: fetch it again"}
    assert list(desk.open().folder.read("requests")) == ["2"]
    assert captures.gateways["gate1"].files


def test_what_is_not_encrypted_on_one_gateway_keeps_no_other_from_arriving(
    desk: Desk, captures: StandInCaptures
) -> None:
    captures.gateways["gate1"].files["00000001-1.age"] = b"text"
    captures.gateways["gate2"].record("2")
    result = fetch(desk.open())
    assert result.missed == {"gate1": "00000001-1.age isn't encrypted by age"}
    assert list(desk.open().folder.read("requests")) == ["2"]


def test_a_gateway_that_cannot_complete_its_open_file_is_named(desk: Desk, captures: StandInCaptures) -> None:
    captures.gateways["gate1"].record("1")
    captures.gateways["gate1"].stuck = True
    captures.gateways["gate2"].record("2")
    result = fetch(desk.open())
    assert result.missed == {"gate1": "completing the open file failed: exit status 1"}
    assert sorted(desk.open().folder.read("requests")) == ["1", "2"]
    assert captures.gateways["gate1"].files == {}


def test_a_gateway_that_is_down_keeps_no_other_from_being_fetched(desk: Desk, captures: StandInCaptures) -> None:
    captures.gateways["gate1"].down = True
    captures.gateways["gate2"].record("2")
    result = fetch(desk.open())
    assert result.missed == {"gate1": "can't be reached"}
    assert list(desk.open().folder.read("requests")) == ["2"]


def unreadable(desk: Desk, captures: StandInCaptures) -> None:
    """Let gate1 have a file for another key, one without JSON, and a good one; gate2 a good one."""
    other = pyrage.x25519.Identity.generate().to_public()
    gate1 = captures.gateways["gate1"]
    gate1.files["00000001-1.age"] = pyrage.encrypt(b'{"id": "foreign"}\n', [other])
    gate1.files["00000002-1.age"] = pyrage.encrypt(b"not JSON\n", [IDENTITY.to_public()])
    gate1.record("1")
    captures.gateways["gate2"].record("2")


def test_a_file_that_nobody_could_read_is_refused_at_the_fetch(desk: Desk, captures: StandInCaptures) -> None:
    unreadable(desk, captures)
    result = fetch(desk.open())
    assert result.missed == {
        "gate1": "00000001-1.age can't be decrypted; 00000002-1.age isn't lines of JSON",
    }
    assert sorted(desk.open().folder.read("requests")) == ["1", "2"]
    assert list(captures.gateways["gate1"].files) == ["00000001-1.age", "00000002-1.age"]


def test_without_the_private_key_such_a_file_is_left_out_and_named_when_it_is_read(
    desk: Desk, captures: StandInCaptures
) -> None:
    unreadable(desk, captures)
    (desk.folder / "identity").rename(desk.folder / "elsewhere")
    assert fetch(desk.open()).missed == {}
    with pytest.raises(RackwrightError):
        list(desk.open().folder.read("requests"))
    (desk.folder / "elsewhere").rename(desk.folder / "identity")
    place = desk.open()
    place.need_folder()
    assert sorted(place.folder.read("requests")) == ["1", "2"]
    assert sorted(place.folder.read("requests")) == ["1", "2"]
    said = [text for text in desk.said if text.startswith("left out: ")]
    assert len(said) == 2
    assert "requests-000001.jsonl.age: came from gate1 (00000001-1.age) and can't be decrypted" in said[0]
    assert "requests-000002.jsonl.age: came from gate1 (00000002-1.age) and isn't lines of JSON" in said[1]
    # With another key nothing can be read, and it is the key's fault.
    (desk.folder / "identity").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    with pytest.raises(RackwrightError, match="can't be decrypted"):
        list(desk.open().folder.read("requests"))


def test_a_folder_that_cannot_be_written_removes_nothing(desk: Desk, captures: StandInCaptures) -> None:
    captures.gateways["gate1"].record("1")
    Path(desk.records).write_text("no folder")
    with pytest.raises(RackwrightError):
        fetch(desk.open())
    assert captures.gateways["gate1"].files


def test_it_is_stopped_and_looked_at(desk: Desk, captures: StandInCaptures) -> None:
    start(desk.open())
    captures.gateways["gate1"].record("1")
    found = looked(desk.open())
    assert found.recorded == 1
    assert found.personal == {"email": 1}
    assert found.dropped == {"full": 2}
    result = stop(desk.open())
    assert not any(one.running for one in result.gateways.values())
    assert desk.open().entries()[-1].what == "stopped, 1 request recorded"
    assert captures.gateways["gate1"].files
