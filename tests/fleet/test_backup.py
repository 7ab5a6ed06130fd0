# ruff: noqa: E501  (an exact message is written on one line)
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rackwright.errors import FleetError, SecretError, UsageError
from rackwright.fleet.backup_access import access_of, derived, kit_repositories, password_of, references_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.backup import backup_of
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import DriverLock, Lock, ModelLock, RuntimeLock
from rackwright.fleet.references import secret_files
from rackwright.fleet.secrets import resolve
from rackwright.package_set import Package, PackageSet
from rackwright.values.file import File
from rackwright.values.secrets import Secret
from tests.cheap_key import empty_repository
from tests.fleet.fleets import make_fleet
from tests.fleet.test_load import GOOD

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHqF2cXoVIzgPYv1rRTgd9PyzN0IcCDqmNQTkD5JbBlu"
DISK = {"name": "disk", "url": "/srv/backup", "password": "env:RESTIC_PASSWORD"}
SSH = {"name": "ssh", "url": "sftp:{host}@10.0.0.5:/acme", "password": "env:RESTIC_PASSWORD"}
SSH |= {"key": "file:{host}.key", "host_key": KEY}
WEB = {"name": "web", "url": "rest:https://vault:8000", "password": "env:RESTIC_PASSWORD"}
WEB |= {"user": "{host}", "login": "file:{host}.login"}


def written(**changes: str) -> str:
    """A fleet file with one repository; keys that are None are left out."""
    settings = {**DISK, **changes}
    return f"backup: {{to: [{{{', '.join(f'{key}: {value!r}' for key, value in settings.items() if value)}}}]}}\n"


OWN = "without a login of its own, each host could read or delete the others' snapshots"
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
    (written(**{**SSH, "url": "sftp:vault@10.0.0.5:/{host}"}), [f"{PLACE}: url should contain {{host}}, like \"sftp:{{host}}@server:/path\"; {OWN}"]),
    (written(**{**SSH, "key": "file:id"}), [f"{PLACE}: key should contain {{host}}, like \"file:~/.ssh/backup-{{host}}\"; {OWN}"]),
    (written(url=WEB["url"]), [f"{PLACE}: user should contain {{host}}, like \"{{host}}\"; {OWN}"]),
    (written(**{**WEB, "user": "me"}), [f"{PLACE}: user should contain {{host}}, like \"{{host}}\"; {OWN}"]),
    (written(**{**WEB, "login": ""}), [f"{PLACE}: login should contain {{host}}, like \"cmd:pass show backup/{{host}}\"; {OWN}"]),
    (written(**{**WEB, "user": "{hots}"}), [f"{PLACE}.user: should be letters, digits and _ . @ - only, or {{host}}"]),
    (written(url="/srv/{host}"), [f"{PLACE}.url: contains {{host}}; leave it out, because each host's repository is URL/HOST"]),
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


def test_no_host_has_the_name_under_which_the_kit_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hosts = GOOD.replace("  gpu2:", "  kit:")
    Path("fleet.yml").write_text(hosts)
    assert "kit" in load_fleet(Path("fleet.yml")).hosts
    Path("fleet.yml").write_text(hosts + written())
    with pytest.raises(FleetError) as caught:
        load_fleet(Path("fleet.yml"))
    assert str(caught.value) == (
        "fleet.yml:5 hosts.kit: the name 'kit' is taken: backup stores the fleet's kit under it; "
        "give this host another name"
    )


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
        "sftp:gpu1@10.0.0.5:/acme/gpu1",
        "rest:https://vault:8000/gpu1",
    ]
    assert settings.repositories[2].user == "gpu1"
    assert settings.sources == ("/etc/rackwright", "/var/lib/rackwright")
    assert settings.keep_hours == 720
    assert settings.check == "Sun 04:30"


def test_a_rest_server_is_reached_as_the_downloads_key_says(tmp_path: Path) -> None:
    site = {"proxy": "http://proxy:3128", "no_proxy": ["10.0.0.0/8"], "ca_bundle": "ca.pem"}
    near = {**WEB, "name": "near", "url": "rest:https://10.0.0.7:8000/acme-{host}"}
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


RUNTIME = RuntimeLock(
    kind="llama_cpp",
    version="b1",
    build="file:llama.tar.gz",
    files=(File(path="llama.tar.gz", size=7, sha256="b" * 64, url="file:llama.tar.gz"),),
)
BUILD = {"kind": "llama_cpp", "version": "b1", "build": "file:llama.tar.gz"}


