from __future__ import annotations

import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from rackwright.lifecycle.ca import fetch
from rackwright.lifecycle.session import session as session_module
from rackwright.state.applied import applied_from
from rackwright.state.checkout import checkout
from rackwright.state.formats import utc_now
from tests.cli.command_line import rackwright
from tests.lifecycle.ca.site import Site


def test_what_clients_must_trust_is_shown_with_the_fingerprint_that_openssl_shows(site, tmp_path):
    path = tmp_path / "site.ca.crt"
    new = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-keyout", tmp_path / "k"]
    subprocess.run([*new, "-out", path], check=True, capture_output=True)
    asked = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", path]
    expected = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip().partition("=")[2]
    ran = rackwright("-f", site, "ca", "show")
    assert ran.stdout == path.read_text()
    assert ran.stderr == f"{path}: sha256 {expected}\n"
    document = rackwright("-f", site, "ca", "show", "--json").document
    assert document == {
        "file": str(path),
        "sha256": expected,
        "fingerprints": [expected],
        "pem": path.read_text(),
    }


def test_a_ca_that_is_not_made_yet_says_what_makes_it(site):
    ran = rackwright("-f", site, "ca", "show")
    assert ran.exit_code == 1
    assert "the first apply creates the fleet's CA" in ran.stderr
    assert "next: rackwright apply" in ran.stderr


def test_a_file_without_a_certificate_is_named(site, tmp_path):
    (tmp_path / "site.ca.crt").write_text("nothing")
    ran = rackwright("-f", site, "ca", "show")
    assert (ran.exit_code, ran.stderr) == (1, f"error: {tmp_path}/site.ca.crt: contains no PEM certificate\n")


@pytest.fixture
def fleet(site: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A fleet that was applied, and whose hosts are folders."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(site.parent / "config"))
    made = Site(site.parent)
    made.apply()
    monkeypatch.setattr(session_module, "open_session", lambda *_, **__: nullcontext(made.session))
    return made


def test_while_it_is_rotated_clients_get_both(fleet, site):
    first = rackwright("-f", site, "ca", "rotate", "--yes")
    path = site.with_name("site.ca.crt")
    assert first.exit_code == 0
    assert first.stdout.splitlines() == [
        f"{path}: the old CA issues, both are trusted; commit it.",
        "next: rackwright apply",
        "next: give every client the certificates that rackwright ca show prints",
        "next: rackwright ca rotate",
    ]
    shown = rackwright("-f", site, "ca", "show")
    assert shown.stdout.count("BEGIN CERTIFICATE") == 2
    assert shown.stderr.count(": sha256 ") == 2
    fleet.apply()
    assert rackwright("-f", site, "ca", "rotate", "--yes", "--json").document == {
        "file": str(path),
        "stage": "issuing",
        "next": ["rackwright apply", "rackwright ca rotate"],
    }
    assert rackwright("-f", site, "ca", "rotate", "--back", "--yes", "--json").document["stage"] == "trusted"


def test_a_rotation_is_asked_for(fleet, site):
    before = site.with_name("site.ca.crt").read_text()
    assert rackwright("-f", site, "ca", "rotate", answers="n\n").exit_code == 1
    assert site.with_name("site.ca.crt").read_text() == before


def test_a_lost_certificate_is_fetched(fleet, site, monkeypatch):
    applied = applied_from(checkout(fleet.fleet), who="anna", run="r1", when=utc_now())
    monkeypatch.setattr(fetch, "last_applied", lambda *_: applied)
    path = site.with_name("site.ca.crt")
    before = path.read_text()
    path.unlink()
    ran = rackwright("-f", site, "ca", "fetch")
    assert (ran.exit_code, path.read_text()) == (0, before)
    assert ran.stdout.startswith(f"{path} written; commit it.\nsha256 ")
