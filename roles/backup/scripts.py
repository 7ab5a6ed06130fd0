"""The shell scripts of a host's backups: fixed texts, and one file with values for each repository."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from rackwright.roles.backup.settings import FOLDER, PARTS, SCRIPTS, Repository, Settings

_TEMPLATES = Path(__file__).parent / "templates"
PATIENCE = "10m"
"""How long a run waits for another host's lock."""
FIXED = {f"{FOLDER}/{name}": (_TEMPLATES / name).read_text() for name in SCRIPTS}
"""Path → text, the same on every host."""


def values(settings: Settings, repository: Repository) -> str:
    """Return the values of one repository for the scripts; secrets only by the names of their files."""
    words = {
        "host": settings.host,
        "sources": " ".join(settings.sources),
        "must": " ".join(settings.must),
        "excludes": " ".join(f"--exclude={pattern}" for pattern in settings.exclude),
        "mount": repository.mount or "",
        "keep": f"{settings.keep_hours}h",
        "append_only": "yes" if repository.append_only else "no",
        "parts": str(PARTS),
        "patience": PATIENCE,
    }
    return "".join(
        [
            f"# Made by rackwright: the repository {repository.name}.\n# shellcheck shell=sh disable=SC2034,SC2086\n",
            *(f"{name}={shlex.quote(value)}\n" for name, value in words.items()),
            f"export {_place(repository)}\n",
            *_route(repository),
            'export RESTIC_PASSWORD_FILE="$CREDENTIALS_DIRECTORY/password" RESTIC_CACHE_DIR="$CACHE_DIRECTORY"\n',
            "export RESTIC_PROGRESS_FPS=0.5\n",
            f'talk() {{ ${{limit-}} restic{_options(repository)} "$@"; }}\n',
        ]
    )


def _route(repository: Repository) -> Iterator[str]:
    """Yield the proxy variables. If the fleet file sets a proxy, the machine's own proxy settings don't apply."""
    if repository.proxy:
        proxy = shlex.quote(repository.proxy)
        yield f"export HTTP_PROXY={proxy} HTTPS_PROXY={proxy} NO_PROXY= no_proxy=\n"
    elif repository.route.proxy:
        yield "export NO_PROXY='*'\n"


def _place(repository: Repository) -> str:
    if repository.user:
        # A URL with a password must be neither in arguments nor in the environment.
        return 'RESTIC_REPOSITORY_FILE="$CREDENTIALS_DIRECTORY/repository"'
    return f"RESTIC_REPOSITORY={shlex.quote(repository.url)}"


def _options(repository: Repository) -> str:
    if repository.kind == "sftp":
        return f' -o "sftp.args={sftp_arguments("$CREDENTIALS_DIRECTORY/key", f"{repository.stem}.known_hosts")}"'
    return f" --cacert {repository.ca}" if repository.ca else ""


def sftp_arguments(key: str, known_hosts: str) -> str:
    """Return restic's `sftp.args`: ssh trusts only this file of known hosts, and offers only this key."""
    known = f"-o UserKnownHostsFile={known_hosts} -o GlobalKnownHostsFile=/dev/null"
    fixed = "-F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20"
    alive = "-o ServerAliveInterval=30 -o ServerAliveCountMax=4"
    return f"-i {key} {fixed} {alive} {known}"


def new_enough(oldest: str) -> str:
    """Return a shell command that fails with a message if restic is older."""
    return (
        "v=$(restic version | cut -d ' ' -f 2); "
        f'[ "$(printf \'%s\\n\' {oldest} "$v" | sort -V | head -n 1)" = {oldest} ] '
        f'|| {{ echo "restic $v is too old, should be {oldest} or newer: put one in /usr/local/bin" >&2; false; }}'
    )
