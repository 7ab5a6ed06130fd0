from __future__ import annotations

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.trust import State, jump_hosts, look, pin_all
from rackwright.remote import HostKey
from rackwright.values.targets import Jump, Target

KEY = HostKey("ssh-ed25519", "AAAA")
OTHER = HostKey("ssh-ed25519", "BBBB")


@pytest.fixture
def target(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return Target("gpu1", "10.0.0.1", known_hosts=tmp_path / "site.known_hosts")


def test_a_key_is_new_then_pinned_then_changed(target):
    (new,) = look([target], scanner=lambda _: KEY)
    assert new.state is State.NEW
    pin_all([new])
    assert look([target], scanner=lambda _: KEY)[0].state is State.PINNED
    (changed,) = look([target], scanner=lambda _: OTHER)
    assert changed.state is State.CHANGED
    pin_all([changed])
    assert look([target], scanner=lambda _: OTHER)[0].state is State.PINNED


def test_an_unreachable_host_stops_no_other_and_nothing_is_pinned_for_it(target):
    other = Target("gpu2", "10.0.0.2", known_hosts=target.known_hosts)

    def scanner(one):
        if one.name == "gpu1":
            raise HostError("no route", where="gpu1")
        return KEY

    shown = look([target, other], scanner=scanner)
    assert [one.state for one in shown] == [State.UNREACHABLE, State.NEW]
    assert (shown[0].problem, shown[0].fingerprint) == ("no route", None)
    pin_all(shown)
    assert target.known_hosts.read_text() == "10.0.0.2 ssh-ed25519 AAAA\n"


def test_this_machine_has_nothing_to_show():
    assert look([Target("box", "@local")], scanner=lambda _: KEY) == ()


def test_a_jump_host_of_many_is_asked_once(target):
    jump = Jump("bastion", "ops")
    targets = [Target(name, name, jump=jump, known_hosts=target.known_hosts) for name in ("gpu1", "gpu2")]
    assert [one.address for one in jump_hosts([*targets, target])] == ["bastion"]
