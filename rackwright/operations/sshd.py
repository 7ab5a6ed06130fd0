"""How sshd lets people in, changed so that nobody is locked out: the old settings come back by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diffs import show
from rackwright.operations.facts.path import Found, PathState
from rackwright.operations.facts.sshd import DROP_IN, PENDING, SSHD
from rackwright.operations.file import difference, write

INCLUDE = f"Include {PENDING}"
"""The first line of our drop-in."""
_CHECK = "install -d -m 0755 /run/sshd; /usr/sbin/sshd -t -f {path}"
"""The folder is ssh.service's, which doesn't run yet where a socket starts it."""

# A sshd that a socket started can't take the socket over when it reloads. Its sessions outlive the restart, and the
# socket listens meanwhile. Any other answers to SIGHUP a little later: the new one has sockets of its own.
_RELOAD = """reload() {{
if systemctl -q is-active ssh.socket; then systemctl try-restart ssh.service; return; fi
systemctl -q is-active ssh.service || return 0
p=$(systemctl show -p MainPID --value ssh.service)
held() {{ ss -Hltnpe | grep -F "pid=$p," | grep -o 'ino:[0-9]*'; }}
b=$(held); systemctl reload ssh.service || return
n=0; while c=$(held); [ -z "$c" ] || [ "$c" = "$b" ]; do
n=$((n+1)); [ $n -lt 100 ] || {{ echo 'sshd: it did not reload' >&2; return 1; }}; sleep 0.1; done; }}
"""
# At boot nothing is included yet, so the old settings act then.
_SAVE = """grep -qxF '{include}' {drop_in} 2>/dev/null || {{
{{ echo '{include}'; cat {drop_in} 2>/dev/null || true; }} > {drop_in}.new; chmod 0644 {drop_in}.new
mv -fT {drop_in}.new {drop_in}; }}
echo 'rm -f {pending}' > {revert}
for u in ssh.service ssh.socket; do if systemctl -q is-active $u; then a=$u; fi; done
if [ "${{a:-}}" = ssh.service ]; then echo 'systemctl reload-or-restart ssh.service' >> {revert}; fi
if [ "${{a:-}}" = ssh.socket ]; then echo 'systemctl try-restart ssh.service' >> {revert}; fi
"""
_ACT = """cp {new} {pending} && /usr/sbin/sshd -t && says_so && reload"""
_SAYS_SO = """says_so() {{
for k in {keywords}; do
w=$(/usr/sbin/sshd -T -f {new} | grep "^$k "); h=$(/usr/sbin/sshd -T | grep "^$k ")
[ "$w" = "$h" ] || {{ echo "sshd: effective would be '$h', not '$w': another file overrides ours" >&2; return 1; }}
done; }}
"""


@operation()
def sshd_pending(
    *, content: str, keywords: tuple[str, ...], acts: bool, confirm_seconds: int
) -> Generator[PyinfraCommand]:
    """Afterwards sshd admits by `content`, for `confirm_seconds` (s) unless `sshd_confirmed` comes; then as before.

    Sessions that stand live on; at boot the old settings act. `acts` is whether sshd says already what the drop-in
    does. `keywords`, in lower case, must come out as `content` has them, or nothing changes and the operation fails.
    """
    found = _found(content)
    if acts and _is(found, content):
        return
    show(difference(DROP_IN, found, content.encode()) if not _is(found, content) else "sshd reads its files again")
    paths = {"drop_in": DROP_IN, "pending": PENDING, "new": SSHD.new, "revert": SSHD.revert, "include": INCLUDE}
    yield from SSHD.begin(
        content,
        check=_RELOAD.format() + _SAYS_SO.format(keywords=" ".join(keywords), **paths) + _CHECK.format(path=SSHD.new),
        save=_SAVE.format(**paths),
        act=_ACT.format(**paths),
        seconds=confirm_seconds,
    )


@operation()
def sshd_confirmed(*, content: str, pending: bool) -> Generator[PyinfraCommand]:
    """Afterwards the settings that act stay, and act at boot. `pending`: a change waits, or was left behind.

    Fails, and changes nothing at boot, where the old settings came back before.
    """
    if not pending and _is(_found(content), content):
        return
    digest = hashlib.sha256(content.encode()).hexdigest()
    acts = f"[ \"$(sha256sum 2>/dev/null < {PENDING})\" = '{digest}  -' ]"
    commands = list(write(path=DROP_IN, content=content, check=_CHECK))
    yield SSHD.keep(acts=acts, lost="sshd: the new settings are not active, the old ones")
    yield from commands
    yield StringCommand(f"rm -f {PENDING}")


def _found(content: str) -> Found | None:
    return host.get_fact(PathState, path=DROP_IN, unless=hashlib.sha256(content.encode()).hexdigest())


def _is(found: Found | None, content: str) -> bool:
    return found is not None and found.is_file and found.sha256 == hashlib.sha256(content.encode()).hexdigest()
