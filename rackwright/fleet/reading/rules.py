"""Rules of a fleet file beyond the form of its values: existing names, distinct addresses, access for rackwright.

The rules read the file's nodes and skip malformed ones, so that one mistake doesn't hide another."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from rackwright.fleet.reading.cloud_rules import check_clouds
from rackwright.fleet.reading.control_rules import check_control
from rackwright.fleet.reading.draft import Draft
from rackwright.fleet.reading.drill_rules import check_drill, stands_for
from rackwright.fleet.reading.error_messages import did_you_mean
from rackwright.fleet.reading.network_rules import check_addresses, check_firewall, check_vip
from rackwright.fleet.reading.nodes import AnyNode, Entries, Entry, Findings, Items, Scalar, all_texts, texts
from rackwright.fleet.reading.p2p_rules import check_p2p
from rackwright.fleet.reading.placement_rules import check_placements
from rackwright.fleet.reading.unattended_rules import check_unattended
from rackwright.fleet.sections.backup import KIT
from rackwright.fleet.sections.objectives import Objectives
from rackwright.fleet.source import FileSource, HubSource, parse_source
from rackwright.launch import Task

MODEL_SUFFIXES = (".safetensors", ".gguf")
MAX_REPLICAS = 99
"""The most replicas on one host, of all models together."""


_BUILDS = {"llama_cpp": (".gz", ".tgz", ".xz", ".zst", ".tar"), "vllm": (".txt",)}


def check_rules(root: Entries, folder: Path, findings: Findings, *, locked: bool = False) -> None:
    """Add every problem of a resolved fleet file. Relative paths start at `folder`.

    If there is a lock (`locked`), weights and builds with file:PATH may be missing here: the lock knows what they
    contain, and hosts or their backups have them.
    """
    draft = Draft(root)
    _check_names(draft, findings)
    _check_references(draft, findings)
    _check_in_service(draft, findings)
    _check_kit(draft, findings)
    _check_served_names(root, findings)
    _check_sources(root, folder, findings, locked=locked)
    _check_licenses(root, findings)
    _check_downloads(draft, folder, findings)
    _check_drivers(draft, folder, findings)
    _check_runtimes(root, findings)
    _check_replicas(draft, findings)
    _check_objectives(root, findings)
    _check_tasks(root, findings)
    check_placements(draft, findings)
    check_addresses(draft, findings)
    check_firewall(draft, findings)
    check_vip(draft, findings)
    check_control(draft, findings)
    check_unattended(draft, findings)
    check_p2p(draft, findings)
    check_drill(draft, findings)
    check_clouds(draft, findings)
    for _, cloud in root.maps("clouds"):
        _check_path(cloud.get("ca"), folder, findings)
    _check_people(root, findings)
    for receiver in draft.receivers():
        _check_path(receiver.get("ca"), folder, findings)


def _check_names(draft: Draft, findings: Findings) -> None:
    for name, node in draft.group_nodes.items():
        if name in draft.hosts:
            findings.add(node, f"'{name}' is also a host", "a group needs a name of its own")
        for member in texts(node):
            _check_known(member, draft.hosts, "host", findings)


def _check_references(draft: Draft, findings: Findings) -> None:
    known = [*draft.hosts, *draft.group_nodes]
    for node in draft.named_places():
        for item in node.items if isinstance(node, Items) else ():
            if isinstance(item, Items):
                findings.add(
                    item, "is a nested list", "only a model's place may have one, for a replica over several hosts"
                )
    for node in (*draft.placed(), *draft.named_places()):
        for name in all_texts(node):
            _check_known(name, known, "host or group", findings)
    for name in stands_for(draft):
        _check_known(name, draft.hosts, "host", findings)


def _check_known(name: Scalar, known: Collection[str], kind: str, findings: Findings) -> None:
    if not Draft.is_name(name.text) or name.text in known:
        return
    if name.text.startswith("x-"):
        findings.add(name, f"'{name.text}' is not a {kind}", "rackwright ignores keys that start with x-")
        return
    # Only text with the form of a name is shown: other text may have invisible characters.
    known = [word for word in known if Draft.is_name(word)]
    listed = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    should = did_you_mean(name.text, known) or (f"known names: {listed}" if known else None)
    findings.add(name, f"unknown {kind} '{name.text}'", should)


def _check_in_service(draft: Draft, findings: Findings) -> None:
    for keys, what in ((("gateway", "on"), "gateway"), (("control",), "control host")):
        node = draft.root.get(*keys)
        hosts = draft.named(node)
        if node is not None and hosts and all(host in draft.hosts and host not in draft.in_service for host in hosts):
            findings.add(node, f"every {what} is out of service", f"at least one {what} must be in service")


def _check_kit(draft: Draft, findings: Findings) -> None:
    if KIT in draft.hosts and draft.root.get("backup") is not None:
        findings.add(
            draft.hosts[KIT],
            f"the name '{KIT}' is taken: backup stores the fleet's kit under it",
            "give this host another name",
        )


def _check_served_names(root: Entries, findings: Findings) -> None:
    seen: dict[str, Scalar] = {}
    for own, model in root.maps("models"):
        for adapter in _adapters(model):
            if adapter.key.text == own and own not in [name.text for name in texts(model.get("names"))]:
                findings.add(adapter.key, "has the name of its model", "an engine knows its model by that name")
        for name in (*texts(model.get("names")), *(adapter.key for adapter in _adapters(model))):
            first = seen.setdefault(name.text, name)
            if first is name:
                continue
            if first.path[1] == name.path[1]:
                findings.add(name, f"the name '{name.text}' appears twice", "remove one of them")
            else:
                findings.add(
                    name,
                    f"model {first.path[1]} already has the name '{name.text}', at {first.place}",
                    "each name belongs to one model",
                )


def _adapters(model: Entries) -> tuple[Entry, ...]:
    """Return a model's adapters: served names with their sources."""
    below = model.get("runtime", "adapters")
    return tuple(below.entries.values()) if isinstance(below, Entries) else ()


