from __future__ import annotations

import base64
import re
import subprocess

import pytest

from rackwright.fleet.public_key import keys_in, parse_public_key

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d anna@laptop"
BLOB = KEY.split()[1]


def made(folder, *kind: str) -> tuple[str, str]:
    """Return a new key's line, and its fingerprint as ssh-keygen shows it."""
    path = folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "a person's key", "-t", *kind, "-f", path], check=True)
    shown = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True)
    return path.with_suffix(".pub").read_text(), shown.stdout.split()[1]


def string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def blob(*parts: bytes) -> str:
    return base64.b64encode(b"".join(map(string, parts))).decode()


@pytest.mark.parametrize(
    "kind", [("ed25519",), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "521"), ("rsa", "-b", "3072")]
)
def test_what_ssh_keygen_makes_is_a_key_with_the_fingerprint_that_it_shows(tmp_path, kind):
    line, shown = made(tmp_path, *kind)
    key = parse_public_key(line.strip())
    assert key.fingerprint == shown
    assert key.line == line.strip()
    assert list(keys_in([line])) == [(shown, "a person's key")]


def test_a_security_keys_key_is_one():
    line = f"sk-ssh-ed25519@openssh.com {blob(b'sk-ssh-ed25519@openssh.com', b'k' * 32, b'ssh:')}"
    assert parse_public_key(line).comment == ""


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "is a PRIVATE key, exposed to all who can read this file"),
        ("", "should be the one line of a .pub file"),
        (BLOB, "should be the one line of a .pub file"),
        (f'from="10.0.0.1" {KEY}', "should be the one line of a .pub file"),
        (f"{KEY}\n{KEY}", "should be the one line of a .pub file"),
        (f"ssh-dss {blob(b'ssh-dss', b'p')}", "is too weak"),
        (f"ssh-ed25519-cert-v01@openssh.com {BLOB}", "is a certificate, not a key"),
        (KEY.replace("ssh-ed25519", "ecdsa-sha2-nistp256"), "is damaged"),
        (f"ssh-ed25519 {BLOB[:-4]}", "is damaged"),
        (f"ssh-ed25519 {BLOB[:-1]}", "is damaged"),
        (f"ssh-ed25519 {BLOB}AAAA", "is damaged"),
        (f"ssh-ed25519 {blob(b'ssh-ed25519', b'k' * 31)}", "is damaged: an ed25519 key has 32 bytes"),
        (f"ssh-rsa {blob(b'ssh-rsa', b'e', b'n')}", "has 7 bits; should have 3072 or more"),
    ],
)
def test_what_is_no_key_is_refused_and_never_shown(text, what):
    with pytest.raises(ValueError, match=re.escape(what)) as refused:
        parse_public_key(text)
    assert not text or text not in str(refused.value)
    assert BLOB not in str(refused.value)


def test_keys_of_any_kind_are_found_among_options_comments_and_garbage():
    old = f"ssh-dss {blob(b'ssh-dss', b'p')}"
    lines = [
        "# " + KEY,
        "",
        'from="10.0.0.1",command="a b" ' + KEY,
        old,
        "root:$y$hash:20000::::::",
        "\0\0",
        KEY[:-30],
    ]
    assert [comment for _, comment in keys_in(lines)] == ["anna@laptop", ""]
