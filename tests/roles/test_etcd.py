"""etcd on control hosts: what the role does, and a real cluster with its settings."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from rackwright.fleet.ca import CertificateAuthority
from rackwright.fleet.hosts.etcd import etcd_certificate
from rackwright.operations.facts.account import Account, UserAccount
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import OurUnitStates, Unit
from rackwright.roles.certificate.settings import FOLDER as CERTIFICATES
from rackwright.roles.etcd import settings as names
from rackwright.roles.etcd.configuration import ctl_text, etcd_env, unit_text
from rackwright.roles.etcd.role import etcd
from rackwright.roles.etcd.settings import Settings
from rackwright.roles.etcd.state import COMMAND, EtcdState, parse, record_command
from tests.fakes import commands, play
from tests.roles.etcd_cluster import HOSTS, Cluster, answers, running
from tests.waiting import wait_until

SETTINGS = Settings(host="gate1", address="10.30.0.10", control="etcd.acme.rackwright.internal")
OLDER = SETTINGS.model_copy(update={"host": "gate0"})


def there(settings: Settings, state: str = "active") -> dict[object, object]:
    """Return the facts of a host that has all of it."""
    texts = {names.SETTINGS: etcd_env(settings), names.UNIT_FILE: unit_text()}
    facts: dict[object, object] = {
        (PathState, path): Found("regular file", 0o644, "root", "root", sha256(text.encode()).hexdigest())
        for path, text in texts.items()
    }
    ctl = sha256(ctl_text().encode()).hexdigest()
    facts[PathState, names.CTL] = Found("regular file", 0o700, "root", "root", ctl)
    facts[PathState, names.FOLDER] = Found("directory", 0o755, "root", "root")
    facts[InstalledPackages] = frozenset({"etcd-server", "etcd-client"})
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
        names.UNIT_FILE: unit_text(),
    }


@pytest.mark.parametrize("state", ["active", "activating", "inactive", "failed"])
def test_a_second_run_changes_nothing_whether_or_not_it_is_a_member(state: str) -> None:
    assert commands(etcd, settings=SETTINGS, facts=there(SETTINGS, state)) == []


def test_other_settings_are_written_and_restart_nothing() -> None:
    played = play(etcd, settings=SETTINGS, facts=there(OLDER))
    assert played.changed == ["Write etcd's settings"]
    assert not any("systemctl" in command for command in played.commands)


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
        "StateDirectory=rackwright-etcd",
        "StateDirectoryMode=0700",
        f"EnvironmentFile={names.SETTINGS}",
        f"EnvironmentFile={names.MEMBER}",
        f"LoadCredentialEncrypted=etcd.key:{CERTIFICATES}/etcd.key.cred",
        f"LoadCredential=etcd.crt:{CERTIFICATES}/etcd.crt",
        f"LoadCredential=etcd.ca.crt:{CERTIFICATES}/etcd.ca.crt",
        "Restart=always",
        "StartLimitIntervalSec=0",
        "LimitCORE=0",
        "WantedBy=multi-user.target",
    } <= {*lines}
    path = tmp_path / names.UNIT
    path.write_text(unit_text())
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(path)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


def test_what_one_member_writes_another_reads(cluster: Cluster) -> None:
    cluster.put("gpu1", "lease/acme", "anna")
    assert cluster.get("gpu2", "lease/acme") == "anna"
    listed = cluster.ctl("gate1", "member", "list").stdout.splitlines()
    assert sorted(line.split(", ")[2] for line in listed) == sorted(HOSTS)


def test_every_setting_is_one_that_etcd_knows(cluster: Cluster) -> None:
    logs = "".join(map(cluster.log, HOSTS))
    assert "unrecognized environment variable" not in logs
    assert "conflicting" not in logs


@pytest.mark.parametrize(
    ("issued_to", "client"),
    [
        (("gate1",), True),
        (("gate1", "127.0.0.1", "localhost"), True),
        (("etcd.other.rackwright.internal", "127.0.0.1"), True),
        # A server's certificate with the right name is none of a client.
        (("etcd.acme.rackwright.internal", "127.0.0.1"), False),
    ],
)
def test_another_certificate_of_the_fleets_ca_is_refused(
    cluster: Cluster, tmp_path: Path, issued_to: tuple[str, ...], client: bool
) -> None:
    """Gateways have client certificates of the same CA."""
    others = cluster.write(tmp_path / "others", issued_to, client=client)
    own, ca, address = cluster.folder_of("gpu1"), cluster.authority.ca_pem, cluster.address("gpu1")
    for port, path in ((2379, "/health"), (2380, "/version")):
        assert answers(address, port, path, ca, own)
        assert not answers(address, port, path, ca, others)


def test_no_certificate_another_ca_and_old_tls_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    strange = Cluster(tmp_path)
    strange.authority = CertificateAuthority("acme", tmp_path / "acme.ca.crt", tmp_path / "keys")
    foreign = strange.write(tmp_path / "foreign", etcd_certificate(cluster.fleet, "gpu1").names, client=True)
    own, ca, address = cluster.folder_of("gpu1"), cluster.authority.ca_pem, cluster.address("gpu1")
    for port, path in ((2379, "/health"), (2380, "/version")):
        assert answers(address, port, path, ca, own)
        assert not answers(address, port, path, ca, None)
        assert not answers(address, port, path, ca, foreign)
        assert not answers(address, port, path, ca, own, tls12=True)


def test_an_impostor_of_a_member_sees_nothing(cluster: Cluster) -> None:
    """A host with another certificate of the CA, in the place and with the data of a member."""
    cluster.stop("gpu2")
    cluster.write(cluster.folder_of("gpu2"), ("gpu2", cluster.address("gpu2"), "127.0.0.1"), client=True)
    cluster.start("gpu2")
    cluster.put("gate1", "without", "gpu2")
    taken = r'"rejected connection on peer endpoint",.*"dns-names":\["gpu2"\]'
    sent = r'"prober detected unhealthy status",.*"error":"client certificate authentication failed"'
    wait_until(lambda: all(re.search(each, cluster.log("gpu1")) for each in (taken, sent)))
    cluster.stop("gpu2")
    cluster.issue("gpu2")
    cluster.start("gpu2")
    wait_until(lambda: cluster.get("gpu2", "without") == "gpu2")


def test_the_others_go_on_when_one_is_killed_and_it_comes_back(cluster: Cluster) -> None:
    cluster.stop("gate1", kill=True)
    cluster.put("gpu1", "killed", "gate1")
    cluster.start("gate1")
    cluster.put("gate1", "back", "gate1")
    assert cluster.get("gate1", "killed") == "gate1"


def test_a_large_document_fits(cluster: Cluster) -> None:
    """etcdctl itself sends 2 MiB at most."""
    document = "x" * (3 << 19)
    words = (*cluster.ctl_at("gpu1"), "put", "document")
    done = subprocess.run(words, input=document, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("OK\n", "")
    assert cluster.get("gpu2", "document") == document


def test_a_rotation_of_the_ca_one_member_after_the_other_stops_no_write(cluster: Cluster) -> None:
    def restarted(stage: str) -> None:
        for host in HOSTS:
            cluster.stop(host)
            if stage == "issued":
                cluster.issue(host)
            cluster.trust(host)
            cluster.start(host)
            for writer in HOSTS:
                cluster.put(writer, f"{stage}/{host}/{writer}", "yes")

    old = cluster.authority.ca_pem
    new = cluster.authority.new("rackwright acme")
    cluster.authority.write(old + new)
    restarted("trusted")
    cluster.authority.write(new + old)
    restarted("issued")
    cluster.authority.write(new)
    restarted("alone")


def looked(folder: Path, command: str, active: str = "inactive") -> str:
    """Run a command of the state in a folder in the place of the host's."""
    (folder / "systemctl").write_text(f"#!/bin/sh\necho {active}\n")
    (folder / "systemctl").chmod(0o755)
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
    with (host / changed[1:]).open("a") as file:
        file.write("more\n")
    assert parse(looked(host, COMMAND, active)).outdated
    assert not parse(looked(host, COMMAND, "failed")).outdated


def test_what_no_host_says_counts_as_not_there() -> None:
    digest = "a" * 64
    garbled = f"active \x1b[31mroot\nstarted {digest}x\npresent {'g' * 64}\nmember\nmember of\n\n"
    assert parse(garbled) == EtcdState(member=True)
    assert parse(f"started {digest}\nstarted {'b' * 64}\n").started == digest
    assert parse(f"active active\npresent {digest}\n").outdated
