"""`notify test` at the command line, with real receivers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rackwright.lifecycle.notify import deliver
from tests.cli.command_line import rackwright
from tests.fleet.test_load import GOOD
from tests.loopback_tls import bundle
from tests.smtp_server import LOGIN, SmtpServer, smtp_server
from tests.webhook_receiver import Receiver, webhook_receiver


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "WAITS", ())
    monkeypatch.setenv("TOKEN", "hook-t0ken")
    monkeypatch.setenv("PASSWORD", LOGIN[1])


def written(folder: Path, receiver: Receiver, server: SmtpServer) -> Path:
    path = folder / "fleet.yml"
    path.write_text(f"""{GOOD}
notify:
  - {{url: "{receiver.url}", token: env:TOKEN, ca: {bundle()}, events: [failed]}}
  - to: ops@acme.example
    from: rackwright@acme.example
    server: {server.place}
    user: {LOGIN[0]}
    password: env:PASSWORD
    ca: {bundle()}
""")
    return path


def test_every_receiver_gets_a_test_notice(tmp_path: Path) -> None:
    with webhook_receiver() as receiver, smtp_server(tmp_path) as server:
        ran = rackwright("-f", written(tmp_path, receiver, server), "notify", "test")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        f"webhook {receiver.place}: has the test notice",
        "mail to ops@acme.example: has the test notice",
    ]
    assert receiver.posted[0].document["text"] == "[rackwright acme] test notice: nothing happened"
    assert receiver.events == ["test"]
    assert "Subject: [rackwright acme] test notice: nothing happened\r\n" in server.mails[0]["content"]


def test_one_that_fails_is_named_and_the_exit_code_is_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "wr0ng")
    with webhook_receiver(500) as receiver, smtp_server(tmp_path) as server:
        path = written(tmp_path, receiver, server)
        both = rackwright("-f", path, "notify", "test")
        one = rackwright("-f", path, "notify", "test", "--json")
    assert (both.exit_code, both.stdout) == (1, "no receiver has the test notice\n")
    assert both.stderr.splitlines() == [
        f"error: webhook {receiver.place}: answers 500",
        "  next: check notify[0].url",
        f"error: mail to ops@acme.example: {server.place} refuses user and password (535)",
        "  next: check notify[1].password",
    ]
    why = f"{server.place} refuses user and password (535)"
    assert one.exit_code == 1
    assert one.document == {
        "reached": [f"webhook {receiver.place}"],
        "not_notified": [{"receiver": "mail to ops@acme.example", "why": why, "next": "check notify[1].password"}],
    }
    assert [problem["what"] for problem in one.error["problems"]] == [why]
    assert "wr0ng" not in f"{both}{one}"


def test_a_fleet_without_receivers_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "fleet.yml").write_text(GOOD)
    ran = rackwright("-f", tmp_path / "fleet.yml", "notify", "test")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "has no receivers; notify: should name a webhook or a mail address" in ran.stderr


def test_check_says_which_secret_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rackwright.lifecycle.check.procedure import _secrets

    monkeypatch.delenv("TOKEN")
    with webhook_receiver() as receiver, smtp_server(tmp_path) as server:
        from rackwright.fleet.load import load_fleet

        found: Any = list(_secrets(load_fleet(written(tmp_path, receiver, server))))
    assert [(one.found, str(one.state)) for one in found] == [
        ("notify[0].token: the environment variable TOKEN is not set", "failed"),
        ("notify[1].password resolves", "ok"),
    ]
