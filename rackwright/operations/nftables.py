"""Our table of the packet filter, changed so that nobody is locked out: the old rules come back by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from io import BytesIO

from pyinfra.api.command import FileUploadCommand, PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diffs import show, unified
from rackwright.operations.facts.nftables import FOREIGN, LIVE, TABLE, TIMER, Filter, FilterState
from rackwright.operations.facts.path import PathState
from rackwright.operations.file import difference

_FOLDER = "/run/rackwright-firewall"
_NEW = f"{_FOLDER}/new.nft"
_BEFORE = f"{_FOLDER}/before.nft"
_REVERT = f"{_FOLDER}/revert"
"""Under /run: after a reboot the boot file's rules act, so nothing is left to revert."""

_LOAD = """set -e
nft -c -f {new}
if systemctl -q is-active {timer}; then systemctl stop {timer}; sh {revert}; fi
{{ printf 'table {table}\\ndelete table {table}\\n'; nft -s list table {table} 2>/dev/null || true; }} > {before}
echo 'nft -f {before}; rm -f {live}' > {revert}
for u in {foreign}; do if systemctl -q is-active "$u"; then echo "systemctl start $u" >> {revert}; fi; done
systemd-run --quiet --collect --unit={unit} --on-active={seconds} --timer-property=AccuracySec=100ms sh {revert}
nft -f {new} || {{ systemctl stop {timer}; exit 1; }}
for u in {foreign}; do if systemctl -q is-active "$u"; then systemctl stop "$u"; fi; done
{{ echo '# {sha256}'; nft -s list table {table}; }} > {live}
"""

_KEEP = """set -e
if systemctl -q is-active {timer}; then systemctl stop {timer}; fi
{{ echo '# {sha256}'; nft -s list table {table}; }} | cmp -s - {live} || {{
echo 'packet filter: the new rules are not active, the old ones came back; run: rackwright apply' >&2
exit 1; }}
"""


@operation()
def table_pending(*, rules: str, boot_file: str, confirm_seconds: int, replace: bool) -> Generator[PyinfraCommand]:
    """Afterwards these rules act, for `confirm_seconds` (s) unless `table_confirmed` comes; then the old ones again.

    `rules` replace our table only. `replace` stops ufw and firewalld with it, and starts them again where the old
    rules come back. Neither acts at boot yet. A table that someone changed since we loaded it is loaded again.
    """
    sha256 = hashlib.sha256(rules.encode()).hexdigest()
    state = host.get_fact(FilterState)
    if state.acts(sha256) and not (replace and state.active):
        return
    show(_change(state, rules, boot_file))
    yield StringCommand(f"install -d -m 0700 {_FOLDER}")
    yield FileUploadCommand(BytesIO(rules.encode()), _NEW)
    yield StringCommand(
        _LOAD.format(
            **_paths(sha256),
            seconds=int(confirm_seconds),
            unit=TIMER.removesuffix(".timer"),
            foreign=" ".join(FOREIGN if replace else ()),
        )
    )


@operation()
def table_confirmed(*, rules: str, replace: bool) -> Generator[PyinfraCommand]:
    """Afterwards the rules that act stay, and what they replaced doesn't start at boot.

    Fails, and changes nothing at boot, where the old rules came back before.
    """
    sha256 = hashlib.sha256(rules.encode()).hexdigest()
    state = host.get_fact(FilterState)
    if state.pending or not state.acts(sha256):
        yield StringCommand(_KEEP.format(**_paths(sha256)))
    for foreign in state.enabled if replace else ():
        disable = "ufw --force disable && " if foreign == "ufw" else ""
        yield StringCommand(f"{disable}systemctl --quiet disable --now {foreign}")


def _paths(sha256: str) -> dict[str, str]:
    return {
        **{"new": _NEW, "before": _BEFORE, "revert": _REVERT, "live": LIVE},
        **{"table": TABLE, "timer": TIMER, "sha256": sha256},
    }


def _change(state: Filter, rules: str, boot_file: str) -> str:
    wanted = hashlib.sha256(rules.encode()).hexdigest()
    found = host.get_fact(PathState, path=boot_file, unless=wanted)
    if found is None or found.sha256 != wanted:
        return difference(boot_file, found, rules.encode())
    if state.listed is None:
        return f"table {TABLE} is gone and comes back"
    return unified(f"table {TABLE}", state.listed, state.remembered) or f"table {TABLE} is loaded again"
