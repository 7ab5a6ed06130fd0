"""Which hosts get their weights from another host: by peer-to-peer transfer, or through a folder that they share."""

from __future__ import annotations

from collections.abc import Iterable

from rackwright.lifecycle.session.session import Session


def is_supplied(session: Session, hosts: Iterable[str]) -> bool:
    """Return whether any of these hosts gets weights from another host."""
    return any(session.hosts[host].p2p or writers(session, host) for host in hosts)


def writers(session: Session, host: str) -> set[str]:
    """Return the other hosts that write the weights that this host reads."""
    store = session.hosts[host].model_store
    return {model.writer for model in store.models if model.writer} if store else set()
