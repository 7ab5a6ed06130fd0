"""Which alerts fire, and which of them concern a change of a host."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.patch.prometheus import Labels, NotAsked, Notified, Prometheus

HOST_LABELS = ("instance", "host")
"""Labels that say which host an alert is about: its name or address, with or without a port."""
_MOST_CHARACTERS = 80


@dataclass(frozen=True)
class Alert:
    """An alert that fires. Its labels were written by others; `__str__` is fit for a terminal."""

    labels: Labels
    silenced: bool = False

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    def __str__(self) -> str:
        about = next((self.labels[label] for label in HOST_LABELS if self.labels.get(label)), None)
        name = _shown(self.name) or "without a name"
        return f"{name} ({_shown(about)})" if about else name

    def is_about(self, names: Collection[str]) -> bool:
        """Return whether a label in HOST_LABELS has one of these names or addresses."""
        return any(_machine(self.labels.get(label, "")) in names for label in HOST_LABELS)


@dataclass(frozen=True)
class Alerts:
    """The alerts that fire, without ignored ones."""

    firing: tuple[Alert, ...] = ()
    unknown: str | None = None
    """Why Prometheus can't be asked; then nothing is known."""
    silences_unknown: str | None = None
    """Why it isn't known which of them are silenced; then none counts as silenced."""
    next: str | None = None
    """What to do about what isn't known."""

    def against(self, names: Collection[str]) -> tuple[Alert, ...]:
        """Return those that stop a change of the hosts with these names and addresses."""
        return tuple(alert for alert in self.firing if not alert.silenced and not alert.is_about(names))


def ask_alerts(prometheus: Prometheus, ignore: Iterable[str] = ()) -> Alerts:
    """Ask Prometheus for firing alerts, and its Alertmanagers which are silenced. Changes nothing; raises nothing."""
    ignored = frozenset(ignore)
    try:
        firing = tuple(Alert(labels) for labels in prometheus.firing())
    except NotAsked as error:
        return Alerts(unknown=_said(error), next=error.problems[0].next)
    firing = tuple(alert for alert in firing if alert.name not in ignored)
    if not firing:
        return Alerts()
    try:
        notified = prometheus.notified()
    except NotAsked as error:
        return Alerts(firing, silences_unknown=_said(error), next=error.problems[0].next)
    return Alerts(tuple(replace(alert, silenced=_is_silenced(alert, notified)) for alert in firing))


def names_of(fleet: Fleet, hosts: Iterable[str]) -> frozenset[str]:
    """Return the names and addresses of hosts, as labels of alerts have them."""
    found: set[str] = set()
    for name in hosts:
        host = fleet.file.hosts[name]
        found |= {name, *(str(address) for address in (host.address, host.service, host.fabric) if address)}
    return frozenset(found)


def _is_silenced(alert: Alert, notified: Iterable[Notified]) -> bool:
    """Return whether every Alertmanager that has the alert has it silenced, and at least one has it.

    Prometheus adds its external labels when it notifies.
    """
    same = [one.silenced for one in notified if alert.labels.items() <= one.labels.items()]
    return bool(same) and all(same)


def _machine(text: str) -> str:
    """Return a label's machine without its port."""
    match = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|([^:]*):\d{1,5}", text)
    return (match[1] or match[2]) if match else text


def _shown(text: str) -> str:
    kept = "".join(character if character.isprintable() else "?" for character in text[: _MOST_CHARACTERS + 1])
    return kept if len(kept) <= _MOST_CHARACTERS else f"{kept[: _MOST_CHARACTERS - 1]}…"


def _said(error: NotAsked) -> str:
    problem = error.problems[0]
    return f"{problem.where} {problem.what}"
