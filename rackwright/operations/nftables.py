"""Our table of the packet filter, changed so that nobody is locked out: the old rules come back by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show, unified
from rackwright.operations.facts.nftables import FIREWALL, FOREIGN, LIVE, TABLE, Filter, FilterState
from rackwright.operations.facts.path_state import PathState
from rackwright.operations.filesystem.file import difference

_BEFORE = f"{FIREWALL.folder}/before.nft"

_SAVE = """printf 'table {table}\\ndelete table {table}\\n' > {before}
nft -s list table {table} >> {before} 2>/dev/null || true
echo 'nft -f {before}; rm -f {live}' > {revert}
for u in {foreign}; do if systemctl -q is-active "$u"; then echo "systemctl start $u" >> {revert}; fi; done"""
_NOTE = """for u in {foreign}; do if systemctl -q is-active "$u"; then systemctl stop "$u"; fi; done
{table} > {live}"""
_TABLE = "{{ echo '# {sha256}'; nft -s list table {table}; }}"


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
    foreign = " ".join(FOREIGN if replace else ())
    yield from FIREWALL.begin(
        rules,
        check=f"nft -c -f {FIREWALL.new}",
        save=_SAVE.format(table=TABLE, before=_BEFORE, live=LIVE, revert=FIREWALL.revert, foreign=foreign),
        act=f"nft -f {FIREWALL.new}",
        note=_NOTE.format(foreign=foreign, table=_table(sha256), live=LIVE),
        seconds=confirm_seconds,
    )


@operation()
def table_confirmed(*, rules: str, replace: bool) -> Generator[PyinfraCommand]:
    """Afterwards the rules that act stay, and what they replaced doesn't start at boot.

    Fails, and changes nothing at boot, where the old rules came back before.
    """
    sha256 = hashlib.sha256(rules.encode()).hexdigest()
    state = host.get_fact(FilterState)
    if state.pending or not state.acts(sha256):
        lost = "packet filter: the new rules are not active, the old ones"
        yield FIREWALL.keep(acts=f"{_table(sha256)} | cmp -s - {LIVE}", lost=lost)
    for foreign in state.enabled if replace else ():
        disable = "ufw --force disable && " if foreign == "ufw" else ""
        yield StringCommand(f"{disable}systemctl --quiet disable --now {foreign}")


def _table(sha256: str) -> str:
    return _TABLE.format(sha256=sha256, table=TABLE)


def _change(state: Filter, rules: str, boot_file: str) -> str:
    wanted = hashlib.sha256(rules.encode()).hexdigest()
    found = host.get_fact(PathState, path=boot_file, unless=wanted)
    if found is None or found.sha256 != wanted:
        return difference(boot_file, found, rules.encode())
    if state.listed is None:
        return f"table {TABLE} is gone and comes back"
    return unified(f"table {TABLE}", state.listed, state.remembered) or f"table {TABLE} is loaded again"
