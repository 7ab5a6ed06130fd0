"""`migrate finish`, `certificate` and `recheck`: as an operator runs them, with the prompt answered."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.lifecycle.apply import procedure as applying
from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.finish.leaving import Leaving, leaving
from tests.stand_in_cloud import ADMIN_KEY, KEY


@pytest.fixture
def at(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leaving]:
    with leaving(desk, tmp_path, monkeypatch) as found:

        def opened(fleet: Any, **_: Any) -> Any:
            return nullcontext(SimpleNamespace(**{**vars(desk.session), "fleet": fleet}))

        def apply(session: Any, options: Any, console: Any, show: Any) -> Any:
            assert "openai" not in session.fleet.file.clouds
            console.confirm("Apply this?")
            shutil.rmtree(found.keys)
            return SimpleNamespace(
                failure=None, unsaved=None, run=SimpleNamespace(interrupted=False, failed_hosts=())
            )

        monkeypatch.setattr("rackwright.lifecycle.session.session.open_session", opened)
        monkeypatch.setattr(
            "rackwright.lifecycle.session.lease.control_store", lambda _: nullcontext((desk.store, None))
        )
        monkeypatch.setattr(applying, "apply", apply)
        yield found


def ran(at: Leaving, *words: object, answers: str = "") -> Ran:
    done = rackwright("-f", at.desk.path, "migrate", *words, answers=answers)
    for secret in (KEY, ADMIN_KEY):
        assert secret not in done.stdout + done.stderr
    return done


def test_the_whole_end(at: Leaving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at.export()
    shown = ran(at, "finish", "support")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout.splitlines() == [
        "at the provider          to delete  stays without a copy  stays",
        "vector stores            1          -                     -",
        "vector store files       2          -                     -",
        "stored chat completions  3          -                     -",
        "files                    5          -                     -",
        "batches                  -          -                     1",
        "fine-tuning jobs         -          -                     1",
        "weights                  -          -                     1",
        "batches: the API has no deletion of batches; their files are deleted",
        "fine-tuning jobs: the API has no deletion of fine-tuning jobs; their files are deleted",
        "weights: nobody can have a copy; delete the models that fine-tuning made at the provider",
        "",
        "the cloud's last request: none in the ledgers",
        "1. delete at the provider: vector stores: 1, vector store files: 2, stored chat completions: 3 and files: 5",
        "2. erase all recorded requests and answers, at the gateways and here",
        "3. remove models.assistant.cloud and clouds.openai from the fleet file, and apply it to the gateways",
        "next: rackwright migrate finish support --execute",
    ]
    refused = ran(at, "finish", "support", "--execute", "--yes")
    assert refused.exit_code == 1
    assert "next: rackwright migrate finish support --execute --agree support" in refused.stderr
    assert ran(at, "finish", "support", "--execute", answers="suport\n").exit_code == 1
    assert at.cloud.contents
    done = ran(at, "finish", "support", "--execute", answers="support\ny\n")
    assert done.exit_code == 0, done.stderr
    assert "This can't be undone: delete at the provider" in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "gate1: without the provider's key" in lines
    assert lines[-1] == "next: rackwright migrate certificate support"
    assert at.cloud.contents == {}
    assert "# for now" not in at.desk.path.read_text()
    status = ran(at, "status", "support")
    assert status.exit_code == 0, status.stderr
    assert "the migration has ended; the provider should be asked again on " in status.stdout
    rechecked = ran(at, "recheck", "support")
    assert (rechecked.exit_code, rechecked.stdout.splitlines()[-2:]) == (
        0,
        ["files                    5", "next: rackwright migrate certificate support"],
    )
    _certificate(at, tmp_path)


def _certificate(at: Leaving, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
    text = at.desk.path.read_text()
    public = key.with_suffix(".pub").read_text().strip()
    at.desk.path.write_text(f"{text}people:\n  anna: {{role: operator, keys: ['{public}']}}\n")
    made = ran(at, "certificate", "support", "--sign-with", key)
    assert made.exit_code == 0, made.stderr
    file = at.desk.folder / "site.migrate-support.certificate.json"
    assert made.stdout.splitlines()[-1] == f"next: rackwright migrate certificate support --verify {file}"
    checked = ran(at, "certificate", "support", "--verify", file)
    assert checked.exit_code == 0, checked.stderr
    assert checked.stdout.startswith(f"{file}: signed by anna, sha256 ")
    file.write_text(file.read_text().replace('"deleted": 5', '"deleted": 6'))
    assert ran(at, "certificate", "support", "--verify", file).exit_code == 12
    assert ran(at, "certificate", "support", "--verify", file, "--out", file).exit_code == 2


def test_the_next_command_keeps_the_file_of_ids(at: Leaving) -> None:
    """Without it, these objects would stay at the provider."""
    at.export()
    command = "rackwright migrate finish support --execute --ids 'our ids'"
    assert ran(at, "finish", "support", "--ids", "our ids").stdout.splitlines()[-1] == f"next: {command}"
    refused = ran(at, "finish", "support", "--execute", "--ids", "our ids", "--yes")
    assert f"next: {command} --agree support" in refused.stderr


def test_everything_in_the_way_is_shown_and_refuses_the_end(at: Leaving) -> None:
    at.world.gateways["gate1"].share = 50
    shown = ran(at, "finish", "support")
    assert shown.exit_code == 0
    assert "gate1: gives the fleet 50 % of new conversations; should give the fleet all of them" in shown.stdout
    assert shown.stdout.splitlines()[-1].startswith("  next: ")
    refused = ran(at, "finish", "support", "--execute", "--agree", "support")
    assert refused.exit_code == 12
    assert "support: the migration can't end yet" in refused.stderr
    document = ran(at, "finish", "support", "--json").document
    assert [one["where"] for one in document["problems"]] == ["gate1", "support export"]
    assert ran(at, "finish", "support", "--agree", "other").exit_code == 2


def test_a_deletion_that_still_lists_exits_with_12(at: Leaving) -> None:
    at.export()
    at.cloud.keeps = {"file-2": "all"}
    said = ran(at, "finish", "support", "--execute", "--agree", "support")
    assert said.exit_code == 12
    assert "  - files file-2: its deletion was accepted, and it is still there" in said.stderr
    assert "next: rackwright migrate finish support --execute" in said.stderr
    assert ran(at, "certificate", "support").exit_code == 2


def test_an_object_that_is_back_exits_with_12(at: Leaving) -> None:
    at.end()
    at.cloud.objects["/v1/files"] = [{"id": "file-2", "bytes": 3}]
    said = ran(at, "recheck", "support")
    assert said.exit_code == 12
    assert "NOT GONE: files file-2: it is still there" in said.stdout
