from __future__ import annotations

import subprocess

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.session.operator import operator_of
from rackwright.remote import Connection
from rackwright.values.targets import Target
from rackwright.values.tool_mode import credential_name
from tests.fleet.fleets import make_fleet
from tests.remote.scripted import Scripted

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d"
PRINT = "SHA256:cry1T4Qa/BQZdYhE4adN9URYMc5vUfHJGew3gR4KMhQ"


@pytest.fixture
def fleet(tmp_path):
    return make_fleet(tmp_path / "site.yml", people={"anna": {"role": "operator", "keys": [KEY]}})


def connection(login_key: str | None) -> Connection:
    return Connection(Target("gate1", "10.0.0.9"), transport=lambda _: Scripted(login_key=login_key))


def test_a_persons_key_names_the_person(fleet):
    assert operator_of(fleet, connection(PRINT)).who.endswith(f" (anna, {PRINT})")
    assert operator_of(fleet, connection("SHA256:else")).who.endswith(" (SHA256:else)")


def test_without_a_key_it_is_user_and_machine(fleet):
    assert operator_of(fleet, connection(None)).who == operator_of(fleet).who
    assert "(" not in operator_of(fleet).who


def test_a_host_out_of_reach_hides_no_act(fleet):
    def gone(_: Target) -> Scripted:
        raise HostError("no route to host")

    assert operator_of(fleet, Connection(Target("gate1", "10.0.0.9"), transport=gone)).who == operator_of(fleet).who


def test_the_fleet_files_key_is_known_without_a_connection(tmp_path):
    path = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    hosts = {"gate1": {"address": "10.0.0.9", "ssh": {"key": str(path)}}}
    people = {"anna": {"role": "operator", "keys": [path.with_suffix(".pub").read_text().strip()]}}
    fleet = make_fleet(tmp_path / "site.yml", replicas={}, hosts=hosts, people=people)
    assert " (anna, SHA256:" in operator_of(fleet, connection("SHA256:else")).who


def test_the_tool_is_its_person_with_and_without_a_connection(tmp_path, monkeypatch):
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    path = tmp_path / credential_name("file:nightly")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    # Only the private key is delivered.
    public = path.with_suffix(".pub").rename(tmp_path / "elsewhere").read_text().strip()
    people = {"nightly": {"role": "operator", "keys": [public]}}
    unattended = {"on": ["gate1"], "person": "nightly", "key": "file:nightly"}
    fleet = make_fleet(tmp_path / "site.yml", people=people, unattended=unattended)
    assert " (nightly, SHA256:" in operator_of(fleet).who
    assert operator_of(fleet, connection("SHA256:else")).who == operator_of(fleet).who
