"""Our packet filter table. The old rules return automatically, so a wrong change locks no one out."""

from __future__ import annotations

import hashlib
from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show, unified
from rackwright.operations.facts.nftables import FIREWALL, FOREIGN, LIST, LIVE, TABLE, Filter, FilterState
from rackwright.operations.facts.path_state import PathState
from rackwright.operations.filesystem.file import difference

_BEFORE = f"{FIREWALL.folder}/before.nft"

_SAVE = """printf 'table {table}\\ndelete table {table}\\n' > {before}
{list} {table} >> {before} 2>/dev/null || true
echo 'nft -f {before}; rm -f {live}' > {revert}
for u in {foreign}; do if systemctl -q is-active "$u"; then echo "systemctl start $u" >> {revert}; fi; done"""
_NOTE = """for u in {foreign}; do if systemctl -q is-active "$u"; then systemctl stop "$u"; fi; done
{listing} > {live}"""
_LISTING = "{{ echo '# {sha256}'; {list} {table}; }}"


@operation()
def table_pending(*, rules: str, boot_file: str, confirm_seconds: int, replace: bool) -> Generator[PyinfraCommand]:
    """Activate these rules for `confirm_seconds` (s); then the old ones return unless `table_confirmed` runs first.

    `rules` replace only our table. `replace` also stops ufw and firewalld, and starts them again if the old rules
    return. Nothing changes at boot yet. If someone changed the table since we loaded it, it is loaded again.
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
        save=_SAVE.format(list=LIST, table=TABLE, before=_BEFORE, live=LIVE, revert=FIREWALL.revert, foreign=foreign),
        act=f"nft -f {FIREWALL.new}",
        note=_NOTE.format(foreign=foreign, listing=_listing(sha256), live=LIVE),
        seconds=confirm_seconds,
    )


@operation()
def table_confirmed(*, rules: str, replace: bool) -> Generator[PyinfraCommand]:
    """Keep the active rules; with `replace`, ensure that the firewalls that they replaced don't start at boot.

    Fails, and changes nothing at boot, if the old rules have already returned.
    """
    sha256 = hashlib.sha256(rules.encode()).hexdigest()
    state = host.get_fact(FilterState)
    if state.pending or not state.acts(sha256):
        lost = "packet filter: the new rules are not active; the old ones"
        yield FIREWALL.keep(acts=f"{_listing(sha256)} | cmp -s - {LIVE}", lost=lost)
    for foreign in state.enabled if replace else ():
        disable = "ufw --force disable && " if foreign == "ufw" else ""
        yield StringCommand(f"{disable}systemctl --quiet disable --now {foreign}")


def _listing(sha256: str) -> str:
    return _LISTING.format(sha256=sha256, list=LIST, table=TABLE)


def _change(state: Filter, rules: str, boot_file: str) -> str:
    wanted = hashlib.sha256(rules.encode()).hexdigest()
    found = host.get_fact(PathState, path=boot_file, unless=wanted)
    if found is None or found.sha256 != wanted:
        return difference(boot_file, found, rules.encode())
    if state.listed is None:
        return f"table {TABLE} is missing and is loaded again"
    return unified(f"table {TABLE}", state.listed, state.remembered) or f"table {TABLE} is loaded again"
