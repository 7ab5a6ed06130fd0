# ruff: noqa: E501  (an exact message is written on one line)
from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError, SecretError
from rackwright.fleet.backup_access import access_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.backup import backup_of
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock, ModelLock
from rackwright.values.file import File
from tests.fleet.fleets import make_fleet
from tests.fleet.test_load import GOOD

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHqF2cXoVIzgPYv1rRTgd9PyzN0IcCDqmNQTkD5JbBlu"
DISK = {"name": "disk", "url": "/srv/backup", "password": "env:RESTIC_PASSWORD"}
SSH = {"name": "ssh", "url": "sftp:vault@10.0.0.5:/acme", "password": "env:RESTIC_PASSWORD"}
SSH |= {"key": "file:id", "host_key": KEY}
WEB = {"name": "web", "url": "rest:https://vault:8000/acme", "password": "env:RESTIC_PASSWORD"}


def written(**changes: str) -> str:
    """A fleet file with one repository; keys that are None are left out."""
    settings = {**DISK, **changes}
    return f"backup: {{to: [{{{', '.join(f'{key}: {value!r}' for key, value in settings.items() if value)}}}]}}\n"


PLACE = "fleet.yml:1 backup.to[0]"
CASES = [
    ("backup: {to: []}\n", ["fleet.yml:1 backup.to: is empty; should have at least one entry"]),
    (written(url="backup"), [f"{PLACE}.url: should be /path, sftp:user@host:/path or rest:https://host:8000/path"]),
    (written(url="sftp:10.0.0.5:/acme"), [f"{PLACE}.url: should be /path, sftp:user@host:/path or rest:https://host:8000/path"]),
    (written(url="/srv/../etc"), [f"{PLACE}.url: should be /path, sftp:user@host:/path or rest:https://host:8000/path"]),
    (written(url="/home/backup"), [f"{PLACE}.url: is a folder of the system, or hidden from services; should be like /srv/backup"]),
    (written(url="rest:https://me@vault:8000/x"), [f"{PLACE}.url: contains a login; write it as user: NAME and login: SECRET REFERENCE"]),
    (written(password="secret"), [f"{PLACE}.password: should be a reference: env:NAME, file:PATH or cmd:COMMAND, never the secret itself"]),
    (written(pasword="env:X"), [f"{PLACE}.pasword: unknown key; did you mean 'password'?"]),
    (written(mount="/mnt/disk"), [f"{PLACE}: /srv/backup is not below the mount /mnt/disk; should be below it"]),
    (written(user="me"), [f"{PLACE}: user: not valid for a path repository; leave it out"]),
    (written(url="sftp:vault@10.0.0.5:/acme"), [f"{PLACE}: missing key host_key and key; sftp needs both, because it trusts no unknown host key"]),
    (written(url="rest:https://vault:8000", user="me"), [f"{PLACE}: user and login belong together; write both or neither"]),
    (written(url=SSH["url"], key="file:id", host_key="AAAA"), [f"{PLACE}.host_key: should be like ssh-ed25519 AAAA…"]),
    (f"backup: {{to: [{DISK}, {DISK}]}}\n", ["fleet.yml:1 backup: disk: this name appears twice; each repository needs its own name"]),
    (f"backup: {{to: [{DISK}], at: '25:00'}}\n", ["fleet.yml:1 backup.at: should be a time of day like '02:30', in quotes"]),
    (f"backup: {{to: [{DISK}], check: sunday}}\n", ["fleet.yml:1 backup.check: should be a weekday and a time, like 'sun 04:30'"]),
    (f"backup: {{to: [{DISK}], keep_within: 1h}}\n", ["fleet.yml:1 backup.keep_within: should be at least 86400 seconds"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "messages"), CASES)
def test_a_mistake_is_named_with_its_place_and_what_it_should_be(
    text: str, messages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fleet.yml").write_text(text + GOOD)
    with pytest.raises(FleetError) as caught:
        load_fleet(Path("fleet.yml"))
    assert [str(problem) for problem in caught.value.problems] == messages


def fleet(folder: Path, *repositories: dict[str, str], source: str = "hf:acme/tiny", **more: object) -> Fleet:
    return make_fleet(folder / "acme.yml", source=source, backup={"to": list(repositories), **more})


LOCK = Lock(
    fleet="acme",
    models={
        "assistant": ModelLock(
            source="hf:acme/tiny",
            digest="0123456789abcdef" * 4,
            files=(File(path="m.gguf", size=1, sha256="a" * 64, url="file:///m.gguf"),),
        )
    },
    runtimes={},
    ports={},
)


def test_without_a_backup_nothing_is_saved(tmp_path: Path) -> None:
    assert backup_of(make_fleet(tmp_path / "acme.yml"), LOCK, "gpu1") is None


def test_each_host_has_a_repository_of_its_own_below_the_url(tmp_path: Path) -> None:
    settings = backup_of(fleet(tmp_path, DISK, SSH, WEB), LOCK, "gpu1")
    assert settings is not None
    assert [repository.url for repository in settings.repositories] == [
        "/srv/backup/gpu1",
        "sftp:vault@10.0.0.5:/acme/gpu1",
        "rest:https://vault:8000/acme/gpu1",
    ]
    assert settings.sources == ("/etc/rackwright", "/var/lib/rackwright")
    assert settings.keep_hours == 720
    assert settings.check == "Sun 04:30"


def test_a_rest_server_is_reached_as_the_downloads_key_says(tmp_path: Path) -> None:
    site = {"proxy": "http://proxy:3128", "no_proxy": ["10.0.0.0/8"], "ca_bundle": "ca.pem"}
    near = {**WEB, "name": "near", "url": "rest:https://10.0.0.7:8000/acme"}
    written = make_fleet(tmp_path / "acme.yml", backup={"to": [DISK, SSH, WEB, near]}, downloads=site)
    settings = backup_of(written, LOCK, "gpu1")
    assert settings is not None
    assert {one.name: (one.proxy, one.ca) for one in settings.repositories} == {
        "disk": (None, None),
        "ssh": (None, None),
        "web": ("http://proxy:3128", "/etc/rackwright/ca-bundle.pem"),
        "near": (None, "/etc/rackwright/ca-bundle.pem"),
    }


def test_weights_are_saved_where_no_source_gives_them_back(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").touch()
    weights = "/srv/models/assistant/0123456789abcdef"
    model = LOCK.models["assistant"].model_copy(update={"source": "file:m.gguf"})
    lock = LOCK.model_copy(update={"models": {"assistant": model}})
    own = backup_of(fleet(tmp_path, DISK, source="file:m.gguf"), lock, "gpu1")
    assert own is not None
    assert own.sources[-1] == weights
    assert own.must[-1] == f"{weights}/.verified"
    for one, locked, host in (
        (fleet(tmp_path, DISK), LOCK, "gpu1"),
        (fleet(tmp_path, DISK, source="file:m.gguf"), lock, "gate1"),
        (fleet(tmp_path, DISK, source="file:m.gguf", models="no"), lock, "gpu1"),
    ):
        settings = backup_of(one, locked, host)
        assert settings is not None
        assert weights not in settings.sources


def test_secrets_and_what_can_be_had_again_are_left_out(tmp_path: Path) -> None:
    settings = backup_of(fleet(tmp_path, DISK), LOCK, "gpu1")
    assert settings is not None
    assert {"*.cred", "/var/lib/rackwright/packages"} <= set(settings.exclude)


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("sftp:vault@10.0.0.5:/acme", "10.0.0.5"),
        ("sftp://vault@nas.acme.internal//acme", "nas.acme.internal"),
        ("sftp://vault@nas:22//acme", "nas"),
        ("sftp://vault@nas:2222//acme", "[nas]:2222"),
        ("sftp://vault@[fd00::5]:2222//acme", "[fd00::5]:2222"),
        ("sftp:vault@[fd00::5]:/acme", "fd00::5"),
    ],
)
def test_the_servers_key_is_pinned_under_the_name_that_ssh_asks_for(tmp_path: Path, url: str, known: str) -> None:
    settings = backup_of(fleet(tmp_path, {**SSH, "url": url}), LOCK, "gpu1")
    assert settings is not None
    assert settings.repositories[0].known_hosts == f"{known} {KEY}"


def test_secrets_resolve_beside_the_fleet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "one")
    (tmp_path / "id").write_text("key\n")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    access = access_of(fleet(tmp_path, DISK, SSH, {**WEB, "ca": "ca.pem"}))
    assert access["disk"].password.reveal() == "one"
    assert access["ssh"].key is not None
    assert access["web"].ca_pem == "-----BEGIN CERTIFICATE-----\n"


def test_a_secret_or_ca_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESTIC_PASSWORD", raising=False)
    with pytest.raises(SecretError, match=r"backup\.to\[0\]\.password: the environment variable RESTIC_PASSWORD"):
        access_of(fleet(tmp_path, DISK))
    monkeypatch.setenv("RESTIC_PASSWORD", "one")
    with pytest.raises(FleetError, match=r"backup\.to\[0\]\.ca: .*ca\.pem can't be read: No such file"):
        access_of(fleet(tmp_path, {**WEB, "ca": "ca.pem"}))
    (tmp_path / "ca.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(FleetError, match="is not a PEM file with certificates only"):
        access_of(fleet(tmp_path, {**WEB, "ca": "ca.pem"}))
