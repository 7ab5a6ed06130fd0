"""Restores of a whole host through the command, from real repositories over sftp and append-only rest."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rackwright.fleet.backup_access import password_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.lab import containers, podman
from rackwright.lab.hosts import Lab, LabSpec
from tests.lab.backup_vault import CHROOTS, leave_empty, repositories, serve
from tests.lab.deployed import LabHost
from tests.lab.operator import Operator, operator, read_until
from tests.lab.standard import standard_lab
from tests.terminal import at_terminal

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/restore.py",
    "rackwright/fleet/backup_access.py",
    "rackwright/lifecycle/backup/kit.py",
    "rackwright/lifecycle/restore",
    "rackwright/state/api_keys/merge_keys.py",
    "rackwright/state/switch_in.py",
    "roles/backup",
)
GATE, GPU, VAULT = "gate1", "gpu1", "spare1"
STATE = "/var/lib/rackwright"


@dataclass(frozen=True)
class Site:
    """A gateway and a serving host that were saved, and what the gateway's state was then."""

    operator: Operator
    lab: Lab
    gate: LabHost
    gpu: LabHost
    vault: LabHost
    key: str
    revoked: str
    old_keys: str
    """The keys file from before a key was revoked."""

    def replaced(self, *hosts: str) -> None:
        """Put bare machines in the hosts' place, at the same addresses."""
        for host in hosts:
            podman.run("rm", "--force", "--time=0", "--volumes", containers.name_of(self.lab.name, host))
        self.lab.up(LabSpec(hosts=(GATE, GPU, VAULT)))
        self.operator("trust", "--yes", *hosts)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("fleet")
    with standard_lab("restore", GATE, GPU, VAULT, bare=(VAULT,)) as lab:
        gate, gpu, vault = (LabHost(lab, lab.fleet(), name) for name in (GATE, GPU, VAULT))
        serve(vault, folder, (GATE, GPU, "kit"))
        made = operator(folder, lab.fleet())
        (folder / "password").write_text("correct horse battery staple\n")
        with made.path.open("a") as stream:
            stream.write(f"backup: {json.dumps({'to': repositories(vault)})}\n")
        made("lock")
        leave_repositories(load_fleet(made.path), gate, gpu, vault)
        key = made("key", "add", "kept", "--owner", "tests", "--later").out.strip()
        revoked = made("key", "add", "leaked", "--owner", "tests", "--later").out.strip()
        made("apply", "--yes")
        old_keys = made.path.with_name("test.keys.yml").read_text()
        made("key", "revoke", "leaked", "--yes")
        made("backup", "run")
        yield Site(made, lab, gate, gpu, vault, key, revoked, old_keys)


def leave_repositories(fleet: Fleet, gate: LabHost, gpu: LabHost, vault: LabHost) -> None:
    """Leave the repositories that the hosts and the kit would make, empty, so that restic needs no time for a key."""
    for name in (GATE, GPU, "kit"):
        leave_empty(vault, f"{CHROOTS}/{name}/acme/{name}", name, password_of(fleet, name, "ssh")[1])
        leave_empty(vault, f"/srv/rest/{name}", "restic-rest-server", password_of(fleet, name, "web")[1])
    for host in (gate, gpu):
        leave_empty(host, f"/srv/disk/{host.name}", "root", password_of(fleet, host.name, "disk")[1])


def test_a_host_that_serves_is_restored_only_if_its_name_is_typed_and_a_second_restore_is_refused_meanwhile(
    site: Site,
) -> None:
    said = site.operator("restore", GATE, "--yes", check=1)
    assert "gate1: this host serves now" in said.err
    assert "next: the same command with --serving gate1" in said.err
    with at_terminal(site.operator.argv("restore", GATE), site.operator.environment) as terminal:
        terminal.read_until("[y/N]")
        said = site.operator("restore", GPU, "--yes", "--serving", GPU, check=11)
        assert f"for: restore {GATE}" in said.err
        terminal.type("y\n")
        terminal.read_until("Type gate1 to go on")
        terminal.type("gpu1\n")
        assert terminal.end() == 1
    assert "not confirmed, nothing was changed" in terminal.shown
    assert not site.gate.holds(f"test -e {STATE}/restore/before")


def test_what_was_lost_comes_back_and_the_restore_can_be_undone(site: Site) -> None:
    golden = site.gate.tell(f"cat {STATE}/golden/*/*.json")
    site.gate.tell(f"rm -r {STATE}/golden; mkdir -p {STATE}/bench/assistant; echo x >{STATE}/bench/assistant/own")
    before = site.gate.tell(f"cat {STATE}/audit.log").splitlines()
    restored = site.operator("restore", GATE, "--yes", "--serving", GATE, "--json").json["restored"]
    assert [(one["host"], one["repository"]) for one in restored] == [(GATE, "ssh")]
    assert site.gate.tell(f"cat {STATE}/golden/*/*.json") == golden
    assert site.gate.tell(f"cat {STATE}/bench/assistant/own") == "x", "what only the host has stays"
    after = site.gate.tell(f"cat {STATE}/audit.log").splitlines()
    assert after[: len(before)] == before
    assert json.loads(after[-1])["what"].startswith("restored ")
    site.operator("restore", GATE, "--undo", "--yes", "--serving", GATE)
    assert not site.gate.holds(f"test -e {STATE}/golden")
    assert "no restore to undo" in site.operator("restore", GATE, "--undo", "--yes", "--serving", GATE, check=3).err
    # The sandboxed unit restores from a folder, too.
    assert "at disk" in site.operator("restore", GATE, "--yes", "--serving", GATE, "--from", "disk").out
    assert site.gate.tell(f"cat {STATE}/golden/*/*.json") == golden


