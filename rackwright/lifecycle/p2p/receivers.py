"""Hosts that get their weights by another one: these go from host to host, or into a folder that several share."""

from __future__ import annotations

from collections.abc import Iterable

from rackwright.lifecycle.session.session import Session


def is_supplied(session: Session, hosts: Iterable[str]) -> bool:
    """Return whether any of these hosts gets weights by another one."""
    return any(session.hosts[host].p2p or writers(session, host) for host in hosts)


def writers(session: Session, host: str) -> set[str]:
    """Return the other hosts that write what this one reads."""
    store = session.hosts[host].model_store
    return {model.writer for model in store.models if model.writer} if store else set()
