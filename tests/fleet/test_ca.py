from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rackwright.errors import RackwrightError, SecretError
from rackwright.fleet.ca import CertificateAuthority, ca_of, key_folder
from rackwright.fleet.x509 import certificate_due, fingerprint, is_signed_by, new_key
from rackwright.values.certificate import Issuer
from rackwright.values.secrets import Secret
from tests.fleet.fleets import make_fleet


@pytest.fixture
def ca(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority("acme", tmp_path / "site.ca.crt", tmp_path / "config" / "acme")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def still_good(ca: CertificateAuthority, pem: str) -> bool:
    names = ("gpu1",)
    reason = certificate_due(pem, names=names, client=False, ca_certificate=ca.ca_pem, now=ca.clock())
    return reason is None


def test_nothing_is_made_before_something_is_issued(ca, tmp_path):
    assert ca.ca_pem == ""
    assert files(tmp_path) == []


def test_the_first_certificate_makes_the_ca_with_its_key_for_us_alone(ca, tmp_path):
    old = os.umask(0o000)
    try:
        issuer: Issuer = ca
        issued = issuer.issue(("gpu1",), client=False, days=90)
    finally:
        os.umask(old)
    name = f"ca-{fingerprint(ca.ca_pem)[:16]}.key"
    assert files(tmp_path) == [f"config/acme/{name}", "site.ca.crt"]
    assert (tmp_path / "config/acme" / name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "config/acme").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "site.ca.crt").stat().st_mode & 0o777 == 0o644
    assert "PRIVATE" not in ca.ca_pem
    assert still_good(ca, issued.certificate_pem)


def test_many_hosts_at_once_get_one_ca(ca):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ca.issue(("gpu1",), client=False, days=90), range(16)))
    assert all(still_good(ca, issued.certificate_pem) for issued in found)


def test_a_later_run_goes_on_with_the_same_ca(ca):
    before = ca.issue(("gpu1",), client=False, days=90)
    again = CertificateAuthority("acme", ca.certificate_file, ca.keys)
    again.issue(("gpu1",), client=False, days=90)
    assert still_good(again, before.certificate_pem)


def test_without_the_key_one_can_verify_but_not_issue(ca):
    issued = ca.issue(("gpu1",), client=False, days=90)
    ca.key_file.unlink()
    assert still_good(ca, issued.certificate_pem)
    with pytest.raises(SecretError) as caught:
        ca.issue(("gpu2", "10.0.0.2"), client=False, days=90)
    assert str(caught.value) == (
        f"{ca.key_file}: the CA's key isn't on this machine, and a certificate for gpu2 is due; should be "
        f"the key of {ca.certificate_file}; ask the operator who ran the first apply\n"
        f"  next: put it at {ca.key_file}, or set ca.key"
    )
    assert not ca.key_file.exists()


def test_two_fleets_of_one_name_have_a_key_each(ca, tmp_path):
    ca.issue(("gpu1",), client=False, days=90)
    other = replace(ca, certificate_file=tmp_path / "other.ca.crt")
    other.issue(("gpu1",), client=False, days=90)
    assert ca.key_file != other.key_file
    assert ca.private_key() != other.private_key()


def test_a_key_that_others_may_read_is_refused(ca):
    ca.issue(("gpu1",), client=False, days=90)
    ca.key_file.chmod(0o640)
    with pytest.raises(SecretError, match="others may read it\n  next: chmod 600 "):
        ca.issue(("gpu1",), client=False, days=90)


def test_the_key_of_another_ca_is_refused(ca):
    ca.issue(("gpu1",), client=False, days=90)
    ca.key_file.write_text(new_key().reveal())
    with pytest.raises(
        SecretError, match="the CA's key belongs to another certificate, and a certificate for gpu2 is due"
    ):
        ca.issue(("gpu2",), client=False, days=90)


