"""Rules for `unattended`: which hosts may have the tool, whom it logs in as, for which models, and when it starts."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.fleet.reading.draft import Draft, is_absent
from rackwright.fleet.reading.error_messages import did_you_mean
from rackwright.fleet.reading.network_rules import addresses_of
from rackwright.fleet.reading.nodes import AnyNode, Entries, Findings, Items, Scalar, all_texts, texts
from rackwright.values.windows import never_close, parse_window

_LOCAL = "@local"


def check_unattended(draft: Draft, findings: Findings) -> None:
    """Add a problem for each host that can't have the tool, and for a person, model or window that it can't use."""
    unattended = draft.root.get("unattended")
    if not isinstance(unattended, Entries):
        return
    for key in ("outage", "downtime"):
        _check_models(draft, key, unattended.get("allow", key), findings)
    on = unattended.get("on")
    if on is None or is_absent(on):
        return
    for host in draft.named(on):
        if host in draft.hosts:
            _check_host(draft, on, host, findings)
    _check_local(draft, findings)
    for node in _files(draft):
        if isinstance(node, Scalar) and node.text.startswith(("/", "~")):
            what = "the tool on a control host doesn't have this file"
            findings.add(node, what, "write a path relative to the fleet file; then the control hosts keep a copy")
    _check_person(draft, unattended.get("person"), findings)
    _check_window(draft.root.get("patch", "window"), findings)


def _check_host(draft: Draft, on: AnyNode, host: str, findings: Findings) -> None:
    if host in draft.serving:
        findings.add(on, f"{host} serves, and the tool restarts hosts that serve", "name a host without replicas")
    elif host in draft.gateways:
        findings.add(on, f"{host} is a gateway, and the tool restarts gateways", "name a host that is no gateway")
    elif host not in draft.control:
        findings.add(on, f"{host} is no control host", "add it to control, or name one of those")
    settings = draft.hosts.get(host)
    address = settings.get("address") if isinstance(settings, Entries) else None
    if isinstance(address, Scalar) and address.text != _LOCAL and not list(addresses_of(draft, address.text)):
        findings.add(address, f"all hosts admit the tool on {host} by its address", "write its IP address")


def _check_local(draft: Draft, findings: Findings) -> None:
    for name, host in draft.root.maps("hosts"):
        address = host.get("address")
        if isinstance(address, Scalar) and address.text == _LOCAL:
            findings.add(address, f"the tool on a control host would take itself for {name}", "write its IP address")


def _files(draft: Draft) -> Iterator[AnyNode | None]:
    """Yield what names a public file that must be readable wherever the fleet file is read."""
    root = draft.root
    yield root.get("downloads", "ca_bundle")
    yield root.get("gateway", "certificate", "certificate")
    yield root.get("patch", "prometheus", "ca")
    yield from (mirror.get("key") for mirror in draft.apt_mirrors())
    yield from (driver.get("key") for driver in draft.drivers())
    yield from (repository.get("ca") for repository in draft.repositories())
    yield from (receiver.get("ca") for receiver in draft.receivers())
    yield from (cloud.get("ca") for _, cloud in root.maps("clouds"))
    yield from (model.get("canary", "golden") for _, model in root.maps("models"))


def _check_person(draft: Draft, node: AnyNode | None, findings: Findings) -> None:
    if not isinstance(node, Scalar) or not Draft.is_name(node.text):
        return
    people = dict(draft.root.maps("people"))
    person = people.get(node.text)
    if person is None:
        findings.add(
            node,
            f"'{node.text}' is not in people",
            did_you_mean(node.text, [name for name in people if Draft.is_name(name)])
            or "add this person to people, with the tool's public key",
        )
        return
    role, on = person.get("role"), person.get("on")
    if isinstance(role, Scalar) and role.text == "auditor":
        findings.add(node, f"{node.text} is an auditor", "name an operator; the tool changes hosts")
    missing = [host for host in draft.hosts if host not in draft.named(on)] if on is not None else []
    if missing:
        findings.add(
            node,
            f"{node.text} can't log in to {missing[0]}",
            f"leave out {node.text}'s on:; the tool changes every host",
        )


def _check_window(node: AnyNode | None, findings: Findings) -> None:
    try:
        windows = [parse_window(one.text) for one in all_texts(node)]
    except ValueError:
        return  # Another rule says so.
    if node is not None and never_close(windows):
        what = "never closes, and the tool starts a patch run when a window opens"
        findings.add(node, what, "should have a break within the week, like daily 00:00-23:00")


def _check_models(draft: Draft, key: str, node: AnyNode | None, findings: Findings) -> None:
    known = [name for name, _ in draft.root.maps("models")]
    for name in texts(node) if isinstance(node, Items) else ():
        if name.text in known or not Draft.is_name(name.text):
            continue
        should = did_you_mean(name.text, [word for word in known if Draft.is_name(word)])
        if name.text == "all":
            should = f"write {key}: all, without brackets"
        findings.add(name, f"unknown model '{name.text}'", should)
