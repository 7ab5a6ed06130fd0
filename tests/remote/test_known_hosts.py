from __future__ import annotations

import base64
import hmac
import stat
from pathlib import Path

import pytest

from rackwright.remote.known_hosts import HostKey, lookup, pin
from rackwright.values.targets import Target

ED = HostKey("ssh-ed25519", base64.b64encode(b"first key").decode())
OTHER = HostKey("ssh-ed25519", base64.b64encode(b"second key").decode())


@pytest.fixture(autouse=True)
def _no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def target(path: Path, *, port: int = 22, address: str = "10.0.0.1") -> Target:
    return Target("h1", address, port=port, known_hosts=path)


def hashed(name: str) -> str:
    salt = b"0123456789abcdef0123"
    digest = hmac.new(salt, name.encode(), "sha1").digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def test_a_hashed_name_is_found(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"{hashed('10.0.0.1')} {ED.type} {ED.data}\n{hashed('10.0.0.2')} {OTHER.type} {OTHER.data}\n")
    assert lookup(target(path)).keys == (ED,)


def test_another_port_is_another_name(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"10.0.0.1 {ED.type} {ED.data}\n[10.0.0.1]:2222 {OTHER.type} {OTHER.data}\n")
    assert lookup(target(path, port=2222)).keys == (OTHER,)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("10.0.0.1,gpu1", True),
        ("10.0.0.*", True),
        ("10.0.0.?", True),
        ("10.0.0.*,!10.0.0.1", False),
        ("10.0.0.[1]", False),
        ("10.0.0.11", False),
    ],
)
def test_name_patterns_match_as_in_openssh(tmp_path: Path, names: str, found: bool) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"{names} {ED.type} {ED.data} a comment\n")
    assert (lookup(target(path)).keys == (ED,)) is found


def test_the_fleets_own_file_wins_over_the_users(tmp_path: Path) -> None:
    (tmp_path / "home/.ssh").mkdir(parents=True)
    (tmp_path / "home/.ssh/known_hosts").write_text(f"10.0.0.1 {OTHER.type} {OTHER.data}\n")
    path = tmp_path / "known_hosts"
    assert lookup(target(path)).keys == (OTHER,)
    pin(path, target(path), ED)
    assert lookup(target(path)).keys == (ED,)


def test_a_ca_is_distinguished_from_a_key(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"@cert-authority 10.0.0.* {ED.type} {ED.data}\n")
    pins = lookup(target(path))
    assert (pins.keys, pins.ca) == ((), True)


def test_a_revoked_key_is_not_trusted_even_if_listed(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"10.0.0.1 {ED.type} {ED.data}\n@revoked * {ED.type} {ED.data}\n")
    pins = lookup(target(path))
    assert (pins.keys, pins.revoked) == ((), (ED,))


def test_garbage_in_the_file_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_bytes(b"\xff\xfe\n|1|bad ssh-ed25519 AAAA\n10.0.0.1\n" + f"10.0.0.1 {ED.type} {ED.data}\n".encode())
    assert lookup(target(path)).keys == (ED,)


def test_pinning_replaces_the_hosts_keys_and_leaves_all_other_lines(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(
        f"# ours\n10.0.0.1,gpu1 ssh-rsa {OTHER.data}\n{hashed('10.0.0.1')} {OTHER.type} {OTHER.data}\n"
        f"@cert-authority * {OTHER.type} {OTHER.data}\n10.0.0.2 {OTHER.type} {OTHER.data}\n"
    )
    pin(path, target(path), ED)
    assert path.read_text() == (
        f"# ours\ngpu1 ssh-rsa {OTHER.data}\n@cert-authority * {OTHER.type} {OTHER.data}\n"
        f"10.0.0.2 {OTHER.type} {OTHER.data}\n10.0.0.1 {ED.type} {ED.data}\n"
    )
    assert lookup(target(path)).keys == (ED,)


def test_a_new_file_is_readable_by_all_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "known_hosts"
    pin(path, target(path, port=2200), ED)
    assert path.read_text() == f"[10.0.0.1]:2200 {ED.type} {ED.data}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_the_fingerprint_is_that_of_ssh_keygen() -> None:
    key = HostKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAICMya/MznILRI5IN7hWLhTThf2AAjzpoZf22h8p1YiuE")
    assert key.fingerprint == "SHA256:2Cl4tprnj6WyPw+x0DUjCS/g+R/W5J3G4k7G6eXJzXo"
