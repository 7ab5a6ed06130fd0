"""What root runs on a scratch host to isolate it. Each script refuses a host without the drill's marker."""

from __future__ import annotations

from rackwright.lifecycle.drill.scratch_hosts.ruleset import TABLE
from rackwright.lifecycle.drill.scratch_hosts.scratch import FOLDER
from rackwright.operations.facts.nftables import LIST

UNIT = "drill-isolation.service"
"""Not rackwright-*: an apply removes units of that name that the fleet doesn't have."""
REVERT = "drill-isolation-revert"
RULES = f"{FOLDER}/isolation.nft"
UNIT_TEXT = f"""\
# Made by rackwright: isolates this host during a recovery drill. A drill removes it at its end.
[Unit]
Description=Isolation of this scratch host (rackwright drill)
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
# Debian's nftables.service runs "flush ruleset" at each start and reload, so this unit must follow it each time.
After=local-fs.target nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
RequiresMountsFor={FOLDER}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {RULES}
ExecReload=/usr/sbin/nft -f {RULES}

[Install]
WantedBy=sysinit.target
"""
LISTING = f"{{ {LIST} inet {TABLE} && {LIST} arp {TABLE}; }}"
_OURS = f"""set -eu
umask 077
cd -- {FOLDER}
[ -e drill ] || {{ echo "no drill has taken this host" >&2; exit 69; }}
"""
INSTALL = f"""{_OURS}
command -v nft >/dev/null || [ -x /usr/sbin/nft ] ||
    systemd-run --quiet --wait --pipe --collect -E DEBIAN_FRONTEND=noninteractive sh -c \\
        'apt-get -q update && apt-get -q install -y --no-install-recommends nftables'
"""
"""Runs before the isolation is closed: a bare host may not have nft."""
CLOSE = f"""{_OURS}
cat >isolation.new
nft -c -f isolation.new
if systemctl -q is-active {REVERT}.timer; then systemctl stop {REVERT}.timer; sh revert; fi
{{ printf 'table inet {TABLE}\\ndelete table inet {TABLE}\\ntable arp {TABLE}\\ndelete table arp {TABLE}\\n'
{LIST} inet {TABLE} 2>/dev/null || true
{LIST} arp {TABLE} 2>/dev/null || true; }} >before.nft
echo 'nft -f {FOLDER}/before.nft; rm -f {FOLDER}/live' >revert
systemd-run --quiet --collect --unit={REVERT} --on-active="$1" --timer-property=AccuracySec=100ms sh {FOLDER}/revert
nft -f isolation.new || {{ systemctl stop {REVERT}.timer; sh revert; exit 1; }}
{LISTING} >live
"""
"""$1: seconds after which the old rules return; standard input: the rules."""
KEEP = f"""{_OURS}
systemctl -q is-active {REVERT}.timer || {{ echo "the isolation was taken back" >&2; exit 75; }}
systemctl stop {REVERT}.timer
{LISTING} | cmp -s - live || {{ echo "the isolation isn't in force" >&2; exit 75; }}
mv -fT isolation.new {RULES}
cat >/etc/systemd/system/{UNIT}
chmod 0644 /etc/systemd/system/{UNIT}
sync {RULES} /etc/systemd/system/{UNIT} .
systemctl daemon-reload
systemctl --quiet enable --now {UNIT}
{LISTING} | cmp -s - live
"""
"""Runs over a fresh connection; standard input: the unit."""
LOOK = f"""if ! cd -- {FOLDER} 2>/dev/null || [ ! -e drill ]; then echo none; exit 0; fi
if [ -e live ] && {LISTING} 2>/dev/null | cmp -s - live; then echo closed; else echo open; fi
"""
"""Prints closed, open, or none if no drill has taken the host."""
LIFT = f"""{_OURS}
[ -z "${{1-}}" ] || [ "$(sha256sum <drill | cut -d ' ' -f 1)" = "$1" ] || {{
    echo "another drill has taken this host" >&2; exit 75; }}
systemctl stop {REVERT}.timer 2>/dev/null || true
systemctl --quiet disable --now {UNIT} 2>/dev/null || true
rm -f /etc/systemd/system/{UNIT}
systemctl daemon-reload
for family in inet arp; do
    printf 'table %s {TABLE}\\ndelete table %s {TABLE}\\n' "$family" "$family" | nft -f -
done
cd /
rm -rf --one-file-system -- {FOLDER}
"""
"""$1: the sha256 of the drill's own marker; empty: that of any drill."""
