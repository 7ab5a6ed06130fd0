from __future__ import annotations

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle import trust as procedure
from rackwright.remote import HostKey
from tests.cli.command_line import rackwright


@pytest.fixture
def keys(monkeypatch, tmp_path):
    """Host → the key that it shows; a host that isn't listed is unreachable."""
    monkeypatch.setenv("HOME", str(tmp_path))
    shown = {name: HostKey("ssh-ed25519", "AAAA") for name in ("gate1", "gpu1", "gpu2")}

    def scan(target):
        if target.name not in shown:
            raise HostError("no route to host", where=target.name)
        return shown[target.name]

    look = procedure.look
    monkeypatch.setattr(procedure, "look", lambda targets: look(targets, scanner=scan))
    return shown


def test_keys_are_shown_asked_about_and_pinned(site, keys):
    ran = rackwright("-f", site, "trust", answers="y\n")
    assert ran.exit_code == 0
    assert "gpu1         10.20.0.11       ssh-ed25519 SHA256:" in ran.stderr
    assert ran.stderr.count(" new\n") == 3
    assert ran.stdout == f"3 pinned in {site.parent}/site.known_hosts\n"
    assert len((site.parent / "site.known_hosts").read_text().splitlines()) == 3


def test_keys_that_are_pinned_already_ask_nothing(site, keys):
    rackwright("-f", site, "trust", "--yes")
    ran = rackwright("-f", site, "trust", "--json")
    assert ran.exit_code == 0
    assert {host["was"] for host in ran.document["hosts"]} == {"pinned"}


def test_no_pins_nothing(site, keys):
    assert rackwright("-f", site, "trust", answers="n\n").exit_code == 1
    assert not (site.parent / "site.known_hosts").exists()


def test_a_changed_key_is_replaced_only_when_its_host_is_named(site, keys):
    rackwright("-f", site, "trust", "--yes")
    keys["gpu2"] = HostKey("ssh-ed25519", "BBBB")
    ran = rackwright("-f", site, "trust", "--yes")
    assert ran.exit_code == 3
    assert "error: gpu2: has a different key than the pinned one" in ran.stderr
    assert "next: rackwright trust gpu2" in ran.stderr
    assert rackwright("-f", site, "trust", "gpu2", "--yes").exit_code == 0
    assert "10.20.0.12 ssh-ed25519 BBBB" in (site.parent / "site.known_hosts").read_text()


def test_a_host_out_of_reach_is_named_and_the_others_are_pinned(site, keys):
    del keys["gpu1"]
    ran = rackwright("-f", site, "trust", "-y", "--json")
    assert ran.exit_code == 3
    assert {host["host"]: host["problem"] for host in ran.document["hosts"]}["gpu1"] == "no route to host"
    assert len((site.parent / "site.known_hosts").read_text().splitlines()) == 2


def test_an_unknown_host_is_a_usage_error(site, keys):
    ran = rackwright("-f", site, "trust", "gpu9")
    assert ran.exit_code == 2
    assert "gpu9: no host or group of that name; did you mean gpu" in ran.stderr


SCRATCH = """
drill:
  hosts:
    scratch1: {address: 10.20.0.91, stands_for: [gate1]}
    scratch2: {address: 10.20.0.92, stands_for: [gpu1]}
  objectives: {rto: 30m, rpo: 24h}
"""


@pytest.fixture
def with_scratch(site, keys):
    site.write_text(site.read_text() + SCRATCH)
    keys.update({name: HostKey("ssh-ed25519", "AAAA") for name in ("scratch1", "scratch2")})
    return site


def test_scratch_hosts_are_pinned_with_all_hosts_or_by_name(with_scratch):
    ran = rackwright("-f", with_scratch, "trust", "scratch1", "--yes", "--json")
    assert [host["host"] for host in ran.document["hosts"]] == ["scratch1"]
    assert (with_scratch.parent / "site.known_hosts").read_text() == "10.20.0.91 ssh-ed25519 AAAA\n"
    ran = rackwright("-f", with_scratch, "trust", "scratch2", "gpu1", "--yes", "--json")
    assert [host["host"] for host in ran.document["hosts"]] == ["gpu1", "scratch2"]
    ran = rackwright("-f", with_scratch, "trust", "--yes", "--json")
    found = {host["host"]: host["was"] for host in ran.document["hosts"]}
    assert found == {"gate1": "new", "gpu1": "pinned", "gpu2": "new", "scratch1": "pinned", "scratch2": "pinned"}


def test_an_unknown_name_next_to_a_scratch_host_is_a_usage_error(with_scratch):
    ran = rackwright("-f", with_scratch, "trust", "scratch1", "gpu7", "--yes")
    assert ran.exit_code == 2
    assert "gpu7" in ran.stderr
