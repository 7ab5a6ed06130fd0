"""What an operator asks a restore for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.naming import unknown
from rackwright.lifecycle.backup.at import NEWEST, At, wanted_at
from rackwright.state.formats import utc_now

STATE, KEYS, MODELS = "state", "keys", "models"
WHAT = (STATE, KEYS, MODELS)


@dataclass(frozen=True)
class Asked:
    what: tuple[str, ...] = WHAT
    at: At = NEWEST
    repository: str | None = None
    """The only one to use; None: the first that can be used."""
    serving: tuple[str, ...] = ()
    """Hosts that may be restored although they serve, for scripts."""
    everything: bool = False
    """All hosts in service: one that has no snapshot then starts without its old state."""
    accept_keys: bool = False
    """Whether keys that this copy lacks are valid, for scripts."""


def is_url(text: str) -> bool:
    """Return whether --from gives a place, not the name of a repository."""
    return ":" in text or "/" in text


def refuse_mixed(
    hosts: tuple[str, ...],
    *,
    everything: bool,
    undo: bool,
    source: str | None,
    only_url: Mapping[str, object],
    not_undo: Mapping[str, object],
) -> None:
    """Raise UsageError if options of the command don't fit each other, before anything is asked or read.

    `only_url` are the options that only a kit's URL needs, `not_undo` those that mean nothing for an undo.
    """
    if everything and hosts:
        raise UsageError("restores all hosts", where="--all", should="leave out the hosts, or --all")
    if everything and undo:
        raise UsageError("needs hosts", where="--undo", should="name the hosts whose restore is to be undone")
    if not everything and not hosts:
        raise UsageError("no host", where="HOST", should="name one or more hosts, or pass --all")
    if undo and (given := [name for name, value in not_undo.items() if value]):
        raise UsageError("means nothing with --undo", where=given[0], should="leave it out")
    if source and is_url(source):
        if not everything or not only_url["--into"]:
            raise UsageError(
                "a URL needs --all and --into FOLDER", where="--from", should="name a repository, or both"
            )
    elif given := [name for name, value in only_url.items() if value]:
        raise UsageError("is only for --from URL", where=given[0], should="leave it out")


def asked_for(
    fleet: Fleet,
    *,
    at: str | None,
    repository: str | None,
    what: str,
    serving: tuple[str, ...],
    everything: bool = False,
    accept_keys: bool = False,
) -> Asked:
    """Return what the options of the command ask for. Raise UsageError if one of them isn't valid."""
    wanted = wanted_at(at, fleet.file.timezone, utc_now())
    if everything and wanted.id:
        raise UsageError("is a snapshot of one host", where=f"--at {at}", should="should be a time with --all")
    for host in serving:
        if host not in fleet.file.hosts:
            raise unknown(host, tuple(fleet.file.hosts), "host")
    parts = tuple(part for part in what.split(",") if part)
    if wrong := [part for part in parts if part not in WHAT]:
        raise UsageError("no such part", where=f"--what {wrong[0]}", should=f"should be some of {', '.join(WHAT)}")
    if not parts:
        raise UsageError("is empty", where="--what", should=f"should be some of {', '.join(WHAT)}")
    return Asked(parts, wanted, repository, serving, everything, accept_keys)
