"""The complete fleet file: `extends` merged, free keys removed, each host with its defaults and groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rackwright.fleet.reading.document import read_document
from rackwright.fleet.reading.nodes import AnyNode, Entries, Entry, Findings, Items, Scalar, leaves, texts

MAX_EXTENDS = 8


@dataclass(frozen=True)
class Extended:
    """A file merged over the files that it extends."""

    root: Entries
    paths: tuple[Path, ...]
    """The file itself, then the files that it extends."""


def read_extended(path: Path, findings: Findings) -> Extended:
    """Return a fleet file merged over the files that it extends, without `x-` keys.

    Raise FleetError if one of the files can't be read."""
    paths: list[Path] = []
    merged: AnyNode | None = None
    following: Path | None = path
    while following is not None:
        paths.append(following)
        document = read_document(following, findings)
        root = _without_free_keys(document)
        following = _extends(root, following, paths, findings)
        merged = root if merged is None else over(root, merged)
    assert isinstance(merged, Entries)  # noqa: S101
    entries = {key: entry for key, entry in merged.entries.items() if key != "extends"}
    return Extended(replace(merged, entries=entries), tuple(paths))


def over(base: AnyNode, later: AnyNode) -> AnyNode:
    """Return `later` merged over `base`: mappings key by key, anything else is replaced."""
    if not (isinstance(base, Entries) and isinstance(later, Entries)):
        return later
    entries = dict(base.entries)
    for key, entry in later.entries.items():
        below = entries.get(key)
        entries[key] = Entry(entry.key, over(below.value, entry.value)) if below else entry
    return replace(later, entries=entries)


def with_hosts_resolved(root: Entries, findings: Findings) -> Entries:
    """Return the file in the form for FleetFile: groups as lists of hosts, each host with its merged settings."""
    groups = dict(_groups(root))
    entries = {key: entry for key, entry in root.entries.items() if key != "defaults"}
    if "groups" in entries and isinstance(entries["groups"].value, Entries):
        lists = {
            name: Entry(entry.key, members_of(entry.value) or entry.value)
            for name, entry in entries["groups"].value.entries.items()
        }
        entries["groups"] = Entry(entries["groups"].key, replace(entries["groups"].value, entries=lists))
    if "hosts" in entries and isinstance(entries["hosts"].value, Entries):
        hosts = {
            name: Entry(entry.key, _host(root, name, entry.value, groups, findings))
            for name, entry in entries["hosts"].value.entries.items()
        }
        entries["hosts"] = Entry(entries["hosts"].key, replace(entries["hosts"].value, entries=hosts))
    return replace(root, entries=entries)


def members_of(group: AnyNode) -> AnyNode | None:
    """Return the list of hosts of a group, which is a list or a mapping with `hosts`."""
    return group.get("hosts") if isinstance(group, Entries) else group


def _extends(root: Entries, file: Path, seen: list[Path], findings: Findings) -> Path | None:
    node = root.get("extends")
    if node is None:
        return None
    if not (
        isinstance(node, Scalar) and isinstance(node.value, str) and node.value.strip() and "\0" not in node.value
    ):
        findings.add(node, "should be the path of one file", "like 'extends: base.yml'")
        return None
    path = file.parent / Path(node.value).expanduser()
    if any(_same(path, other) for other in seen):
        findings.add(node, "extends itself", "a file can't extend a file that extends it")
        return None
    if len(seen) >= MAX_EXTENDS:
        findings.add(node, f"more than {MAX_EXTENDS} files extend each other", "use fewer")
        return None
    if not path.is_file():
        findings.add(node, f"no such file: {path}", "the path is relative to the file that names it")
        return None
    return path


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _without_free_keys(node: Entries) -> Entries:
    return replace(
        node,
        entries={
            key: Entry(entry.key, _pruned(entry.value))
            for key, entry in node.entries.items()
            if not key.startswith("x-")
        },
    )


def _pruned(node: AnyNode) -> AnyNode:
    if isinstance(node, Entries):
        return _without_free_keys(node)
    if isinstance(node, Items):
        return replace(node, items=tuple(_pruned(item) for item in node.items))
    return node


def _groups(root: Entries) -> Iterator[tuple[str, AnyNode]]:
    groups = root.get("groups")
    if isinstance(groups, Entries):
        for name, entry in groups.entries.items():
            yield name, entry.value


def _host(root: Entries, name: str, own: AnyNode, groups: dict[str, AnyNode], findings: Findings) -> AnyNode:
    if not isinstance(own, Entries):
        return own
    settings: AnyNode = root.get("defaults") or replace(own, entries={})
    shared: AnyNode = replace(own, entries={})
    for group in groups.values():
        if name in (item.value for item in texts(members_of(group))) and isinstance(group, Entries):
            entries = {key: entry for key, entry in group.entries.items() if key != "hosts"}
            below = replace(group, entries=entries)
            _find_conflicts(name, shared, below, findings)
            shared = over(shared, below)
    merged = over(over(settings, shared), own)
    return _without_jump_to_itself(name, own, merged)


def _find_conflicts(host: str, earlier: AnyNode, later: AnyNode, findings: Findings) -> None:
    settings = dict(leaves(earlier))
    for setting, node in leaves(later):
        other = settings.get(setting)
        if other is not None and not _equal(other, node):
            findings.add(
                node,
                f"group {other.path[1]} sets {setting} of {host} differently, at {other.place}",
                "set it in one of the two groups",
            )


def _equal(one: AnyNode, other: AnyNode) -> bool:
    if isinstance(one, Scalar) and isinstance(other, Scalar):
        return one.value == other.value
    if isinstance(one, Items) and isinstance(other, Items):
        return len(one.items) == len(other.items) and all(map(_equal, one.items, other.items))
    return False


def _without_jump_to_itself(name: str, own: Entries, merged: AnyNode) -> AnyNode:
    """Drop the jump host of the jump host: `defaults: {ssh: {jump: bastion}}` means all hosts except bastion."""
    ssh = merged.get("ssh") if isinstance(merged, Entries) else None
    jump = ssh.get("jump") if isinstance(ssh, Entries) else None
    if not (isinstance(ssh, Entries) and isinstance(jump, Scalar) and jump.value == name) or own.get("ssh", "jump"):
        return merged
    assert isinstance(merged, Entries)  # noqa: S101
    without = replace(ssh, entries={key: entry for key, entry in ssh.entries.items() if key != "jump"})
    return replace(merged, entries={**merged.entries, "ssh": Entry(merged.entries["ssh"].key, without)})
