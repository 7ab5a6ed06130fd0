"""`migrate export`: what it prints, and its exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.stored_objects import reach, store
from tests.loopback_tls import server_files
from tests.stand_in_cloud import Fault, StandInCloud, stand_in_cloud


@pytest.fixture
def cloud(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInCloud]:
    monkeypatch.setattr(
        "rackwright.lifecycle.session.session.open_session", lambda *_, **__: nullcontext(desk.session)
    )
    with stand_in_cloud(*server_files()) as running:
        store(running)
        reach(desk, running)
        yield running


def ran(desk: Desk, *words: object) -> Ran:
    return rackwright("-f", desk.path, "migrate", "export", "support", *words)


def test_an_export_and_its_verification(desk: Desk, cloud: StandInCloud, tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    ids.write_text("resp_1\nresp_2\nconv_1\n")
    first = ran(desk, "--ids", ids)
    place = desk.folder / "site.migrate-support" / "export"
    assert first.exit_code == 0, first.stderr
    lines = first.stdout.splitlines()
    assert lines[0].split("  ")[0] == "at the provider"
    assert next(one.split() for one in lines if one.startswith("files ")) == "files 5 5 - - - - 434 B".split()
    assert lines[-5:] == [
        "not exported: responses resp_2: HTTP 404",
        "not exported: weights ft:small:acme::1: this API hands out no weights (ftjob-1)",
        "",
        f"15 objects in {place}: whole",
        "next: rackwright migrate export support --verify",
    ]
    verified = ran(desk, "--verify")
    assert (verified.exit_code, verified.stdout.splitlines()) == (
        0,
        ["15 objects decrypted and compared, 7.3 kB: all as exported", "the export: whole"],
    )
    document = ran(desk, "--json").document
    assert (document["format"], document["whole"], document["objects"]) == ("migration-export/1", True, 15)
    assert document["kinds"]["files"]["same"] == 5
    # The list has the ids.
    assert document["kinds"]["responses"]["same"] == 1


def test_exit_code_12_if_the_provider_has_more(desk: Desk, cloud: StandInCloud) -> None:
    cloud.faults.append(Fault("status", status=400, times=-1, path="/v1/files/file-2/content"))
    cloud.faults.append(Fault("status", status=403, times=-1, path="/v1/batches"))
    shown = ran(desk)
    assert shown.exit_code == 12
    lines = shown.stdout.splitlines()
    assert "not listed to the end: batches: HTTP 403" in lines
    assert "not exported: files file-2: HTTP 400 for the purpose batch" in lines
    assert lines[-2].endswith("/export: not whole, the provider has more")
    assert lines[-1] == "next: rackwright migrate export support"
    # What is there can be verified all the same.
    assert ran(desk, "--verify").stdout.splitlines()[-2:] == [
        "the export: not whole, the provider has more",
        "next: rackwright migrate export support",
    ]


def test_many_missing_objects_are_counted(desk: Desk, cloud: StandInCloud) -> None:
    cloud.objects["/v1/files"] += [{"id": f"lost-{n}", "bytes": 4} for n in range(30)]
    shown = ran(desk)
    assert shown.stdout.count("HTTP 404") == 20
    assert "not exported: 11 more, in" in shown.stdout


def test_verification_of_a_changed_file(desk: Desk, cloud: StandInCloud) -> None:
    assert ran(desk).exit_code == 0
    part = next((desk.folder / "site.migrate-support" / "export").rglob("*.age"))
    part.write_bytes(b"changed")
    shown = ran(desk, "--verify")
    assert shown.exit_code == 12
    assert f"{part}: was changed; restore it from a copy" in shown.stderr


def test_the_next_command_keeps_what_was_asked(desk: Desk, cloud: StandInCloud, tmp_path: Path) -> None:
    ids = tmp_path / "our ids"
    ids.write_text("resp_1\n")
    cloud.faults.append(Fault("status", status=400, times=-1, path="/v1/files/file-2/content"))
    shown = ran(desk, "--ids", ids, "--compare")
    assert shown.exit_code == 12
    assert shown.stdout.splitlines()[-1] == f"next: rackwright migrate export support --ids '{ids}' --compare"


def test_verification_asks_no_provider(desk: Desk) -> None:
    shown = ran(desk, "--verify", "--compare")
    assert (shown.exit_code, "leave out the other options" in shown.stderr) == (2, True)


def test_a_bad_file_of_ids(desk: Desk, cloud: StandInCloud, tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    ids.write_text("resp_1\nfile-1\nmsg_1\n")
    shown = ran(desk, "--ids", ids)
    assert shown.exit_code == 10
    assert f"{ids}:2: 'file-1' is no id" in shown.stderr
    assert f"{ids}:3: 'msg_1' is no id" in shown.stderr
    assert not cloud.received


def test_a_provider_that_isnt_there(desk: Desk, cloud: StandInCloud) -> None:
    cloud.faults.append(Fault("status", status=401, times=-1))
    shown = ran(desk)
    assert shown.exit_code == 1
    assert "the provider lists nothing" in shown.stderr
    assert "  - files: HTTP 401" in shown.stderr
