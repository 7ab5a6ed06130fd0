"""Mail through a real SMTP server; and what a server that is wrong, slow or hostile can do."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email import message_from_string
from email.policy import default
from pathlib import Path

import pytest

from rackwright.lifecycle.notify import smtp_connection
from rackwright.lifecycle.notify.mail import message_of
from rackwright.lifecycle.notify.notice import Notice
from rackwright.lifecycle.notify.undelivered import Undelivered
from tests.lifecycle.notify.notices import NOTICE, mail
from tests.smtp_server import LOGIN, smtp_server

OPS, BEN = "ops@acme.example", "ben@acme.example"


def failure(server: str, notice: Notice = NOTICE, **words: object) -> Undelivered:
    with pytest.raises(Undelivered) as raised:
        mail(server, **words).send(notice)  # type: ignore[arg-type]
    said = f"{raised.value}{raised.value!r}{mail(server, **words)!r}"  # type: ignore[arg-type]
    assert LOGIN[1] not in said
    assert "\x1b" not in said
    return raised.value


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_the_server_gets_the_mail_over_tls_and_after_a_login(tmp_path: Path, tls: str) -> None:
    with smtp_server(tmp_path, tls) as server:
        mail(server.place, tls=tls, to=(OPS, BEN)).send(NOTICE)
    (got,) = server.mails
    assert (got["from"], got["to"]) == ("rackwright@acme.example", [OPS, BEN])
    assert (got["tls"], got["user"]) == (True, LOGIN[0])
    message = message_from_string(got["content"], policy=default)
    assert message["Subject"] == "[rackwright acme] patch run failed: gpu3: not proven after 600 s"
    assert (message["From"], message["To"]) == ("rackwright@acme.example", f"{OPS}, {BEN}")
    assert (message["Date"], message["Auto-Submitted"]) == ("Sun, 29 Nov 2026 01:02:03 +0000", "auto-generated")
    assert message.get_content().replace("\r\n", "\n") == (
        "patch run failed: gpu3: not proven after 600 s\n\n"
        "  gpu3: not proven after 600 s\n\n"
        "next: rackwright rollout resume\n\n"
        "fleet:    acme\n"
        "command:  rackwright patch run\n"
        "run:      20261129T010203Z-ab12\n"
        "hosts:    gpu3\n"
        "operator: anna@desk\n"
        "machine:  desk\n"
        "time:     2026-11-29T01:02:03Z\n"
    )


def test_a_server_without_tls_and_login_is_used_if_the_fleet_file_says_so(tmp_path: Path) -> None:
    with smtp_server(tmp_path, "none", login=None) as server:
        assert "doesn't offer STARTTLS" in failure(server.place, login=None).problems[0].what
        assert server.mails == []
        mail(server.place, tls="none", login=None).send(NOTICE)
    assert [(one["tls"], one["user"]) for one in server.mails] == [(False, None)]


def test_the_password_is_not_sent_without_tls(tmp_path: Path) -> None:
    with smtp_server(tmp_path, "none") as server:
        error = failure(server.place)
    assert (error.problems[0].next, error.again) == ("check notify.tls", False)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_an_untrusted_server_gets_nothing(tmp_path: Path, tls: str) -> None:
    system = ssl.get_default_verify_paths().openssl_cafile
    with smtp_server(tmp_path, tls) as server:
        error = failure(server.place, tls=tls, ca=system)
    assert server.mails == []
    (problem,) = error.problems
    assert problem.where == f"mail to {OPS}"
    assert problem.what == f"{server.place} its certificate is not trusted on this machine"
    assert (problem.next, error.again) == ("check notify.ca", False)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_certificate_for_another_name_is_refused(tmp_path: Path, tls: str) -> None:
    # The certificate has 127.0.0.1 and localhost; this is another way to write the address.
    with smtp_server(tmp_path, tls) as server:
        error = failure(f"127.1:{server.port}", tls=tls)
    assert server.mails == []
    assert error.problems[0].what == f"127.1:{server.port} its certificate is not trusted on this machine"


@pytest.mark.parametrize("login", [(LOGIN[0], "wrong"), ("other", LOGIN[1])])
def test_a_rejected_login_is_named(tmp_path: Path, login: tuple[str, str]) -> None:
    with smtp_server(tmp_path) as server:
        error = failure(server.place, login=login)
    assert server.mails == []
    (problem,) = error.problems
    assert problem.what == f"{server.place} refuses user and password (535)"
    assert (problem.next, error.again) == ("check notify.password", False)


def test_a_password_that_no_login_can_have_is_not_shown(tmp_path: Path) -> None:
    with smtp_server(tmp_path) as server:
        error = failure(server.place, login=(LOGIN[0], f"{LOGIN[1]}ł"))
    assert "have characters that no login can have" in error.problems[0].what


@pytest.mark.parametrize(("code", "again"), [(550, False), (450, True)])
def test_a_refused_recipient_is_named_without_the_servers_words(tmp_path: Path, code: int, again: bool) -> None:
    with smtp_server(tmp_path, refused={OPS: code}) as server:
        error = failure(server.place)
    (problem,) = error.problems
    assert problem.what == f"{server.place} refuses {OPS} ({code})"
    assert (problem.next, error.again) == ("check notify.to", again)


def test_if_one_of_two_is_refused_the_other_gets_the_mail_once(tmp_path: Path) -> None:
    with smtp_server(tmp_path, refused={BEN: 450}) as server:
        error = failure(server.place, to=(OPS, BEN))
    assert [one["to"] for one in server.mails] == [[OPS]]
    assert error.problems[0].what == f"{server.place} refuses {BEN}"
    assert not error.again


def test_what_hosts_say_adds_no_header_and_no_recipient(tmp_path: Path) -> None:
    hostile = "gpu3: x\r\nBcc: eve@evil.example\r\n\r\n.\r\nMAIL FROM:<x@y>\r\n\x1b[2J\u202e\udc80 \u00fc"
    said = {"summary": hostile, "reason": f"{hostile}\n.\n{'y' * 9000}", "next": hostile, "operator": hostile}
    notice = Notice(**(NOTICE.model_dump() | said))
    with smtp_server(tmp_path) as server:
        mail(server.place).send(notice)
    (got,) = server.mails
    message = message_from_string(got["content"], policy=default)
    assert set(message.keys()) == {
        "Subject",
        "From",
        "To",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
    }
    shown = r"[rackwright acme] gpu3: x Bcc: eve@evil.example . MAIL FROM:<x@y> \x1b[2J\u202e\udc80 ü"
    assert message["Subject"] == shown
    assert (got["to"], message["To"]) == ([OPS], OPS)
    body = message.get_content()
    assert "next: gpu3: x Bcc:" in body
    assert all(character.isprintable() or character in "\r\n" for character in body)
    assert len(body) < 6000


def test_each_try_sends_the_same_mail() -> None:
    channel = mail("127.0.0.1:1")
    first, second = (message_of(NOTICE, channel.asked) for _ in range(2))
    assert first["Message-ID"] == second["Message-ID"]
    other = message_of(NOTICE.model_copy(update={"summary": "x"}), channel.asked)
    assert other["Message-ID"] != first["Message-ID"]
    assert first["Message-ID"].endswith("@acme.example>")


Answer = Callable[[socket.socket], None]


def endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"220-and more\r\n" * 1000)


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
                with connection:
                    answer(connection)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{listening[-1].getsockname()[1]}"

    yield start
    for one in listening:
        one.close()


@pytest.mark.parametrize(
    ("answer", "what", "again"),
    [
        (silent, "doesn't answer in time", True),
        (lambda connection: None, "closed the connection too early", True),
        (endless, "doesn't stop answering", False),
        (lambda connection: connection.sendall(b"554 go \x1b[2J away\r\n"), "answers 554", False),
        (lambda connection: connection.sendall(b"421 later\r\n"), "answers 421", True),
        (lambda connection: connection.sendall(b"220 " + b"x" * 20000), "answers 500", False),
        (lambda connection: connection.sendall(b"\xff\x1b[2J\r\n"), "answers -1", False),
    ],
)
def test_a_wrong_answer_is_named(
    answering: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch, answer: Answer, what: str, again: bool
) -> None:
    monkeypatch.setattr(smtp_connection, "TIMEOUT", 0.5 if answer is silent else 5.0)
    place = answering(answer)
    error = failure(place)
    assert error.problems[0].what == f"{place} {what}"
    assert error.again == again


def test_a_server_that_isnt_there_is_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        place = f"127.0.0.1:{closed.getsockname()[1]}"
    error = failure(place)
    assert error.problems[0].what == f"{place} can't be reached"
    assert error.again
