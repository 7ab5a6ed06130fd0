from __future__ import annotations

import hashlib
from pathlib import Path

from rackwright.fleet.ca import CertificateAuthority
from rackwright.operations.facts.certificate import CertificateState, Kept
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.roles.certificate.role import certificate, own_certificate
from rackwright.roles.certificate.settings import Settings
from tests.fakes import commands

SETTINGS = Settings(name="gateway-client", names=("gate1",), client=True)


def test_a_host_gets_what_the_settings_say_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    issuer = CertificateAuthority("acme", tmp_path / "site.ca.crt", tmp_path / "config")
    made = commands(certificate, settings=SETTINGS, issuer=issuer)
    assert "openssl" in made[0]
    assert "gateway-client.key.cred" in made[-1]
    issued = issuer.issue(SETTINGS.names, client=True, days=365)
    ca = issuer.ca_pem
    state = Found("regular file", 0o644, "root", "root", hashlib.sha256(ca.encode()).hexdigest(), b"")
    facts = {
        InstalledPackages: ("openssl",),
        CertificateState: Kept(issued.certificate_pem, ca, key_fits=True),
        PathState: state,
    }
    assert commands(certificate, settings=SETTINGS, issuer=issuer, facts=facts) == []


def test_the_operators_own_certificate_takes_its_place(tmp_path: Path) -> None:
    issuer = CertificateAuthority("acme", tmp_path / "site.ca.crt", tmp_path / "config")
    mine = issuer.issue(("llm.acme.internal",), client=False, days=30)
    made = commands(own_certificate, stem="gateway", certificate=mine, facts={InstalledPackages: ("openssl",)})
    assert "mv -fT -- gateway.crt.rackwright-new gateway.crt" in made[-1]
