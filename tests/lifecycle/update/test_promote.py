"""What becomes of the lock that a run has promoted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import RackwrightError
from rackwright.fleet.sections.unattended import LockRepository, Unattended
from rackwright.lifecycle.lock import lock_branch
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.update import promote as module
from rackwright.run import Run
from tests.lifecycle.patch.seen import two_hosts

REPOSITORY = LockRepository(
    url="ssh://git@git.acme.internal/ops.git", key="env:KEY", host_key=f"ssh-ed25519 {'A' * 68}"
)


class Desk:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, repository: LockRepository | None) -> None:
        self.done: list[str] = []
        self.error: RackwrightError | None = None
        unattended = Unattended.model_construct(repository=repository)
        fleet = two_hosts()
        file = fleet.file.model_copy(update={"unattended": unattended})
        self.fleet = SimpleNamespace(file=file, sibling=lambda suffix: f"acme.{suffix}")
        self.session: Any = SimpleNamespace(fleet=self.fleet, hosts={}, lock="the new lock")
        monkeypatch.setattr(module, "apply_leased", lambda *_: Run())
        monkeypatch.setattr(module, "write_lock", lambda path, lock: self.done.append(f"write {path}"))
        monkeypatch.setattr(module, "remove_next", lambda _: None)
        monkeypatch.setattr(module, "survey", lambda _: None)
        monkeypatch.setattr(module, "remember", self.remember)
        monkeypatch.setattr(lock_branch, "publish_promoted", self.publish)

    def remember(self, *_: object, promotes: bool, **__: object) -> None:
        assert promotes, "the control hosts must know that the lock before was replaced"
        self.done.append("remember")

    def publish(self, session: object, console: object, what: str) -> RackwrightError | None:
        self.done.append(f"publish {what}")
        return self.error

    def promote(self, unattended: Agreements | None) -> list[str]:
        lease_session: Any = SimpleNamespace(
            lease=SimpleNamespace(owner=SimpleNamespace(why="patch run --unattended"))
        )
        console: Any = SimpleNamespace(say=lambda _: None)
        module.promote(self.session, lease_session, console, unattended)
        return self.done


def test_an_unattended_run_pushes_it_once_the_control_hosts_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, REPOSITORY)
    unattended = Agreements(desk.fleet)  # type: ignore[arg-type]
    assert desk.promote(unattended) == ["write acme.lock", "remember", "publish patch run --unattended"]
    assert unattended.unpublished is None


def test_that_it_could_not_be_pushed_is_kept_for_the_commands_end(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, REPOSITORY)
    desk.error = RackwrightError("Permission denied")
    unattended = Agreements(desk.fleet)  # type: ignore[arg-type]
    desk.promote(unattended)
    assert unattended.unpublished is desk.error


@pytest.mark.parametrize(("repository", "watched"), [(None, False), (REPOSITORY, True)])
def test_a_person_commits_it_and_without_a_repository_nothing_is_pushed(
    monkeypatch: pytest.MonkeyPatch, repository: LockRepository | None, watched: bool
) -> None:
    desk = Desk(monkeypatch, repository)
    unattended = None if watched else Agreements(desk.fleet)  # type: ignore[arg-type]
    assert desk.promote(unattended) == ["write acme.lock", "remember"]