def _check_sources(root: Entries, folder: Path, findings: Findings, *, locked: bool) -> None:
    for _, model in root.maps("models"):
        _check_file(model.get("source"), folder, findings, MODEL_SUFFIXES, locked=locked)
        for adapter in _adapters(model):
            path = _found(adapter.value, folder, findings, locked=locked)
            if path and not path.is_dir():
                findings.add(adapter.value, "is a file", "should be a folder with an adapter as saved by PEFT")
        build = model.get("runtime", "build")
        _check_file(build, folder, findings, _BUILDS.get(_text(model.get("runtime", "kind")), ()), locked=locked)
        if isinstance(build, Scalar) and isinstance(_source(build), HubSource):
            findings.add(build, "a build doesn't come from a hub", "should be https://…#sha256=HEX or file:PATH")
    _check_path(root.get("gateway", "certificate", "certificate"), folder, findings)
    _check_path(root.get("patch", "prometheus", "ca"), folder, findings)


def _check_licenses(root: Entries, findings: Findings) -> None:
    allowed = {name.text.lower() for name in texts(root.get("licenses"))}
    for _, model in root.maps("models"):
        said = model.get("license")
        if allowed and isinstance(said, Scalar) and said.text.lower() not in allowed:
            findings.add(said, "is not one of the licenses that this file allows", "add it to licenses")


def _check_downloads(draft: Draft, folder: Path, findings: Findings) -> None:
    _check_path(draft.root.get("downloads", "ca_bundle"), folder, findings)
    for mirror in draft.apt_mirrors():
        _check_path(mirror.get("key"), folder, findings)
    mirrors = draft.root.get("downloads", "apt_mirror")
    if mirrors is not None and draft.root.get("downloads", "apt_existing") is None:
        findings.add(
            mirrors,
            "needs apt_existing, which decides about the hosts' existing apt sources",
            "write apt_existing: replace (disable them while apt_mirror is set) or apt_existing: keep",
        )


def _check_drivers(draft: Draft, folder: Path, findings: Findings) -> None:
    """Add a problem for each host with more than one driver."""
    seen: dict[str, AnyNode] = {}
    for driver in draft.drivers():
        _check_path(driver.get("key"), folder, findings)
        on = driver.get("on")
        if on is None and seen.setdefault("", driver) is not driver:
            findings.add(
                driver,
                "another driver entry already applies to every host with GPUs",
                "name the hosts of this one with on:",
            )
        for host in draft.named(on):
            if seen.setdefault(host, driver) is not driver:
                findings.add(on or driver, f"{host} already has a driver from another entry", "a host has one driver")


def _check_path(node: AnyNode | None, folder: Path, findings: Findings) -> None:
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.isprintable():
        _check_exists(node, node.value, folder, findings)


def _check_people(root: Entries, findings: Findings) -> None:
    """Add a problem for each key of two people: logs and audit identify a person by their key."""
    seen: dict[str, Scalar] = {}
    for _, person in root.maps("people"):
        for key in texts(person.get("keys")):
            # Type and key; the rest is a comment.
            first = seen.setdefault(" ".join(key.text.split()[:2]), key)
            if first is not key:
                what = f"is already a key of {first.path[1]}, at {first.place}"
                findings.add(key, what, "each person needs keys of their own, without duplicates")


