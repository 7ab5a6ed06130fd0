"""What a host tries at another host's repository, with the real script and a restic that is a stand-in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rackwright.roles.backup import others, scripts
from rackwright.roles.backup.others import Opens, parse, question
from rackwright.roles.backup.settings import Repository
from tests.roles.test_backup import ACCESS, DISK, SETTINGS, SSH, WEB

ELSE = {
    "disk": Repository(name="disk", url="/mnt/disk/gpu1"),
    "ssh": Repository(name="ssh", url="sftp:other@10.0.0.5:/acme/gpu1"),
    "web": Repository(name="web", url="rest:https://vault:8000/acme/gpu1", user="other"),
}


def test_shellcheck_finds_nothing() -> None:
    command = ["shellcheck", "-s", "sh", "-e", "SC1090,SC1091,SC2034,SC2154", "-"]
    done = subprocess.run(command, input=others.SCRIPT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def tried(tmp_path: Path, own: Repository, restic: str) -> Opens:
    """Run the script with this stand-in for restic."""
    text = scripts.values(SETTINGS, own)
    (tmp_path / f"{own.name}.values").write_text(text)
    for name in own.credentials:
        (tmp_path / name).write_text(ACCESS[own.name].secret(name, own).reveal())
    (tmp_path / "restic").write_text(f"#!/bin/sh\n{restic}")
    (tmp_path / "restic").chmod(0o755)
    places = dict.fromkeys(("CACHE_DIRECTORY", "CREDENTIALS_DIRECTORY"), str(tmp_path))
    environment = {**os.environ, **places, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = others.SCRIPT.replace("/etc/rackwright/backup", str(tmp_path))
    command = ["sh", "-c", script, "other.sh", own.name, ELSE[own.name].url]
    return parse(subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("own", [DISK, SSH, WEB], ids=["disk", "ssh", "web"])
def test_a_host_comes_with_its_own_login_and_password(tmp_path: Path, own: Repository) -> None:
    restic = """
cat "${RESTIC_REPOSITORY_FILE:-/dev/null}" >>asked
echo " ${RESTIC_REPOSITORY-} $(cat "$RESTIC_PASSWORD_FILE") $*" >>asked
[ $(wc -l <asked) = 1 ] || exit 12
"""
    assert tried(tmp_path, own, restic) is Opens.REACHES
    first, second = (tmp_path / "asked").read_text().splitlines()
    assert "pass-word" in first
    assert "cat config --no-lock" in second
    assert second == first.replace("/gate1", "/gpu1")
    assert ("me:log%2Fin%40@vault" in second) == (own is WEB)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Fatal: unable to open config file: Lstat: permission denied", Opens.REFUSED),
        ("Fatal: unexpected HTTP response (401): 401 Unauthorized", Opens.REFUSED),
        ("Fatal: unexpected HTTP response (403): 403 Forbidden", Opens.REFUSED),
        ("Fatal: unable to start the sftp session, error: EOF", Opens.UNKNOWN),
        ("gpu1@vault: Permission denied (publickey).", Opens.UNKNOWN),
        ("", Opens.UNKNOWN),
    ],
)
def test_a_connection_that_broke_is_no_refusal(tmp_path: Path, said: str, found: Opens) -> None:
    restic = f"echo >>asked; [ $(wc -l <asked) = 1 ] || {{ echo '{said}' >&2; exit 1; }}\n"
    assert tried(tmp_path, DISK, restic) is found


def test_no_secret_is_in_the_command_and_a_host_without_backups_is_not_asked() -> None:
    text = question(WEB, "rest:https://vault:8000/acme/gpu1")
    assert text.startswith("[ ! -e /etc/rackwright/backup/web.values ] || systemd-run ")
    for name in ("password", "repository"):
        assert f" -p LoadCredentialEncrypted={name}:/etc/rackwright/backup/web.{name}.cred " in text


@pytest.mark.parametrize(
    ("codes", "found"),
    [
        ("0\n0\n", Opens.READS),
        ("0 12", Opens.REACHES),
        ("0 1", Opens.REFUSED),
        ("0 10", Opens.REFUSED),
        ("0 124", Opens.UNKNOWN),
        ("0 unclear", Opens.UNKNOWN),
        ("0", Opens.UNKNOWN),
        ("1 1", Opens.UNKNOWN),
        ("10 10", Opens.UNKNOWN),
        ("failed", Opens.UNKNOWN),
        ("", Opens.UNKNOWN),
    ],
)
def test_a_refusal_counts_only_if_the_hosts_own_repository_opens(codes: str, found: Opens) -> None:
    assert parse(codes) is found