def spec_of(folder: Path, host: str, runtime: RuntimeLock = RUNTIME, **backup: object) -> HostSpec:
    saved = {"backup": {"to": [DISK], **backup}} if backup.get("to") != [] else {}
    built = make_fleet(folder / "acme.yml", runtime={**BUILD, "build": runtime.build}, **saved)
    lock = LOCK.model_copy(update={"runtimes": {"llama_cpp-b1": runtime}, "ports": {"gpu1": {"assistant@1": 8100}}})
    return host_specs(built, lock)[host]


def test_a_host_keeps_and_saves_a_build_that_only_the_controller_has(tmp_path: Path) -> None:
    kept = f"/var/lib/rackwright/builds/llama_cpp-b1-{'b' * 16}"
    spec = spec_of(tmp_path, "gpu1")
    assert [runtime.kept for runtime in spec.runtimes] == [kept]
    assert spec.layout.keep_builds == (kept,)
    assert spec.backup is not None
    assert f"{kept}/.verified" in spec.backup.must
    web = RUNTIME.model_copy(
        update={
            "build": f"https://a.b/llama.tar.gz#sha256={'b' * 64}",
            "files": (RUNTIME.files[0].model_copy(update={"url": "https://a.b/llama.tar.gz"}),),
        }
    )
    for other in (
        spec_of(tmp_path, "gpu1", builds="no"),
        spec_of(tmp_path, "gpu1", to=[]),
        spec_of(tmp_path, "gpu1", web),
        spec_of(tmp_path, "gate1"),
    ):
        assert [runtime.kept for runtime in other.runtimes if runtime.kept] == []
        assert other.layout.keep_builds == ()
        assert not other.backup or not any("builds" in path for path in other.backup.must)


def test_the_packages_of_driver_and_toolkit_in_the_lock_are_saved_and_no_others(tmp_path: Path) -> None:
    packages = {
        name: Package(
            name=name, version="1", architecture="amd64", size=1, sha256=digit * 64, url="https://a.b/c.deb"
        )
        for name, digit in (("nvidia", "1"), ("toolkit", "2"))
    }
    driver = DriverLock(
        question="driver",
        system="debian 13",
        architecture="x86_64",
        modules="open",
        hosts=("gpu1",),
        version="580",
        kernel="6.12",
        kernel_package="linux-image",
        install=("nvidia",),
        packages=(packages["nvidia"],),
        cuda=(packages["toolkit"],),
    )
    lock = LOCK.model_copy(update={"drivers": {driver.name: driver}})
    folders = {driver.set.folder, PackageSet(packages=(packages["toolkit"],)).folder}
    asked = {"branch": "580", "cuda": "12.8", "on": "gpu1"}

    def saved(host: str, packages: str = "yes") -> set[str]:
        one = make_fleet(tmp_path / "acme.yml", backup={"to": [DISK], "packages": packages}, driver=asked)
        settings = backup_of(one, lock, host)
        assert settings is not None
        again = {pattern[1:] for pattern in settings.exclude if pattern.startswith("!")}
        assert settings.exclude.index("/var/lib/rackwright/packages/*") < len(settings.exclude) - len(again)
        assert {f"{folder}/.verified" for folder in again} == {path for path in settings.must if "packages" in path}
        return again

    assert saved("gpu1") == folders
    assert saved("gpu1", packages="no") == set()
    assert saved("gate1") == set()


def test_restic_saves_the_packages_in_the_lock_and_leaves_the_others(tmp_path: Path) -> None:
    files = ("set/a.deb", "set/.verified", "old/a.deb", ".incoming/x", "driver.installed")
    for name in files:
        path = tmp_path / "var/lib/rackwright/packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "var/lib/rackwright/audit.log").touch()
    root = f"{tmp_path}/var/lib/rackwright/packages"
    excludes = [f"--exclude={root}/*", f"--exclude=!{root}/set"]
    environment = {"RESTIC_PASSWORD": "x", "RESTIC_REPOSITORY": f"{tmp_path}/vault", "PATH": os.environ["PATH"]}
    environment["RESTIC_CACHE_DIR"] = f"{tmp_path}/cache"
    empty_repository(tmp_path / "vault", "x")
    subprocess.run(["restic", "backup", *excludes, f"{tmp_path}/var", "-q"], env=environment, check=True)
    said = subprocess.run(
        ["restic", "ls", "latest", "-q"], env=environment, check=True, capture_output=True, text=True
    ).stdout
    found = {line.removeprefix(f"{root}/") for line in said.split() if "/packages/" in line}
    assert found == {"set", "set/a.deb", "set/.verified"}


