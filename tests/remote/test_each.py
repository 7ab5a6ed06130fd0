"""Work for several hosts at once: each finishes, whatever happens to the others."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from rackwright.errors import HostError, LeasedError, ProofError
from rackwright.remote import Remote


@pytest.fixture
def remote() -> Remote:
    return Remote([])


def raising(**errors: Exception):
    """Work that raises the error of a host, and returns the name of a host without one."""

    def work(name: str) -> str:
        if name in errors:
            raise errors[name]
        return name

    return work


def test_what_a_host_does_comes_to_its_end_though_another_failed(
    remote: Remote, capfd: pytest.CaptureFixture[str]
) -> None:
    """A command whose greenlet is killed continues on the host, and collides with a revert there."""
    failed, ended = Event(), []

    def work(name: str) -> None:
        if name == "a":
            failed.set()
            raise HostError("no space", where="a")
        failed.wait()
        for _ in range(100):
            gevent.sleep(0)
        ended.append(name)

    with pytest.raises(HostError, match="a: no space"):
        remote.each(("a", "b"), work)
    assert ended == ["b"]
    assert capfd.readouterr().err == ""


def test_all_problems_are_told_at_once_and_each_once(remote: Remote) -> None:
    full, gone = HostError("no space", where="a"), HostError("unreachable", where="c")
    again = HostError("no space", where="a")
    with pytest.raises(HostError) as caught:
        remote.each("abcd", raising(a=full, c=gone, d=again))
    assert str(caught.value) == "a: no space\nc: unreachable"
    assert caught.value.problems == (*full.problems, *gone.problems)
    assert str(full) == "a: no space"


def test_one_error_is_raised_as_it_is(remote: Remote) -> None:
    error = ProofError("another answer", where="b")
    with pytest.raises(ProofError) as caught:
        remote.each("ab", raising(b=error))
    assert caught.value is error


def test_a_lost_lease_comes_before_what_hosts_say(remote: Remote) -> None:
    """A command that lost its lease reverts nothing."""
    with pytest.raises(LeasedError) as caught:
        remote.each("ab", raising(a=HostError("no space", where="a"), b=LeasedError("this run's lease has ended")))
    assert [problem.what for problem in caught.value.problems] == ["this run's lease has ended", "no space"]


def test_a_mistake_of_ours_comes_before_all(remote: Remote) -> None:
    with pytest.raises(KeyError):
        remote.each("ab", raising(a=LeasedError("this run's lease has ended"), b=KeyError("b")))


def test_what_each_returned_is_told_by_host(remote: Remote) -> None:
    assert remote.each("baab", raising()) == {"b": "b", "a": "a"}
