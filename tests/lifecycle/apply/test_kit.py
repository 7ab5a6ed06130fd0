"""An apply leaves a kit of what it applied: real restic and rest-server, with the hosts' part left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostsFailed
from rackwright.lifecycle.apply import procedure as apply
from rackwright.lifecycle.apply import stages
from rackwright.lifecycle.apply.stages import KIT, SAVE, Applied, Options
from rackwright.lifecycle.backup import kit_repository
from rackwright.lifecycle.update.after import refreshed_kit
from rackwright.run import Run
from rackwright.state.applied import applied_from, write_applied
from rackwright.state.checkout import checkout
from rackwright.state.formats import utc_now
from rackwright.state.kit import read_kit
from tests.fleet.test_backup import SSH, fleet
from tests.lifecycle.backup.kit_fleet import Said, Site, make_site
from tests.rest_server import start


class Console(Said):
    def stage(self, what: str, stages: Any) -> None:
        assert what in stages
        self.lines.append(what)


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    (tmp_path / "rest").mkdir()
    server = start(tmp_path / "rest")
    made = make_site(tmp_path, server, monkeypatch)
    made.make_repository()
    yield made
    server.stop()


def applied(
    vault: Site, monkeypatch: pytest.MonkeyPatch, run: str, *, known: bool = False, empty: bool = True
) -> tuple[Applied, list[str]]:
    """Apply a plan as this run, by default an empty one; return the result, and what was said."""
    fleet, console = vault.fleet, Console()
    session: Any = SimpleNamespace(fleet=fleet, remote=vault.hosts, hosts={})
    surveyed = SimpleNamespace(hosts={"gate1": SimpleNamespace(kit=read_kit(vault.host))}, control=None)
    planned = SimpleNamespace(empty=empty, run=Run(), first_snapshots=(), surveyed=surveyed)

    def remember(*_: object, **__: object) -> None:
        if not known:
            files = applied_from(checkout(fleet), who="anna", run=run, when=utc_now())
            write_applied(vault.host, files, folder=vault.host.var)

    monkeypatch.setattr(apply, "leased", lambda *_: nullcontext(SimpleNamespace(run=run)))
    monkeypatch.setattr(apply, "compared", lambda _: None)
    monkeypatch.setattr(apply, "plan", lambda *_, **__: planned)
    monkeypatch.setattr(apply, "refuse_stale_checkout", lambda *_, **__: known)
    monkeypatch.setattr(apply, "remember", remember)
    return apply.apply(session, Options(), console, lambda _: None), console.lines


def test_the_first_apply_leaves_one_and_the_next_only_after_a_change(
    vault: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, said = applied(vault, monkeypatch, "r1")
    assert done.failure is done.unsaved is None
    assert KIT in said
    assert read_kit(vault.host).record.at["web"].applied == "r1"
    before = len(vault.host.commands)
    _, said = applied(vault, monkeypatch, "r2", known=True)
    assert KIT not in said
    assert len(vault.host.commands) == before + 1, "it asks nothing but the survey"
    vault.git("commit", "-q", "--allow-empty", "-m", "more")
    applied(vault, monkeypatch, "r3", known=True)
    assert read_kit(vault.host).record.at["web"].applied == "r1"
    assert len(vault.snapshots()) == 2


def test_a_copy_of_the_fleet_has_no_stage_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "is_supplied", lambda *_: False)
    shown: list[tuple[str, ...]] = []
    console: Any = SimpleNamespace(stage=lambda what, all_of_them: shown.append((what, *all_of_them)))
    for snapshots in ("yes", "no"):
        session: Any = SimpleNamespace(fleet=fleet(tmp_path, SSH, snapshots=snapshots), hosts={})
        stages.begin(session, console, KIT)
        stages.begin(session, console, SAVE)
    assert [(what, KIT in all_of_them) for what, *all_of_them in shown] == [(KIT, True), (SAVE, True), (SAVE, False)]


def test_one_that_can_not_be_saved_undoes_nothing_and_is_an_error_next_to_others(
    vault: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit_repository, "_REACH_SECONDS", 1)
    vault.server.stop()
    first = HostsFailed("some first snapshots are missing")
    monkeypatch.setattr(apply, "_saved", lambda _, applied, *__: Applied(applied.run, unsaved=first))
    done, said = applied(vault, monkeypatch, "r1")
    assert SAVE not in said
    assert done.failure is None
    assert isinstance(done.unsaved, HostsFailed)
    assert [problem.what for problem in done.unsaved.problems] == [
        "some first snapshots are missing",
        "can't be reached within 1 s",
    ]
    assert read_kit(vault.host).applied == "r1"


def test_an_apply_that_failed_leaves_none(vault: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "_agree", lambda *_: None)
    monkeypatch.setattr(apply, "_carry_out", lambda *_: Applied(Run(), failure=HostsFailed("no")))
    done, said = applied(vault, monkeypatch, "r1", empty=False)
    assert str(done.failure) == "no"
    assert KIT not in said


def test_an_update_leaves_one_where_a_repository_has_one(vault: Site) -> None:
    session: Any = SimpleNamespace(remote=vault.hosts)
    assert refreshed_kit(vault.fleet, session, vault.said) is None
    assert len(vault.snapshots()) == 1
    vault.path.write_text(vault.path.read_text().partition("backup:")[0])
    assert refreshed_kit(vault.fleet, session, vault.said) is None
