from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from rackwright.fleet.load import load_fleet
from rackwright.lab.artefacts import Artefact, Artefacts
from rackwright.lab.fleet_file import fleet_text, remove, write
from rackwright.lab.hosts import LabFleet

HOSTS = {"gate1": "10.213.9.11", "gpu1": "10.213.9.12", "gpu2": "10.213.9.13", "spare1": "10.213.9.14"}


@pytest.fixture
def artefacts(tmp_path: Path) -> Artefacts:
    for name in ("model.gguf", "llama.tar.gz"):
        (tmp_path / name).touch()
    return Artefacts(Artefact(tmp_path / "model.gguf", "0" * 64), Artefact(tmp_path / "llama.tar.gz", "1" * 64))


@pytest.fixture
def fleet(tmp_path: Path) -> LabFleet:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "known_hosts").write_text("10.213.9.11 ssh-ed25519 AAAA\n")
    (folder / "id_ed25519").touch(0o600)
    return LabFleet("lab", HOSTS, folder / "id_ed25519", folder / "known_hosts", IPv4Network("10.213.9.0/24"))


def test_the_tool_itself_accepts_the_file(fleet: LabFleet, artefacts: Artefacts, tmp_path: Path) -> None:
    path = tmp_path / "inventory" / "lab.yml"
    assert write(path, fleet, artefacts)
    loaded = load_fleet(path)
    assert loaded.hosts == ("gate1", "gpu1", "gpu2")
    assert [replica.address for replica in loaded.replicas] == ["gpu1/assistant@1", "gpu2/assistant@1"]
    assert loaded.file.hosts["gpu1"].ssh.user == "ops"
    assert str(loaded.file.firewall.admin_from[0]) == "10.213.9.1/32"
    assert path.with_name("lab.known_hosts").read_text() == fleet.known_hosts.read_text()


def test_a_single_host_is_gateway_and_serves(fleet: LabFleet, artefacts: Artefacts) -> None:
    text = fleet_text(replace(fleet, hosts={"solo": "10.213.9.11"}), artefacts)
    assert "on: [solo]\n  domain" in text
    assert "{on: [solo], replicas: 1" in text


def test_as_many_gateways_as_asked_for(fleet: LabFleet, artefacts: Artefacts, tmp_path: Path) -> None:
    path, hosts = tmp_path / "lab.yml", {"gate1": "10.213.9.11", "gate2": "10.213.9.15", **HOSTS}
    assert write(path, replace(fleet, hosts=hosts), artefacts, gateways=2)
    loaded = load_fleet(path)
    assert loaded.gateways == ("gate1", "gate2")
    assert {replica.host for replica in loaded.replicas} == {"gpu1", "gpu2"}


def test_writing_again_changes_nothing(fleet: LabFleet, artefacts: Artefacts, tmp_path: Path) -> None:
    path = tmp_path / "lab.yml"
    write(path, fleet, artefacts)
    before = path.stat().st_mtime_ns
    assert write(path, fleet, artefacts)
    assert path.stat().st_mtime_ns == before


def test_a_file_edited_by_hand_is_left_alone(fleet: LabFleet, artefacts: Artefacts, tmp_path: Path) -> None:
    path = tmp_path / "lab.yml"
    write(path, fleet, artefacts)
    path.write_text(path.read_text() + "# mine\n")
    assert not write(path, fleet, artefacts)
    assert path.read_text().endswith("# mine\n")


def test_what_the_tool_writes_beside_it_goes_with_it(tmp_path: Path) -> None:
    for name in ("lab.yml", "lab.lock", "lab.lock.next", "lab.keys.yml", "lab.known_hosts", "lab.key", "example.yml"):
        (tmp_path / name).touch()
    remove(tmp_path / "lab.yml")
    assert [path.name for path in tmp_path.iterdir()] == ["example.yml"]
