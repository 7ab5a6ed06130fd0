from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.gateway_certificate import own_certificate_of
from rackwright.fleet.x509 import issue, load_key, new_key, self_signed
from rackwright.values.certificate import Issued
from tests.fleet.fleets import make_fleet

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = load_key(new_key())
CA = self_signed(KEY, "Acme corporate", NOW)


def made(*names: str, days: int = 30) -> Issued:
    return issue(CA, KEY, names, client=False, days=days, now=NOW)


def read(folder: Path, certificate: str, key: str, now: datetime = NOW, **more: object) -> Issued | None:
    (folder / "llm.pem").write_text(certificate)
    (folder / "llm.key").write_text(key)
    own = {"certificate": "llm.pem", "key": "file:llm.key"}
    gateway = {"on": ["gate1"], "domain": "llm.acme.internal", "certificate": own, **more}
    return own_certificate_of(make_fleet(folder / "site.yml", gateway=gateway), now)


def test_a_fleet_that_names_none_has_none(tmp_path):
    assert own_certificate_of(make_fleet(tmp_path / "site.yml")) is None


@pytest.mark.parametrize("name", ["llm.acme.internal", "*.acme.internal"])
def test_certificate_chain_and_key_are_read_beside_the_fleet_file(tmp_path, name):
    mine = made(name)
    found = read(tmp_path, mine.certificate_pem + CA, mine.key.reveal())
    assert found is not None
    assert found.certificate_pem == mine.certificate_pem + CA
    assert found.key.reveal().strip() == mine.key.reveal().strip()


GOOD = made("llm.acme.internal")
PEM, SECRET = GOOD.certificate_pem, GOOD.key.reveal()
BAD = {
    "no certificate": ("nothing", SECRET, NOW, "certificate.certificate: .*llm.pem is not a PEM certificate"),
    "a key in it": (PEM + SECRET, SECRET, NOW, "certificate.certificate: .*llm.pem contains a private key"),
    "ended": (PEM, SECRET, NOW + timedelta(days=31), "llm.pem expired on 2026-06-30"),
    "another name": (made("x.internal").certificate_pem, SECRET, NOW, "is for x.internal, not for llm.acme.internal"),
    "another key": (PEM, new_key().reveal(), NOW, "certificate.key: is not the private key of .*llm.pem"),
    "no key": (PEM, "secret words", NOW, "certificate.key: is not the private key of .*llm.pem"),
}


@pytest.mark.parametrize(("certificate", "key", "now", "message"), BAD.values(), ids=BAD)
def test_a_certificate_that_clients_would_refuse_is_refused_first(tmp_path, certificate, key, now, message):
    with pytest.raises(FleetError, match=message) as caught:
        read(tmp_path, certificate, key, now)
    assert "secret words" not in str(caught.value)


def test_with_modern_tls_the_certificate_must_be_modern_too(tmp_path):
    year, month = made("llm.acme.internal", days=365), made("llm.acme.internal")
    assert read(tmp_path, year.certificate_pem, year.key.reveal()) is not None
    assert read(tmp_path, month.certificate_pem, month.key.reveal(), tls="modern") is not None
    with pytest.raises(FleetError, match=r"llm.pem lasts 365 days, not 90 at most.*gateway.tls: modern"):
        read(tmp_path, year.certificate_pem, year.key.reveal(), tls="modern")
