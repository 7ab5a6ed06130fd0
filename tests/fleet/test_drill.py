# ruff: noqa: E501  (an exact message is written on one line)
"""The section `drill`, and `backup.snapshots`."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError, SecretError
from rackwright.fleet.backup_access import kit_repositories
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.backup import backup_of
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.references import secret_files, secret_references
from rackwright.fleet.targets import scratch_targets
from tests.fleet.test_load import GOOD, NAME
from tests.lifecycle.drill.drills import BACKUP, SCRATCH

JUMP = "drill.hosts.scratch1.ssh.jump: a drill can't go through a jump host; run drills on a machine that reaches this host directly"
PLACED = GOOD.replace("gate1: {", "gate1: {service: 10.1.0.10, fabric: 10.2.0.10, ").replace(
    "[gate1], ", "[gate1], vip: 10.0.0.99, "
)


def fleet(folder: Path, text: str) -> Fleet:
    (folder / "fleet.yml").write_text(text)
    return load_fleet(folder / "fleet.yml")


@pytest.mark.parametrize(
    ("wrong", "right", "messages"),
    [
        ("scratch1: {", "gpu1: {", ["drill.hosts.gpu1: 'gpu1' is also a host or a group; a scratch host needs a name of its own"]),
        ("scratch1: {", "gpus: {", ["drill.hosts.gpus: 'gpus' is also a host or a group; a scratch host needs a name of its own"]),
        ("scratch1: {", "Scratch1: {", [f"drill.hosts.Scratch1: {NAME}"]),
        ("10.0.0.91", "10.0.0.11", ["drill.hosts.scratch1.address: is gpu1's address; a scratch host must be a machine of its own"]),
        ("10.0.0.91", "10.1.0.10", ["drill.hosts.scratch1.address: is gate1's service; a scratch host must be a machine of its own"]),
        ("10.0.0.91", "10.2.0.10", ["drill.hosts.scratch1.address: is gate1's fabric; a scratch host must be a machine of its own"]),
        ("10.0.0.91", "10.0.0.99", ["drill.hosts.scratch1.address: is the gateways' virtual address; a scratch host must be a machine of its own"]),
        ("10.0.0.91", "[10.0.0.91]", ["drill.hosts.scratch1.address: should be an IPv4 or IPv6 address"]),
        ("10.0.0.92", "10.0.0.91", ["drill.hosts.scratch2.address: is scratch1's address; a scratch host must be a machine of its own"]),
        ("10.0.0.91", "scratch.acme.internal", ["drill.hosts.scratch1.address: should be an IPv4 or IPv6 address"]),
        ("10.0.0.91,", "10.0.0.91, ssh: {jump: gpu2},", [JUMP]),
        ("10.0.0.91,", "10.0.0.91, ssh: {jump: jump.acme.internal},", [JUMP]),
        ("10.0.0.91,", "10.0.0.91, ssh: {jump: {address: jump.acme.internal}},", [JUMP]),
        ("stands_for: [gate1]", "stands_for: [gate7]", ["drill.hosts.scratch1.stands_for[0]: unknown host 'gate7'; did you mean 'gate1'?"]),
        ("stands_for: [gate1]", "stands_for: [gpus]", ["drill.hosts.scratch1.stands_for[0]: unknown host 'gpus'; did you mean 'gpu2'?"]),
        ("stands_for: [gate1]", "stands_for: []", ["drill.hosts.scratch1.stands_for: is empty; should have at least one entry"]),
        ("rto: 30m", "rto: 59s", ["drill.objectives.rto: should be at least 60 seconds"]),
        ("rpo: 24h", "rpo: 59m", ["drill.objectives.rpo: should be at least 3600 seconds"]),
        ("  objectives", "  key: rw-drill-secret\n  objectives", ["drill.key: should be a reference: env:NAME, file:PATH or cmd:COMMAND, never the secret itself"]),
        ("  objectives", "  reach: [everything]\n  objectives", ["drill.reach[0]: should be a network like 10.20.0.0/24 or fd00:20::/64"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(tmp_path: Path, wrong: str, right: str, messages: list[str]) -> None:
    text = f"{PLACED}groups: {{gpus: [gpu1, gpu2]}}\n{SCRATCH}"
    with pytest.raises(FleetError) as raised:
        fleet(tmp_path, text.replace(wrong, right, 1))
    assert [
        f"{one.where.partition(' ')[2]}: {one.what}" + (f"; {one.should}" if one.should else "")
        for one in raised.value.problems
    ] == messages


def test_no_jump_host_and_no_vip_are_fine(tmp_path: Path) -> None:
    made = fleet(
        tmp_path,
        GOOD.replace("[gate1], ", "[gate1], vip: null, ")
        + SCRATCH.replace("10.0.0.91,", "10.0.0.91, ssh: {jump: null},"),
    )
    assert made.file.drill
    assert made.file.drill.criticality == "not classified"
    assert made.file.drill.objectives.rto == 1800


def test_a_scratch_host_is_reached_as_its_section_says(tmp_path: Path) -> None:
    how = "ssh: {user: ops, port: 2222, key: keys/ops, certificate: keys/ops.crt}, sudo: {password: 'file:sudo'}"
    made = fleet(tmp_path, GOOD + SCRATCH.replace("10.0.0.91,", f"10.0.0.91, {how},"))
    with pytest.raises(SecretError, match=r"fleet.yml drill.hosts.scratch1.sudo.password: .*sudo can't be read"):
        scratch_targets(made)
    (tmp_path / "sudo").write_text("secret\n")
    first, second = scratch_targets(made)
    assert (first.name, first.address, first.user, first.port) == ("scratch1", "10.0.0.91", "ops", 2222)
    assert (first.key, first.certificate) == (tmp_path / "keys/ops", tmp_path / "keys/ops.crt")
    assert first.jump is None
    assert first.sudo_password
    assert first.sudo_password.reveal() == "secret"
    assert first.known_hosts == second.known_hosts == tmp_path / "fleet.known_hosts"
    assert (second.name, second.user, second.sudo_password) == ("scratch2", "root", None)


def test_without_the_section_there_are_no_scratch_hosts(tmp_path: Path) -> None:
    assert scratch_targets(fleet(tmp_path, GOOD)) == ()


def test_the_drills_secrets_are_known_and_stay_out_of_a_kit(tmp_path: Path) -> None:
    keys = "  key: 'file:valid.key'\n  revoked_key: 'file:revoked.key'\n"
    made = fleet(tmp_path, GOOD + SCRATCH.replace("10.0.0.91,", "10.0.0.91, sudo: {password: 'file:sudo'},") + keys)
    found = secret_references(made)
    assert found["drill.key"] == "file:valid.key"
    assert found["drill.revoked_key"] == "file:revoked.key"
    assert found["drill.hosts.scratch1.sudo.password"] == "file:sudo"
    assert all(secret_files(made).fullmatch(str(tmp_path / name)) for name in ("valid.key", "revoked.key", "sudo"))


@pytest.mark.parametrize(
    ("written", "makes"), [("", True), ("  snapshots: yes\n", True), ("  snapshots: no\n", False)]
)
def test_hosts_of_a_copy_of_the_fleet_only_restore(tmp_path: Path, written: str, makes: bool) -> None:
    made = fleet(tmp_path, GOOD + BACKUP + written)
    settings = backup_of(made, Lock(fleet="acme", models={}, runtimes={}, ports={}), "gate1", ())
    assert settings
    assert settings.snapshots is makes
    assert [one.name for one in settings.repositories] == ["near", "far"]
    assert [one.name for one in settings.saving] == (["near", "far"] if makes else [])
    assert bool(settings.units) is makes
    assert kit_repositories(made) == (("near", "far") if makes else ())