def test_secrets_and_what_can_be_had_again_are_left_out(tmp_path: Path) -> None:
    settings = backup_of(fleet(tmp_path, DISK), LOCK, "gpu1")
    assert settings is not None
    assert {"*.cred", "/var/lib/rackwright/packages/*"} <= set(settings.exclude)


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("sftp:{host}@10.0.0.5:/acme", "10.0.0.5"),
        ("sftp://{host}@nas.acme.internal//acme", "nas.acme.internal"),
        ("sftp://{host}@nas:22//acme", "nas"),
        ("sftp://{host}@nas:2222//acme", "[nas]:2222"),
        ("sftp://{host}@[fd00::5]:2222//acme", "[fd00::5]:2222"),
        ("sftp:{host}@[fd00::5]:/acme", "fd00::5"),
    ],
)
def test_the_servers_key_is_pinned_under_the_name_that_ssh_asks_for(tmp_path: Path, url: str, known: str) -> None:
    settings = backup_of(fleet(tmp_path, {**SSH, "url": url}), LOCK, "gpu1")
    assert settings is not None
    assert settings.repositories[0].known_hosts == f"{known} {KEY}"


def secrets(folder: Path, *hosts: str) -> None:
    for host in hosts:
        (folder / f"{host}.key").write_text(f"key of {host}\n")
        (folder / f"{host}.login").write_text(f"login of {host}\n")


def test_secrets_resolve_beside_the_fleet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "one")
    secrets(tmp_path, "gate1", "gpu1")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    access = access_of(fleet(tmp_path, DISK, SSH, {**WEB, "ca": "ca.pem"}))
    assert access["gpu1"]["ssh"].key == Secret("key of gpu1")
    assert access["gate1"]["web"].login == Secret("login of gate1")
    assert access["gpu1"]["web"].ca_pem == "-----BEGIN CERTIFICATE-----\n"


def test_no_host_has_another_hosts_password_nor_the_one_in_the_fleet_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "correct horse battery staple")
    access = access_of(fleet(tmp_path, DISK, {**DISK, "name": "other"}))
    passwords = [one.password.reveal() for some in access.values() for one in some.values()]
    assert len(passwords) == len({*passwords, "correct horse battery staple"}) - 1 == 4
    # From OpenSSL. A changed formula would lock every host out of its repository.
    known = "88d3654d067d82fcf90f92705735788f43977762117af0132e0e66c64c3b70b7"
    assert access["gpu1"]["disk"].password.reveal() == known
    assert derived(Secret("correct horse battery staple"), "acme", "disk", "gpu1") == Secret(known)


@pytest.mark.parametrize("written", ["secret", "secret\n", "secret\r\n", "secret\n\n"])
def test_the_formula_in_the_docs_gives_the_same_password(tmp_path: Path, written: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "backup.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", program, "acme", "disk", "gpu1"], input=written.encode(), capture_output=True
    )
    (tmp_path / "secret").write_bytes(written.encode())
    secret = resolve("file:secret", where="password", folder=tmp_path)
    assert done.stdout.decode().strip() == derived(secret, "acme", "disk", "gpu1").reveal(), done.stderr


def test_a_password_that_is_kept_for_each_host_is_used_as_it_is(tmp_path: Path) -> None:
    for host in ("gate1", "gpu1"):
        (tmp_path / host).write_text(f"of {host}\n")
    access = access_of(fleet(tmp_path, {**DISK, "password": "file:{host}"}))
    assert access["gpu1"]["disk"].password == Secret("of gpu1")


@pytest.mark.parametrize(("key", "suffix"), [("key", "key"), ("login", "login"), ("password", "password")])
def test_two_hosts_with_the_same_secret_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, suffix: str
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "one")
    secrets(tmp_path, "gate1", "gpu1")
    for host in ("gate1", "gpu1"):
        (tmp_path / f"{host}.{suffix}").write_text("the same")
    repository = {"key": SSH, "login": WEB, "password": {**DISK, "password": "file:{host}.password"}}[key]
    with pytest.raises(SecretError, match=rf"backup\.to\[0\]\.{key}: gate1 and gpu1 have the same one; each host"):
        access_of(fleet(tmp_path, repository))


