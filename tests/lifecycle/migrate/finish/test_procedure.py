"""The end of a migration: what is exported is deleted, and what isn't stays; a kill resumes to the same end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rackwright.errors import FleetError, HostError, ProofError, RackwrightError
from rackwright.lifecycle.migrate.finish import delete, fleet_edit, procedure
from rackwright.migrate.finish.state import KindEnd
from tests.lifecycle.migrate.finish.leaving import Leaving
from tests.stand_in_cloud import KEY, Fault

EVERYTHING = {
    "vector stores": 1,
    "vector store files": 2,
    "stored chat completions": 3,
    "files": 5,
}


def counts(at: Leaving) -> dict[str, int]:
    return {kind: one.deleted for kind, one in at.state.kinds.items() if one.deleted}


def sent(at: Leaving, method: str) -> list[str]:
    return [one.path for one in at.cloud.received if one.method == method]


def test_a_dry_run_shows_what_would_be_deleted_and_touches_nothing(at: Leaving) -> None:
    at.export()
    before = at.desk.path.read_text()
    found = at.look()
    assert found.problems == ()
    assert {kind: one.deleted for kind, one in found.kinds.items() if one.deleted} == EVERYTHING
    assert {kind: one.staying for kind, one in found.kinds.items() if one.staying} == {
        "batches": 1,
        "fine-tuning jobs": 1,
        "weights": 1,
    }
    assert found.edit.keys == ("models.assistant.cloud", "clouds.openai")
    assert sent(at, "DELETE") == []
    assert at.desk.path.read_text() == before
    assert [one.step for one in at.open().entries()] == ["init", "cutover", "export"]


def test_everything_goes_in_order_and_the_key_last(at: Leaving) -> None:
    at.export()
    at.finish()
    assert at.typed == [
        "This can't be undone: delete at the provider: vector stores: 1, vector store files: 2, "
        "stored chat completions: 3 and files: 5; erase all recorded requests and answers, at the gateways and here; "
        "remove models.assistant.cloud and clouds.openai from the fleet file, and apply it to the gateways."
    ]
    assert counts(at) == EVERYTHING
    assert at.cloud.contents == {}
    assert [one.rpartition("/")[0] for one in dict.fromkeys(sent(at, "DELETE"))] == [
        "/v1/vector_stores",
        *["/v1/chat/completions"] * 3,
        *["/v1/files"] * 5,
    ]
    assert all(at.state.kinds[kind].empty for kind in EVERYTHING if kind != "vector store files")
    assert at.captures.gateways["gate1"].files == {}
    assert "openai" not in at.fleet.file.clouds
    assert at.fleet.file.models["assistant"].cloud is None
    assert at.state.phase == "removing"
    done = at.applied()
    assert (done.phase, list(done.keys)) == ("done", ["gate1"])
    assert done.due
    assert round(done.due - done.quiet.at) >= 2_592_000
    assert [one.what for one in at.open().entries() if one.step == "finish"] == [
        "started",
        "13 objects exported and verified",
        "11 deleted",
        "1 gateway without recorded requests; 0 files removed here",
        "to remove from the fleet file: models.assistant.cloud, clouds.openai",
        "done: 1 gateway without the provider's key",
    ]
    assert at.look().state == done


def test_what_is_new_since_the_export_is_exported_before_it_is_deleted(at: Leaving) -> None:
    at.export()
    at.cloud.objects["/v1/files"].insert(0, {"id": "file-9", "bytes": 3, "filename": "9.jsonl"})
    at.cloud.contents["file-9"] = b"new"
    at.finish()
    assert counts(at)["files"] == 6
    assert "file-9" in {id for _, id in at.deletions.known}


def test_what_cant_be_exported_at_last_keeps_everything_where_it_is(at: Leaving) -> None:
    at.export()
    at.cloud.objects["/v1/files"].insert(0, {"id": "file-9", "bytes": 3, "filename": "9.jsonl"})
    with pytest.raises(ProofError, match="nothing was deleted: not everything has a copy") as error:
        at.finish()
    assert "files file-9: it was listed, then HTTP 404" in str(error.value)
    assert sent(at, "DELETE") == []
    assert at.state.phase == "started"


def test_a_changed_file_of_the_export_keeps_everything_where_it_is(at: Leaving) -> None:
    """The provider has it still, so it is fetched again; what differs there has no copy."""
    at.export()
    part = next((at.desk.records / "export").rglob("*.age"))
    part.write_bytes(b"changed")
    at.cloud.faults.append(Fault("status", status=403, times=-1, path="/v1/vector_stores/vs_1"))
    at.cloud.faults.append(Fault("status", status=403, times=-1, path="/v1/files/"))
    at.cloud.faults.append(Fault("status", status=403, times=-1, path="/v1/chat/completions/"))
    at.cloud.faults.append(Fault("status", status=403, times=-1, path="/v1/fine_tuning/jobs/"))
    with pytest.raises(ProofError, match="nothing was deleted"):
        at.finish()
    assert sent(at, "DELETE") == []


def test_a_deletion_that_is_answered_with_200_and_still_lists_is_not_deleted(at: Leaving) -> None:
    at.export()
    at.cloud.keeps = {"file-2": "all", "chatcmpl-1": "entry"}
    with pytest.raises(ProofError, match="the provider still has objects that should be gone") as error:
        at.finish()
    said = str(error.value)
    assert "files file-2: its deletion was accepted, and it is still there" in said
    assert (
        "stored chat completions chatcmpl-1: its deletion was accepted, and the provider's list still has it" in said
    )
    assert (at.state.phase, counts(at)["files"], at.state.kinds["files"].kept) == ("copied", 4, 1)
    assert at.state.kinds["files"].empty
    assert at.state.kinds["stored chat completions"].empty is None
    # The fleet keeps the key until it is gone.
    assert "openai" in at.fleet.file.clouds
    at.cloud.keeps.clear()
    at.cloud.objects["/v1/chat/completions"].clear()
    at.finish()
    assert counts(at) == EVERYTHING


def test_a_provider_that_needs_a_moment_is_asked_again(at: Leaving, monkeypatch: pytest.MonkeyPatch) -> None:
    at.export()
    at.cloud.keeps = {"file-2": "all"}

    def later(deleter: delete.Deleter, key: tuple[str, str]) -> None:
        at.cloud.objects["/v1/files"] = [one for one in at.cloud.objects["/v1/files"] if one["id"] != "file-2"]
        at.cloud.contents.pop("file-2", None)
        seen(deleter, key)

    seen = delete.Deleter._seen_again
    monkeypatch.setattr(delete.Deleter, "_seen_again", later)
    at.finish()
    assert counts(at) == EVERYTHING


def test_what_appears_after_the_export_is_not_deleted_and_blocks(
    at: Leaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.export()
    verify = procedure.verify_export

    def then_new(place: object) -> object:
        at.cloud.objects["/v1/files"].insert(0, {"id": "file-9", "bytes": 3, "filename": "9.jsonl"})
        at.cloud.contents["file-9"] = b"new"
        return verify(place)  # type: ignore[arg-type]

    monkeypatch.setattr(procedure, "verify_export", then_new)
    with pytest.raises(ProofError, match="files file-9: it isn't in the export"):
        at.finish()
    assert at.cloud.contents == {"file-9": b"new"}
    assert at.state.phase == "started"
    monkeypatch.setattr(procedure, "verify_export", verify)
    at.finish()
    assert counts(at) == {**EVERYTHING, "files": 6}
    assert at.cloud.contents == {}


def test_what_the_plan_waives_stays_without_a_copy(at: Leaving) -> None:
    at.cloud.faults.append(Fault("status", status=400, times=-1, path="/v1/files/file-2/content"))
    at.export()
    assert at.problems == ["support export: 1 object of the kind files can't be exported"]
    at.desk.edit("replay:", "finish: {waivers: {files: results of evals}}\nreplay:")
    at.finish()
    assert at.state.kinds["files"] == KindEnd(copied=4, deleted=4, uncopied=1, empty=at.state.kinds["files"].empty)
    assert [(one.id, one.why) for one in at.state.left] == [("file-2", "uncopied")]
    assert list(at.cloud.contents) == ["file-2"]


def test_a_batch_that_runs_is_waited_for(at: Leaving) -> None:
    at.cloud.objects["/v1/batches"][0]["status"] = "in_progress"
    at.export()
    with pytest.raises(ProofError, match="haven't ended"):
        at.finish()
    assert sent(at, "DELETE") == []


def test_a_key_that_may_not_delete_keeps_what_it_was_to_delete(at: Leaving, monkeypatch: pytest.MonkeyPatch) -> None:
    at.export()
    asked = delete.ProviderClient.delete

    def refused(client: delete.ProviderClient, path: str) -> None:
        if path.startswith("/files"):
            raise delete.Refused("key", "HTTP 403", 403)
        asked(client, path)

    monkeypatch.setattr(delete.ProviderClient, "delete", refused)
    with pytest.raises(ProofError, match="files file-0: its deletion was refused: HTTP 403, and it is still there"):
        at.finish()
    assert at.state.kinds["files"].kept == 5


def test_what_someone_else_has_deleted_is_gone_and_not_deleted(at: Leaving) -> None:
    at.export()
    at.cloud.objects["/v1/chat/completions"].pop()
    at.finish()
    assert at.state.kinds["stored chat completions"].gone == 1
    assert counts(at)["stored chat completions"] == 2


@pytest.mark.parametrize("number", [1, 2, 7, 22])
def test_a_kill_at_any_line_of_the_deletion_resumes_to_the_same_end(
    at: Leaving, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A deletion that was asked for counts, although the run that asked didn't see the answer."""
    at.export()
    note, left = delete.Deletions.note, [number]

    def dies(self: delete.Deletions, *words: object, **more: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        note(self, *words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(delete.Deletions, "note", dies)
    with pytest.raises(KeyboardInterrupt):
        at.finish()
    monkeypatch.setattr(delete.Deletions, "note", note)
    at.finish()
    assert counts(at) == EVERYTHING
    assert at.cloud.contents == {}
    assert at.applied().phase == "done"


def test_a_kill_after_any_part_goes_on_with_the_next_one(at: Leaving, monkeypatch: pytest.MonkeyPatch) -> None:
    at.export()
    whole = procedure._Finishing
    for step in ("_copy", "_delete", "_erase", "_remove"):
        done = getattr(whole, step)

        def dies(self: procedure._Finishing, done: Callable[[procedure._Finishing], None] = done) -> None:
            done(self)
            raise KeyboardInterrupt

        monkeypatch.setattr(whole, step, dies)
        with pytest.raises(KeyboardInterrupt):
            at.finish()
        monkeypatch.setattr(whole, step, done)
    assert [one.what for one in at.open().entries() if one.step == "export"][1:] == [
        "0 new, 1 missing; 13 objects in the export, whole",
        "verified: 13 objects, 7.2 kB",
    ]
    at.finish()
    assert counts(at) == EVERYTHING
    assert at.applied().phase == "done"


def test_the_end_needs_every_gateway_without_the_key(at: Leaving) -> None:
    at.export()
    at.finish()
    with pytest.raises(HostError, match="gate1: still has the key of openai"):
        procedure.complete(at.open())
    assert at.state.phase == "removing"
    (at.keys / "openai.key.cred").unlink()
    (at.keys / "clouds.map").write_text(f"openai {KEY}\n")
    with pytest.raises(HostError, match=r"clouds\.map") as error:
        procedure.complete(at.open())
    assert KEY not in str(error.value)
    (at.keys / "clouds.map").write_text(f"other {KEY}\n")
    assert procedure.complete(at.open()).phase == "done"


def test_a_cloud_that_others_use_keeps_its_key(at: Leaving) -> None:
    text = at.desk.path.read_text().replace("[gpt-4o-mini]\n    ca", "[gpt-4o-mini, gpt-4o]\n    ca")
    text = text.replace("    names: [gpt-4o-mini]\nhosts", "    names: [gpt-4o-mini, gpt-4o]\nhosts")
    at.desk.path.write_text(text.replace("gateway:", "  other: {cloud: openai, names: [gpt-4o]}\ngateway:"))
    at.export()
    at.asked_cloud(1)
    assert at.look().edit.keys == ("models.assistant.cloud",)
    at.finish()
    assert "openai" in at.fleet.file.clouds
    assert procedure.complete(at.open()).others == ("other",)


def test_an_edit_that_cant_be_made_leaves_the_fleet_file_as_it_was(
    at: Leaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.export()
    before = at.desk.path.read_text()
    with monkeypatch.context() as patched:
        patched.setattr(fleet_edit, "without", lambda text, _: text.replace("    context: 2048\n", ""))
        with pytest.raises(
            FleetError, match=r"was not changed; remove models\.assistant\.cloud, clouds\.openai yourself"
        ):
            at.finish()
    assert at.desk.path.read_text() == before
    at.desk.path.write_text(fleet_edit.without(before, [("models", "assistant", "cloud"), ("clouds", "openai")]))
    assert at.finish().state == at.state
    assert at.applied().phase == "done"


def test_an_older_list_of_deletions_is_refused(at: Leaving) -> None:
    at.export()
    at.cloud.keeps = {"file-2": "all"}
    with pytest.raises(ProofError):
        at.finish()
    (at.desk.records / "export" / "deletions.jsonl").unlink()
    with pytest.raises(RackwrightError, match="isn't the list of deletions that the log knows"):
        at.finish()
