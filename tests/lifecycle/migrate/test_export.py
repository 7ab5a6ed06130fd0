"""What is stored at a provider is exported once, whole, and never replaced by something else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.errors import FleetError, LeasedError, ProofError, RackwrightError
from rackwright.lifecycle.migrate.export.opened import export_path
from rackwright.lifecycle.migrate.export.verification import verify_export
from rackwright.migrate.export import part_files
from rackwright.migrate.folder_key import FolderKey
from rackwright.migrate.folder_list import locked
from tests.lifecycle.migrate.desks import IDENTITY, Desk
from tests.lifecycle.migrate.stored_objects import content, exports_of, reach, run, store, what_is_there
from tests.loopback_tls import server_files
from tests.stand_in_cloud import Fault, StandInCloud, stand_in_cloud


@pytest.fixture
def cloud(desk: Desk) -> Iterator[StandInCloud]:
    with stand_in_cloud(*server_files()) as running:
        store(running)
        reach(desk, running)
        yield running


def gets(cloud: StandInCloud) -> list[str]:
    return [one.path.partition("?")[0] for one in cloud.received]


def test_every_kind_is_exported_with_what_belongs_to_it(desk: Desk, cloud: StandInCloud) -> None:
    done = run(desk)
    assert (done.whole, done.unlisted, done.host) == (True, {}, "localhost")
    counts = {kind: one.new for kind, one in done.kinds.items() if one.new}
    assert counts == {
        "files": 5,
        "batches": 1,
        "fine-tuning jobs": 1,
        "vector stores": 1,
        "vector store files": 2,
        "stored chat completions": 3,
    }
    assert content(desk, "files", "file-1", "content") == cloud.contents["file-1"]
    events = content(desk, "fine-tuning jobs", "ftjob-1", "events").splitlines()
    assert [json.loads(one)["id"] for one in events] == [f"ftevent-{n}" for n in range(150)]
    chunks = json.loads(content(desk, "vector store files", "vs_1/file-4", "chunks"))
    assert chunks["text"] == "zweiter Teil: ü"
    assert json.loads(content(desk, "stored chat completions", "chatcmpl-0", "messages"))["content"] == "Hello"
    assert json.loads(content(desk, "batches", "batch_1", "object")) == cloud.objects["/v1/batches"][0]
    line = exports_of(desk).earlier("files", "file-1")
    assert line is not None
    assert (line.name, line.pieces[1].bytes) == ("1.jsonl", 14)
    assert line.pieces[1].sha256 == hashlib.sha256(cloud.contents["file-1"]).hexdigest()


def test_nothing_on_the_disk_is_readable_without_the_key(desk: Desk, cloud: StandInCloud) -> None:
    run(desk)
    files = [one for one in export_path(desk.open().folder).rglob("*") if one.is_file()]
    assert all(one.stat().st_mode & 0o077 == 0 for one in files)
    everything = b"".join(one.read_bytes() for one in files)
    assert b"first chunk" not in everything
    assert b"line 1" not in everything
    assert b"sk-cloud" not in everything


def test_weights_are_listed_as_what_no_one_hands_out(desk: Desk, cloud: StandInCloud) -> None:
    done = run(desk)
    assert [(one.kind, one.id, one.why) for one in done.missing] == [("weights", "ft:small:acme::1", "never")]
    assert done.whole


def test_the_second_export_fetches_only_what_changed(desk: Desk, cloud: StandInCloud) -> None:
    run(desk)
    cloud.objects["/v1/chat/completions"][0]["metadata"] = {"rated": "good"}
    cloud.objects["/v1/vector_stores/vs_1/files"].pop()
    del cloud.objects["/v1/files"][4]
    del cloud.contents["file-4"]
    cloud.received.clear()
    done = run(desk)
    assert "/v1/files/file-0/content" not in gets(cloud)
    assert "/v1/chat/completions/chatcmpl-1/messages" not in gets(cloud)
    assert {
        kind: (one.new, one.changed, one.gone) for kind, one in done.kinds.items() if one.changed or one.gone
    } == {
        "stored chat completions": (0, 1, 0),
        "vector stores": (0, 1, 0),
        "vector store files": (0, 0, 1),
        "files": (0, 0, 1),
    }
    # What is gone there stays here.
    assert content(desk, "files", "file-4", "content") == b"line 4\n" * 5
    known = exports_of(desk).known
    assert known["files", "file-4"].gone
    assert known["vector store files", "vs_1/file-4"].gone
    assert ("files", "file-4") not in what_is_there(desk)
    third = run(desk)
    assert sum(one.new + one.changed + one.gone for one in third.kinds.values()) == 0


def test_ids_of_the_application_are_fetched_one_by_one(desk: Desk, cloud: StandInCloud, tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    ids.write_text("resp_1\nconv_1\n\nresp_2\nresp_1\n")
    done = run(desk, ids=ids)
    assert json.loads(content(desk, "responses", "resp_1", "input items")) == {"id": "msg_1", "content": "Hi"}
    assert json.loads(content(desk, "conversations", "conv_1", "items"))["id"] == "msg_2"
    # An answer that the provider doesn't keep any more is no gap.
    assert ("responses", "resp_2", "absent", "HTTP 404") in [
        (one.kind, one.id, one.why, one.reason) for one in done.missing
    ]
    assert done.whole
    cloud.objects["/v1/conversations/conv_1/items"].append({"id": "msg_3"})
    cloud.objects["/v1/responses"].clear()
    again = run(desk, ids=ids)
    assert (again.kinds["conversations"].changed, again.kinds["responses"].gone) == (1, 1)
    assert len(content(desk, "conversations", "conv_1", "items").splitlines()) == 2


def test_later_runs_ask_again_for_ids_of_the_application(desk: Desk, cloud: StandInCloud, tmp_path: Path) -> None:
    """Otherwise a run without the file would say that it is whole, and the end would delete what nobody has."""
    ids = tmp_path / "ids"
    ids.write_text("resp_1\nconv_1\n")
    fault = Fault("status", status=403, times=-1, path="/v1/responses/resp_1")
    cloud.faults.append(fault)
    assert not run(desk, ids=ids).whole
    cloud.objects["/v1/conversations/conv_1/items"].append({"id": "msg_3"})
    without = run(desk)
    assert not without.whole
    assert ("resp_1", "HTTP 403") in [(one.id, one.reason) for one in without.missing]
    assert len(content(desk, "conversations", "conv_1", "items").splitlines()) == 2
    cloud.faults.remove(fault)
    assert run(desk).whole
    assert ("responses", "resp_1") in what_is_there(desk)
    # What the provider doesn't have any more is asked again only if a file has it.
    responses = cloud.objects["/v1/responses"].copy()
    cloud.objects["/v1/responses"].clear()
    assert run(desk).kinds["responses"].gone == 1
    cloud.received.clear()
    assert run(desk).whole
    assert "/v1/responses/resp_1" not in gets(cloud)
    cloud.objects["/v1/responses"] += responses
    assert run(desk, ids=ids).kinds["responses"].changed == 1


def test_a_bad_file_of_ids_is_refused_before_anything_is_asked(
    desk: Desk, cloud: StandInCloud, tmp_path: Path
) -> None:
    ids = tmp_path / "ids"
    ids.write_bytes(b"resp_1\nchatcmpl-1\nconv_../x\n\xff\n" + b"resp_" + b"a" * 300 + b"\n")
    with pytest.raises(FleetError) as refused:
        run(desk, ids=ids)
    assert [one.where.rpartition(":")[2] for one in refused.value.problems] == ["2", "3", "4", "5"]
    ids.write_text("\n")
    with pytest.raises(FleetError, match="has no ids"):
        run(desk, ids=ids)
    with pytest.raises(FleetError, match="can't be read"):
        run(desk, ids=tmp_path / "absent")
    assert not cloud.received


def test_an_object_that_vanishes_between_list_and_get(desk: Desk, cloud: StandInCloud) -> None:
    del cloud.contents["file-1"]
    del cloud.objects["/v1/chat/completions/chatcmpl-2/messages"]
    done = run(desk)
    assert not done.whole
    assert {(one.kind, one.id, one.why, one.reason) for one in done.missing if one.why != "never"} == {
        ("files", "file-1", "vanished", "it was listed, then HTTP 404"),
        ("stored chat completions", "chatcmpl-2", "vanished", "it was listed, then HTTP 404"),
    }
    assert not exports_of(desk).known["files", "file-1"].complete
    assert export_files(desk) == named_files(desk)


def test_a_content_that_the_provider_refuses_is_listed_with_its_purpose(desk: Desk, cloud: StandInCloud) -> None:
    cloud.faults.append(Fault("status", status=400, times=-1, path="/v1/files/file-2/content"))
    done = run(desk)
    refused = next(one for one in done.missing if one.id == "file-2")
    assert (refused.why, refused.reason, done.whole) == ("withheld", "HTTP 400 for the purpose batch", False)
    cloud.faults.clear()
    assert run(desk).whole


@pytest.mark.parametrize(
    ("size", "reason"), [(3, "more bytes than its list says"), (300, "has 7 bytes, its list says")]
)
def test_a_file_whose_size_isnt_that_of_the_list(desk: Desk, cloud: StandInCloud, size: int, reason: str) -> None:
    cloud.objects["/v1/files"][0]["bytes"] = size
    done = run(desk)
    found = next(one for one in done.missing if one.id == "file-0")
    assert (found.why, done.whole) == ("differs", False)
    assert reason in found.reason
    assert export_files(desk) == named_files(desk)
    assert run(desk, accepted=["file-0"]).whole
    assert run(desk).whole


def test_a_file_that_isnt_what_was_exported_never_replaces_it(desk: Desk, cloud: StandInCloud) -> None:
    run(desk)
    cloud.contents["file-0"] = b"other!\n"
    assert run(desk).whole, "its list says nothing new, and the file isn't fetched"
    done = run(desk, compare=True)
    found = next(one for one in done.missing if one.id == "file-0")
    assert (found.why, done.whole) == ("differs", False)
    assert "isn't that of the export of 20" in found.reason
    assert content(desk, "files", "file-0", "content") == b"line 0\n"
    assert not exports_of(desk).known["files", "file-0"].complete
    # The operator decides; the earlier content stays, too.
    assert run(desk, compare=True, accepted=["file-0"]).whole
    assert content(desk, "files", "file-0", "content") == b"other!\n"
    assert len([line for _, line in exports_of(desk).contents() if line.id == "file-0"]) == 2


def test_comparing_an_export_adds_nothing_to_it(desk: Desk, cloud: StandInCloud) -> None:
    run(desk)
    before = export_files(desk), len(list(exports_of(desk).contents()))
    done = run(desk, compare=True)
    assert (done.whole, sum(one.new + one.changed for one in done.kinds.values())) == (True, 0)
    assert (export_files(desk), len(list(exports_of(desk).contents()))) == before


def test_a_large_file_has_several_parts(desk: Desk, cloud: StandInCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_files, "PART", 1000)
    cloud.contents["file-0"] = bytes(range(256)) * 10
    cloud.objects["/v1/files"][0]["bytes"] = 2560
    run(desk)
    line = exports_of(desk).earlier("files", "file-0")
    assert line is not None
    assert len(line.pieces[1].parts) == 3
    assert content(desk, "files", "file-0", "content") == cloud.contents["file-0"]


def test_a_file_that_only_a_batch_names_is_exported(desk: Desk, cloud: StandInCloud) -> None:
    cloud.objects["/v1/batches"].append({"id": "batch_2", "output_file_id": "file-9", "error_file_id": "file-8"})
    cloud.objects["/v1/files"].append({"id": "file-9", "bytes": 2, "filename": "out"})
    cloud.hidden.add("file-9")
    cloud.contents["file-9"] = b"ok"
    done = run(desk)
    assert content(desk, "files", "file-9", "content") == b"ok"
    found = next(one for one in done.missing if one.id == "file-8")
    assert (found.why, found.reason) == ("absent", "HTTP 404 (error_file_id of batch_2)")


def test_a_damaged_part_is_named_and_fetched_again(desk: Desk, cloud: StandInCloud) -> None:
    run(desk)
    before = what_is_there(desk)
    line = exports_of(desk).earlier("files", "file-3")
    other = exports_of(desk).earlier("batches", "batch_1")
    assert line is not None
    assert other is not None
    path = export_path(desk.open().folder)
    (path / line.pieces[1].parts[0].file).write_bytes(b"changed")
    (path / other.pieces[0].parts[0].file).unlink()
    done = run(desk)
    assert (done.damaged, done.whole) == (2, True)
    assert any("was changed: files file-3 is fetched again" in one for one in desk.said)
    assert what_is_there(desk) == before


@pytest.mark.parametrize("gone_before", [True, False])
def test_damage_to_what_the_provider_has_no_more_is_a_loss(
    desk: Desk, cloud: StandInCloud, *, gone_before: bool
) -> None:
    run(desk)
    line = exports_of(desk).earlier("stored chat completions", "chatcmpl-2")
    assert line is not None
    cloud.objects["/v1/chat/completions"].pop()
    if gone_before:
        assert run(desk).whole
    place = export_path(desk.open().folder) / line.pieces[0].parts[0].file
    kept = place.read_bytes()
    place.unlink()
    for _ in range(2):
        done = run(desk)
        lost = [one.id for one in done.missing if one.why == "lost"]
        assert (lost, done.whole) == (["chatcmpl-2"], False)
    place.write_bytes(kept)
    assert run(desk).whole
    assert exports_of(desk).known["stored chat completions", "chatcmpl-2"].gone


def test_verification_finds_what_was_changed(desk: Desk, cloud: StandInCloud) -> None:
    with pytest.raises(RackwrightError, match="no export that came to an end"):
        verify_export(desk.open())
    run(desk)
    cloud.received.clear()
    found, result = verify_export(desk.open())
    assert (found.objects, found.failed, result.whole, cloud.received) == (13, 0, True, [])
    assert result.verified
    assert desk.open().entries()[-1].what.startswith("verified: 13 objects")
    line = exports_of(desk).earlier("files", "file-3")
    assert line is not None
    place = export_path(desk.open().folder) / line.pieces[1].parts[0].file
    place.write_bytes(FolderKey(str(IDENTITY.to_public())).encrypted(b"other text"))
    with pytest.raises(ProofError, match="was changed"):
        verify_export(desk.open())
    assert desk.open().entries()[-1].what == "1 content can't be verified, of 13 objects"


def test_an_export_that_isnt_here_is_not_begun_anew(desk: Desk, desk_of: object, cloud: StandInCloud) -> None:
    run(desk)
    other = desk_of("ben", "tower")  # type: ignore[operator]
    reach(other, cloud)
    cloud.received.clear()
    with pytest.raises(RackwrightError, match="anna@laptop had it on laptop: copy it from there") as refused:
        run(other)
    assert refused.value.problems[0].next == "without a copy, rackwright migrate export support --other"
    assert not cloud.received
    assert run(other, other=True).whole
    # Now the first one is the other one.
    with pytest.raises(RackwrightError, match="isn't the export that the log knows"):
        run(desk)


def test_two_exports_at_once(desk: Desk, cloud: StandInCloud) -> None:
    run(desk)
    with locked(export_path(desk.open().folder)), pytest.raises(LeasedError, match="another command is at work"):
        run(desk)


def test_an_export_is_noted_without_contents_and_names(desk: Desk, cloud: StandInCloud) -> None:
    done = run(desk)
    entry = desk.open().entries()[-1]
    assert (entry.step, entry.what) == ("export", "13 new, 1 missing; 13 objects in the export, whole")
    assert "jsonl" not in done.model_dump_json()
    assert exports_of(desk).sha256() == done.list_sha256


def test_ids_that_are_no_ids_reach_no_url_and_no_terminal(desk: Desk, cloud: StandInCloud) -> None:
    cloud.objects["/v1/files"] += [
        {"id": "../../organization/keys", "bytes": 1},
        {"id": "\x1b[31mred", "bytes": 1},
        {"id": 7},
        {"id": "file-ok", "bytes": 2, "filename": "\x1b[31m\u202ename" + "x" * 500},
    ]
    cloud.contents["file-ok"] = b"ok"
    done = run(desk)
    assert done.unlisted == {"files": "it lists objects without an id that can be used"}
    assert not done.whole
    assert not any("organization" in path or "%1B" in path for path in gets(cloud))
    line = exports_of(desk).earlier("files", "file-ok")
    assert line is not None
    assert line.name.startswith("[31mnamexxx")
    assert len(line.name) <= 200


def export_files(desk: Desk) -> set[str]:
    path = export_path(desk.open().folder)
    return {str(one.relative_to(path)) for one in path.rglob("*.age")}


def named_files(desk: Desk) -> set[str]:
    return {part.file for _, line in exports_of(desk).contents() for piece in line.pieces for part in piece.parts}
