from __future__ import annotations

import subprocess

from tests.cli.command_line import rackwright


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
    assert document == {"file": str(path), "sha256": expected, "pem": path.read_text()}


def test_a_ca_that_is_not_made_yet_says_what_makes_it(site):
    ran = rackwright("-f", site, "ca", "show")
    assert ran.exit_code == 1
    assert "the first apply creates the fleet's CA" in ran.stderr
    assert "next: rackwright apply" in ran.stderr


def test_a_file_without_a_certificate_is_named(site, tmp_path):
    (tmp_path / "site.ca.crt").write_text("nothing")
    ran = rackwright("-f", site, "ca", "show")
    assert (ran.exit_code, ran.stderr) == (1, f"error: {tmp_path}/site.ca.crt: contains no PEM certificate\n")
