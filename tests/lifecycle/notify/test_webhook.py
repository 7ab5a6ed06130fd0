"""Webhooks: a real HTTPS receiver gets the notice; one that is wrong, slow or hostile does no harm."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rackwright.lifecycle.notify import webhook as webhook_module
from rackwright.lifecycle.notify.undelivered import Undelivered
from rackwright.route import Route
from tests.lifecycle.notify.notices import NOTICE, TOKEN, webhook
from tests.loopback_tls import bundle, server_tls
from tests.webhook_receiver import webhook_receiver


def refused(url: str, **words: str) -> Undelivered:
    with pytest.raises(Undelivered) as raised:
        webhook(url, **words).send(NOTICE)
    said = f"{raised.value}{raised.value!r}{webhook(url, **words)!r}"
    assert TOKEN not in said
    assert "s3cret-path" not in said
    return raised.value


def test_the_receiver_gets_the_notice_as_json_with_the_text_first() -> None:
    with webhook_receiver() as receiver:
        webhook(receiver.url).send(NOTICE)
    (posted,) = receiver.posted
    assert posted.path == "/hooks/s3cret-path"
    assert posted.headers["Authorization"] == f"Bearer {TOKEN}"
    assert posted.headers["Content-Type"] == "application/json"
    text = (
        "[rackwright acme] patch run failed\n```\ngpu3: not proven after 600 s\nnext: rackwright rollout resume\n```"
    )
    assert next(iter(posted.document.items())) == ("text", text)
    assert posted.document == {
        "text": text,
        "format": "notice/1",
        "event": "failed",
        "command": "patch run",
        "fleet": "acme",
        "run": "20261129T010203Z-ab12",
        "operator": "anna@desk",
        "machine": "desk",
        "time": "2026-11-29T01:02:03Z",
        "summary": "patch run failed: gpu3: not proven after 600 s",
        "reason": "gpu3: not proven after 600 s",
        "next": "rackwright rollout resume",
        "hosts": ["gpu3"],
    }


@pytest.mark.parametrize(
    ("code", "again", "check"),
    [
        (500, True, "notify.url"),
        (429, True, "notify.url"),
        (404, False, "notify.url"),
        (400, False, "notify.url"),
        (401, False, "notify.token"),
        (403, False, "notify.token"),
    ],
)
def test_an_error_is_named_by_its_code(code: int, again: bool, check: str) -> None:
    with webhook_receiver(code) as receiver:
        error = refused(receiver.url)
    (problem,) = error.problems
    assert (problem.where, problem.what) == (f"webhook {receiver.place}", f"answers {code}")
    assert (problem.next, error.again) == (f"check {check}", again)


def test_a_redirect_is_not_followed() -> None:
    with webhook_receiver() as other, webhook_receiver(307, location=other.url) as receiver:
        error = refused(receiver.url)
    assert (len(receiver.posted), other.posted) == (1, [])
    assert error.problems[0].what == "answers 307"
    assert error.problems[0].next == "name the address that it redirects to; redirects aren't followed"


def test_a_receiver_with_an_untrusted_certificate_gets_nothing() -> None:
    with webhook_receiver() as receiver, pytest.raises(Undelivered) as raised:
        webhook(receiver.url, route=Route()).send(NOTICE)
    assert receiver.posted == []
    (problem,) = raised.value.problems
    assert problem.what == "its certificate is not trusted on this machine"
    assert (problem.next, raised.value.again) == ("add its CA to notify.ca", False)


def test_no_login_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login anna password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with webhook_receiver() as receiver:
        webhook(receiver.url, token=None).send(NOTICE)
        webhook(receiver.url).send(NOTICE)
    assert [one.headers.get("Authorization") for one in receiver.posted] == [None, f"Bearer {TOKEN}"]


def test_the_fleets_proxy_is_used_except_where_it_is_bypassed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with webhook_receiver() as receiver:
        proxied = Route(proxy="http://127.0.0.1:1", ca_bundle=bundle())
        with pytest.raises(Undelivered, match="can't be reached through the proxy"):
            webhook(receiver.url, route=proxied).send(NOTICE)
        assert receiver.posted == []
        webhook(receiver.url, route=proxied.model_copy(update={"no_proxy": ("127.0.0.1",)})).send(NOTICE)
        assert len(receiver.posted) == 1
        with pytest.raises(Undelivered, match="can't be reached through the proxy"):
            webhook(receiver.url).send(NOTICE)


def test_a_receiver_without_tls_gets_nothing() -> None:
    with webhook_receiver(tls=False) as receiver:
        error = refused(receiver.url)
        assert error.problems[0].what == "its TLS isn't accepted here, or it has none"
        webhook(receiver.url.replace("https", "http"), token=None).send(NOTICE)
    assert len(receiver.posted) == 1


@pytest.mark.parametrize("token", [f"{TOKEN}\nX-Injected: yes", f"{TOKEN}ł"])
def test_a_token_that_no_header_can_have_is_not_shown(token: str) -> None:
    with webhook_receiver() as receiver:
        assert refused(receiver.url, token=token).problems[0].what == "can't be reached"
    assert receiver.posted == []


Answer = Callable[[socket.socket], None]


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: and more\r\n")


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


@pytest.fixture
def answering() -> Iterator[Callable[[Answer], str]]:
    listening: list[socket.socket] = []

    def start(answer: Answer) -> str:
        listening.append(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            try:
                connection, _ = listening[-1].accept()
                with server_tls().wrap_socket(connection, server_side=True) as opened:
                    opened.recv(65536)
                    answer(opened)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        return f"https://127.0.0.1:{listening[-1].getsockname()[1]}/hooks/s3cret-path"

    yield start
    for one in listening:
        one.close()


def test_an_answer_without_an_end_isnt_read(answering: Callable[[Answer], str]) -> None:
    webhook(answering(endless)).send(NOTICE)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (silent, "doesn't answer in time"),
        (endless_headers, "can't be reached"),
        (lambda connection: connection.sendall(b"\x1b[2J\r\n\r\n"), "can't be reached"),
    ],
)
def test_a_wrong_answer_is_worth_another_try(
    answering: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch, answer: Answer, what: str
) -> None:
    monkeypatch.setattr(webhook_module, "TIMEOUTS", (5, 0.5))
    error = refused(answering(answer))
    assert (error.problems[0].what, error.problems[0].next) == (what, "check notify.url and that it runs")
    assert error.again
