"""An erasure is proven by a listing; what it couldn't reach is named."""

from __future__ import annotations

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate import erase as procedure
from rackwright.lifecycle.migrate.capture import CaptureResult, GatewayCapture
from rackwright.lifecycle.migrate.erase import erase
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.stand_in_captures import StandInCaptures, StandInGateway


class Agrees(Desk):
    agrees = True

    def confirm(self, question: str) -> None:
        self.said.append(question)
        if not self.agrees:
            raise RackwrightError("not confirmed")


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> StandInCaptures:
    found = StandInCaptures({"gate1": StandInGateway(), "gate2": StandInGateway()})
    for gateway in found.gateways.values():
        gateway.record("1", "2")

    def captures_of(_: object, *former: str) -> StandInCaptures:
        found.former.extend(former)
        return found

    monkeypatch.setattr(procedure, "captures_of", captures_of)
    return found


@pytest.fixture
def agrees(desk: Desk) -> Agrees:
    return Agrees(desk.folder, desk.hosts)


def test_the_gateways_list_nothing_and_the_folder_stays(agrees: Agrees, captures: StandInCaptures) -> None:
    agrees.open().folder.write("requests", ["kept"])
    agrees.open().note("import", "1 request")
    erased = erase(agrees.open(), folder=False)
    assert captures.done == ["stop", "erase"]
    assert erased.gateways == ("gate1", "gate2")
    assert erased.missed == {}
    assert list(agrees.open().folder.read("requests")) == ["kept"]
    entry = agrees.open().entries()[-1]
    assert (entry.step, entry.what) == ("erase", "2 gateways without recorded requests")
    assert entry.result


def test_with_folder_records_answers_and_what_a_killed_run_left_are_gone(
    agrees: Agrees, captures: StandInCaptures
) -> None:
    place = agrees.open()
    for kind in ("requests", "sample", "answers-cloud", "answers-again", "answers-fleet"):
        place.folder.write(kind, ["text"])
    place.note("replay", "done")
    (agrees.records / "requests-000009.jsonl.age").write_bytes(b"left")
    (agrees.records / "requests-000010.jsonl.age.new").write_bytes(b"left")
    erased = erase(agrees.open(), folder=True)
    assert (erased.files, erased.left) == (5, ())
    assert [path.name for path in agrees.records.iterdir() if ".age" in path.name] == []
    assert agrees.open().folder.manifest().files == {}
    assert "5 files removed from the folder" in agrees.open().entries()[-1].what


def test_the_export_is_no_part_of_what_is_erased(agrees: Agrees, captures: StandInCaptures) -> None:
    """It is the customer's data, which the provider may not have any more."""
    agrees.open().folder.write("requests", ["text"])
    agrees.open().note("import", "1 request")
    exported = agrees.records / "export" / "00000" / "00000001-0001.age"
    exported.parent.mkdir(parents=True)
    exported.write_bytes(b"encrypted")
    assert erase(agrees.open(), folder=True).left == ()
    assert exported.exists()


def test_nothing_is_touched_without_agreement(agrees: Agrees, captures: StandInCaptures) -> None:
    agrees.agrees = False
    with pytest.raises(RackwrightError, match="not confirmed"):
        erase(agrees.open(), folder=True)
    assert captures.done == []
    assert "and all records and answers in" in agrees.said[-1]


def test_a_gateway_that_is_down_or_still_lists_files_is_named(agrees: Agrees, captures: StandInCaptures) -> None:
    captures.gateways["gate1"].down = True
    captures.gateways["gate2"].stays = True
    erased = erase(agrees.open(), folder=False)
    assert erased.gateways == ()
    assert erased.missed == {"gate1": "can't be reached", "gate2": "it still lists 1 file"}
    assert agrees.open().entries()[-1].what == "0 gateways without recorded requests, not gate1, gate2"


def test_a_damaged_folder_is_erased_too(agrees: Agrees, captures: StandInCaptures) -> None:
    """Personal data must not stay because one file of it is gone."""
    agrees.open().folder.write("requests", ["text"])
    agrees.open().folder.write("requests", ["more"])
    agrees.open().note("import", "2 requests")
    first, second = sorted(agrees.records.glob("*.age"))
    first.unlink()
    second.write_bytes(b"changed")
    erased = erase(agrees.open(), folder=True)
    assert (erased.files, erased.left) == (2, ())
    assert not second.exists()


def test_hosts_that_recorded_are_asked_after_they_were_gateways(agrees: Agrees, captures: StandInCaptures) -> None:
    """gpu1 is in the fleet file, gate2 isn't any more."""
    nothing = GatewayCapture(
        running=True, until=1, ended="", recorded=2, bytes=9, waiting=1, dropped={}, personal={}
    )  # fmt: skip
    recorded = CaptureResult(gateways={"gate1": nothing, "gate2": nothing}, missed={"gpu1": "can't be reached"})
    agrees.open().note("capture", "recording", recorded)
    del captures.gateways["gate2"]
    captures.gateways["gpu1"] = StandInGateway()
    erased = erase(agrees.open(), folder=False)
    assert (captures.former, erased.gateways) == (["gpu1"], ("gate1", "gpu1"))
    assert erased.missed == {"gate2": "it recorded, and isn't in the fleet file any more"}
    # What was erased is known to be.
    captures.former.clear()
    assert erase(agrees.open(), folder=False).missed == erased.missed
    assert captures.former == []
