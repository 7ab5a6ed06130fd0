"""Keep a certificate and its key on a host."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations import certificate as operations
from rackwright.operations.packages import installed
from rackwright.roles.certificate.settings import Settings
from rackwright.values.certificate import Issued, Issuer


@deploy("certificate")
def certificate(*, settings: Settings, issuer: Issuer | None) -> None:
    """Ensure that the host has the issuer's certificate for these names; renew it in the last third of its life."""
    installed(name="Install openssl", packages=("openssl",))
    operations.issued_certificate(
        name=f"Keep the certificate {settings.name} current",
        stem=settings.name,
        names=settings.names,
        client=settings.client,
        days=settings.days,
        issuer=issuer,
    )


@deploy("certificate")
def own_certificate(*, stem: str, certificate: Issued) -> None:
    """Ensure that the host has the operator's certificate under this stem."""
    installed(name="Install openssl", packages=("openssl",))
    operations.own_certificate(name=f"Keep the certificate {stem} current", stem=stem, certificate=certificate)
