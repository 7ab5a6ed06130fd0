"""Rules for placements: work that can be divided evenly over GPUs, hosts that can be members of one replica."""

from __future__ import annotations

from rackwright.fleet.reading.draft import Draft
from rackwright.fleet.reading.nodes import AnyNode, Entries, Findings, Items, Scalar, texts
from rackwright.launch import even_widths
from rackwright.values.network import parse_address


def check_placements(draft: Draft, findings: Findings) -> None:
    """Add the problems of each placement of each model."""
    for model, placement in draft.placements():
        on = placement.get("on")
        items = on.items if isinstance(on, Items) else ()
        inner = [item for item in items if isinstance(item, Items)]
        if len(inner) < len(items) or not items:
            _check_widths(model, placement, 1, findings)
        for item in inner:
            _check_members(draft, model, placement, item, findings)


def _check_members(draft: Draft, model: Entries, placement: Entries, item: Items, findings: Findings) -> None:
    kind = model.get("runtime", "kind")
    if isinstance(kind, Scalar) and kind.text == "llama_cpp":
        what = "llama_cpp can't span several hosts"
        findings.add(item, what, "a replica over several hosts needs the runtime vllm")
        return
    hosts = draft.named(item)
    named = [name.text for name in texts(item)]
    if len(hosts) < 2:
        findings.add(
            item,
            "is a single host",
            "a nested list is one replica over several hosts; write the host without brackets",
        )
    elif len(set(named)) < len(named):
        findings.add(item, "names a host twice", "name each member once")
    else:
        _check_widths(model, placement, len(hosts), findings)
    for host in hosts:
        settings = draft.hosts.get(host)
        if isinstance(settings, Entries) and not reached(settings):
            findings.add(
                item, f"{host} has no address that other members can reach", f"give hosts.{host} a fabric: address"
            )


def reached(host: Entries) -> bool:
    """Return whether the host has an IP address that other hosts can reach: `fabric` or `address`."""
    fabric, address = host.get("fabric"), host.get("address")
    return fabric is not None or (isinstance(address, Scalar) and _is_address(address.text))


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except ValueError:
        return False
    return True


def _check_widths(model: Entries, placement: Entries, hosts: int, findings: Findings) -> None:
    kinds = ("tensor", "pipeline", "data")
    asked = {kind: _number(model.get("runtime", f"{kind}_parallel_size")) for kind in kinds}
    gpus = _number(placement.get("gpus"))
    node = placement.get("gpus") or placement.get("on") or placement
    if not any(asked.values()):
        return
    try:
        even_widths(**asked, gpus=1 if gpus is None else gpus, hosts=hosts)
    except ValueError as error:
        what, _, should = str(error).partition("; ")
        findings.add(node, what, should or None)


def _number(node: AnyNode | None) -> int | None:
    return node.value if isinstance(node, Scalar) and isinstance(node.value, int) and node.value >= 0 else None
