from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyinfra.api.command import StringCommand

from rackwright.fleet.ca import CertificateAuthority
from rackwright.operations.certificate import issued_certificate, own_certificate
from rackwright.operations.facts.certificate import CertificateState, Kept
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.values.certificate import Issued, Issuer
from tests.fakes import Played, play

FOLDER = "/etc/rackwright/certificates"
NAMES = ("gpu1", "10.0.0.1")


@pytest.fixture
def ca(tmp_path: Path) -> CertificateAuthority:
    ca = CertificateAuthority("acme", tmp_path / "site.ca.crt", tmp_path / "config")
    ca.issue(("other",), client=False, days=1)
    return ca


def kept(ca: CertificateAuthority, **changes: object) -> Kept:
    issued = ca.issue(NAMES, client=False, days=365)
    fields = {"certificate": issued.certificate_pem, "ca": ca.ca_pem, "key_fits": True}
    return Kept(**{**fields, **changes})  # type: ignore[arg-type]


def keep(found: Kept, issuer: Issuer | None, *, names: tuple[str, ...] = NAMES, on_disk: str = "") -> Played:
    def role() -> None:
        issued_certificate(name="Keep", stem="host-proxy", names=names, client=False, days=365, issuer=issuer)

    sha256 = hashlib.sha256(on_disk.encode()).hexdigest()
    state = Found("regular file", 0o644, "root", "root", sha256, on_disk.encode())
    return play(role, facts={CertificateState: found, PathState: state})


def test_a_bare_host_gets_a_certificate_the_cas_and_an_encrypted_key(ca: CertificateAuthority) -> None:
    made, install = keep(Kept(), ca).commands
    assert made == f"install -d -m 0755 -o root -g root -- {FOLDER}"
    assert "BEGIN CERTIFICATE" in install
    assert ca.ca_pem in install
    steps = [
        "umask 077",
        f"cd {FOLDER}",
        "systemd-creds encrypt --with-key=host --name=host-proxy.key - host-proxy.key.cred.rackwright-new",
        "chmod 0644 -- host-proxy.crt.rackwright-new",
        "chmod 0644 -- host-proxy.ca.crt.rackwright-new",
        "chmod 0600 -- host-proxy.key.cred.rackwright-new",
        "mv -fT -- host-proxy.key.cred.rackwright-new host-proxy.key.cred",
        "mv -fT -- host-proxy.crt.rackwright-new host-proxy.crt",
        "mv -fT -- host-proxy.ca.crt.rackwright-new host-proxy.ca.crt",
    ]
    assert [install.index(step) for step in steps] == sorted(install.index(step) for step in steps)


def test_the_key_goes_over_standard_input_only(ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    start = StringCommand.__init__

    def watched(self: StringCommand, *bits: object, **arguments: object) -> None:
        given.append(arguments.get("_stdin"))
        start(self, *bits, **arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(StringCommand, "__init__", watched)
    played = keep(Kept(), ca)
    (key,) = [text for text in given if text]
    assert str(key).startswith("-----BEGIN PRIVATE KEY-----")
    body = str(key).splitlines()[1]
    assert body not in f"{played}"
    assert "PRIVATE" not in f"{played}"


def test_a_good_certificate_is_left_alone(ca: CertificateAuthority) -> None:
    played = keep(kept(ca), ca, on_disk=ca.ca_pem)
    assert played.commands == []


def test_only_the_cas_certificate_is_written_when_only_it_differs(ca: CertificateAuthority) -> None:
    played = keep(kept(ca), ca, on_disk="old")
    assert list(played.uploads) == [f"{FOLDER}/host-proxy.ca.crt.rackwright-new"]
    assert "systemd-creds" not in " ".join(played.commands)


@pytest.mark.parametrize(
    ("changes", "names", "reason"),
    [
        ({"key_fits": False}, NAMES, "its key is missing or doesn't match; a new one for gpu1, 10.0.0.1 is issued"),
        ({"certificate": None}, NAMES, "there is none; a new one for gpu1, 10.0.0.1 is issued"),
        ({}, ("gpu2",), "it is for 10.0.0.1, gpu1; a new one for gpu2 is issued"),
    ],
)
def test_the_plan_says_why_a_new_one_is_issued(
    ca: CertificateAuthority, changes: dict[str, object], names: tuple[str, ...], reason: str
) -> None:
    played = keep(kept(ca, **changes), ca, names=names)
    assert played.diffs["Keep"].strip() == f"{FOLDER}/host-proxy.crt: {reason}"
    assert "systemd-creds encrypt" in played.commands[1]


def test_an_expiring_certificate_is_renewed(ca: CertificateAuthority, tmp_path: Path) -> None:
    old = CertificateAuthority(
        "acme", ca.certificate_file, ca.keys, clock=lambda: datetime.now(UTC) - timedelta(days=300)
    )
    played = keep(kept(old), ca)
    assert "it expires on" in played.diffs["Keep"]


class Counting:
    """An issuer that counts what it issues."""

    def __init__(self, ca: CertificateAuthority) -> None:
        self.ca, self.issued = ca, 0

    @property
    def ca_pem(self) -> str:
        return self.ca.ca_pem

    def issue(self, names: tuple[str, ...], *, client: bool, days: int) -> Issued:
        self.issued += 1
        return self.ca.issue(names, client=client, days=days)


def test_only_the_run_issues_and_not_the_plan_before_it(ca: CertificateAuthority) -> None:
    issuer = Counting(ca)
    assert len(keep(Kept(), issuer).commands) == 2
    assert issuer.issued == 1


def failing(played: Played) -> str:
    assert len(played.commands) == 2
    assert played.commands[1].endswith(">&2; false")
    return played.commands[1]


def test_without_the_cas_key_the_host_fails_with_the_reason(ca: CertificateAuthority) -> None:
    assert ca.key_file
    ca.key_file.unlink()
    assert "a certificate for gpu1 is due; should be the key of" in failing(keep(Kept(), ca))
    assert "no CA to issue it" in failing(keep(Kept(), None))


def test_a_checkout_without_the_ca_does_not_replace_what_hosts_trust(ca: CertificateAuthority) -> None:
    found = kept(ca)
    ca.certificate_file.unlink()
    assert "NAME.ca.crt, is not next to" in failing(keep(found, ca))
    assert not ca.certificate_file.exists()


def own(found: Kept, certificate: Issued) -> list[str]:
    def role() -> None:
        own_certificate(name="Keep", stem="gateway", certificate=certificate)

    return play(role, facts={CertificateState: found}).commands


def test_the_operators_own_certificate_is_installed_once(ca: CertificateAuthority) -> None:
    mine = ca.issue(("llm.acme.internal",), client=False, days=30)
    _, install = own(Kept(), mine)
    assert mine.certificate_pem in install
    assert ".ca.crt" not in install
    there = Kept(mine.certificate_pem + "\n", None, key_fits=True)
    assert own(there, mine) == []
    assert own(Kept(mine.certificate_pem, None, key_fits=False), mine)
    assert own(Kept(ca.ca_pem, None, key_fits=True), mine)
