"""Rules for `clouds`, and for the models that a cloud answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from rackwright.fleet.reading.draft import Draft, is_absent
from rackwright.fleet.reading.error_messages import did_you_mean
from rackwright.fleet.reading.nodes import Entries, Findings, Scalar, texts
from rackwright.launch import Task
from rackwright.route import bypasses


def check_clouds(draft: Draft, findings: Findings) -> None:
    """Add a problem for each unknown cloud, for each name that its cloud doesn't have, and for strange clouds."""
    clouds = dict(draft.root.maps("clouds"))
    _check_proxy(draft, clouds, findings)
    for name, cloud in clouds.items():
        _check_repeated(cloud, findings)
        _check_elsewhere(draft, name, cloud, findings)
    for _, model in draft.root.maps("models"):
        named = model.get("cloud")
        if not isinstance(named, Scalar) or is_absent(named) or not Draft.is_name(named.text):
            continue
        if named.text not in clouds:
            _unknown(named, [name for name in clouds if Draft.is_name(name)], findings)
        else:
            _check_names(model, named.text, clouds[named.text], findings)
        _check_task(model, named, findings)


def _check_proxy(draft: Draft, clouds: Mapping[str, Entries], findings: Findings) -> None:
    proxy, direct = draft.root.get("downloads", "proxy"), texts(draft.root.get("downloads", "no_proxy"))
    no_proxy = [one.text for one in direct]
    if not isinstance(proxy, Scalar) or not proxy.text.startswith("https://"):
        return
    if any(not bypasses(no_proxy, host) for cloud in clouds.values() if (host := _host(cloud))):
        what = "gateways reach clouds through a proxy only by http://"
        findings.add(proxy, what, "write http://, or add the clouds' domains to no_proxy")


def _unknown(named: Scalar, known: list[str], findings: Findings) -> None:
    should = f"known names: {', '.join(known)}" if known else "add it to clouds, with its url, key and names"
    findings.add(named, f"unknown cloud '{named.text}'", did_you_mean(named.text, known) or should)


def _check_names(model: Entries, named: str, cloud: Entries, findings: Findings) -> None:
    known = [name.text for name in texts(cloud.get("names"))]
    for name in texts(model.get("names")):
        if known and name.text not in known and name.text.isascii() and name.text.isprintable():
            should = did_you_mean(name.text, known) or f"add it to clouds.{named}.names, if the provider has it"
            findings.add(name, f"the cloud {named} has no model '{name.text}'", should)


def _check_repeated(cloud: Entries, findings: Findings) -> None:
    seen: set[str] = set()
    for name in texts(cloud.get("names")):
        if name.text in seen:
            findings.add(name, f"the name '{name.text}' appears twice", "remove one of them")
        seen.add(name.text)


def _check_elsewhere(draft: Draft, name: str, cloud: Entries, findings: Findings) -> None:
    """Add a problem if the cloud is a machine of the fleet: requests would go round in circles."""
    url, host = cloud.get("url"), _host(cloud)
    if url is not None and host and host in set(_own(draft)):
        findings.add(url, f"{host} is this fleet's own", f"name the provider's API, or remove the cloud {name}")


def _host(cloud: Entries) -> str | None:
    url = cloud.get("url")
    try:
        return urlsplit(url.value).hostname if isinstance(url, Scalar) and isinstance(url.value, str) else None
    except ValueError:
        return None


def _own(draft: Draft) -> Iterator[str]:
    nodes = [draft.root.get("gateway", "domain")]
    nodes += [host.get(key) for _, host in draft.root.maps("hosts") for key in ("address", "service", "fabric")]
    yield from (node.text.lower() for node in nodes if isinstance(node, Scalar) and node.text)


def _check_task(model: Entries, named: Scalar, findings: Findings) -> None:
    """Vectors of two models can't be compared, so a model's clients must not get both kinds under one name."""
    task = model.get("task")
    if isinstance(task, Scalar) and task.text == Task.EMBED and model.get("source") is not None:
        what = "embeddings of the cloud and of the replicas can't be compared with each other"
        findings.add(named, what, "make two models of it, with names of their own")
