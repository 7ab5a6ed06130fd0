"""The record of the kit: what the control hosts keep, which record counts, and which apply a kit's files include."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.remote.completed import Completed
from rackwright.state import kit
from rackwright.state.applied import Applied, applied_from
from rackwright.state.checkout import checkout
from rackwright.state.formats import NewerFormat
from rackwright.state.kit import (
    KitRecord,
    KnownKit,
    SavedKit,
    claimed,
    control_time,
    golden_files,
    held,
    kit_digest,
    newest,
    parse_contents,
    parse_kit,
    read_kit,
    write_kit,
)
from rackwright.state.last_local_apply import note_applied_from
from tests.fleet.fleets import make_fleet
from tests.shells import FolderShell

MOMENT = datetime(2026, 11, 29, 8, tzinfo=UTC)
SAVED = SavedKit(
    repository="abcdef01",
    snapshot="abcdef02",
    when=MOMENT,
    files=3,
    bytes=9,
    digest="d",
    applied="r",
    with_ca_key=True,
)
ABOUT = '{"format": "applied/1", "fleet_file": "a.yml", "who": "anna", "run": "r1", "when": "2026-11-01T08:00:00Z"}'
GIT = ("git", "-c", "user.name=anna", "-c", "user.email=anna@acme.internal")


@pytest.fixture
def shell(tmp_path: Path) -> FolderShell:
    (tmp_path / "gate1").mkdir()
    return FolderShell(var=str(tmp_path / "gate1"))


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "acme").mkdir()
    made = make_fleet(tmp_path / "acme" / "site.yml")
    made.path.write_text("fleet: acme\n")
    return made


def git(fleet: Fleet, *words: str) -> None:
    subprocess.run([*GIT, *words], cwd=fleet.path.parent, check=True, capture_output=True)


def applied(fleet: Fleet, run: str) -> Applied:
    return applied_from(checkout(fleet), who="anna", run=run, when=MOMENT)


def test_a_record_is_read_back_with_the_last_apply(shell: FolderShell) -> None:
    assert read_kit(shell) == KnownKit()
    record = KitRecord(at={"web": SAVED})
    write_kit(shell, record)
    assert read_kit(shell) == KnownKit(record)
    Path(shell.var, "fleet").mkdir()
    Path(shell.var, "fleet/applied.json").write_text(ABOUT.replace(", ", ",\n"))
    assert read_kit(shell) == KnownKit(record, "r1")
    Path(shell.var, "kit.json").unlink()
    assert read_kit(shell) == KnownKit(applied="r1")


def test_a_damaged_record_counts_as_none_and_a_newer_one_is_refused() -> None:
    assert parse_kit(f'{{"format"\n{ABOUT}\n', "gate1").applied == "r1"
    assert parse_kit('{"format": "saved-kit/1", "at": {"web": {}}}\n', "gate1") == KnownKit()
    for text in ('{"format": "saved-kit/2"}\n', '\n{"format": "applied/2"}\n'):
        with pytest.raises(NewerFormat):
            parse_kit(text, "gate1")
    with pytest.raises(NewerFormat):
        parse_contents('{"format": "kit/2"}', "web")
    with pytest.raises(RackwrightError, match="should be of format kit/1"):
        parse_contents("{}", "web")


def test_of_several_records_the_newest_of_each_repository_counts() -> None:
    later = SAVED.model_copy(update={"when": MOMENT + timedelta(hours=1), "snapshot": "abcdef03"})
    one = KnownKit(KitRecord(at={"web": SAVED, "ssh": later}), "r1")
    two = KnownKit(KitRecord(at={"web": later, "ssh": SAVED}), "r2")
    assert newest([one, two]) == KnownKit(KitRecord(at={"web": later, "ssh": later}), "r1")
    assert newest([]) == KnownKit()


def test_one_operator_at_a_time_has_the_claim(shell: FolderShell, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(kit, "time", SimpleNamespace(sleep=slept.append))
    with claimed(shell):
        with pytest.raises(HostError, match="another operator is making"), claimed(shell):
            pass
        assert slept == [1] * 60
    with claimed(shell):
        subprocess.run(["touch", "-d", "6 minutes ago", f"{shell.var}/kit.claim"], check=True)
        with claimed(shell):
            pass
    assert not Path(shell.var, "kit.claim").exists()


def test_a_claim_that_another_run_took_over_is_not_released(shell: FolderShell) -> None:
    claim = Path(shell.var, "kit.claim")
    with claimed(shell):
        subprocess.run(["touch", "-d", "6 minutes ago", claim], check=True)
        other = claimed(shell)
        other.__enter__()
        token = claim.read_text()
    assert claim.read_text() == token
    other.__exit__(None, None, None)
    assert not claim.exists()


def test_a_clock_that_was_set_back_keeps_no_claim(shell: FolderShell) -> None:
    with claimed(shell):
        subprocess.run(["touch", "-d", "20 hours", f"{shell.var}/kit.claim"], check=True)
        with claimed(shell):
            pass


def test_the_error_of_the_block_is_raised_though_the_control_host_is_lost(shell: FolderShell) -> None:
    def lose() -> None:
        shell.gone = True
        raise HostError("the repository could not be created")

    with pytest.raises(HostError, match="the repository could not be created"), claimed(shell):
        lose()
    shell.gone = False
    subprocess.run(["touch", "-d", "6 minutes ago", f"{shell.var}/kit.claim"], check=True)
    with claimed(shell):
        shell.gone = True


def test_the_control_hosts_time_is_read_and_garbage_is_refused(shell: FolderShell) -> None:
    shell.clock_ahead = 3600
    assert abs(control_time(shell) - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)
    Path(shell.var, "date").write_text("#!/bin/sh\necho soon\n")
    Path(shell.var, "date").chmod(0o755)
    with pytest.raises(HostError, match="the time"):
        control_time(Garbled(shell))


class Garbled:
    """A host whose `date` is replaced."""

    def __init__(self, shell: FolderShell) -> None:
        self.name, self._shell = shell.name, shell

    def run(self, command: str, **options: Any) -> Completed:
        return self._shell.run(f"PATH={self._shell.var}:$PATH; {command}", **options)


def test_the_digest_changes_with_the_files_the_golden_set_and_the_commit(tmp_path: Path, fleet: Fleet) -> None:
    seen = {kit_digest(fleet)}
    fleet.path.write_text("fleet: other\n")
    seen.add(kit_digest(fleet))
    fleet.sibling("keys.yml").write_text("keys")
    seen.add(kit_digest(fleet))
    git(fleet, "init", "-q")
    git(fleet, "add", "-A")
    git(fleet, "commit", "-qm", "one")
    seen.add(kit_digest(fleet))
    assert len(seen) == 4
    (model,) = fleet.file.models.values()
    assert golden_files(fleet) == ()
    tried = model.model_copy(update={"canary": kit_canary("golden.jsonl")})
    with_golden = Fleet(
        fleet.path, fleet.file.model_copy(update={"routed": {"assistant": tried}}), (), fleet.sources, {}
    )
    assert kit_digest(with_golden) in seen, "there is no golden set yet"
    (fleet.path.parent / "golden.jsonl").write_text("{}")
    assert golden_files(with_golden) == (fleet.path.parent / "golden.jsonl",)
    assert kit_digest(with_golden) not in seen


def kit_canary(golden: str) -> object:
    from rackwright.fleet.sections.canary import Canary

    return Canary(golden=golden)


def test_files_include_an_apply_if_only_keys_differ_or_git_shows_it(fleet: Fleet) -> None:
    assert held(None, checkout(fleet), fleet) is None
    last = applied(fleet, "r1")
    fleet.sibling("keys.yml").write_text("keys")
    assert held(last, checkout(fleet), fleet) == "r1"
    fleet.path.write_text("fleet: other\n")
    assert held(last, checkout(fleet), fleet) is None, "without git it is unknown which is newer"
    note_applied_from(fleet.path, "r1")
    assert held(last, checkout(fleet), fleet) == "r1", "a later edit on the machine of the last apply"


def test_an_old_checkout_is_refused(fleet: Fleet) -> None:
    git(fleet, "init", "-q")
    git(fleet, "add", "-A")
    git(fleet, "commit", "-qm", "one")
    first = applied(fleet, "r1")
    fleet.path.write_text("fleet: newer\n")
    git(fleet, "commit", "-qam", "two")
    assert held(first, checkout(fleet), fleet) == "r1"
    second = applied(fleet, "r2")
    git(fleet, "reset", "-q", "--hard", "HEAD~1")
    with pytest.raises(LeasedError, match="a kit of these files would lack that change"):
        held(second, checkout(fleet), fleet)
