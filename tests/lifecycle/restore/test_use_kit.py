"""A fetched kit on this machine: nothing of it runs before the operator has agreed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError, RackwrightError, SecretError
from rackwright.fleet.load import load_fleet
from rackwright.fleet.x509 import new_key
from rackwright.lifecycle.backup.snapshots import Snapshot
from rackwright.lifecycle.restore.fetch_kit import FetchedKit
from rackwright.lifecycle.restore.use_kit import confirm_kit, refuse_missing_secrets, use_ca_key
from rackwright.state.kit import parse_contents
from tests.cli.command_line import rackwright
from tests.fleet.test_load import GOOD
from tests.lifecycle.restore.kit_vault import NOW, PASSWORD, Operator, Vault, new_vault


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return new_vault(tmp_path)


def fetched(vault: Vault, fleet_file: str = GOOD, *, key: str | None = "", **contents: object) -> FetchedKit:
    """Return the kit as it is after it was fetched."""
    folder = vault.staged({"fleet/acme.yml": fleet_file}, key=key, **contents)
    snapshot = Snapshot(id="ab" * 32, time=NOW, hostname="kit")
    known = parse_contents((folder / "references.json").read_text(), "kit")
    return FetchedKit(folder, folder / "fleet/acme.yml", snapshot, known, snapshot if key is not None else None)


def with_command(marker: Path) -> str:
    return f"{GOOD}downloads: {{hub_token: 'cmd:touch {marker}'}}\n"


def test_it_is_shown_with_the_commands_of_the_fleet_file_itself(vault: Vault, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    left_out = tuple(f"fleet/{number}: a secret" for number in range(25))
    kit = fetched(vault, with_command(marker), commit="c0ffee", who="anna\non gate1", left_out=left_out)
    console = Operator(agrees=False)
    with pytest.raises(RackwrightError, match="not confirmed"):
        confirm_kit(kit, load_fleet(kit.fleet_file), console)
    text = "\n".join(console.said)
    for said in (
        f"the fleet file is {kit.fleet_file}",
        "kit abababab of the fleet acme: saved at ",
        "by anna on gate1 with rackwright 1, 3 files",
        "  commit: c0ffee",
        "  not in it: fleet/19: a secret\n  not in it: 5 more",
        f"  runs on this machine, for downloads.hub_token: touch {marker}",
    ):
        assert said in text
    assert console.asked == ["Use this kit and run these commands?"]
    assert not marker.exists()
    plain, console = fetched(vault), Operator()
    confirm_kit(plain, load_fleet(plain.fleet_file), console)
    assert console.asked == ["Use this kit?"]


def test_an_operator_who_does_not_agree_runs_none_of_its_commands(vault: Vault, tmp_path: Path) -> None:
    marker, into = tmp_path / "ran", tmp_path / "acme"
    vault.saved({"fleet/acme.yml": with_command(marker)})
    (tmp_path / "password").write_text(PASSWORD)
    words = ("--from", vault.folder, "--into", into, "--password", f"file:{tmp_path}/password")
    done = rackwright("restore", "--all", *words, answers="n\n")
    assert (done.exit_code, "not confirmed" in done.stderr) == (1, True)
    assert not marker.exists()
    assert not vault.key_file.exists()
    done = rackwright("restore", "--all", *words[:2], "--into", tmp_path / "other", *words[4:], "--yes")
    assert done.exit_code == 10
    assert "hub_token" in done.stderr
    assert "next: rackwright -f " in done.stderr
    assert marker.exists()
    assert vault.key_file.read_text() == vault.ca_key.reveal()


def test_a_password_in_the_url_is_refused_before_a_question(tmp_path: Path) -> None:
    done = rackwright("restore", "--all", "--from", "rest:https://kit:hunter2@vault/", "--into", tmp_path / "acme")
    assert (done.exit_code, "pass --user and --login" in done.stderr) == (2, True)
    assert "hunter2" not in done.stderr + done.stdout


def test_the_key_of_another_ca_is_left_alone(vault: Vault) -> None:
    other = vault.key_file.with_name("ca-0123456789abcdef.key")
    other.parent.mkdir(parents=True)
    other.write_text("another fleet's key")
    kit = fetched(vault)
    use_ca_key(kit, load_fleet(kit.fleet_file), Operator())
    assert other.read_text() == "another fleet's key"
    assert vault.key_file.read_text() == vault.ca_key.reveal()
    assert vault.key_file.stat().st_mode & 0o777 == 0o600


def test_a_key_that_does_not_fit_the_kits_ca_is_refused(vault: Vault) -> None:
    kit = fetched(vault, key=new_key().reveal())
    with pytest.raises(SecretError, match="the CA's key here belongs to another certificate"):
        use_ca_key(kit, load_fleet(kit.fleet_file), Operator())


def test_without_the_cas_certificate_its_key_is_not_used(vault: Vault) -> None:
    kit, console = fetched(vault), Operator()
    (kit.fleet_file.with_name("acme.ca.crt")).unlink()
    use_ca_key(kit, load_fleet(kit.fleet_file), console)
    assert console.said == [f"{kit.folder}/ca.key: the CA's key isn't used, because the kit lacks acme.ca.crt"]


def test_a_kit_without_the_key_is_no_news_if_this_machine_has_it(vault: Vault) -> None:
    kit, console = fetched(vault, key=None), Operator()
    use_ca_key(kit, load_fleet(kit.fleet_file), console)
    assert console.said == [
        "no kit has the CA's key; without it, certificates can't be renewed: ask the operators for it"
    ]
    vault.key_file.parent.mkdir(parents=True)
    vault.key_file.write_text(vault.ca_key.reveal())
    vault.key_file.chmod(0o600)
    use_ca_key(kit, load_fleet(kit.fleet_file), console)
    assert len(console.said) == 1


def test_every_missing_secret_of_the_fleet_file_is_named_at_once(vault: Vault) -> None:
    text = f"{GOOD}ca: {{key: 'file:no-key'}}\ndownloads: {{hub_token: 'file:no-token'}}\n"
    kit, console = fetched(vault, text), Operator()
    fleet = load_fleet(kit.fleet_file)
    use_ca_key(kit, fleet, console)
    assert console.said == [f"{kit.folder}/ca.key: the CA's key, for file:no-key"]
    with pytest.raises(FleetError) as raised:
        refuse_missing_secrets(kit, fleet)
    assert [problem.where for problem in raised.value.problems] == ["downloads.hub_token", "ca.key", ""]
    assert raised.value.problems[-1].next == f"rackwright -f {kit.fleet_file} restore --all"
