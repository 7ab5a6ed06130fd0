"""Commands as root for an ordinary user. The password is passed only through stdin, never in argv or on a disk."""

from __future__ import annotations

import re
import secrets
from shlex import quote

from rackwright.errors import HostError
from rackwright.remote.completed import Completed
from rackwright.values.secrets import Secret
from rackwright.values.targets import Target

# The parsers of facts and of sudo's errors expect English.
_LOCALE = "LC_ALL=C.UTF-8"

_REFUSALS = {
    r"(incorrect password|Sorry, try again|Authentication failed|incorrect authentication)": (
        "sudo refused the password",
        "sudo.password in the fleet file should refer to the password of the user {user}",
    ),
    r"(password is required|interactive authentication is required|no password was provided|terminal is)": (
        "sudo asks the user {user} for a password",
        "set sudo: {{password: …}} in the fleet file, or give {user} NOPASSWD on the host",
    ),
    r"(not in the sudoers|not allowed to (execute|run)|may not run sudo)": (
        "sudo doesn't let the user {user} become root",
        "allow it in /etc/sudoers.d on the host",
    ),
    r"sudo\W*:? (command not found|not found|No such file)": (
        "sudo is not installed",
        "install it on the host, or log in as root",
    ),
}


def plain(command: str) -> str:
    """Return the command for a user's login shell, which may be any shell."""
    return f"env {_LOCALE} sh -c {quote(command)}"


def as_root(command: str) -> str:
    return f"env LC_ALL=C sudo -n -- sh -c {quote(_exported(command))}"


def as_root_with_password(command: str, password: Secret) -> tuple[str, bytes]:
    """Return the command, and the bytes that its stdin must start with.

    sudo reads the password only if it asks for one. So the command first skips its input up to a random line. A
    password that sudo didn't read (NOPASSWD, a cached ticket) is never part of the command's input.
    """
    marker = secrets.token_hex(16)
    skip = f'while IFS= read -r line && [ "$line" != {marker} ]; do :; done; unset line\n'
    wrapped = f"env LC_ALL=C sudo -S -p '' -- sh -c {quote(skip + _exported(command))}"
    return wrapped, f"{password.reveal()}\n{marker}\n".encode()


def proof(password: Secret) -> tuple[str, bytes]:
    """Return a command that tests the password with a single attempt, and its stdin."""
    return "env LC_ALL=C sudo -S -p '' -- true", f"{password.reveal()}\n".encode()


def refusal(completed: Completed, target: Target) -> HostError | None:
    """Return sudo's reason for refusing the command, or None if sudo didn't refuse it."""
    if completed.ok:
        return None
    for pattern, (what, should) in _REFUSALS.items():
        if re.search(pattern, completed.stderr):
            user = target.user
            return HostError(what.format(user=user), where=target.name, should=should.format(user=user))
    return None


def _exported(command: str) -> str:
    return f"export {_LOCALE}\n{command}"
