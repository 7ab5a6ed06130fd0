"""The certificate role on a real host: systemd encrypts the key, and the role sees which certificate a host has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rackwright.fleet.ca import CertificateAuthority
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab

pytestmark = pytest.mark.lab
FOLDER = "/etc/rackwright/certificates"
CRED = "gateway.key.cred"


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    with fresh_lab("certificate", "one") as lab:
        yield LabHost(lab, lab.fleet(), "one")


def keeping(ca: CertificateAuthority, *names: str) -> Callable[[], None]:
    def deploy() -> None:
        from rackwright.roles.certificate.role import certificate
        from rackwright.roles.certificate.settings import Settings

        certificate(settings=Settings(name="gateway", names=names, client=True), issuer=ca)

    return deploy


def test_a_certificate_is_issued_once_and_its_key_is_read_by_the_host_alone(host: LabHost, tmp_path: Path) -> None:
    ca = CertificateAuthority("acme", tmp_path / "site.ca.crt", tmp_path / "config")
    deploy = keeping(ca, "one", host.address)
    assert host.plan(deploy).changes
    assert ca.ca_pem == ""
    host.applied(deploy)
    assert host.plan(deploy).changes == 0
    files = host.tell(f"cd {FOLDER} && stat -c '%n %a %U' *").splitlines()
    assert files == ["gateway.ca.crt 644 root", "gateway.crt 644 root", "gateway.key.cred 600 root"]
    assert host.holds(f"cd {FOLDER} && openssl verify -x509_strict -CAfile gateway.ca.crt gateway.crt")
    assert "PRIVATE KEY" in host.tell(f"systemd-creds decrypt --name=gateway.key {FOLDER}/gateway.key.cred -")
    assert not host.holds("grep -rl -e '-BEGIN PRIVATE KEY' /etc/rackwright /run /tmp /root")


def test_a_lost_or_foreign_key_and_another_name_are_seen(host: LabHost, tmp_path: Path) -> None:
    ca = CertificateAuthority("acme", tmp_path / "site.ca.crt", tmp_path / "config")
    host.tell(f"rm -rf {FOLDER}")
    deploy = keeping(ca, "one")
    host.applied(deploy)
    for damage in (
        f"rm {FOLDER}/gateway.key.cred",
        f"openssl ecparam -name prime256v1 -genkey | systemd-creds encrypt --name=gateway.key - {FOLDER}/{CRED}",
        f"truncate -s 0 {FOLDER}/gateway.crt",
    ):
        host.tell(damage)
        assert host.applied(deploy).changes, damage
        assert host.plan(deploy).changes == 0
    assert host.applied(keeping(ca, "two")).changes
    assert "DNS:two" in host.tell(f"openssl x509 -in {FOLDER}/gateway.crt -noout -ext subjectAltName")


def test_a_checkout_without_the_ca_fails_and_leaves_the_host_as_it_is(host: LabHost, tmp_path: Path) -> None:
    before = host.tell(f"sha256sum {FOLDER}/*")
    run = host.apply(keeping(CertificateAuthority("acme", tmp_path / "site.ca.crt", tmp_path / "config"), "two"))
    assert run.failed_hosts
    assert any("NAME.ca.crt, is not next to" in line for step in run.steps for line in step.output)
    assert host.tell(f"sha256sum {FOLDER}/*") == before