def _text(node: AnyNode | None) -> str:
    return node.text if isinstance(node, Scalar) and node.value is not None else ""


def _source(node: AnyNode | None) -> object:
    try:
        return parse_source(node.value) if isinstance(node, Scalar) and isinstance(node.value, str) else None
    except ValueError:
        return None


def _check_file(
    node: AnyNode | None, folder: Path, findings: Findings, suffixes: tuple[str, ...], *, locked: bool
) -> None:
    path = _found(node, folder, findings, locked=locked)
    if node and path and path.is_file() and path.suffix.lower() not in suffixes:
        kind = f"ends in '{path.suffix}'" if path.suffix else "has no suffix"
        findings.add(node, f"the file {kind}", f"should end in {' or '.join(suffixes)}")


def _found(node: AnyNode | None, folder: Path, findings: Findings, *, locked: bool) -> Path | None:
    """Return the file or folder that a source names; None if it names none, or if it doesn't exist.

    It may be missing if there is a lock (`locked`).
    """
    source = _source(node)
    if not isinstance(node, Scalar) or not isinstance(source, FileSource) or not source.path.isprintable():
        return None
    return _check_exists(node, source.path, folder, findings, may_be_missing=locked)


def _check_exists(
    node: Scalar, text: str, folder: Path, findings: Findings, *, may_be_missing: bool = False
) -> Path | None:
    path = folder / Path(text).expanduser()
    try:
        if path.exists():
            return path
        if not may_be_missing:
            findings.add(node, f"no such file: {path}", "a relative path starts at the fleet file's folder")
    except (OSError, ValueError) as error:
        # The tool on a control host may not even look into the home directory that such a path leads to.
        if may_be_missing and isinstance(error, PermissionError):
            return None
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        findings.add(node, f"can't be read: {reason}", "should be the path of a file")
    return None


def _check_runtimes(root: Entries, findings: Findings) -> None:
    """Add a problem for each version with two builds: a version is one folder on a host."""
    builds: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
    for name, model in root.maps("models"):
        kind, version = (model.get("runtime", key) for key in ("kind", "version"))
        if not (isinstance(kind, Scalar) and isinstance(version, Scalar)):
            continue
        build = tuple(_text(model.get("runtime", key)) for key in ("build", "python"))
        other, other_build = builds.setdefault((kind.text, version.text), (name, build))
        if build != other_build:
            findings.add(
                model.get("runtime", "build") or model.get("runtime", "python") or version,
                f"model {other} has another build of the same version",
                "give this build its own version",
            )


def _check_objectives(root: Entries, findings: Findings) -> None:
    """Add a problem if a test request doesn't fit into the model's context."""
    for _, model in root.maps("models"):
        objectives, context = model.get("objectives"), _whole(model.get("context"))
        if not isinstance(objectives, Entries) or context is None:
            continue
        tokens = sum(_tokens(objectives, key) for key in ("prompt_tokens", "answer_tokens"))
        if tokens > context:
            what = f"prompt_tokens and answer_tokens add up to {tokens}, but context is {context}"
            findings.add(objectives, what, "a request must fit into the context")


def _check_tasks(root: Entries, findings: Findings) -> None:
    """Add a problem for each setting that judges the text of answers, if the model doesn't generate text."""
    for _, model in root.maps("models"):
        if _text(model.get("task")) != Task.EMBED:
            continue
        for key in ("objectives", "canary"):
            if (node := model.get(key)) is not None:
                findings.add(
                    node, f"{key} is for models that generate text", f"leave it out, with task: {Task.EMBED}"
                )


def _tokens(objectives: Entries, key: str) -> int:
    written = _whole(objectives.get(key))
    return int(Objectives.model_fields[key].default) if written is None else written


def _whole(node: AnyNode | None) -> int | None:
    return node.value if isinstance(node, Scalar) and isinstance(node.value, int) else None


def _check_replicas(draft: Draft, findings: Findings) -> None:
    counted = dict.fromkeys(draft.hosts, 0)
    for _, placement in draft.placements():
        replicas = placement.get("replicas")
        number = replicas.value if isinstance(replicas, Scalar) and isinstance(replicas.value, int) else 1
        for host in draft.named(placement.get("on")):
            counted[host] = counted.get(host, 0) + number
            if counted[host] > MAX_REPLICAS and number <= MAX_REPLICAS:
                findings.add(replicas or placement, f"more than {MAX_REPLICAS} replicas on {host}", "use fewer")
