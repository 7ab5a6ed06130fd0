"""Whether hosts still let us in after their packet filter or sshd changed."""

from __future__ import annotations

import time

from rackwright.errors import HostError, NotListening
from rackwright.remote import Remote

_SECONDS = 5
"""sshd doesn't listen while it reads its configuration again. The old rules return after a minute."""
_POLL_SECONDS = 0.2


def shut_out(remote: Remote, hosts: tuple[str, ...], seconds: float = _SECONDS) -> dict[str, str]:
    """Given hosts, return why a new connection doesn't get in, by host. A host that lets us in isn't named.

    Where nobody listens, we try again for `seconds`. The connections of before prove nothing: they are closed.
    """
    end = time.monotonic() + seconds
    errors = _errors(remote, hosts)
    while (deaf := _not_listening(errors)) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
        errors = {name: error for name, error in errors.items() if name not in deaf} | _errors(remote, deaf)
    return {
        name: f"{error.problems[0].what}; what was changed of packet filter and sshd comes back by itself"
        for name, error in errors.items()
    }


def _not_listening(errors: dict[str, HostError]) -> tuple[str, ...]:
    # A login that was refused stays refused, and sshd shuts out whoever tries it again and again.
    return tuple(name for name, error in errors.items() if isinstance(error, NotListening))


def _errors(remote: Remote, hosts: tuple[str, ...]) -> dict[str, HostError]:
    for name in hosts:
        remote.connection(name).close()
    answers = remote.run_on(hosts, "true")
    return {name: answer for name, answer in answers.items() if isinstance(answer, HostError)}
