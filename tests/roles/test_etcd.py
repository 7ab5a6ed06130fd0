"""etcd on control hosts: what the role does, and what a host says of its member."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from rackwright.operations.facts.account import Account, UserAccount
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import OurUnitStates, Unit
from rackwright.roles.certificate.settings import FOLDER as CERTIFICATES
from rackwright.roles.etcd import settings as names
from rackwright.roles.etcd.configuration import ctl_text, etcd_env, export_text, unit_text
from rackwright.roles.etcd.role import NEW_ENOUGH, etcd
from rackwright.roles.etcd.settings import Settings
from rackwright.roles.etcd.state import COMMAND, EtcdState, parse, record_command
from tests.fakes import commands, play

SETTINGS = Settings(host="gate1", address="10.30.0.10", control="etcd.acme.rackwright.internal")
OLDER = SETTINGS.model_copy(update={"host": "gate0"})


def there(settings: Settings, state: str = "active") -> dict[object, object]:
    """Return the facts of a host that has all of it."""
    texts = {names.SETTINGS: etcd_env(settings), names.UNIT_FILE: unit_text()}
    facts: dict[object, object] = {
        (PathState, path): Found("regular file", 0o644, "root", "root", sha256(text.encode()).hexdigest())
        for path, text in texts.items()
    }
    for path, text in {names.CTL: ctl_text(), names.EXPORT: export_text()}.items():
        digest = sha256(text.encode()).hexdigest()
        facts[PathState, path] = Found("regular file", 0o700, "root", "root", digest)
    facts[PathState, names.FOLDER] = Found("directory", 0o755, "root", "root")
    facts[InstalledPackages] = frozenset({"etcd-server", "etcd-client", "python3-minimal"})
    facts[UserAccount] = Account("/nonexistent", "/usr/sbin/nologin", frozenset())
    facts[OurUnitStates] = {names.UNIT: Unit("loaded", state, "enabled", started=2.0)}
    return facts


def test_a_fresh_host_gets_etcd_that_starts_at_boot_and_not_now() -> None:
    played = play(etcd, settings=SETTINGS, facts={InstalledPackages: frozenset()})
    assert "mask --runtime -- etcd.service" in played.commands[0]
    assert "systemctl -q disable -- etcd.service" in played.commands[0]
    assert played.commands[-1] == "systemctl --quiet enable -- rackwright-etcd.service"
    acts = [f"systemctl {verb} " for verb in ("start", "restart", "reload")]
    assert not any(act in command for command in played.commands for act in acts)
    written = {path.removesuffix(".rackwright-new"): text for path, text in played.uploads.items()}
    assert written == {
        names.SETTINGS: etcd_env(SETTINGS),
        names.CTL: ctl_text(),
        names.EXPORT: export_text(),
        names.UNIT_FILE: unit_text(),
    }


@pytest.mark.parametrize("state", ["active", "activating", "inactive", "failed"])
def test_a_second_run_changes_nothing_whether_or_not_it_is_a_member(state: str) -> None:
    assert commands(etcd, settings=SETTINGS, facts=there(SETTINGS, state)) == []


def test_other_settings_are_written_and_restart_nothing() -> None:
    played = play(etcd, settings=SETTINGS, facts=there(OLDER))
    assert played.changed == ["Write etcd's settings"]
    assert not any("systemctl" in command for command in played.commands)


@pytest.mark.parametrize(("version", "taken"), [("3.5.16-4+b5", True), ("3.6.1-1", True), ("3.4.30-1build1", False)])
def test_an_etcd_that_would_ignore_who_may_connect_is_refused(tmp_path: Path, version: str, taken: bool) -> None:
    played = play(etcd, settings=SETTINGS)
    (placed,) = (text for text in played.commands if "dpkg --compare-versions" in text)
    assert f"mv -fT -- {names.SETTINGS}.rackwright-new {names.SETTINGS}" in placed
    (tmp_path / "dpkg-query").write_text(f"#!/bin/sh\necho {version}\n")
    (tmp_path / "dpkg-query").chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", NEW_ENOUGH],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert done.returncode == (0 if taken else 1)
    assert ("should be 3.5.16 or newer" in done.stderr) is not taken


def test_what_a_member_joins_is_never_written() -> None:
    played = play(etcd, settings=SETTINGS)
    assert names.MEMBER not in "".join((*played.commands, *played.uploads))
    assert "ETCD_INITIAL_CLUSTER=" not in etcd_env(SETTINGS)


def test_the_unit_starts_only_a_member_and_has_its_key_as_a_credential(tmp_path: Path) -> None:
    lines = unit_text().splitlines()
    assert {
        f"ConditionPathExists={names.MEMBER}",
        "Type=notify",
        "User=rw_etcd",
        "Group=rw_etcd",
        "StateDirectory=rackwright-etcd",
        "StateDirectoryMode=0700",
        f"EnvironmentFile={names.SETTINGS}",
        f"EnvironmentFile={names.MEMBER}",
        f"LoadCredentialEncrypted=etcd.key:{CERTIFICATES}/etcd.key.cred",
        f"LoadCredential=etcd.crt:{CERTIFICATES}/etcd.crt",
        f"LoadCredential=etcd.ca.crt:{CERTIFICATES}/etcd.ca.crt",
        "Restart=always",
        "RestartSec=1s",
        "RestartMaxDelaySec=30s",
        "TimeoutStartSec=180",
        "StartLimitIntervalSec=0",
        "LimitNOFILE=65536",
        "LimitCORE=0",
        "WantedBy=multi-user.target",
    } <= {*lines}
    path = tmp_path / names.UNIT
    path.write_text(unit_text())
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(path)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_healthy_cluster_does_not_show_is_set() -> None:
    """It neither grows for months nor has slow disks, and the name in a certificate is checked before the rest."""
    assert {
        "ETCD_PEER_CLIENT_CERT_AUTH=true",
        "ETCD_CLIENT_CERT_AUTH=true",
        "ETCD_STRICT_RECONFIG_CHECK=true",
        "ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK=true",
        "ETCD_AUTO_COMPACTION_MODE=periodic",
        "ETCD_AUTO_COMPACTION_RETENTION=1h",
        "ETCD_QUOTA_BACKEND_BYTES=2147483648",
        "ETCD_LOG_LEVEL=warn",
    } <= {*etcd_env(SETTINGS).splitlines()}


def test_roots_script_asks_its_own_member_as_a_member_and_not_for_long(tmp_path: Path) -> None:
    (credentials := tmp_path / "credentials").mkdir()
    text = ctl_text().replace(names.CREDENTIALS, str(credentials)).replace("/usr/bin/etcdctl", "printf '%s\\n'")
    done = subprocess.run(["sh", "-c", text, "ctl", "get", "a b"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "--endpoints=https://127.0.0.1:2379",
        *(
            f"--{flag}={credentials}/etcd.{end}"
            for flag, end in (("cacert", "ca.crt"), ("cert", "crt"), ("key", "key"))
        ),
        "--dial-timeout=2s",
        "--command-timeout=5s",
        "get",
        "a b",
    ]
    credentials.rmdir()
    done = subprocess.run(["sh", "-c", text, "ctl"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (69, "")


def looked(folder: Path, command: str, active: str = "inactive", version: str = "3.5.16-4") -> str:
    """Run a command of the state in a folder in the place of the host's."""
    for name, said in (("systemctl", active), ("dpkg-query", f"etcd-server {version}")):
        (folder / name).write_text(f"#!/bin/sh\necho {said}\n")
        (folder / name).chmod(0o755)
    for path in ("/etc/", "/run/"):
        command = command.replace(path, f"{folder}{path}")
    done = subprocess.run(
        ["sh", "-c", command.replace("/usr/bin/etcd", "/bin/true")],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return the root of a host after the role."""
    for path in (names.SETTINGS, names.UNIT_FILE, f"{CERTIFICATES}/etcd.crt", f"{CERTIFICATES}/etcd.ca.crt"):
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_text(f"{path}\n")
    return tmp_path


def test_a_bare_host_has_no_etcd(tmp_path: Path) -> None:
    assert parse(looked(tmp_path, COMMAND)) == EtcdState()


def test_an_installed_etcd_is_no_member_until_it_is_told_what_to_join(host: Path) -> None:
    found = parse(looked(host, COMMAND))
    assert (found.installed, found.member, found.active, found.started) == (True, False, "inactive", None)
    assert found.present
    assert not found.outdated
    (host / names.MEMBER[1:]).write_text("ETCD_INITIAL_CLUSTER=\n")
    assert parse(looked(host, COMMAND)).member


@pytest.mark.parametrize("active", ["active", "activating"])
@pytest.mark.parametrize(
    "changed", [names.SETTINGS, names.UNIT_FILE, f"{CERTIFICATES}/etcd.crt", f"{CERTIFICATES}/etcd.ca.crt"]
)
def test_a_member_is_outdated_if_what_it_was_started_from_has_changed(host: Path, changed: str, active: str) -> None:
    (credentials := host / names.CREDENTIALS[1:]).mkdir(parents=True)
    for name in ("etcd.crt", "etcd.ca.crt"):
        (credentials / name).write_bytes((host / CERTIFICATES[1:] / name).read_bytes())
    looked(host, record_command())
    found = parse(looked(host, COMMAND, active))
    assert (found.started, found.runs, found.outdated) == (found.present, True, False)
    assert (host / names.STARTED[1:]).stat().st_mode & 0o777 == 0o644
    assert parse(looked(host, COMMAND, active, version="3.5.21-1")).outdated
    with (host / changed[1:]).open("a") as file:
        file.write("more\n")
    assert parse(looked(host, COMMAND, active)).outdated
    assert not parse(looked(host, COMMAND, "failed")).outdated


def test_a_member_says_what_its_disk_has_left_and_how_often_it_was_slow(host: Path) -> None:
    (host / names.DATA[1:]).mkdir(parents=True)
    (host / "df").write_text("#!/bin/sh\necho Filesystem 1M-blocks Used Available\necho /dev/vda1 900 89 811 11% /\n")
    (host / "journalctl").write_text("#!/bin/sh\necho slow fdatasync\necho slow fdatasync\n")
    for name in ("df", "journalctl"):
        (host / name).chmod(0o755)
    command = COMMAND.replace(names.DATA, f"{host}{names.DATA}")
    found = parse(looked(host, command))
    assert (found.left, found.low, found.slow) == (811, False, 0)
    (host / names.MEMBER[1:]).write_text("ETCD_INITIAL_CLUSTER=\n")
    assert parse(looked(host, command)).slow == 2


@pytest.mark.parametrize(
    ("said", "left", "low"), [("left 511", 511, True), ("left -", None, False), ("", None, False)]
)
def test_a_disk_with_little_left_is_low_and_one_that_is_not_known_is_not(
    said: str, left: int | None, low: bool
) -> None:
    found = parse(f"{said}\nslow many\n")
    assert (found.left, found.low, found.slow) == (left, low, 0)


def test_what_no_host_says_counts_as_not_there() -> None:
    digest = "a" * 64
    garbled = f"active \x1b[31mroot\nstarted {digest}x\npresent {'g' * 64}\nmember\nmember of\n\n"
    assert parse(garbled) == EtcdState(member=True)
    assert parse(f"started {digest}\nstarted {'b' * 64}\n").started == digest
    assert parse(f"active active\npresent {digest}\n").outdated
