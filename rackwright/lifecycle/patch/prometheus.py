"""Questions to Prometheus and its Alertmanagers over HTTP: bounded in size and time, without redirects or proxies.

Formats: Prometheus' `/api/v1/alerts` and `/api/v1/alertmanagers`, Alertmanager's `/api/v2/alerts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, TypeAdapter, ValidationError

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.secrets import resolve
from rackwright.resolve.tls import cooperative_tls
from rackwright.resolve.web import unreachable
from rackwright.values.base import Stored
from rackwright.values.secrets import Secret

SECONDS = 20.0
"""The longest time for one answer."""
TIMEOUTS = (5, 10)
"""For the connection, and between two parts of an answer."""
LIMIT = 8 * 2**20
"""Most bytes of one answer."""
MOST_ALERTMANAGERS = 8
_CHUNK = 2**16
_LONGEST_URL = 500
_ALERTS = "/api/v2/alerts"
_EVERY = "?active=true&silenced=true&inhibited=true&unprocessed=true"

Read = TypeVar("Read")
Labels = Mapping[str, str]


class NotAsked(RackwrightError):
    """A server has no answer that can be used. `where` names it; nothing here contains the token."""


class _Alert(Stored):
    labels: dict[str, str]
    state: str


class _Alerts(Stored):
    alerts: tuple[_Alert, ...]


class _AlertsAnswer(Stored):
    data: _Alerts


class _Alertmanager(Stored):
    url: str


class _Alertmanagers(Stored):
    active: tuple[_Alertmanager, ...] = Field(alias="activeAlertmanagers")


class _AlertmanagersAnswer(Stored):
    data: _Alertmanagers


class _Status(Stored):
    silenced_by: tuple[str, ...] = Field(alias="silencedBy")


class Notified(Stored):
    """An alert as an Alertmanager has it: with all labels that Prometheus adds when it notifies."""

    labels: dict[str, str]
    status: _Status

    @property
    def silenced(self) -> bool:
        return bool(self.status.silenced_by)


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus and what is needed to ask it."""

    url: str
    ca: Path | None = None
    """None: the system's CAs."""
    token: Secret | None = field(default=None, repr=False)

    def firing(self) -> tuple[Labels, ...]:
        """Return the labels of each alert that fires. Raise NotAsked if it doesn't say."""
        found = self._answer(f"{self.url.rstrip('/')}/api/v1/alerts", TypeAdapter(_AlertsAnswer), self.token)
        return tuple(alert.labels for alert in found.data.alerts if alert.state == "firing")

    def notified(self) -> tuple[Notified, ...]:
        """Return the alerts that its Alertmanagers have; none if it knows no Alertmanager.

        An Alertmanager that doesn't answer is left out if another one answers. Raise NotAsked if none does.
        """
        url = f"{self.url.rstrip('/')}/api/v1/alertmanagers"
        known = self._answer(url, TypeAdapter(_AlertmanagersAnswer), self.token).data.active
        found: list[Notified] = []
        failed: list[NotAsked] = []
        for alertmanager in known[:MOST_ALERTMANAGERS]:
            try:
                asked = self._alertmanager(alertmanager.url)
                found += self._answer(asked, TypeAdapter(tuple[Notified, ...]))
            except NotAsked as error:
                failed.append(error)
        if failed and len(failed) == len(known[:MOST_ALERTMANAGERS]):
            raise failed[0]
        return tuple(found)

    def _alertmanager(self, said: str) -> str:
        """Given the URL that Prometheus notifies, return the one to ask. Raise NotAsked if it isn't one."""
        try:
            parts = urlsplit(said)
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            parts = urlsplit("")
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.path.endswith(_ALERTS)
        shown = said.isascii() and said.isprintable() and len(said) <= _LONGEST_URL
        if not usable or not shown or parts.username is not None:
            raise NotAsked(
                "knows an Alertmanager by an unusable URL", where=self._name, next="check its configuration"
            )
        host = parts.hostname or ""
        if _is_loopback(host):
            # It is on Prometheus' machine, not on this one.
            host = urlsplit(self.url).hostname or host
        host = f"[{host}]" if ":" in host else host
        return urlunsplit((parts.scheme, f"{host}{port}", parts.path, "", "")) + _EVERY

    @property
    def _name(self) -> str:
        return urlsplit(self.url).netloc

    def _answer(self, url: str, form: TypeAdapter[Read], token: Secret | None = None) -> Read:
        where = urlsplit(url).netloc
        content = _within(SECONDS, lambda: self._content(url, token), where)
        try:
            return form.validate_json(content)
        except ValidationError:
            what = "answers something other than its API documents"
            raise NotAsked(what, where=where, next="check the address in patch.prometheus.url") from None

    def _content(self, url: str, token: Secret | None) -> bytes:
        """Return the content of a URL. Raise NotAsked, without a library's error: it may contain the token."""
        cooperative_tls()
        import requests
        import urllib3

        where = urlsplit(url).netloc
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token.reveal()}"} if token else {})
        try:
            with requests.Session() as session:
                # No proxy and no ~/.netrc from the environment.
                session.trust_env = False
                verify = str(self.ca) if self.ca else True
                with session.get(
                    url, headers=headers, verify=verify, timeout=TIMEOUTS, allow_redirects=False, stream=True
                ) as response:
                    if response.status_code != 200:
                        raise NotAsked(
                            f"answers {response.status_code}", where=where, next=_hint(response.status_code)
                        )
                    content = bytearray()
                    for chunk in response.raw.stream(_CHUNK, decode_content=False):
                        content += chunk
                        if len(content) > LIMIT:
                            raise NotAsked(f"answers more than {LIMIT // 2**20} MiB", where=where)
                    return bytes(content)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            what = unreachable(where, type(error).__name__).problems[0].what
            hint = "add its CA to patch.prometheus.ca" if "SSL" in type(error).__name__ else "check that it runs"
            raise NotAsked(what, where=where, next=hint) from None


def prometheus_of(fleet: Fleet) -> Prometheus | None:
    """Return the fleet's Prometheus; None if the fleet file names none. Raise SecretError if its token has none."""
    said = fleet.file.patch.prometheus if fleet.file.patch else None
    if said is None:
        return None
    ca = said.ca or fleet.file.downloads.ca_bundle
    where = f"{fleet.path} patch.prometheus.token"
    token = resolve(said.token, where=where, folder=fleet.path.parent) if said.token else None
    return Prometheus(said.url, fleet.at(ca) if ca else None, token)


def _hint(code: int) -> str:
    if 300 <= code < 400:
        return "name the address that it redirects to; redirects aren't followed"
    return "check patch.prometheus.token" if code in (401, 403) else "check the address in patch.prometheus.url"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _within(seconds: float, work: Callable[[], bytes], where: str) -> bytes:
    """Return what `work` returns. Raise NotAsked if it takes longer: a server may send a byte from time to time."""
    done: list[bytes | Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as error:
            done.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        raise NotAsked("doesn't answer in time", where=where, next="check that it runs")
    if isinstance(done[0], Exception):
        raise done[0]
    return done[0]
