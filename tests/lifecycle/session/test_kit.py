"""When the kit is due, by what the control hosts know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import SecretError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.session import kit
from rackwright.lifecycle.session.kit import due_kits, has_ca_key, surveyed_kit
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey
from rackwright.state.kit import KitRecord, KnownKit, SavedKit, kit_digest, write_kit
from tests.fleet.test_backup import DISK, SSH, fleet
from tests.shells import FolderHosts, FolderShell
from tests.state.test_kit import SAVED


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    found = fleet(tmp_path, DISK, SSH)
    found.path.write_text("fleet: acme\n")
    return found


def survey_of(**hosts: KnownKit) -> Survey:
    return cast(Survey, SimpleNamespace(hosts={name: SimpleNamespace(kit=known) for name, known in hosts.items()}))


def session(made: Fleet, shell: FolderShell | None = None) -> Session:
    return cast(Session, SimpleNamespace(fleet=made, remote=FolderHosts({"gate1": shell or FolderShell(gone=True)})))


def saved(made: Fleet, **changes: Any) -> SavedKit:
    return SAVED.model_copy(update={"digest": kit_digest(made), "applied": "r1", **changes})


def known(one: SavedKit, applied: str | None = "r1") -> Survey:
    return survey_of(gate1=KnownKit(KitRecord(at={"ssh": one}), applied))


def test_it_is_due_while_there_is_none_and_only_where_one_can_be(made: Fleet) -> None:
    assert due_kits(session(made), survey_of(gate1=KnownKit()), None) == ("ssh",)
    without = replace(made, file=made.file.model_copy(update={"backup": None}))
    assert due_kits(session(without), survey_of(), None) == ()


def test_it_is_due_when_files_or_the_last_apply_have_changed(made: Fleet) -> None:
    one = saved(made)
    assert due_kits(session(made), known(one), None) == ()
    assert due_kits(session(made), known(one), "r1") == ()
    assert due_kits(session(made), known(one), "r2") == ("ssh",)
    assert due_kits(session(made), known(one, "r2"), None) == ("ssh",)
    made.path.write_text("fleet: other\n")
    assert due_kits(session(made), known(one), None) == ("ssh",)


def test_one_without_the_cas_key_is_due_where_that_key_is(made: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    one = saved(made, with_ca_key=False)
    assert due_kits(session(made), known(one), None) == ()
    monkeypatch.setattr(kit, "has_ca_key", lambda _: True)
    assert due_kits(session(made), known(one), None) == ("ssh",)


def key_of(made: Fleet) -> Path:
    path = kit.ca_of(made).key_file
    assert path
    return path


def test_the_cas_key_is_here_if_it_fits(made: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_ca_key(made)
    kit.ca_of(made).issue(("gate1",), client=False, days=1)
    assert has_ca_key(made)
    assert kit.ca_of(made).private_key().reveal() == key_of(made).read_text()
    key_of(made).write_text("no key")
    with pytest.raises(SecretError, match="should be the PEM of an EC key"):
        kit.ca_of(made).private_key()


def test_only_control_hosts_are_believed(made: Fleet, tmp_path: Path) -> None:
    assert surveyed_kit(made, survey_of(gpu1=KnownKit(applied="r9"))) is None
    (tmp_path / "var").mkdir()
    shell = FolderShell(var=str(tmp_path / "var"))
    write_kit(shell, KitRecord(at={"ssh": saved(made, applied=None)}))
    assert due_kits(session(made, shell), survey_of(gpu1=KnownKit(applied="r9")), None) == ()
