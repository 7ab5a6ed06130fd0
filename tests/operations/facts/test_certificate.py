from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rackwright.fleet.ca import CertificateAuthority
from rackwright.operations.facts.certificate import FOLDER, CertificateState, Kept

# A stand-in for systemd-creds, whose host key only root can read: it "decrypts" by printing the file.
CREDS = """#!/bin/sh
[ "$1 $2 $3 $5" = "decrypt --name=gate'way.key -- -" ] && cat "$4"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemd-creds").write_text(CREDS)
    (tmp_path / "bin/systemd-creds").chmod(0o755)
    return tmp_path


def ask(folder: Path) -> Kept:
    fact = CertificateState()
    command = fact.command("gate'way").replace(FOLDER, str(folder))
    path = f"{folder}/bin:{Path(shutil.which('openssl') or '').parent}:/usr/bin:/bin"
    done = subprocess.run(["sh", "-c", command], env={"PATH": path}, capture_output=True, text=True, check=True)
    assert "PRIVATE" not in done.stdout
    return fact.process(done.stdout.splitlines()) if done.stdout else fact.default()


def test_a_bare_host_has_nothing(folder: Path) -> None:
    assert ask(folder) == Kept()


def test_the_certificate_the_cas_and_whether_the_key_fits_are_read(folder: Path) -> None:
    ca = CertificateAuthority("acme", folder / "gate'way.ca.crt", folder)
    issued = ca.issue(("gate1",), client=False, days=9)
    (folder / "gate'way.crt").write_text(issued.certificate_pem.rstrip("\n"))
    assert ask(folder) == Kept(issued.certificate_pem, ca.ca_pem, key_fits=False)
    (folder / "gate'way.key.cred").write_text(issued.key.reveal())
    assert ask(folder) == Kept(issued.certificate_pem, ca.ca_pem, key_fits=True)


@pytest.mark.parametrize("key", ["", "garbled", "another"])
def test_another_or_no_key_does_not_fit(folder: Path, key: str) -> None:
    ca = CertificateAuthority("acme", folder / "ca.crt", folder)
    issued = ca.issue(("gate1",), client=False, days=9)
    other = ca.issue(("gate1",), client=False, days=9).key.reveal()
    (folder / "gate'way.crt").write_text(issued.certificate_pem)
    (folder / "gate'way.key.cred").write_text(other if key == "another" else key)
    assert not ask(folder).key_fits
    (folder / "gate'way.crt").write_text("garbled")
    assert ask(folder) == Kept("garbled\n")
