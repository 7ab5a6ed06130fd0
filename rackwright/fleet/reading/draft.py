"""The fleet file before it is known to be valid: its hosts and groups, read from nodes that may have mistakes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from rackwright.fleet.reading.nodes import AnyNode, Entries, Items, Scalar, all_texts, texts


class Draft:
    def __init__(self, root: Entries) -> None:
        self.root = root

    @staticmethod
    def is_name(text: str) -> bool:
        """Return whether a text has the form of a name, so that an error may show it."""
        return re.fullmatch("[a-z][a-z0-9-]{0,23}", text) is not None

    @cached_property
    def hosts(self) -> dict[str, AnyNode]:
        return self._below("hosts")

    @cached_property
    def group_nodes(self) -> dict[str, AnyNode]:
        """Each group's list of hosts."""
        return self._below("groups")

    @cached_property
    def in_service(self) -> tuple[str, ...]:
        return tuple(name for name, host in self.root.maps("hosts") if is_absent(host.get("disabled")))

    @cached_property
    def gateways(self) -> tuple[str, ...]:
        return self.named(self.root.get("gateway", "on"))

    @cached_property
    def control(self) -> tuple[str, ...]:
        return self.named(self.root.get("control"))

    @cached_property
    def serving(self) -> tuple[str, ...]:
        """Hosts on which a model is placed."""
        return tuple(host for node in self.placed() for host in self.named(node))

    def named(self, node: AnyNode | None) -> tuple[str, ...]:
        """Given a group, a host or a list of them, return the hosts."""
        names = [name.text for name in all_texts(node)]
        members = [[item.text for item in texts(self.group_nodes.get(name))] or [name] for name in names]
        return tuple(dict.fromkeys(host for some in members for host in some))

    def placements(self) -> Iterator[tuple[Entries, Entries]]:
        """Yield each model with each of its placements."""
        for _, model in self.root.maps("models"):
            place = model.get("place")
            for placement in place.items if isinstance(place, Items) else ():
                if isinstance(placement, Entries):
                    yield model, placement

    def named_places(self) -> Iterator[AnyNode]:
        """Yield every node that names single hosts or groups, except in placements and in the groups themselves."""
        for node in (self.root.get("gateway", "on"), self.root.get("control"), self.root.get("unattended", "on")):
            if node is not None:
                yield node
        for mirror in self.apt_mirrors():
            if (on := mirror.get("on")) is not None:
                yield on
        for rule in (*self.allowed(), *self.drivers(), *(person for _, person in self.root.maps("people"))):
            if (on := rule.get("on")) is not None:
                yield on

    def allowed(self) -> Iterator[Entries]:
        """Yield each entry of firewall.allow."""
        rules = self.root.get("firewall", "allow")
        for rule in rules.items if isinstance(rules, Items) else ():
            if isinstance(rule, Entries):
                yield rule

    def apt_mirrors(self) -> Iterator[Entries]:
        """Yield each apt mirror."""
        yield from _one_or_more(self.root.get("downloads", "apt_mirror"))

    def drivers(self) -> Iterator[Entries]:
        """Yield each `driver` entry."""
        yield from _one_or_more(self.root.get("driver"))

    def receivers(self) -> Iterator[Entries]:
        """Yield each `notify` entry."""
        yield from _one_or_more(self.root.get("notify"))

    def repositories(self) -> Iterator[Entries]:
        """Yield each repository of `backup`, whether it is a mapping or a list of mappings."""
        yield from _one_or_more(self.root.get("backup", "to"))

    def placed(self) -> Iterator[AnyNode]:
        for _, placement in self.placements():
            if (on := placement.get("on")) is not None:
                yield on

    def _below(self, key: str) -> dict[str, AnyNode]:
        node = self.root.get(key)
        return {name: entry.value for name, entry in node.entries.items()} if isinstance(node, Entries) else {}


def _one_or_more(node: AnyNode | None) -> Iterator[Entries]:
    """Yield each mapping of a setting that may be one mapping or a list of them."""
    for entry in node.items if isinstance(node, Items) else (node,):
        if isinstance(entry, Entries):
            yield entry


def is_absent(node: AnyNode | None) -> bool:
    """Return whether a key is missing, or has no value: so a file that extends another removes it."""
    return node is None or (isinstance(node, Scalar) and node.value is None)
