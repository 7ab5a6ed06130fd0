# ruff: noqa: E501  (an exact message is written on one line)
"""What a Prometheus or an Alertmanager that is wrong, slow or hostile can do: nothing but close the gate."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import SecretError
from rackwright.lifecycle.patch import prometheus as asking
from rackwright.lifecycle.patch.alerts import Alert, Alerts, ask_alerts
from rackwright.lifecycle.patch.prometheus import Prometheus, prometheus_of
from rackwright.values.secrets import Secret
from tests.lifecycle.patch.seen import two_hosts
from tests.loopback_tls import bundle, server_tls

TOKEN = "prom-t0ken"
ALERTS, MANAGERS, NOTIFIED = "/api/v1/alerts", "/api/v1/alertmanagers", "/api/v2/alerts"
RATE = {"alertname": "ErrorRate", "service": "assistant"}
Answer = Callable[[socket.socket], None]


@dataclass
class Server:
    """A stand-in for both servers that sends any bytes; `asked` has the requests."""

    socket: socket.socket
    answers: dict[str, Answer]
    tls: bool = False
    asked: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    @property
    def prometheus(self) -> Prometheus:
        token = Secret(TOKEN) if self.tls else None
        return Prometheus(f"{'https' if self.tls else 'http'}://{self.place}/", Path(bundle()), token)

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            with server_tls().wrap_socket(connection, server_side=True) if self.tls else connection as opened:
                request = opened.recv(65536).decode()
                self.asked.append(request)
                self.answers[request.split()[1].partition("?")[0]](opened)
        except (OSError, IndexError):
            # A client that doesn't trust the certificate, or asks nothing.
            pass


def sends(body: object, head: str = "HTTP/1.1 200 OK") -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    text = f"{head}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode()
    return lambda connection: connection.sendall(text + content)


def firing(*alerts: dict[str, str]) -> Answer:
    return sends({"status": "success", "data": {"alerts": [{"labels": one, "state": "firing"} for one in alerts]}})


def managers(*urls: str) -> Answer:
    return sends({"data": {"activeAlertmanagers": [{"url": url} for url in urls], "droppedAlertmanagers": []}})


def notified(*alerts: tuple[dict[str, str], list[str]]) -> Answer:
    return sends([{"labels": labels, "status": {"state": "?", "silencedBy": by}} for labels, by in alerts])


def drips(connection: socket.socket) -> None:
    """Send a byte from time to time, so that no single wait is long."""
    waiting = threading.Event()
    while not waiting.wait(0.05):
        connection.sendall(b"H")


@pytest.fixture
def served() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(*, tls: bool = False, at: str = "127.0.0.1", **answers: Answer) -> Server:
        paths = {"alerts": ALERTS, "managers": MANAGERS, "notified": NOTIFIED}
        known = {paths[name]: answer for name, answer in answers.items()}
        made.append(Server(socket.create_server((at, 0)), known, tls))
        threading.Thread(target=made[-1].serve, daemon=True).start()
        return made[-1]

    yield start
    for server in made:
        server.socket.close()


REDIRECT = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere"
FORM, URL = "answers something other than its API documents", "check the address in patch.prometheus.url"
WRONG: list[tuple[Answer, str, str | None]] = [
    (sends({}, REDIRECT), "answers 302", "name the address that it redirects to; redirects aren't followed"),
    (sends({}, "HTTP/1.1 401 \x1b[2J"), "answers 401", "check patch.prometheus.token"),
    (sends({}, "HTTP/1.1 404 Not Found"), "answers 404", URL),
    (sends({}, "HTTP/1.1 503 Unavailable"), "answers 503", URL),
    (sends(b"<html>\x1b[2J"), FORM, URL),
    (sends(b"[" * 100_000), FORM, URL),
    (sends({"data": {}}), FORM, URL),
    (sends({"data": {"alerts": [{"labels": {"alertname": 7}, "state": "firing"}]}}), FORM, URL),
    (sends({"status": "error", "error": "no"}), FORM, URL),
    (sends(b" " * (asking.LIMIT + 1)), "answers more than 8 MiB", None),
    (lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "closed the connection too early", "check that it runs"),
    (lambda connection: connection.sendall(b"\x1b[2J\r\n\r\n"), "can't be reached", "check that it runs"),
    (drips, "doesn't answer in time", "check that it runs"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "what", "then"), WRONG)
def test_a_wrong_answer_is_no_answer(
    served: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, answer: Answer, what: str, then: str | None
) -> None:
    monkeypatch.setattr(asking, "SECONDS", 2.0 if answer is not drips else 0.3)
    server = served(alerts=answer)
    started = time.monotonic()
    found = ask_alerts(server.prometheus)
    assert time.monotonic() - started < 15
    assert found.firing == ()
    assert found.unknown == f"{server.place} {what}"
    assert found.next == then


def test_the_token_goes_to_prometheus_alone_and_into_no_text(served: Callable[..., Server]) -> None:
    other = served(notified=notified())
    server = served(tls=True, alerts=firing(RATE), managers=managers(f"http://{other.place}{NOTIFIED}"))
    assert len(ask_alerts(server.prometheus).firing) == 1
    assert [f"Authorization: Bearer {TOKEN}" in request for request in server.asked] == [True, True]
    assert [TOKEN in request or "Authorization" in request for request in other.asked] == [False]
    refused = served(tls=True, alerts=sends({}, "HTTP/1.1 403 Forbidden"))
    assert TOKEN not in repr((server.prometheus, ask_alerts(refused.prometheus)))


def test_an_untrusted_server_never_gets_the_token(served: Callable[..., Server]) -> None:
    server = served(tls=True, alerts=firing())
    found = ask_alerts(Prometheus(server.prometheus.url, None, Secret(TOKEN)))
    assert found.unknown == f"{server.place} its certificate is not trusted on this machine"
    assert server.asked == []


@pytest.mark.parametrize("token", [f"{TOKEN}\nX-Injected: yes", f"{TOKEN}ł"])
def test_a_token_that_no_header_can_have_is_not_shown(served: Callable[..., Server], token: str) -> None:
    server = served(tls=True, alerts=firing())
    found = ask_alerts(Prometheus(server.prometheus.url, Path(bundle()), Secret(token)))
    assert found.unknown == f"{server.place} can't be reached"
    assert TOKEN not in repr(found)


def test_no_proxy_and_no_login_of_the_environment_are_used(
    served: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login anna password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    server = served(alerts=firing())
    assert ask_alerts(server.prometheus) == Alerts()
    assert "Authorization" not in server.asked[0]


def test_pending_and_ignored_alerts_dont_fire_and_alertmanager_isnt_asked(served: Callable[..., Server]) -> None:
    alerts = [{"labels": RATE, "state": "pending"}, {"labels": {"alertname": "Watchdog"}, "state": "firing"}]
    server = served(alerts=sends({"data": {"alerts": alerts}}))
    assert ask_alerts(server.prometheus, ["Watchdog"]) == Alerts()
    assert len(server.asked) == 1


def test_without_an_alertmanager_nothing_is_silenced(served: Callable[..., Server]) -> None:
    server = served(alerts=firing(RATE), managers=managers())
    assert ask_alerts(server.prometheus) == Alerts((Alert(RATE),))


SITE = {**RATE, "site": "lab"}


@pytest.mark.parametrize(
    ("answers", "silenced"),
    [
        ([notified((SITE, ["1"]))], True),
        ([notified((SITE, []))], False),
        ([notified()], False),
        ([notified(({**SITE, "service": "other"}, ["1"]))], False),
        ([notified(({"alertname": "ErrorRate"}, ["1"]))], False),
        # Two that don't agree; one that doesn't have it; one that fails.
        ([notified((SITE, ["1"])), notified((SITE, []))], False),
        ([notified((SITE, ["1"])), notified()], True),
        ([notified((SITE, ["1"])), sends({}, "HTTP/1.1 500 No")], True),
    ],
)
def test_an_alert_is_silenced_if_no_alertmanager_notifies_about_it(
    served: Callable[..., Server], answers: list[Answer], silenced: bool
) -> None:
    places = [f"http://localhost:{served(notified=one).place.partition(':')[2]}{NOTIFIED}" for one in answers]
    server = served(alerts=firing(RATE), managers=managers(*places))
    assert ask_alerts(server.prometheus) == Alerts((Alert(RATE, silenced),))


@pytest.mark.parametrize("loopback", ["localhost", "127.0.0.1", "[::1]"])
def test_an_alertmanager_on_prometheus_machine_is_asked_there(served: Callable[..., Server], loopback: str) -> None:
    there = served(at="127.0.0.2", notified=notified((RATE, ["1"])))
    port = there.place.partition(":")[2]
    server = served(at="127.0.0.2", alerts=firing(RATE), managers=managers(f"http://{loopback}:{port}{NOTIFIED}"))
    assert ask_alerts(server.prometheus) == Alerts((Alert(RATE, silenced=True),))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc/passwd", None),
        ("ftp://127.0.0.1:1/api/v2/alerts", None),
        ("http://anna:secret@127.0.0.1:1/api/v2/alerts", None),
        ("http://127.0.0.1:1/api/v1/alerts", None),
        ("http://127.0.0.1:99999/api/v2/alerts", None),
        ("http://[::1/api/v2/alerts", None),
        ("http://a\x1b[2J/api/v2/alerts", None),
        ("http:///api/v2/alerts", None),
        (f"http://{'a' * 600}/api/v2/alerts", None),
        ("http://127.0.0.1:1/api/v2/alerts", "127.0.0.1:1 can't be reached"),
    ],
)
def test_an_alertmanager_that_cant_be_asked_leaves_silences_unknown(
    served: Callable[..., Server], url: str, why: str | None
) -> None:
    server = served(alerts=firing(RATE), managers=managers(url))
    found = ask_alerts(server.prometheus)
    assert found.firing == (Alert(RATE),)
    assert found.silences_unknown == (why or f"{server.place} knows an Alertmanager by an unusable URL")


def test_only_a_few_alertmanagers_are_asked(served: Callable[..., Server]) -> None:
    other = served(notified=notified((RATE, ["1"])))
    server = served(alerts=firing(RATE), managers=managers(*[f"http://{other.place}{NOTIFIED}"] * 50))
    ask_alerts(server.prometheus)
    assert len(other.asked) == asking.MOST_ALERTMANAGERS


def test_the_fleet_file_says_how_prometheus_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(**section: Any) -> Prometheus | None:
        return prometheus_of(two_hosts(prometheus={"url": "https://p.acme.internal:9090", **section}))

    monkeypatch.setenv("P", TOKEN)
    assert made(ca="ca.pem", token="env:P") == Prometheus(
        "https://p.acme.internal:9090", Path("ca.pem"), Secret(TOKEN)
    )
    assert made() == Prometheus("https://p.acme.internal:9090")
    section = {"url": "http://p:9090"}
    both = prometheus_of(two_hosts(downloads={"ca_bundle": "all.pem"}, prometheus=section))
    assert both == Prometheus("http://p:9090", Path("all.pem"))
    assert prometheus_of(two_hosts()) is None
    monkeypatch.delenv("P")
    with pytest.raises(SecretError, match=r"acme.yml patch.prometheus.token: the environment variable P is not set"):
        made(token="env:P")
