"""Whether hosts still admit rackwright after a change of their packet filter or sshd."""

from __future__ import annotations

import time

from rackwright.errors import HostError, NotListening
from rackwright.remote import Remote

_SECONDS = 5
"""Longest wait for sshd, which doesn't listen while it reloads. The old rules return after a minute."""
_POLL_SECONDS = 0.2


def shut_out(remote: Remote, hosts: tuple[str, ...], seconds: float = _SECONDS) -> dict[str, str]:
    """Return, for each host that doesn't admit a new connection, why it doesn't.

    If sshd doesn't listen, try again for `seconds`. Existing connections prove nothing, so they are closed first.
    """
    end = time.monotonic() + seconds
    errors = _errors(remote, hosts)
    while (silent := _not_listening(errors)) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
        errors = {name: error for name, error in errors.items() if name not in silent} | _errors(remote, silent)
    return {
        name: f"{error.problems[0].what}; its old packet filter and sshd settings are restored automatically"
        for name, error in errors.items()
    }


def _not_listening(errors: dict[str, HostError]) -> tuple[str, ...]:
    # A refused login would be refused again, and sshd locks out clients that keep trying.
    return tuple(name for name, error in errors.items() if isinstance(error, NotListening))


def _errors(remote: Remote, hosts: tuple[str, ...]) -> dict[str, HostError]:
    for name in hosts:
        remote.connection(name).close()
    answers = remote.run_on(hosts, "true")
    return {name: answer for name, answer in answers.items() if isinstance(answer, HostError)}
