# ruff: noqa: E501  (an exact message is written on one line)
"""The section `notify`."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.references import secret_references
from rackwright.fleet.sections.notify import EVENTS, Mail, Webhook
from tests.fleet.test_load import GOOD, REFERENCE, SECRET

NOTIFY = """\
notify:
  - url: https://chat.acme.internal/hooks/1
    token: env:TOKEN
    ca: ca.pem
    events: [failed]
  - to: ops@acme.example
    from: rackwright@acme.example
    server: mail.acme.internal
    tls: starttls
    user: rackwright
    password: env:PASSWORD
"""
ADDRESS = "should be an address like ops@acme.example"
EVENT = "should be 'started', 'ended', 'failed' or 'missed'"


def fleet(folder: Path, text: str) -> Fleet:
    (folder / "ca.pem").write_text("")
    (folder / "fleet.yml").write_text(GOOD + text)
    return load_fleet(folder / "fleet.yml")


def mail(folder: Path, **replaced: str) -> Mail:
    text = NOTIFY
    for word, other in replaced.items():
        text = text.replace({"server": "mail.acme.internal", "tls": "tls: starttls"}[word], other)
    found = fleet(folder, text).file.receivers[1]
    assert isinstance(found, Mail)
    return found


@pytest.mark.parametrize(
    ("right", "wrong", "messages"),
    [
        ("url: https", "url: http", ["17 notify[0]: the token would be sent in clear text; use an https URL"]),
        ("https://", "https://admin:secret@", [f"17 notify[0].url: contains a URL's password; {SECRET}"]),
        ("https://chat.acme.internal/hooks/1", "chat.acme.internal", ["17 notify[0].url: should be a URL like https://mirror.acme.internal:8443/path, without a password, quotes or spaces"]),
        ("https://chat.acme.internal/hooks/1", "'env:'", [f"17 notify[0].url: {REFERENCE}"]),
        ("env:TOKEN", "t0ken", [f"18 notify[0].token: {REFERENCE}"]),
        ("ca.pem", "other.pem", ["19 notify[0].ca: no such file: {folder}/other.pem; a relative path starts at the fleet file's folder"]),
        ("[failed]", "[fail]", [f"20 notify[0].events[0]: {EVENT}; did you mean 'failed'?"]),
        ("[failed]", "[]", ["20 notify[0].events: is empty; should have at least one entry"]),
        ("url:", "webhook:", ["17 notify[0]: missing key 'url'", "17 notify[0].webhook: unknown key; keys here: url, token, ca, events, to, from, server, tls, user, password"]),
        ("to: ops@acme.example", "to: ops", [f"21 notify[1].to: {ADDRESS}"]),
        ("to: ops@acme.example", "to: [ops@acme.example, 'x@y>, <z@y']", [f"21 notify[1].to[1]: {ADDRESS}"]),
        ("from: rackwright@acme.example", "from: Rackwright <r@acme.example>", [f"22 notify[1].from: {ADDRESS}"]),
        ("mail.acme.internal", "smtp://mail", ["23 notify[1].server: should be a mail server like mail.acme.internal or mail.acme.internal:587"]),
        ("mail.acme.internal", "mail:99999", ["21 notify[1]: port 99999 doesn't exist; should be 1 to 65535"]),
        ("tls: starttls", "tls: ssl", ["24 notify[1].tls: should be 'starttls', 'implicit' or 'none'"]),
        ("tls: starttls", "tls: none", ["21 notify[1]: the password would be sent in clear text; use tls: starttls or implicit"]),
        ("    user: rackwright\n", "", ["21 notify[1]: has only one of user and password; a login needs both"]),
        ("env:PASSWORD", "pass", [f"26 notify[1].password: {REFERENCE}"]),
        ("server: mail.acme.internal", "servr: x", ["21 notify[1]: missing key 'server'", "23 notify[1].servr: unknown key; did you mean 'server'?"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(tmp_path: Path, right: str, wrong: str, messages: list[str]) -> None:
    with pytest.raises(FleetError) as raised:
        fleet(tmp_path, NOTIFY.replace(right, wrong, 1))
    assert [
        f"{one.where.partition(':')[2]}: {one.what}" + (f"; {one.should}" if one.should else "")
        for one in raised.value.problems
    ] == [message.format(folder=tmp_path) for message in messages]


def test_one_line_is_enough(tmp_path: Path) -> None:
    made = fleet(tmp_path, "notify: {url: https://chat.acme.internal/hooks/1}\n")
    assert made.file.receivers == (Webhook(url="https://chat.acme.internal/hooks/1"),)
    assert made.file.receivers[0].events == EVENTS
    assert fleet(tmp_path, "").file.receivers == ()


@pytest.mark.parametrize(
    ("tls", "server", "place"),
    [
        ("starttls", "mail.acme.internal", ("mail.acme.internal", 587)),
        ("implicit", "mail.acme.internal", ("mail.acme.internal", 465)),
        ("implicit", "mail.acme.internal:2465", ("mail.acme.internal", 2465)),
        ("starttls", "'[fd00::25]'", ("fd00::25", 587)),
        ("starttls", "'[fd00::25]:2525'", ("fd00::25", 2525)),
    ],
)
def test_the_port_follows_from_tls_if_it_is_absent(
    tmp_path: Path, tls: str, server: str, place: tuple[str, int]
) -> None:
    found = mail(tmp_path, tls=f"tls: {tls}", server=server)
    assert (found.host, found.port) == place


def test_a_relay_without_tls_has_its_own_port() -> None:
    relay = {"to": "a@acme.example", "from": "b@acme.example", "server": "localhost", "tls": "none"}
    assert Mail.model_validate(relay).port == 25


def test_the_secrets_are_known_by_their_places(tmp_path: Path) -> None:
    several = secret_references(fleet(tmp_path, NOTIFY))
    assert (several["notify[0].token"], several["notify[1].password"]) == ("env:TOKEN", "env:PASSWORD")
    assert "notify[0].url" not in several
    one = secret_references(fleet(tmp_path, "notify: {url: file:hook}\n"))
    assert one["notify.url"] == "file:hook"