def test_a_ca_that_has_ended_is_named_with_what_to_do(ca):
    ca.issue(("gpu1",), client=False, days=30)
    late = replace(ca, clock=lambda: ca.clock() + timedelta(days=3653))
    with pytest.raises(RackwrightError) as caught:
        late.issue(("gpu2",), client=False, days=30)
    (problem,) = caught.value.problems
    assert re.fullmatch(r"the CA expired on \d{4}-\d\d-\d\d, and a certificate for gpu2 is due", problem.what)
    assert problem.where == str(ca.certificate_file)
    assert problem.next == "rackwright ca rotate"


def test_a_referenced_key_is_read_only_when_something_is_issued(tmp_path, monkeypatch):
    key = new_key()
    fleet = make_fleet(tmp_path / "site.yml", ca={"key": "env:TEST_CA_KEY"})
    ca = ca_of(fleet)
    assert ca.ca_pem == ""
    with pytest.raises(SecretError, match="TEST_CA_KEY"):
        ca.issue(("gpu1",), client=False, days=90)
    monkeypatch.setenv("TEST_CA_KEY", key.reveal())
    assert still_good(ca, ca.issue(("gpu1",), client=False, days=90).certificate_pem)
    assert files(tmp_path) == ["site.ca.crt"]


def test_a_reference_to_no_key_is_refused_without_showing_it(tmp_path):
    ca = CertificateAuthority("acme", tmp_path / "site.ca.crt", tmp_path, lambda: Secret("not a key"))
    with pytest.raises(SecretError) as caught:
        ca.issue(("gpu1",), client=False, days=90)
    assert str(caught.value) == (
        "ca.key: contains no PEM private key without a passphrase; should be the PEM of an EC key"
    )
    assert files(tmp_path) == []


def test_a_file_without_a_certificate_is_named(ca):
    ca.certificate_file.write_text("nothing")
    for asked in (lambda: ca.issue(("gpu1",), client=False, days=90), ca.private_key):
        with pytest.raises(RackwrightError, match=r"site\.ca\.crt: contains no PEM certificate"):
            asked()


def test_a_certificate_that_can_not_be_decoded_is_named_whatever_the_key_is(ca):
    key = new_key()
    referenced = replace(ca, reference=lambda: key)
    ca.certificate_file.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for asked in (lambda: referenced.issue(("gpu1",), client=False, days=90), referenced.private_key):
        with pytest.raises(RackwrightError, match=r"site\.ca\.crt: contains no PEM certificate"):
            asked()


def test_a_fleets_own_keys_are_in_the_configuration_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert key_folder("acme") == tmp_path / "rackwright/acme"
    assert ca_of(make_fleet(tmp_path / "site.yml")).keys == key_folder("acme")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert key_folder("acme") == Path.home() / ".config/rackwright/acme"


# Two CAs: one is rotated.


def test_the_first_of_two_cas_issues(ca):
    old = ca.issue(("gpu1",), client=False, days=90)
    first = ca.ca_pem
    second = ca.new("rackwright acme 2")
    assert ca.ca_pem == first
    ca.write(first + second)
    assert still_good(ca, ca.issue(("gpu1",), client=False, days=90).certificate_pem)
    assert is_signed_by(ca.issue(("gpu1",), client=False, days=90).certificate_pem, first)
    ca.write(second + first)
    assert not still_good(ca, old.certificate_pem)
    assert is_signed_by(ca.issue(("gpu1",), client=False, days=90).certificate_pem, second)


def test_a_new_ca_has_a_key_file_although_the_old_ones_key_is_referenced(ca):
    key = new_key()
    referenced = replace(ca, reference=lambda: key)
    referenced.issue(("gpu1",), client=False, days=90)
    assert referenced.private_key() == key
    second = referenced.new("rackwright acme 2")
    referenced.write(second + referenced.ca_pem)
    assert is_signed_by(referenced.issue(("gpu1",), client=False, days=90).certificate_pem, second)