def test_a_killed_unit_and_a_full_disk_leave_the_present_state_and_the_next_restore_completes_it(site: Site) -> None:
    state = f"cd {STATE}; find golden control -type f ! -name lease ! -name token | sort | xargs sha256sum"
    before = site.gate.tell(state)
    restore = ("restore", GATE, "--yes", "--serving", GATE)
    kill = "systemctl kill -s KILL rackwright-restore"
    program = f'case " $* " in *" restore "*) {kill} ;; esac; exec /usr/bin/restic "$@"'
    site.gate.tell(f"printf '#!/bin/sh\n%s\n' '{program}' >/usr/local/bin/restic; chmod 0755 /usr/local/bin/restic")
    said = site.operator(*restore, check=3)
    assert "rackwright-restore ended without a result" in said.err
    site.gate.tell(f"rm /usr/local/bin/restic; mount -t tmpfs -o size=90m tmpfs {STATE}/restore")
    assert "bytes free, should have" in site.operator(*restore, check=3).err
    assert site.gate.tell(state) == before
    # A repository that is gone is passed over for the next one.
    site.gate.tell(f"umount {STATE}/restore")
    site.vault.tell(f"mv {CHROOTS}/gate1/acme/gate1 /srv/away")
    assert "at web" in site.operator(*restore, "--what", "state").out
    site.vault.tell(f"mv /srv/away {CHROOTS}/gate1/acme/gate1")
    assert site.gate.tell(f"ls {STATE}/restore") == "before"


def test_a_killed_restore_leaves_the_present_state_and_the_next_one_completes_it(site: Site) -> None:
    running = site.operator.start("restore", GATE, "--yes", "--serving", GATE)
    read_until(running, "gate1: restoring ")
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=60)
    assert site.gate.holds(f"test -e {STATE}/golden")
    site.operator("lease", "break", "--yes", "--reason", "its machine was killed")
    site.operator("restore", GATE, "--yes", "--serving", GATE)
    assert site.gate.tell(f"ls {STATE}/restore") == "before"


def test_a_new_serving_host_gets_its_weights_back_before_an_engine_starts(site: Site) -> None:
    site.replaced(GPU)
    restored = site.operator("restore", GPU, "--yes", "--json").json["restored"]
    assert restored[0]["models"] == ["assistant"]
    assert site.gpu.tell("find /srv/models/assistant -name .verified | wc -l") == "1"
    assert not site.gpu.holds("systemctl is-active -q 'rackwright-assistant@1'")


def test_a_fleet_comes_back_from_a_repository_a_password_and_ssh(site: Site, tmp_path: Path) -> None:
    home, into, secret = site.operator.path.parent, tmp_path / "acme", tmp_path / "secret"
    secret.write_text(site.operator("backup", "password", "kit", "--to", "web").out)
    log = site.gate.tell(f"cat {STATE}/audit.log").splitlines()
    token = int(site.gate.tell(f"cat {STATE}/control/token"))
    site.operator("backup", "run", GATE)
    site.replaced(GATE, GPU)
    # This machine has nothing of the fleet any more: neither its files nor the CA's key.
    recovered = Operator(into / "fleet/test.yml")
    words = ["--from", f"rest:https://{site.vault.address}:8000", "--into", str(into), "--password", f"file:{secret}"]
    words += ["--user", "kit", "--login", f"file:{home}/kit.login", "--ca", f"{home}/vault.crt"]
    said = recovered("restore", "--all", *words, "--yes", check=10)
    missing = ("password", *(f"{name}{kind}" for name in (GATE, GPU, "kit") for kind in ("", ".login")))
    assert [name for name in missing if f"{into}/fleet/{name}" not in said.err] == []
    for name in missing:
        (into / "fleet" / name).write_bytes((home / name).read_bytes())
        (into / "fleet" / name).chmod(0o600)
    # As if the kit were from before the key was revoked.
    (into / "fleet/test.keys.yml").write_text(site.old_keys)
    recovered("trust", "--yes", GATE, GPU)
    said = recovered("restore", "--all", "--yes", "--accept-keys", timeout=600)
    assert "  revokes leaked of tests" in said.out
    assert " proofs passed" in said.out
    assert site.gate.tell(f"cat {STATE}/audit.log").splitlines()[: len(log)] == log
    assert int(site.gate.tell(f"cat {STATE}/control/token")) > token
    recovered("verify")
    assert recovered("apply", "--yes", "--json").json["changed"] == 0
    assert answers(site, site.key) == "200"
    assert answers(site, site.revoked) == "401"


def answers(site: Site, key: str) -> str:
    """Return the status of a request with this key."""
    models = f"https://{site.gate.address}/v1/models"
    return site.gate.tell(f"curl -sk -o /dev/null -w '%{{http_code}}' -H 'Authorization: Bearer {key}' {models}")