def test_each_reference_is_resolved_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    access_of(fleet(tmp_path, {**DISK, "password": f"cmd:sh -c 'echo x | tee -a {count}'"}))
    assert count.read_text() == "x\n"


def test_the_references_of_each_host_are_named(tmp_path: Path) -> None:
    assert dict(references_of(fleet(tmp_path, DISK, SSH))) == {
        "backup.to[0].password": "env:RESTIC_PASSWORD",
        "backup.to[1].password": "env:RESTIC_PASSWORD",
        "backup.to[1].key of gate1": "file:gate1.key",
        "backup.to[1].key of gpu1": "file:gpu1.key",
        "backup.to[1].key of kit": "file:kit.key",
    }


def test_a_hosts_login_is_never_the_kits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "one")
    for name in ("gate1", "gpu1"):
        (tmp_path / f"{name}.login").write_text(name)
    assert set(access_of(fleet(tmp_path, WEB))) == {"gate1", "gpu1"}, "a kit without a login stops no apply"
    (tmp_path / "kit.login").write_text("gpu1")
    with pytest.raises(SecretError, match=r"backup\.to\[0\]\.login: gpu1 and the kit have the same one"):
        access_of(fleet(tmp_path, WEB))


def test_a_path_has_no_kit(tmp_path: Path) -> None:
    assert kit_repositories(fleet(tmp_path, DISK, SSH, WEB)) == ("ssh", "web")
    assert kit_repositories(make_fleet(tmp_path / "acme.yml")) == ()


def test_files_with_secrets_are_known_even_those_of_a_host_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "old.key").touch()
    made = fleet(tmp_path, DISK, {**SSH, "key": "file:keys/{host}.key", "password": "file:old.key"})
    secret = secret_files(made)
    for path in ("keys/gate1.key", "keys/kit.key", "keys/gone.key", "old.key"):
        assert secret.fullmatch(str(tmp_path / path)), path
    for path in ("keys/gate1.key.pub", "acme.yml", "keys/README"):
        assert not secret.fullmatch(str(tmp_path / path)), path
    assert not secret_files(fleet(tmp_path, DISK)).fullmatch("")


def test_the_password_of_a_host_that_is_gone_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "one")
    one = fleet(tmp_path, DISK)
    assert password_of(one, "gpu9", None) == ("disk", derived(Secret("one"), "acme", "disk", "gpu9"))
    assert password_of(one, "gpu1", "disk")[1] == access_of(one)["gpu1"]["disk"].password
    two = fleet(tmp_path, DISK, {**DISK, "name": "other"})
    assert password_of(two, "gpu1", "other")[0] == "other"
    for asked, host, to, message in (
        (two, "gpu1", None, "--to: there are several repositories; should be one of disk, other"),
        (two, "gpu1", "disc", "disc: no repository of that name; should be one of disk, other"),
        (one, "../gpu1", None, "../gpu1: can't be a host's name; should be a name like gate1"),
        (make_fleet(tmp_path / "none.yml"), "gpu1", None, "backup: the fleet file sets no backup"),
    ):
        with pytest.raises(UsageError, match=re.escape(message)):
            password_of(asked, host, to)


def test_a_secret_or_ca_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESTIC_PASSWORD", raising=False)
    with pytest.raises(SecretError, match=r"backup\.to\[0\]\.password: the environment variable RESTIC_PASSWORD"):
        access_of(fleet(tmp_path, DISK))
    monkeypatch.setenv("RESTIC_PASSWORD", "one")
    with pytest.raises(SecretError, match=r"backup\.to\[0\]\.key: .*gate1\.key can't be read: No such file"):
        access_of(fleet(tmp_path, SSH))
    with pytest.raises(FleetError, match=r"backup\.to\[0\]\.ca: .*ca\.pem can't be read: No such file"):
        access_of(fleet(tmp_path, {**WEB, "ca": "ca.pem"}))
    (tmp_path / "ca.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(FleetError, match="is not a PEM file with certificates only"):
        access_of(fleet(tmp_path, {**WEB, "ca": "ca.pem"}))
