"""A colleague has applied a commit that this checkout lacks: that is no drift, and the way out is `git pull`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.lock import Lock, lock_digest
from rackwright.lifecycle.session.survey import Survey
from rackwright.lifecycle.status import procedure
from rackwright.lifecycle.status.procedure import _behind, _host, _pending
from rackwright.state.applied import Applied, applied_from
from rackwright.state.checkout import checkout
from rackwright.state.formats import utc_now
from tests.state.test_applied import FilesOnly, commit, git

LOCK = Lock(fleet="acme", models={}, runtimes={}, ports={})


@pytest.fixture
def files(tmp_path: Path) -> FilesOnly:
    (tmp_path / "site.yml").write_text("fleet: acme\n")
    (tmp_path / "site.lock").write_text("format: lock/1\n")
    files = FilesOnly(tmp_path / "site.yml")
    git(tmp_path, "init", "-q")
    commit(tmp_path, "first")
    return files


def seen(lock: str | None = "other", **fields: Any) -> Any:
    driver, hardware = SimpleNamespace(reboot_pending=None), SimpleNamespace(report=None)
    return SimpleNamespace(applied_lock=lock, driver=driver, hardware=hardware, left=None, **fields)


def behind(
    files: FilesOnly, applied: Applied | Exception | None, monkeypatch: pytest.MonkeyPatch, **hosts: Any
) -> tuple[str | None, int]:
    """Return what is said, and how often the control host was asked."""
    asked = []

    def read(*_: object) -> Applied | None:
        asked.append(1)
        if isinstance(applied, Exception):
            raise applied
        return applied

    monkeypatch.setattr(procedure, "last_applied", read)
    files.control = ("gate1",)  # type: ignore[attr-defined]
    session: Any = SimpleNamespace(fleet=files, lock=LOCK, remote=SimpleNamespace(connection=lambda _: None))
    return _behind(session, Survey(hosts or {"gate1": seen()}, {})), len(asked)


def test_a_newer_commit_is_named_with_git_pull(files: FilesOnly, monkeypatch: pytest.MonkeyPatch) -> None:
    files.path.write_text("fleet: acme\ntimezone: UTC\n")
    newer = commit(files.path.parent, "a colleague's")
    applied = applied_from(checkout(files), who="ben@desk", run="r1", when=utc_now())  # type: ignore[arg-type]
    git(files.path.parent, "reset", "-q", "--hard", "HEAD~1")
    said, _ = behind(files, applied, monkeypatch)
    assert said
    assert said.startswith(f"this checkout lacks the commit {newer[:12]}, which ben@desk applied at ")
    assert said.endswith("; next: git pull")


def test_files_that_are_newer_here_are_drift_as_ever(files: FilesOnly, monkeypatch: pytest.MonkeyPatch) -> None:
    applied = applied_from(checkout(files), who="ben@desk", run="r1", when=utc_now())  # type: ignore[arg-type]
    files.path.write_text("fleet: acme\ntimezone: UTC\n")
    commit(files.path.parent, "mine")
    assert behind(files, applied, monkeypatch) == (None, 1)


@pytest.mark.parametrize("answer", [None, HostError("no record")], ids=["nothing applied", "unreadable"])
def test_without_a_record_nothing_is_claimed(
    files: FilesOnly, monkeypatch: pytest.MonkeyPatch, answer: Exception | None
) -> None:
    assert behind(files, answer, monkeypatch) == (None, 1)


def test_the_control_host_is_asked_only_if_a_lock_differs(files: FilesOnly, monkeypatch: pytest.MonkeyPatch) -> None:
    same = {"gate1": seen(lock_digest(LOCK)), "gpu1": seen(None)}
    assert behind(files, None, monkeypatch, **same) == (None, 0)
    assert behind(files, None, monkeypatch, gpu1=seen()) == (None, 0)


@pytest.mark.parametrize(
    ("behind", "rolling", "what"),
    [
        (False, False, "restart"),
        (False, True, "the open rollout changes it"),
        (True, True, "this checkout is behind: git pull"),
    ],
)
def test_what_others_have_changed_is_not_called_drift(
    monkeypatch: pytest.MonkeyPatch, *, behind: bool, rolling: bool, what: str
) -> None:
    replica = Replica("a", 1, "gpu1", 1)
    monkeypatch.setattr(procedure, "restarts", lambda *_: [SimpleNamespace(replica=replica)])
    monkeypatch.setattr(procedure, "deferred", lambda *_: [])
    session: Any = SimpleNamespace()
    assert _pending(session, Survey({}, {}), behind=behind, rolling=rolling) == {"gpu1/a@1": what}


def test_a_hosts_lock_is_newer_or_just_another_one(files: FilesOnly) -> None:
    disabled = SimpleNamespace(disabled=None)
    fleet = SimpleNamespace(file=SimpleNamespace(hosts={"gpu1": disabled}))
    session: Any = SimpleNamespace(fleet=fleet, lock=LOCK)
    for behind, said in ((True, "a newer lock was applied"), (False, "another lock was applied")):
        assert _host(session, Survey({"gpu1": seen()}, {}), "gpu1", {}, behind=behind).pending == said
    assert _host(session, Survey({"gpu1": seen(None)}, {}), "gpu1", {}, behind=True).pending == "never applied"
