"""What follows from `unattended` for hosts: who may reach sshd, which secrets the tool gets, how it logs in, when."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.errors import FleetError, SecretError
from rackwright.fleet.backup_access import access_of, password_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.firewall import firewall_of
from rackwright.fleet.hosts.tool_secrets import names_of_secrets, references_of_tool, secrets_of_tool
from rackwright.fleet.load import load_fleet
from rackwright.fleet.targets import scratch_ssh, scratch_targets, target, targets
from rackwright.values.secrets import Secret
from rackwright.values.tool_mode import credential_name
from tests.fleet import test_members as members
from tests.fleet.test_load import GOOD, KEY
from tests.fleet.test_unattended import WHOLE
from tests.lifecycle.drill.drills import SCRATCH


def fleet(folder: Path, text: str = WHOLE) -> Fleet:
    (folder / "fleet.yml").write_text(text)
    return load_fleet(folder / "fleet.yml")


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")


def of_tool(made: Fleet, host: str) -> tuple[str, ...]:
    openings = firewall_of(made, members.lock(made), host, None).openings
    return tuple(str(one) for opening in openings if "tool" in opening.why for one in opening.sources)


def test_every_host_admits_the_tool_to_sshd_from_all_addresses_of_its_host(tmp_path: Path) -> None:
    made = fleet(tmp_path, WHOLE.replace("10.0.0.13}", "10.0.9.13, service: 10.1.0.13}"))
    for host in made.hosts:
        assert of_tool(made, host) == ("10.0.9.13/32", "10.1.0.13/32")
    assert of_tool(fleet(tmp_path, GOOD), "gate1") == ()


def test_the_tool_gets_what_a_run_needs_that_nobody_watches(tmp_path: Path) -> None:
    text = WHOLE.replace("gpu1: {", "gpu1: {sudo: {password: 'env:SUDO'}, ")
    text += "ca: {key: 'file:ca'}\nnotify: {url: 'env:HOOK'}\ndownloads: {hub_token: 'env:HUB'}\n"
    made = fleet(tmp_path, text)
    assert references_of_tool(made) == {
        "downloads.hub_token": "env:HUB",
        "notify.url": "env:HOOK",
        "unattended.key": "file:nightly",
    }
    assert names_of_secrets(made) == tuple(sorted(map(credential_name, ("env:HUB", "env:HOOK", "file:nightly"))))


def test_the_kits_own_secrets_go_only_where_drills_are_made(tmp_path: Path) -> None:
    backup = "backup: {to: [{name: far, url: 'rest:https://10.0.0.22', user: '{host}', "
    backup += "login: 'file:login-{host}', password: 'env:PASS'}]}\n"
    drill = SCRATCH.replace("  objectives", "  key: file:drill\n  objectives")
    for plain in (WHOLE + backup, WHOLE + backup + drill):
        found = references_of_tool(fleet(tmp_path, plain)).values()
        assert "file:login-gpu1" in found
        assert not {"file:login-kit", "file:drill"} & {*found}
    drill = drill.replace("  objectives", "  at: 'first sun 04:00'\n  objectives")
    found = references_of_tool(fleet(tmp_path, WHOLE + backup + drill)).values()
    assert {"file:login-kit", "file:drill"} <= {*found}


def test_the_password_of_all_backups_stays_with_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASS", "root of all")
    backup = "backup: {to: [{name: far, url: 'rest:https://10.0.0.22', user: '{host}', "
    backup += "login: 'file:login-{host}', password: 'env:PASS'}]}\n"
    for host in ("gate1", "gpu1", "gpu2", "ctl1", "kit"):
        (tmp_path / f"login-{host}").write_text(f"login of {host}")
    made = fleet(tmp_path, WHOLE + backup)
    expected = access_of(made)
    monkeypatch.setattr("rackwright.fleet.hosts.tool_secrets._refuse_strange_key", lambda *_: None)
    (tmp_path / "nightly").write_text("key")
    found = secrets_of_tool(made)()
    assert "root of all" not in {secret.reveal().strip() for secret in found.values()}
    assert set(found) == set(names_of_secrets(made))
    folder = tmp_path / "credentials"
    folder.mkdir()
    for name, secret in found.items():
        (folder / name).write_text(secret.reveal())
    monkeypatch.delenv("PASS")
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    # The tool opens each host's backups, and finds on its own host what an operator would deliver.
    assert access_of(made) == expected
    assert secrets_of_tool(made)() == found
    with pytest.raises(SecretError, match="isn't on this control host"):
        password_of(made, "kit", None)


def test_without_a_host_there_are_no_secrets(tmp_path: Path) -> None:
    made = fleet(tmp_path, f"{GOOD}downloads: {{hub_token: 'env:HUB'}}\n")
    assert (references_of_tool(made), names_of_secrets(made), secrets_of_tool(made)()) == ({}, (), {})


@pytest.fixture
def pair(tmp_path: Path) -> str:
    """Make the private key `nightly`; return the fleet file with its public one."""
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "nightly")]
    subprocess.run(make, check=True)
    public = " ".join((tmp_path / "nightly.pub").read_text().split()[:2])
    return WHOLE.replace(KEY, public)


def test_secrets_are_resolved_once_when_asked_for(tmp_path: Path, pair: str) -> None:
    once = "downloads: {hub_token: 'cmd:sh -c \"echo x >>asked; echo hub\"'}\n"
    made = fleet(tmp_path, pair + once)
    secrets = secrets_of_tool(made)
    assert not (tmp_path / "asked").exists()
    found = secrets()
    assert found[credential_name("file:nightly")] == Secret((tmp_path / "nightly").read_text())
    assert set(found) == set(names_of_secrets(made))
    secrets()
    assert (tmp_path / "asked").read_text() == "x\n"


@pytest.mark.parametrize("kind", ["another", "passphrase", "text", "rsa"])
def test_the_key_is_one_of_the_persons_and_usable(tmp_path: Path, pair: str, kind: str) -> None:
    made, path = fleet(tmp_path, pair), tmp_path / "nightly"
    said = f"{made.path} unattended.key: isn't a private SSH key that can be used"
    if kind == "passphrase":
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "hunter2", "-f", str(path)], check=True)
    elif kind == "text":
        path.write_text("hunter2\n")
    else:
        path.unlink()
        form = ["-t", "rsa", "-m", "PEM"] if kind == "rsa" else ["-t", "ed25519"]
        subprocess.run(["ssh-keygen", "-q", *form, "-N", "", "-f", str(path)], check=True)
        said = f"{made.path} unattended.key: is the key SHA256:"
    with pytest.raises(SecretError) as raised:
        secrets_of_tool(made)()
    assert str(raised.value).startswith(said)
    assert "hunter2" not in str(raised.value)


@pytest.mark.usefixtures("tool")
def test_the_tool_logs_in_everywhere_as_its_person_with_its_key(tmp_path: Path) -> None:
    text = WHOLE.replace("gpu1: {", "gpu1: {ssh: {user: anna, port: 2222, key: id, certificate: id-cert.pub}, ")
    made = fleet(tmp_path, text.replace("gpu1: {ssh", "gpu1: {sudo: {password: 'env:SUDO'}, ssh"))
    key = Path("/run/credentials/x") / credential_name("file:nightly")
    for one in targets(made):
        assert (one.user, one.key, one.certificate, one.sudo_password) == ("nightly", key, None, None)
        assert one.known_hosts == tmp_path / "fleet.known_hosts"
    assert target(made, "gpu1").port == 2222


@pytest.mark.usefixtures("tool")
def test_it_goes_through_the_same_jump_hosts(tmp_path: Path) -> None:
    for written, user, address in (
        ("gate1", "nightly", "10.0.0.10"),
        ("jump.acme.internal", "root", "jump.acme.internal"),
        ("{address: jump.acme.internal, user: jump, key: id}", "jump", "jump.acme.internal"),
    ):
        made = fleet(tmp_path, WHOLE.replace("gpu1: {", f"gpu1: {{ssh: {{jump: {written}}}, "))
        one = target(made, "gpu1")
        assert one.jump is not None
        assert (one.jump.user, one.jump.address, one.jump.key) == (user, address, one.key)


@pytest.mark.usefixtures("tool")
def test_scratch_hosts_have_their_own_login_and_the_tools_key(tmp_path: Path) -> None:
    one = scratch_targets(fleet(tmp_path, WHOLE + SCRATCH))[0]
    assert (one.user, one.key) == ("root", Path("/run/credentials/x") / credential_name("file:nightly"))


@pytest.mark.usefixtures("tool")
def test_in_tool_mode_the_hosts_of_a_drill_are_reached_as_its_fleet_file_says(tmp_path: Path) -> None:
    real = fleet(tmp_path, WHOLE + SCRATCH)
    assert real.file.drill
    ssh = scratch_ssh(real, real.file.drill.hosts["scratch1"])
    key = Path("/run/credentials/x") / credential_name("file:nightly")
    assert (ssh.user, ssh.key, ssh.certificate) == ("root", str(key), None)
    one = target(fleet(tmp_path, GOOD.replace("gpu1: {", f"gpu1: {{ssh: {{user: root, key: {ssh.key}}}, ")), "gpu1")
    assert (one.user, one.key) == ("root", key)


def test_a_fleet_file_whose_weights_lie_in_a_home_can_be_read_with_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> bool:
        if "private" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return True

    monkeypatch.setattr(Path, "exists", refuse)
    text = WHOLE.replace("hf:acme/tiny", "file:/root/private/model.gguf")
    assert fleet(tmp_path, text).tool_hosts == ("ctl1",)
    monkeypatch.setattr(Path, "exists", lambda path, **_: path.suffix != ".lock" and refuse(path))
    with pytest.raises(FleetError, match="can't be read: Permission denied"):
        fleet(tmp_path, text)
