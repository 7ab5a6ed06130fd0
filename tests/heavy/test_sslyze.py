"""What sslyze says of a gateway's TLS, by Mozilla's profiles.

uv fetches it into an environment of its own, because it needs an older cryptography.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.fleet.ca import CertificateAuthority
from rackwright.fleet.hosts.certificate import certificates_of
from rackwright.roles.gateway.settings import Tls
from tests.fleet.fleets import make_fleet
from tests.gateway.stack import Stack, running_stack

COVERS = [
    "rackwright/fleet/hosts/certificate.py",
    "rackwright/fleet/x509.py",
    "rackwright/operations/haproxy/templates",
    "roles/gateway/configuration.py",
    "roles/gateway/templates",
]
SSLYZE = "sslyze==6.3.1"

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack() as stack:
        yield stack


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    folder = tmp_path_factory.mktemp("ca")
    return CertificateAuthority("lab", folder / "lab.ca.crt", folder)


def offer(stack: Stack, tls: Tls, ca: CertificateAuthority, folder: Path) -> None:
    """Give the gateway this profile, and the certificate that the fleet's CA issues with it."""
    gateway = {"on": ["gate1"], "domain": "llm.lab", "tls": tls}
    fleet = make_fleet(folder / "lab.yml", gateway=gateway)
    (asked,) = (settings for settings in certificates_of(fleet, "gate1") if settings.name == "gateway")
    issued = ca.issue(asked.names, client=False, days=asked.days)
    (stack.folder / "gateway.crt").write_text(issued.certificate_pem)
    (stack.folder / "gateway.key.cred").write_text(issued.key.reveal())
    stack.write(stack.settings.model_copy(update={"tls": tls}))
    stack.gateway.reload()


def scanned(stack: Stack, ca: CertificateAuthority, profile: Tls) -> str:
    """Return sslyze's report of the gateway, compared with this profile."""
    uv = [sys.executable, "-m", "uv", "tool", "run", "--quiet", "--python", sys.executable, "--from", SSLYZE]
    options = ["--mozilla_config", profile, "--sni", "llm.lab", "--certinfo_ca_file", str(ca.certificate_file)]
    command = [*uv, "sslyze", *options, f"127.0.0.1:{stack.settings.port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "COMPLIANCE AGAINST" in done.stdout, done.stdout + done.stderr
    return done.stdout.partition("COMPLIANCE AGAINST")[2]


@pytest.mark.parametrize("tls", ["intermediate", "modern"])
def test_a_gateway_complies_with_its_profile(
    stack: Stack, ca: CertificateAuthority, tmp_path: Path, tls: Tls
) -> None:
    offer(stack, tls, ca, tmp_path)
    assert "OK - Compliant" in scanned(stack, ca, tls)


def test_sslyze_would_notice(stack: Stack, ca: CertificateAuthority, tmp_path: Path) -> None:
    offer(stack, "intermediate", ca, tmp_path)
    said = scanned(stack, ca, "modern")
    assert "FAILED - Not compliant" in said
    assert "TLS versions {'TLSv1.2'} are supported" in said
    assert "Certificate life span is 365 days" in said
