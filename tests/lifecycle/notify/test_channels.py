"""The receivers of a fleet file: where their secrets, CAs and proxies come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.lifecycle.notify.channels import channels_of
from rackwright.lifecycle.notify.mail import MailChannel
from rackwright.lifecycle.notify.undelivered import Undelivered
from rackwright.lifecycle.notify.webhook import WebhookChannel
from rackwright.values.secrets import Secret
from tests.fleet.fleets import make_fleet
from tests.lifecycle.notify.fleets import fleet_with
from tests.lifecycle.notify.notices import NOTICE
from tests.loopback_tls import bundle
from tests.smtp_server import LOGIN, smtp_server
from tests.webhook_receiver import webhook_receiver

MAIL = {"to": "ops@acme.example", "from": "rackwright@acme.example", "server": "mail.acme.internal"}
HOOK = "https://chat.acme.internal/hooks/1?sig=a%2Fb&x=1"


def test_secrets_are_resolved_from_the_fleet_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hook").write_text(f"{HOOK}\n")
    monkeypatch.setenv("T", "t0ken")
    monkeypatch.setenv("P", LOGIN[1])
    login = {"user": LOGIN[0], "password": "env:P"}
    fleet = fleet_with({"url": "file:hook", "token": "env:T"}, MAIL | login, path=tmp_path / "acme.yml")
    webhook, mail = channels_of(fleet)
    assert isinstance(webhook, WebhookChannel)
    assert (webhook.url, webhook.token) == (Secret(HOOK), Secret("t0ken"))
    assert (webhook.name, webhook.place) == ("webhook chat.acme.internal", "notify[0]")
    assert isinstance(mail, MailChannel)
    assert (mail.password, mail.name, mail.place) == (Secret(LOGIN[1]), "mail to ops@acme.example", "notify[1]")


@pytest.mark.parametrize(
    "written", ["http://chat.acme.internal/1", "chat.acme.internal", "https://a b", f"{HOOK}\nx"]
)
def test_a_secret_that_is_no_https_url_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("HOOK", written)
    (channel,) = channels_of(fleet_with({"url": "env:HOOK"}))
    with pytest.raises(Undelivered) as raised:
        channel.send(NOTICE)
    assert str(raised.value) == "acme.yml notify[0].url: env:HOOK is not an https URL"


def test_a_receiver_whose_secret_is_missing_keeps_no_other_from_its_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GONE", raising=False)
    with webhook_receiver() as receiver:
        missing, present = channels_of(
            fleet_with({"url": receiver.url, "token": "env:GONE", "events": ["failed"]}, {"url": receiver.url})
        )
        present.send(NOTICE)
        with pytest.raises(
            Undelivered, match=r"acme.yml notify\[0\].token: the environment variable GONE is not set"
        ):
            missing.send(NOTICE)
    assert (receiver.events, missing.events) == (["failed"], ("failed",))


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_that_cant_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "ca.pem").write_text(content)
    path = tmp_path / "acme.yml"
    for channel in channels_of(
        fleet_with({"url": HOOK.partition("?")[0], "ca": "ca.pem"}, MAIL | {"ca": "ca.pem"}, path=path)
    ):
        with pytest.raises(
            Undelivered, match=r"notify\[[01]\].ca: can't be read, or has no certificates in PEM form"
        ):
            channel.send(NOTICE)


def test_without_a_ca_of_its_own_a_receiver_is_verified_by_that_of_downloads(tmp_path: Path) -> None:
    with webhook_receiver() as receiver, smtp_server(tmp_path, login=None) as server:
        receivers = [{"url": receiver.url}, MAIL | {"server": server.place}]
        for channel in channels_of(make_fleet(Path("acme.yml"), notify=receivers, downloads={"ca_bundle": bundle()})):
            channel.send(NOTICE)
        for channel in channels_of(make_fleet(Path("acme.yml"), notify=receivers)):
            with pytest.raises(Undelivered, match="its certificate is not trusted on this machine"):
                channel.send(NOTICE)
    assert (len(receiver.posted), len(server.mails)) == (1, 1)


def test_webhooks_go_through_the_fleets_proxy_unless_they_bypass_it() -> None:
    proxy = {"proxy": "http://127.0.0.1:1", "no_proxy": ["direct.acme.internal"]}
    urls = ("https://direct.acme.internal/x", "https://chat.acme.example/x")
    direct, proxied = channels_of(fleet_with(*({"url": url} for url in urls), downloads=proxy))
    assert isinstance(direct, WebhookChannel)
    assert isinstance(proxied, WebhookChannel)
    assert [one.route.proxy_for(one.url.reveal()) for one in (direct, proxied)] == [None, "http://127.0.0.1:1"]
