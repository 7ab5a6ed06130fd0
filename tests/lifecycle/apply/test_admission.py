from __future__ import annotations

from rackwright.errors import HostError, NotListening
from rackwright.lifecycle.apply.admission import shut_out
from rackwright.remote import Remote
from rackwright.remote.local import LocalTransport
from rackwright.values.targets import Target

REFUSED = "unreachable at 10.0.0.1 port 22: connection refused"


class Sshd(LocalTransport):
    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.is_root = True


def remote_of(kind: type[HostError] = NotListening, **refusals: int) -> tuple[Remote, list[str]]:
    """Hosts that refuse this many connections after the first, and the connections that they saw."""
    logins: list[str] = []

    def login(target: Target) -> Sshd:
        logins.append(target.name)
        if 1 < logins.count(target.name) <= 1 + refusals[target.name]:
            raise kind(REFUSED, where=target.name)
        return Sshd(target.name)

    remote = Remote([Target(name, "@local") for name in refusals], transport=login)
    for name in refusals:
        remote.connection(name).open()
    return remote, logins


def test_each_host_is_asked_over_a_connection_of_its_own() -> None:
    remote, logins = remote_of(one=0, two=0)
    assert shut_out(remote, ("one", "two")) == {}
    assert sorted(logins) == ["one", "one", "two", "two"]


def test_sshd_may_refuse_while_it_reads_its_configuration() -> None:
    remote, logins = remote_of(one=0, two=2)
    assert shut_out(remote, ("one", "two")) == {}
    assert (logins.count("one"), logins.count("two")) == (2, 4)


def test_a_host_that_lets_nobody_in_is_named_with_the_reason() -> None:
    remote, _ = remote_of(one=0, two=10**6)
    assert shut_out(remote, ("one", "two"), seconds=0.5) == {
        "two": f"{REFUSED}; its old packet filter and sshd settings are restored automatically"
    }


def test_a_login_that_was_refused_is_not_tried_again() -> None:
    remote, logins = remote_of(HostError, one=1, two=0)
    assert [*shut_out(remote, ("one", "two"))] == ["one"]
    assert logins.count("one") == 2
