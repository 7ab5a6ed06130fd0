from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from rackwright.fleet.x509 import certificate_due, is_key_of, issue, load_key, new_key, not_modern, self_signed
from rackwright.values.certificate import Issued
from rackwright.values.secrets import Secret

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAMES = ("gpu1", "10.0.0.1", "fd00::1")
KEY = load_key(new_key())
CA = self_signed(KEY, "rackwright acme", NOW)


def issued(**changes: object) -> Issued:
    asked = {"names": NAMES, "client": False, "days": 365, "now": NOW, **changes}
    return issue(CA, KEY, **asked)


def due(pem: str | None, **changes: object) -> str | None:
    asked = {"names": NAMES, "client": False, "ca_certificate": CA, "now": NOW, **changes}
    return certificate_due(pem, **asked)


def parsed(found: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(found.certificate_pem.encode())


@pytest.mark.parametrize(("purpose", "client"), [("sslserver", False), ("sslserver", True), ("sslclient", True)])
def test_openssl_trusts_the_chain_for_its_purpose(tmp_path, purpose, client):
    now = datetime.now(UTC)
    ca = self_signed(KEY, "rackwright acme", now)
    (tmp_path / "ca").write_text(ca)
    found = issue(ca, KEY, NAMES, client=client, days=1, now=now)
    (tmp_path / "crt").write_text(found.certificate_pem)
    for name in (["-verify_hostname", "gpu1"], ["-verify_ip", "10.0.0.1"], ["-verify_ip", "fd00::1"]):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca", *name, "crt"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "crt: OK\n"), done.stderr


def test_openssl_does_not_take_a_server_for_a_client(tmp_path):
    now = datetime.now(UTC)
    (tmp_path / "ca").write_text(ca := self_signed(KEY, "rackwright acme", now))
    (tmp_path / "crt").write_text(issue(ca, KEY, NAMES, client=False, days=1, now=now).certificate_pem)
    command = ["openssl", "verify", "-purpose", "sslclient", "-CAfile", "ca", "crt"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_a_certificate_goes_with_its_key_and_no_other():
    found = issued()
    assert is_key_of(load_key(found.key), found.certificate_pem)
    assert not is_key_of(KEY, found.certificate_pem)


def test_the_first_name_is_the_common_name_even_when_it_is_too_long_for_one():
    long = "a" * 60 + ".acme.internal"
    assert parsed(issued()).subject.rfc4514_string() == "CN=gpu1"
    assert parsed(issued(names=(long,))).subject.rfc4514_string() == f"CN={long[:64]}"


@pytest.mark.parametrize(("days", "ends"), [(30, 30), (365, 365), (9999, 365)])
def test_a_certificate_begins_five_minutes_back_and_ends_within_a_year(days, ends):
    found = parsed(issued(days=days))
    assert found.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert found.not_valid_after_utc == NOW - timedelta(minutes=5) + timedelta(days=ends)


def test_a_certificate_does_not_outlive_its_ca():
    late = NOW + timedelta(days=3640)
    ca = x509.load_pem_x509_certificate(CA.encode())
    assert parsed(issued(now=late)).not_valid_after_utc <= ca.not_valid_after_utc


@pytest.mark.parametrize("left", [timedelta(days=20), timedelta(days=1), timedelta(hours=12), timedelta(seconds=1)])
def test_in_its_last_days_a_ca_issues_what_ends_with_it_and_is_not_due_again(left):
    end = x509.load_pem_x509_certificate(CA.encode()).not_valid_after_utc
    found = issued(now=end - left)
    assert parsed(found).not_valid_after_utc == end
    assert due(found.certificate_pem, now=end - left / 2) is None
    assert due(found.certificate_pem, now=end) == f"it expires on {end:%Y-%m-%d}"


def test_a_ca_that_has_ended_issues_nothing():
    end = x509.load_pem_x509_certificate(CA.encode()).not_valid_after_utc
    with pytest.raises(ValueError, match=f"the CA expired on {end:%Y-%m-%d}"):
        issued(now=end)


def test_a_fresh_certificate_is_not_due():
    assert due(issued().certificate_pem) is None
    assert due(issued(client=True).certificate_pem, client=True) is None


def test_names_in_another_order_or_spelling_are_the_same_names():
    assert due(issued().certificate_pem, names=("fd00:0::1", "10.0.0.1", "gpu1")) is None


OTHER = self_signed(load_key(new_key()), "rackwright acme", NOW)
DUE = {
    "absent": (None, {}, "there is none"),
    "empty": ("", {}, "it can't be read"),
    "garbled": (issued().certificate_pem.replace("M", "!"), {}, "it can't be read"),
    "another name": (issued().certificate_pem, {"names": ("gpu1",)}, "it is for 10.0.0.1, fd00::1, gpu1"),
    "one name more": (issued().certificate_pem, {"names": (*NAMES, "x")}, "it is for 10.0.0.1, fd00::1, gpu1"),
    "not for clients": (issued().certificate_pem, {"client": True}, "it is not for clients"),
    "for clients": (issued(client=True).certificate_pem, {}, "it is for clients"),
    "another CA": (issued().certificate_pem, {"ca_certificate": OTHER}, "another CA signed it"),
    "no CA": (issued().certificate_pem, {"ca_certificate": ""}, "another CA signed it"),
    "ending": (issued(days=90).certificate_pem, {"now": NOW + timedelta(days=60)}, "it expires on 2026-08-29"),
}


@pytest.mark.parametrize(("pem", "changes", "reason"), DUE.values(), ids=DUE)
def test_a_certificate_is_due_for_a_reason(pem, changes, reason):
    assert due(pem, **changes) == reason


def test_a_certificate_is_good_until_the_last_third_of_its_life():
    assert due(issued(days=90).certificate_pem, now=NOW + timedelta(days=59, hours=23)) is None


@pytest.mark.parametrize(
    "text", ["", "secret-text", "-----BEGIN PRIVATE KEY-----\nsecret-text\n-----END PRIVATE KEY-----"]
)
def test_what_is_no_key_is_refused_without_showing_it(text):
    with pytest.raises(ValueError, match="contains no PEM private key") as caught:
        load_key(Secret(text))
    assert "secret-text" not in f"{caught.value!r}"


def test_a_certificate_that_lasts_longer_than_asked_is_replaced():
    pem = issued(days=365).certificate_pem
    assert due(pem, days=90) == "it lasts 365 days, and may last 90"
    assert due(issued(days=90).certificate_pem, days=90) is None
    assert due(issued(days=90).certificate_pem) is None


SHA256, SHA512 = hashes.SHA256(), hashes.SHA512()


def signed(key, signer, days, algorithm=SHA256):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "llm")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, NOW, NOW + timedelta(days=days))
    return builder.sign(signer, algorithm)


RSA, P384 = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())


@pytest.mark.parametrize(
    ("certificate", "what"),
    [
        (signed(KEY, KEY, 90), None),
        (signed(P384, P384, 90, SHA512), None),
        (signed(KEY, KEY, 91), "lasts 91 days, not 90 at most"),
        (signed(RSA, KEY, 90), "has a key that is not ECDSA on P-256 or P-384"),
        (signed(ec.generate_private_key(ec.SECP521R1()), KEY, 90), "has a key that is not ECDSA on P-256 or P-384"),
        (signed(KEY, RSA, 90), "is not signed with ECDSA"),
    ],
)
def test_mozillas_modern_profile_accepts_few_certificates(certificate, what):
    assert not_modern(certificate) == what


def test_the_cas_own_certificate_for_90_days_is_modern():
    assert not_modern(parsed(issued(days=90))) is None
