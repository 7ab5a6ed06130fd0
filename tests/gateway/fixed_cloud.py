"""The stand-in for a cloud with a certificate of a test's own CA, and one answer to everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.gateway.certificates import CertificateAuthority
from tests.stand_in_cloud import StandInCloud, stand_in_cloud


@contextmanager
def fixed_cloud(ca: CertificateAuthority, *names: str, address: str = "127.0.0.1") -> Iterator[StandInCloud]:
    """Yield one that this CA has certified for these names."""
    with TemporaryDirectory(prefix="rw-") as written:
        folder = Path(written)
        ca.issue("cloud", names, client=False, folder=folder)
        with stand_in_cloud(folder / "cloud.crt", folder / "cloud.key.cred", address) as cloud:
            cloud.fix()
            yield cloud
