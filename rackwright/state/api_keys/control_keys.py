"""The changes of API keys that control hosts keep: what `rackwright key` changed, and every revocation for good.

keys.pushed has one line per key: `SHA-256 VERSION @ JSON`, as on a gateway. `revoked` instead of VERSION marks a
tombstone.
"""

from __future__ import annotations

from collections.abc import Iterable

from rackwright.fleet.keys_file import ApiKey, KeysFile, RevokedKey
from rackwright.state.api_keys.pushed_keys import PushedKey
from rackwright.state.shell import FOLDER, Shell, call

MERGE = """merge_keys() (
    exec 8>keys.lock
    flock -w 20 8
    [ -e keys.pushed ] || : >keys.pushed
    LC_ALL=C awk '
        NF == 2 { applied[$1] = $2 + 0; next }
        $2 == "revoked" { if (!($1 in gone)) gone[$1] = $0; next }
        !($1 in version) || $2 + 0 > version[$1] { version[$1] = $2 + 0; row[$1] = $0 }
        END {
            for (sha in gone) print gone[sha]
            for (sha in row) if (!(sha in gone) && !(sha in applied && applied[sha] >= version[sha])) print row[sha]
        }
    ' keys.pushed - >keys.pushed.new
    sync keys.pushed.new
    mv -fT keys.pushed.new keys.pushed
    sync .
)
"""
"""A shell function that merges lines from standard input into keys.pushed in the current folder.

Of each key, the newest line stays, and a tombstone always. A line `SHA-256 VERSION` says that the applied keys file
has this version: this and older ones go. The caller has set `-eu` and a umask, and doesn't call it in a condition."""

_KEEP = (
    """set -eu
umask 077
mkdir -p -- "$1"
cd -- "$1"
"""
    + MERGE
    + "merge_keys\n"
)


def keep_keys(shell: Shell, pushed: Iterable[PushedKey], *, folder: str = FOLDER) -> None:
    """Keep these changes on the control host. Raise HostError if they can't be written."""
    call(shell, _KEEP, folder, stdin="".join(map(_line, pushed)), what="storing the change of the API key")


def keep_applied_keys(shell: Shell, file: KeysFile, *, who: str, folder: str = FOLDER) -> None:
    """Keep a tombstone for each revoked key of the applied keys file, and drop the changes that the file has.

    So a revocation stays known even if an older keys file is applied later. Raise HostError if it can't be written.
    """
    lines = [f"{key.sha256} {key.version}\n" for key in file.keys]
    lines += [_line(tombstone(key, who=f"an operator (applied by {who})")) for key in file.revoked]
    if lines:
        call(shell, _KEEP, folder, stdin="".join(lines), what="storing the applied API keys")


def tombstone(gone: RevokedKey, *, who: str) -> PushedKey:
    """Return the tombstone of a key of which only the revocation is known."""
    key = ApiKey(id=gone.id, owner=gone.owner, sha256=gone.sha256, created=gone.revoked)
    return PushedKey(key=key, who=who, when=gone.revoked, revoked=True)


def _line(one: PushedKey) -> str:
    version = "revoked" if one.revoked else one.key.version
    return f"{one.key.sha256} {version} @ {one.line}\n"
