"""Warnings come early enough: two weeks before an API key expires, a month before a certificate does."""

from __future__ import annotations

import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from rackwright.fleet.keys_file import ApiKey, write_keys
from rackwright.fleet.x509 import issue, load_key, new_key, self_signed
from rackwright.lifecycle.check.procedure import _ending
from rackwright.lifecycle.check.result import State
from rackwright.lifecycle.client.request import FromController, Request, certificate_end
from rackwright.lifecycle.expiry import days, ending_cas, ending_certificates, ending_keys
from rackwright.roles.certificate import ends
from tests.fleet.fleets import make_fleet

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def key(id: str, expires: datetime | None) -> ApiKey:
    return ApiKey(id=id, owner="team", sha256="a" * 64, created=NOW, expires=expires)


def test_keys_that_end_within_two_weeks_are_named_and_those_that_have_are_not() -> None:
    keys = [
        *(key("never", None), key("later", NOW + 14.1 * DAY), key("soon", NOW + 13.5 * DAY)),
        *(key("today", NOW + timedelta(hours=1.5)), key("over", NOW - DAY)),
    ]
    found = ending_keys(keys, NOW)
    assert [ending.said(NOW) for ending in found] == [
        "API key soon of team ends on 2026-12-09 00:00 UTC, in 13 days",
        "API key today of team ends on 2026-11-25 13:30 UTC, in 1 hour",
    ]
    assert found[0].next == "rackwright key edit soon --expires 90d"


def test_certificates_that_end_within_a_month_have_ended_or_cannot_be_read_are_named() -> None:
    shown = {"fine": NOW + 31 * DAY, "soon": NOW + 29.5 * DAY, "over": NOW - DAY, "broken": None}
    found = ending_certificates("gate1", shown, NOW)
    assert [ending.said(NOW) for ending in found] == [
        "certificate soon ends on 2026-12-25 00:00 UTC, in 29 days",
        "certificate over ended on 2026-11-24 12:00 UTC",
        "certificate broken can't be read",
    ]


def test_a_ca_that_ends_within_three_months_is_to_be_rotated() -> None:
    key = load_key(new_key())
    ten_years = timedelta(days=3652)
    fine, soon = (self_signed(key, "acme", NOW - ten_years + left * DAY) for left in (91, 89))
    garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    found = ending_cas("site.ca.crt", fine + soon + garbled, NOW)
    assert [ending.said(NOW) for ending in found] == [
        "CA 2 of site.ca.crt ends on 2027-02-22 11:55 UTC, in 88 days",
        "CA 3 of site.ca.crt can't be read",
    ]
    assert {ending.next for ending in found} == {"rackwright ca rotate"}
    assert ending_cas("site.ca.crt", "", NOW) == ()


@pytest.mark.parametrize(
    ("span", "words"), [(DAY, "1 day"), (DAY * 2.9, "2 days"), (timedelta(minutes=59), "0 hours")]
)
def test_time_left_in_words(span: timedelta, words: str) -> None:
    assert days(span) == words


def pem_files(folder: Path, *, lasts: int) -> None:
    """certificate.pem, its key.pem and the CA's ca.pem."""
    ca_key = new_key()
    ca = self_signed(load_key(ca_key), "acme", datetime.now(UTC))
    issued = issue(
        ca,
        load_key(ca_key),
        ("llm.acme.internal",),
        client=False,
        days=lasts,
        now=datetime.now(UTC),
    )
    (folder / "ca.pem").write_text(ca)
    (folder / "certificate.pem").write_text(issued.certificate_pem)
    (folder / "key.pem").write_text(issued.key.reveal())


def test_a_shell_on_a_host_tells_when_each_certificate_ends(tmp_path: Path) -> None:
    pem_files(tmp_path, lasts=100)
    (tmp_path / "certificate.pem").rename(tmp_path / "gateway.crt")
    (tmp_path / "empty.crt").touch()
    command = ends.COMMAND.replace("/etc/rackwright/certificates", str(tmp_path))
    told = ends.parse(subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout)
    assert told["empty"] is None
    assert told["gateway"] is not None
    assert 99 <= (told["gateway"] - datetime.now(UTC)).days <= 100
    assert set(told) == {"empty", "gateway"}


@pytest.mark.parametrize(("trusted", "lasts"), [(True, 40), (False, None)])
def test_a_client_tells_when_the_certificate_ends_that_it_is_shown(
    tmp_path: Path, trusted: bool, lasts: int | None
) -> None:
    pem_files(tmp_path, lasts=40)
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ca = tmp_path / "ca.pem"
    if not trusted:
        pem_files(tmp_path, lasts=40)
    try:
        request = Request("127.0.0.1", "llm.acme.internal", port=server.server_port)
        found = certificate_end(FromController(), ca.read_text(), request)
    finally:
        server.shutdown()
    assert (found and round((found - datetime.now(UTC)) / DAY)) == lasts


@pytest.mark.parametrize(("lasts", "state"), [(100, State.OK), (20, State.WARNING)])
def test_check_looks_at_keys_and_the_operators_own_certificate(tmp_path: Path, lasts: int, state: State) -> None:
    pem_files(tmp_path, lasts=lasts)
    own = {"certificate": "certificate.pem", "key": "file:key.pem"}
    gateway = {"on": ["gate1"], "domain": "llm.acme.internal", "certificate": own}
    fleet = make_fleet(tmp_path / "site.yml", gateway=gateway)
    write_keys(fleet.sibling("keys.yml"), (key("ci", datetime.now(UTC) + 3 * DAY),))
    certificate, api_key = _ending(fleet) if lasts == 100 else reversed(list(_ending(fleet)))
    assert (certificate.state, api_key.state) == (state, State.WARNING)
    assert f"certificate {tmp_path}/certificate.pem" in certificate.found
    assert "API key ci of team ends on" in api_key.found
    assert api_key.next == "rackwright key edit ci --expires 90d"
