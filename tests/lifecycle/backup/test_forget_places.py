from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.errors import SecretError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.backup.forget_places import Asked, ForgetPlace, forget_places
from rackwright.lifecycle.backup.restic_here import restic_here
from rackwright.roles.backup.settings import Access, Repository
from rackwright.values.secrets import Secret
from tests.fleet.fleets import make_fleet
from tests.lifecycle.backup.answering import Answering
from tests.lifecycle.backup.repositories import fleet_at
from tests.rest_server import login_of


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return fleet_at(tmp_path, ca="-----BEGIN CERTIFICATE-----\n")


def reached(fleet: Fleet, asked: Asked) -> dict[str, ForgetPlace]:
    return {place.host: place for place in forget_places(fleet, asked, Answering())}


def test_without_a_place_it_is_the_fleet_files_url_and_login(fleet: Fleet) -> None:
    found = reached(fleet, Asked())
    assert {host: place.repository.url for host, place in found.items()} == {
        host: f"rest:https://127.0.0.1:1/{host}" for host in ("gate1", "gpu1", "kit")
    }
    assert found["gpu1"].access.login == Secret(login_of("gpu1"))


def test_a_place_replaces_url_and_login_and_keeps_password_and_ca(fleet: Fleet) -> None:
    own = reached(fleet, Asked(("gpu1",)))["gpu1"].access
    at = "rest:https://admin.example:8000/all/{host}"
    place = reached(fleet, Asked(("gpu1",), at=at, user="admin-{host}", login="file:kit.login"))["gpu1"]
    assert (place.repository.url, place.repository.user) == ("rest:https://admin.example:8000/all/gpu1", "admin-gpu1")
    assert place.access == Access(own.password, login=Secret(login_of("kit")), ca_pem=own.ca_pem)
    folder = reached(fleet, Asked(("gpu1",), at="/srv/restic/{host}"))["gpu1"]
    assert folder.repository == Repository(name="web", url="/srv/restic/gpu1")
    assert folder.access == Access(own.password)


@pytest.mark.parametrize("at", ["/srv/r/{host}", "sftp:admin@server:/r/{host}", "sftp:vault:/r/{host}",
                                "sftp://server:2222//r/{host}", "rest:http://[::1]:8000/{host}"])  # fmt: skip
def test_places_where_one_may_delete(fleet: Fleet, at: str) -> None:
    assert [place.repository.url for place in reached(fleet, Asked(at=at)).values()] == [
        at.replace("{host}", host) for host in ("gate1", "gpu1", "kit")
    ]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(("gpu9",)), "gpu9: no host or group of that name"),
        (Asked(to="other"), "other: no repository of that name"),
        (Asked(at="srv/{host}"), "--at: is no place of repositories"),
        (Asked(at="/srv/../{host}"), "--at: is no place of repositories"),
        (Asked(at="sftp:-oProxyCommand=x:/{host}"), "--at: is no place of repositories"),
        (Asked(at="rest:https://me:secret@server/{host}"), "--at: is no place of repositories"),
        (Asked(at="s3:bucket/{host}"), "--at: is no place of repositories"),
        (Asked(at="/srv/restic"), "--at: doesn't contain {host}"),
        (Asked(at="/srv/{host}", user="me", login="env:X"), "is only for --at rest"),
        (Asked(user="me", login="env:X"), "is only for --at rest"),
        (Asked(at="rest:https://server/{host}", user="me"), "belong together"),
    ],
)
def test_what_can_not_be_meant_is_refused(fleet: Fleet, asked: Asked, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        reached(fleet, asked)
    assert message in str(raised.value)


def test_one_host_needs_no_placeholder_and_a_fleet_without_backups_has_no_place(fleet: Fleet) -> None:
    assert reached(fleet, Asked(("gpu1",), at="/srv/restic/old"))["gpu1"].repository.url == "/srv/restic/old"
    with pytest.raises(UsageError, match="the fleet file sets no backup"):
        reached(make_fleet(fleet.path), Asked())


def test_only_the_kit_may_lack_its_secret_and_only_if_nobody_named_it(tmp_path: Path) -> None:
    fleet = fleet_at(tmp_path)
    (tmp_path / "kit.login").unlink()
    console = Answering()
    assert [place.host for place in forget_places(fleet, Asked(), console)] == ["gate1", "gpu1"]
    assert console.said[0].startswith("kit: left out: ")
    with pytest.raises(SecretError):
        reached(fleet, Asked(("kit",)))
    (tmp_path / "gpu1.login").unlink()
    with pytest.raises(SecretError):
        reached(fleet, Asked())


def test_sftp_uses_the_operators_own_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\necho "$*" >{tmp_path}/asked\nexit 1\n')
    program.chmod(0o755)
    path = subprocess.run(["sh", "-c", "echo $PATH"], capture_output=True, text=True).stdout.strip()
    monkeypatch.setenv("PATH", f"{tmp_path}:{path}")
    repository = Repository(name="web", url="sftp:vault:/restic/gate1")
    with restic_here(repository, Access(Secret("a password"))) as restic:
        assert not restic("cat", "config").ok
    words = (tmp_path / "asked").read_text()
    assert "BatchMode=yes" in words
    assert not [word for word in ("-F", "-i", "IdentitiesOnly", "UserKnownHostsFile") if word in words.split()]
    assert "vault" in words.split()
