"""Hosts that get their weights by another one: these go from host to host, or into a folder that several share."""

from __future__ import annotations

from collections.abc import Iterable

from rackwright.lifecycle.session.session import Site


def is_supplied(site: Site, hosts: Iterable[str]) -> bool:
    """Return whether any of these hosts gets weights by another one."""
    return any(site.models[host].p2p or writers(site, host) for host in hosts)


def writers(site: Site, host: str) -> set[str]:
    """Return the other hosts that write what this one reads."""
    store = site.models[host].model_store
    return {model.writer for model in store.models if model.writer} if store else set()
