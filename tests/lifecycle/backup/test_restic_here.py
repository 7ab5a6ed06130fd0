"""Real restic on this machine, with real repositories: a folder, and an append-only rest-server."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.backup.restic_here import NO_REPOSITORY, WRONG_PASSWORD, restic_here, restic_version
from rackwright.roles.backup.settings import Access, Repository
from rackwright.values.secrets import Secret
from tests.rest_server import RestServer

ACCESS = Access(Secret("a password"))


def folder(tmp_path: Path) -> Repository:
    return Repository(name="disk", url=str(tmp_path / "repository"))


def test_it_says_apart_no_repository_a_wrong_password_and_a_good_one(tmp_path: Path) -> None:
    with restic_here(folder(tmp_path), ACCESS) as restic:
        assert restic("cat", "config").exit_status == NO_REPOSITORY
        restic("init").check("making it")
        assert restic("cat", "config").ok
    with restic_here(folder(tmp_path), Access(Secret("another"))) as restic:
        assert restic("cat", "config").exit_status == WRONG_PASSWORD


def test_a_rest_server_is_reached_by_a_login_and_its_own_ca(rest_server: RestServer) -> None:
    repository = rest_server.repository("kit")
    with restic_here(repository, rest_server.access("kit", "a password")) as restic:
        restic("init").check("making it")
        restic("backup", "--stdin", "--stdin-filename", "it", stdin=b"text").check("saving")
        assert restic("dump", "latest", "it").stdout == "text"
    with restic_here(repository, Access(Secret("a password"), login=Secret("x"), ca_pem=rest_server.ca)) as restic:
        assert not restic("cat", "config").ok


def test_its_secrets_are_in_no_argument_and_in_no_file_that_others_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", None)
    repository = Repository(name="web", url="rest:https://127.0.0.1:1/kit", user="kit")
    with restic_here(repository, Access(Secret("hidden1"), login=Secret("hidden2"))) as restic:
        assert "hidden" not in f"{restic}{restic._command}"
        (made,) = tmp_path.iterdir()
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()} == {0o600}
    assert not list(tmp_path.iterdir())


def test_a_machine_without_restic_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(RackwrightError, match="restic isn't installed on this machine") as raised,
        restic_here(folder(tmp_path), ACCESS),
    ):
        pass
    assert raised.value.problems[0].next == "apt-get install restic"


def test_its_version_is_that_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "restic"
    program.write_text("#!/bin/sh\necho restic 0.18.1 compiled with go1.24.4 on linux/amd64\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert restic_version() == "0.18.1"


def test_a_restic_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "restic"
    program.write_text("#!/bin/sh\necho restic 0.16.4 compiled\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(RackwrightError, match=r"restic 0\.16\.4 is too old"), restic_here(folder(tmp_path), ACCESS):
        pass
