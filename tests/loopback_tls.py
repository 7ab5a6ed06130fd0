"""TLS for stand-ins on loopback: one CA for all of them, made once."""

from __future__ import annotations

import atexit
import shutil
import ssl
import tempfile
from functools import cache
from pathlib import Path

from tests.gateway.certificates import CertificateAuthority


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="rackwright-loopback-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    authority = CertificateAuthority(folder)
    authority.issue("loopback", ("127.0.0.1", "localhost"), client=False)
    (folder / "ca.pem").write_text(authority.pem)
    return folder


def bundle() -> str:
    """Return the path of a file with the CA, for `downloads.ca_bundle`."""
    return str(_folder() / "ca.pem")


def server_files() -> tuple[Path, Path]:
    """Return the paths of a server's certificate and its private key."""
    return _folder() / "loopback.crt", _folder() / "loopback.key.cred"


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server_files())
    return context
