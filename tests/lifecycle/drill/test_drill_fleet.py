"""The fleet file of a drill: made from a kit that an attacker may have written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.errors import FleetError, ProofError
from rackwright.fleet.backup_access import kit_repositories
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.backup import backup_of
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock, ToolLock
from rackwright.fleet.lock_file import mismatches, write_lock
from rackwright.fleet.sections.backup import Repository
from rackwright.fleet.targets import target
from rackwright.lifecycle.backup.snapshots import Snapshot
from rackwright.lifecycle.drill.drill_fleet import unreachable, write_drill_fleet
from rackwright.lifecycle.restore.fetch_kit import FetchedKit
from rackwright.lifecycle.session.control_store import store_of
from rackwright.state.kit import KitContents
from rackwright.state.store import FileStore
from rackwright.values.network import parse_network
from rackwright.values.secrets import Secret
from rackwright.values.tool_mode import delivered
from tests.fleet.test_load import GOOD, KEY
from tests.lifecycle.drill.drills import BACKUP, NOON, OWN, SCRATCH, own_fleet, place_of
from tests.lifecycle.proving import Shells
from tests.lifecycle.restore.kit_vault import new_vault
from tests.shells import LocalShell

LOCK = Lock(fleet="acme", models={}, runtimes={}, ports={})
NEVER_BANNED = "baseline: {fail2ban: {ignoreip: [10.0.0.200]}}"
PASSWORDS = "password: 'file:secrets/password'"
# Everything that another machine must not have, and gpu1 out of service.
LOST = (
    GOOD.replace("gate1: {", "gate1: {service: 10.1.0.10, fabric: 10.2.0.10, ssh: {jump: gate2, port: 2222}, ")
    .replace("  gpu1: {", "  gate2: {address: 10.0.0.13}\n  gpu1: {disabled: a new fan, ")
    .replace("on: gpu1", "on: [gpu1, gpu2]")
    .replace("[gate1], ", "[gate1, gate2], vip: 10.0.0.99, ")
    .replace("clients_from: [", "allow: [{on: gate1, port: 9100, from: 10.0.0.0/8, why: metrics}], clients_from: [")
    + "p2p: {from: gpu2}\ncontrol: [gate1, gate2, gpu1]\n"
    + BACKUP
    + SCRATCH
)


def kit(folder: Path, text: str = OWN, **others: str) -> FetchedKit:
    """Return a kit with this fleet file, as it was fetched."""
    (folder / "fleet").mkdir(parents=True)
    for name, content in {"acme.yml": text, **others}.items():
        (folder / "fleet" / name).write_text(content)
    contents = KitContents(
        fleet="acme", fleet_file="fleet/acme.yml", who="anna", when=NOON, rackwright="1", with_ca_key=False, files=1
    )
    return FetchedKit(folder, folder / "fleet/acme.yml", Snapshot(id="1", time=NOON, hostname="kit"), contents, None)


@pytest.fixture
def own(tmp_path: Path) -> Fleet:
    for host in ("gate1", "gpu1", "gpu2", "kit"):
        path = tmp_path / "own/secrets" / f"{host}.login"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"login of {host}")
    (tmp_path / "own/secrets/password").write_text("a password")
    (tmp_path / "own/acme.known_hosts").write_text("10.0.0.91 ssh-ed25519 AAAA\n")
    return own_fleet(tmp_path / "own")


def written(tmp_path: Path, own: Fleet, text: str = OWN) -> Fleet:
    return write_drill_fleet(kit(tmp_path / "kit", text), place_of(own))


def test_a_real_kit_becomes_a_fleet_of_scratch_hosts_with_its_lock_and_keys(tmp_path: Path, own: Fleet) -> None:
    vault = new_vault(tmp_path)
    lock, keys = LOCK.model_dump_json(), "format: keys/1\n"
    vault.saved({"fleet/acme.yml": OWN, "fleet/acme.lock": lock, "fleet/acme.keys.yml": keys})
    fetched = vault.fetch(tmp_path / "kit")
    fleet = write_drill_fleet(fetched, place_of(own))
    assert fleet.path == tmp_path / "kit/fleet/acme-drill.yml"
    assert tuple(fleet.hosts) == ("gate1", "gpu1")
    assert {name: fleet.file.hosts[name].address for name in fleet.hosts} == {
        "gate1": "10.0.0.91",
        "gpu1": "10.0.0.92",
    }
    assert fleet.sibling("lock").read_text() == lock
    assert fleet.sibling("keys.yml").read_text() == keys
    assert fleet.sibling("ca.crt").read_text() == (tmp_path / "kit/fleet/acme.ca.crt").read_text()
    assert fleet.sibling("known_hosts").read_text() == own.sibling("known_hosts").read_text()
    assert {path.stat().st_mode & 0o777 for path in fleet.path.parent.glob("acme-drill.*")} == {0o600}
    assert Path(str(fleet.file.ca.key).removeprefix("file:")).read_text() == vault.ca_key.reveal()


def test_a_fleet_with_several_control_hosts_is_restored_with_one(tmp_path: Path, own: Fleet) -> None:
    """Its files have what the snapshot has of their etcd."""
    lock = tmp_path / "acme.lock"
    write_lock(lock, LOCK.model_copy(update={"control": ("gate2", "gate1", "gpu1")}))
    fetched = kit(tmp_path / "kit", LOST, **{"acme.lock": lock.read_text()})
    assert load_fleet(fetched.fleet_file).control_hosts == ("gate2", "gate1", "gpu1")
    fleet = write_drill_fleet(fetched, place_of(own))
    assert (fleet.control_hosts, fleet.named_control, fleet.etcd_hosts) == (("gate1",), ("gate1",), ())
    assert isinstance(store_of(fleet, Shells({"gate1": LocalShell()})), FileStore)


def test_the_tool_logs_in_to_scratch_hosts_with_its_key_and_reads_the_kits_secrets(
    tmp_path: Path, own: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = f"people: {{nightly: {{role: operator, keys: [{KEY}]}}}}\n"
    tool = "unattended: {on: [ctl1], person: nightly, key: 'file:nightly'}\ncontrol: [gate1, ctl1, gpu1]\n"
    sudo = "scratch1: {sudo: {password: 'file:secrets/password'}, "
    text = OWN.replace("  gpu1: {", "  ctl1: {address: 10.0.0.13}\n  gpu1: {").replace("scratch1: {", sudo)
    real = own_fleet(own.path.parent, text + person + tool)
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for reference in ("file:nightly", "file:secrets/password"):
        delivered(reference).write_text("hunter2")
    fleet = write_drill_fleet(kit(tmp_path / "kit", text + person + tool), place_of(real))
    one = target(fleet, "gate1")
    assert (one.user, one.key, one.sudo_password) == ("root", delivered("file:nightly"), Secret("hunter2"))


def test_no_scratch_host_has_the_tool(tmp_path: Path, own: Fleet) -> None:
    """It would patch the real hosts, or the scratch hosts."""
    person = f"people: {{nightly: {{role: operator, keys: [{KEY}]}}}}\n"
    tool = "unattended: {on: [ctl1], person: nightly, key: 'file:secrets/password', allow: {outage: all}}\n"
    text = (
        OWN.replace("  gpu1: {", "  ctl1: {address: 10.0.0.13}\n  gpu1: {")
        + person
        + f"control: [gate1, ctl1, gpu1]\n{tool}"
    )
    text = text.replace("rpo: 24h}", "rpo: 24h}\n  at: daily 04:00").replace("gate1: {", f"gate1: {{{NEVER_BANNED}, ")
    real = own_fleet(own.path.parent, text)
    assert real.tool_hosts == ("ctl1",)
    fleet = write_drill_fleet(kit(tmp_path / "kit", text), place_of(real))
    # But the tool makes the drill, and if its machine is lost, the one on another host wipes the scratch hosts.
    admins = {*map(str, fleet.file.firewall.admin_from)}
    assert admins == {*map(str, real.file.firewall.admin_from), "10.0.0.5/32", "10.0.0.13/32"}
    never = [fleet.file.hosts[host].baseline.fail2ban.ignoreip for host in ("gate1", "gpu1")]
    assert never == [tuple(map(parse_network, ("10.0.0.200/32", "10.0.0.5/32", "10.0.0.13/32"))), None]
    assert (fleet.tool_hosts, fleet.file.unattended.on, fleet.file.unattended.key) == ((), None, None)
    # The lock of the real fleet answers, although it names another rackwright.
    of_another = ToolLock(version="0.0.9+1a2b3c4d", digest="1a2b3c4d" * 8, python="3.13", files=())
    assert not any("tool" in one.where for one in mismatches(fleet, LOCK.model_copy(update={"tool": of_another})))


def test_what_other_machines_must_not_have_is_gone(tmp_path: Path, own: Fleet) -> None:
    fleet = written(tmp_path, own, LOST)
    gate, gpu = fleet.file.hosts["gate1"], fleet.file.hosts["gpu1"]
    assert (gate.service, gate.fabric, gate.ssh.jump, gate.ssh.port, gpu.disabled) == (None, None, None, 22, None)
    assert tuple(fleet.hosts) == ("gate1", "gpu1")
    assert {fleet.file.hosts[name].disabled for name in ("gate2", "gpu2")} == {"not part of this drill"}
    assert fleet.control == ("gate1",)
    assert fleet.file.gateway.vip is None
    assert fleet.file.firewall.allow == ()
    assert list(map(str, fleet.file.firewall.clients_from)) == ["10.0.0.5/32"]
    assert fleet.file.p2p
    assert fleet.file.p2p.from_ is None
    assert fleet.file.drill is None


def test_a_host_that_is_covered_still_sends_weights_first(tmp_path: Path, own: Fleet) -> None:
    assert written(tmp_path, own, OWN + "p2p: {from: gpu1}\n").file.p2p.from_ == "gpu1"  # type: ignore[union-attr]


def test_scratch_hosts_make_no_snapshots_and_no_kit_is_saved(tmp_path: Path, own: Fleet) -> None:
    fleet = written(tmp_path, own)
    settings = backup_of(fleet, LOCK, "gate1", ())
    assert settings
    assert not settings.snapshots
    assert [one.name for one in settings.repositories] == ["near", "far"]
    assert kit_repositories(fleet) == ()
    assert kit_repositories(own) == ("near", "far")


def test_secrets_are_linked_and_never_copied(tmp_path: Path, own: Fleet) -> None:
    fleet = written(tmp_path, own)
    for name in ("password", "gate1.login", "gpu1.login"):
        link = fleet.path.parent / "secrets" / name
        assert link.is_symlink()
        assert link.read_text() == (own.path.parent / "secrets" / name).read_text()
    plain = [path.read_text() for path in (tmp_path / "kit").rglob("*") if path.is_file() and not path.is_symlink()]
    assert not any("a password" in text or "login of" in text for text in plain)


def test_scratch_hosts_are_reached_as_the_operators_file_says(tmp_path: Path, own: Fleet) -> None:
    how = "ssh: {user: ops, key: ops.key, certificate: ops.crt}"
    how += ", sudo: {password: 'file:secrets/sudo'}"
    text = OWN.replace("address: 10.0.0.91,", f"address: 10.0.0.91, {how},")
    fleet = write_drill_fleet(kit(tmp_path / "kit", LOST), place_of(own_fleet(own.path.parent, text)))
    host, folder = fleet.file.hosts["gate1"], own.path.parent
    assert (host.ssh.user, host.ssh.key, host.ssh.certificate) == ("ops", f"{folder}/ops.key", f"{folder}/ops.crt")
    assert host.sudo.password == f"file:{folder}/secrets/sudo"
    other = fleet.file.hosts["gpu1"]
    assert (other.ssh.user, other.ssh.key, other.sudo.password) == ("root", None, None)


def test_without_pins_no_host_key_is_known(tmp_path: Path, own: Fleet) -> None:
    own.sibling("known_hosts").unlink()
    assert written(tmp_path, own).sibling("known_hosts").read_text() == ""


def test_a_command_that_only_the_kit_has_is_refused_and_never_run(tmp_path: Path, own: Fleet) -> None:
    ran = tmp_path / "ran"
    forged = OWN.replace(PASSWORDS, f"password: 'cmd:touch {ran}'", 1)
    with pytest.raises(
        ProofError, match="has secrets, files or repositories that this fleet file doesn't have"
    ) as raised:
        written(tmp_path, own, forged)
    assert f"cmd:touch {ran}" in raised.value.problems[0].listed[0]
    assert not ran.exists()
    assert not list((tmp_path / "kit/fleet").glob("acme-drill*"))


@pytest.mark.parametrize(("old", "new"), [(PASSWORDS, "password: 'env:AWS_SECRET'"), ("10.0.0.21", "10.6.6.6")])
def test_a_kit_that_would_send_secrets_elsewhere_is_refused(tmp_path: Path, own: Fleet, old: str, new: str) -> None:
    assert old in OWN
    with pytest.raises(ProofError, match="may have forged it"):
        written(tmp_path, own, OWN.replace(old, new, 1))


def test_a_command_that_both_have_is_fine(tmp_path: Path, own: Fleet) -> None:
    text = OWN.replace(PASSWORDS, "password: 'cmd:pass show acme'", 1)
    assert written(tmp_path, own_fleet(own.path.parent, text), text).hosts


def test_a_host_that_the_kit_does_not_know_is_named(tmp_path: Path, own: Fleet) -> None:
    renamed = OWN.replace("gpu1: {", "gpu7: {").replace("on: gpu1", "on: gpu7").replace("gpu1, gpu2", "gpu7, gpu2")
    with pytest.raises(FleetError, match=r"hosts: the kit's fleet file has no gpu1\n  next: rackwright backup kit"):
        written(tmp_path, own, renamed)


@pytest.mark.parametrize("path", ["../../own/secrets/password", "secrets/../../../etc/passwd"])
def test_a_reference_that_leads_out_of_the_kit_is_refused(tmp_path: Path, own: Fleet, path: str) -> None:
    text = OWN.replace("file:secrets/password", f"file:{path}", 1)
    known = own_fleet(own.path.parent, text)
    with pytest.raises(ProofError, match="leads out of the kit's folder"):
        written(tmp_path, known, text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("append_only: yes}", "append_only: yes, ca: OUTSIDE}"),
        ("kind: llama_cpp", "kind: llama_cpp, build: 'file:OUTSIDE'"),
    ],
)
def test_a_forged_kit_does_not_send_this_machines_files_to_hosts(
    tmp_path: Path, own: Fleet, old: str, new: str
) -> None:
    outside = tmp_path / "home.tgz"
    outside.write_text("private")
    with pytest.raises(ProofError, match="may have forged it") as raised:
        written(tmp_path, own, OWN.replace(old, new.replace("OUTSIDE", str(outside)), 1))
    assert f"file:{outside}" in raised.value.problems[0].listed


def test_a_kit_deep_in_folders_does_not_lead_to_files_above_the_operators(tmp_path: Path, own: Fleet) -> None:
    forged = OWN.replace("file:secrets/password", "file:../../../etc/shadow", 1)
    fetched = kit(tmp_path / "kit" / "a" / "b" / "c", forged)
    with pytest.raises(ProofError, match="may have forged it"):
        write_drill_fleet(replace(fetched, folder=tmp_path / "kit"), place_of(own))


def test_references_are_compared_as_they_are_written(tmp_path: Path, own: Fleet) -> None:
    text = OWN.replace(PASSWORDS, "password: 'cmd:pass show {host}'", 1)
    now = own_fleet(own.path.parent, text.replace("gpu2: {", "gpu2: {disabled: broken, "))
    assert written(tmp_path, now, text).hosts


def test_nothing_is_written_through_a_folder_that_is_a_link(tmp_path: Path, own: Fleet) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    fetched = kit(tmp_path / "kit")
    (tmp_path / "kit/fleet/secrets").symlink_to(outside)
    with pytest.raises(ProofError, match="leads out of the kit's folder"):
        write_drill_fleet(fetched, place_of(own))
    assert not list(outside.iterdir())


@pytest.mark.parametrize("put", [lambda path: path.write_text("forged"), lambda path: path.symlink_to("/etc/passwd")])
def test_a_secret_that_the_kit_brings_is_refused(tmp_path: Path, own: Fleet, put: Callable[[Path], object]) -> None:
    fetched = kit(tmp_path / "kit")
    (tmp_path / "kit/fleet/secrets").mkdir()
    put(tmp_path / "kit/fleet/secrets/password")
    with pytest.raises(ProofError, match="the kit has this file; no kit has a secret"):
        write_drill_fleet(fetched, place_of(own))


def test_secrets_with_a_whole_path_are_used_where_they_are(tmp_path: Path, own: Fleet) -> None:
    text = OWN.replace("file:secrets/password", f"file:{own.path.parent}/secrets/password")
    assert written(tmp_path, own_fleet(own.path.parent, text), text).hosts
    assert not (tmp_path / "kit/fleet/secrets/password").exists()


@pytest.mark.parametrize("name", ["acme-drill.yml", "acme-drill.lock", "acme-drill.known_hosts"])
def test_a_file_or_a_link_in_place_of_the_drills_is_refused_and_not_followed(
    tmp_path: Path, own: Fleet, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for number, make in enumerate((Path.symlink_to, Path.hardlink_to, lambda path, _: path.write_text("the kit's"))):
        fetched = kit(tmp_path / f"kit{number}", **{"acme.lock": "{}"})
        make(fetched.fleet_file.parent / name, victim)
        with pytest.raises(ProofError, match=rf"^{name}: the kit has a file of this name$"):
            write_drill_fleet(fetched, place_of(own))
    assert victim.read_text() == "mine"


def test_a_lock_that_is_a_link_is_not_copied(tmp_path: Path, own: Fleet) -> None:
    fetched = kit(tmp_path / "kit")
    (tmp_path / "kit/fleet/acme.lock").symlink_to(own.path.parent / "secrets/password")
    assert not write_drill_fleet(fetched, place_of(own)).sibling("lock").exists()


def test_a_lost_repository_is_unreachable_and_the_other_one_is_not(tmp_path: Path, own: Fleet) -> None:
    fleet = write_drill_fleet(kit(tmp_path / "kit"), place_of(own, lost="near"))
    assert fleet.file.backup
    assert [one.url for one in fleet.file.backup.to] == ["rest:https://10.0.0.21:1", "rest:https://10.0.0.22:8000"]
    assert [one.login for one in fleet.file.backup.to] == ["file:secrets/{host}.login"] * 2


def test_a_wrong_password_is_that_of_all_repositories(tmp_path: Path, own: Fleet) -> None:
    fleet = write_drill_fleet(kit(tmp_path / "kit"), place_of(own, password=tmp_path / "wrong"))
    assert fleet.file.backup
    assert {one.password for one in fleet.file.backup.to} == {f"file:{tmp_path}/wrong"}
    assert fleet.file.backup.to[0].url == "rest:https://10.0.0.21:8000"


@pytest.mark.parametrize(
    ("url", "lost"),
    [
        ("/srv/backup", "/srv/backup/lost"),
        ("sftp:{host}@10.0.0.5:/acme", "sftp://{host}@10.0.0.5:1//acme"),
        ("sftp:{host}@[fd00::5]:/acme", "sftp://{host}@[fd00::5]:1//acme"),
        ("sftp://{host}@vault.acme.internal//acme", "sftp://{host}@vault.acme.internal:1//acme"),
        ("sftp://{host}@vault.acme.internal:2222//acme", "sftp://{host}@vault.acme.internal:1//acme"),
        ("sftp://{host}@[fd00::5]:2222//acme", "sftp://{host}@[fd00::5]:1//acme"),
        ("rest:https://vault.acme.internal:8000/acme", "rest:https://vault.acme.internal:1/acme"),
        ("rest:https://vault.acme.internal", "rest:https://vault.acme.internal:1"),
        ("rest:http://[fd00::5]:8000/acme/a@b", "rest:http://[fd00::5]:1/acme/a@b"),
        ("rest:http://[fd00::5]", "rest:http://[fd00::5]:1"),
    ],
)
def test_a_lost_repositorys_url_has_a_port_without_a_server_and_stays_valid(url: str, lost: str) -> None:
    more = {"rest": {"user": "{host}", "login": "file:{host}"}, "sftp": {"key": "file:{host}", "host_key": KEY}}
    asked = Repository.model_validate(
        {"name": "one", "url": url, "password": "file:x", **more.get(url.partition(":")[0], {})}
    )
    assert unreachable(asked) == lost
    assert Repository.model_validate({**asked.model_dump(exclude_none=True), "url": lost}).kind == asked.kind


CLOUD = "clouds: {acme: {url: 'https://api.acme.example/v1', key: 'env:CLOUD_KEY', names: [assistant]}}\n"


def test_a_drill_asks_the_restored_replicas_not_the_cloud(tmp_path: Path, own: Fleet) -> None:
    text = OWN.replace("    context: 4096\n", "    context: 4096\n    cloud: acme\n", 1) + CLOUD
    place = place_of(own_fleet(own.path.parent, text))
    assert place.own.file.models["assistant"].cloud == "acme"
    fleet = write_drill_fleet(kit(tmp_path / "kit", text), place)
    assert fleet.file.models["assistant"].cloud is None


def test_a_kit_that_would_send_a_clouds_key_elsewhere_is_refused(tmp_path: Path, own: Fleet) -> None:
    place = place_of(own_fleet(own.path.parent, OWN + CLOUD))
    with pytest.raises(ProofError, match="may have forged it") as raised:
        write_drill_fleet(kit(tmp_path / "kit", OWN + CLOUD.replace("acme.example", "evil.example")), place)
    assert raised.value.problems[0].listed == ("the cloud acme: https://api.evil.example/v1, env:CLOUD_KEY",)
