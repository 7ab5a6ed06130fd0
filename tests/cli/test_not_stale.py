"""Files for which git can't tell whether they are newer than the last apply. Hosts are folders here."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.cli.common.console import Console
from rackwright.errors import LeasedError
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.key import Terms, add_key, note_of
from rackwright.lifecycle.session.own_copy import FleetChanged, compared_under_lease
from rackwright.lifecycle.session.remember import _keep_applied, refuse_stale_checkout
from rackwright.state.api_keys.control_keys import keep_keys
from rackwright.state.formats import utc_now
from tests.cli.test_lease_move import AS_IT_WAS, FLEET
from tests.shells import FolderHosts, FolderShell


class Desk:
    """A fleet file without git, and what its operator does with it."""

    def __init__(self, path: Path, hosts: dict[str, FolderShell]) -> None:
        self.path, self.remote = path, FolderHosts(hosts)

    @property
    def session(self) -> Any:
        return SimpleNamespace(fleet=load_fleet(self.path), remote=self.remote, models={})

    def apply(self, run: str) -> None:
        """Run the part of an apply that writes to the control host and to this machine."""
        lease_session: Any = SimpleNamespace(run=run, lease=SimpleNamespace(owner=SimpleNamespace(who="anna@laptop")))
        _keep_applied(self.session, lease_session, utc_now(), ["gate1"])

    def edit(self, client: str) -> None:
        self.path.write_text(self.path.read_text().replace("clients_from: [", f"clients_from: [{client}, "))

    def look(self, *, yes: bool = True, not_stale: bool = False) -> bool:
        with Console(quiet=False, yes=yes) as console:
            return refuse_stale_checkout(compared_under_lease(self.session), console, not_stale=not_stale)


@pytest.fixture
def desks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Desk, Desk]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("rackwright.remote.Background", lambda work: SimpleNamespace(result=work))
    hosts = {}
    for name in ("gate1", "gate2", "gpu1"):
        (tmp_path / name).mkdir()
        hosts[name] = FolderShell(name=name, var=str(tmp_path / name))
    first = tmp_path / "anna" / "site.yml"
    first.parent.mkdir()
    first.write_text(FLEET.format(**AS_IT_WAS))
    shutil.copytree(first.parent, tmp_path / "ben")
    return Desk(first, hosts), Desk(tmp_path / "ben" / "site.yml", hosts)


def test_what_was_edited_since_it_was_applied_from_here_is_newer(desks: tuple[Desk, Desk]) -> None:
    anna, _ = desks
    anna.apply("r1")
    assert anna.look()
    anna.edit("10.1.0.0/16")
    assert not anna.look()


def test_yes_is_no_answer_to_which_is_newer(desks: tuple[Desk, Desk], capsys: pytest.CaptureFixture[str]) -> None:
    anna, ben = desks
    ben.edit("10.2.0.0/16")
    ben.apply("r1")
    with pytest.raises(LeasedError) as caught:
        anna.look()
    assert "differ from what anna@laptop applied last" in str(caught.value)
    assert "--not-stale" in str(caught.value)
    assert "10.2.0.0/16" in capsys.readouterr().err
    assert not anna.look(not_stale=True)


def test_a_colleagues_apply_in_between_is_asked_about(desks: tuple[Desk, Desk]) -> None:
    anna, ben = desks
    anna.apply("r1")
    ben.edit("10.2.0.0/16")
    ben.apply("r2")
    anna.edit("10.1.0.0/16")
    with pytest.raises(LeasedError):
        anna.look()


def test_a_copy_that_equals_what_was_applied_is_as_new(desks: tuple[Desk, Desk]) -> None:
    anna, ben = desks
    anna.apply("r1")
    assert ben.look()
    ben.edit("10.2.0.0/16")
    assert not ben.look()


def test_another_copy_on_the_same_machine_is_another(desks: tuple[Desk, Desk]) -> None:
    anna, ben = desks
    anna.apply("r1")
    ben.edit("10.2.0.0/16")
    with pytest.raises(LeasedError):
        ben.look()


def test_a_cache_that_is_gone_only_asks(desks: tuple[Desk, Desk], tmp_path: Path) -> None:
    anna, _ = desks
    anna.apply("r1")
    shutil.rmtree(tmp_path / "cache")
    anna.edit("10.1.0.0/16")
    with pytest.raises(LeasedError):
        anna.look()


def test_the_tool_has_the_older_files_whatever_it_has_seen_and_nothing_answers_for_it(
    desks: tuple[Desk, Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, ben = desks
    anna.apply("r1")
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    assert anna.look()
    ben.edit("10.2.0.0/16")
    ben.apply("r2")
    with pytest.raises(FleetChanged, match="applied in the meantime"):
        anna.look(not_stale=True)


def test_keys_that_were_pushed_since_the_apply_do_not_stop_the_tool(
    desks: tuple[Desk, Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key may have to be revoked at any time, without an apply."""
    anna, tool = desks
    anna.apply("r1")
    key, _ = add_key(anna.session.fleet, "app", Terms(owner="team"))
    keep_keys(anna.remote.connection("gate1"), [note_of(key, None, "anna")])
    with pytest.raises(LeasedError, match="API keys were changed with another copy"):
        tool.look()
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    assert tool.look()
