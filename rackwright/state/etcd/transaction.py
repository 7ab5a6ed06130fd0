"""What `etcdctl txn` reads from standard input: comparisons, and what to do if all of them hold, or else."""

from __future__ import annotations

import re
from dataclasses import dataclass

LEASE, NOW = "@LEASE@", "@NOW@"
"""Placeholders that a script replaces on the control host: a new etcd lease's id, and its clock's time in seconds."""
# etcdctl reads a word in quotes as a Go string. No line may end within it, and no
# text may look like a placeholder.
_ESCAPED = re.compile(r'[\x00-\x1f\x7f"\\@]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}


@dataclass(frozen=True)
class Transaction:
    """Each part is made by a function of this module. etcd runs the operations in order, and all or none of them."""

    when: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "".join(
            "".join(f"{line}\n" for line in part) + "\n" for part in (self.when, self.then, self.otherwise)
        )


def quoted(text: str) -> str:
    """Return the text as a Go string on one line."""
    escaped = _ESCAPED.sub(lambda found: _SHORT.get(found[0]) or f"\\x{ord(found[0]):02x}", text)
    return f'"{escaped}"'


def created(key: str, revision: int) -> str:
    """The key was created by this revision; 0: there is no such key."""
    return f'create({quoted(key)}) = "{revision}"'


def modified(key: str, revision: int) -> str:
    """The key was last written by this revision; 0: there is no such key."""
    return f'mod({quoted(key)}) = "{revision}"'


def get(key: str, *flags: str) -> str:
    return " ".join(("get", *flags, "--", quoted(key)))


def put(key: str, value: str) -> str:
    return f"put -- {quoted(key)} {quoted(value)}"


def put_quoted(key: str, value: str, *flags: str) -> str:
    """Return the operation for a value that is already quoted, and may have placeholders."""
    return " ".join(("put", *flags, "--", quoted(key), value))


def attach(key: str) -> str:
    """Give the key to the new etcd lease; its value stays."""
    return f"put --ignore-value --lease={LEASE} -- {quoted(key)}"


def delete(key: str) -> str:
    return f"del -- {quoted(key)}"
