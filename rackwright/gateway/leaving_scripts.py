"""Shell scripts that take a gateway out of service, and back in. The first part of each is that of scripts.py."""

from __future__ import annotations

# At a gateway that stays, before another one leaves: it must be able to take the address.
CAN_TAKE = """answer admin 'show info'
case $said in *Uptime_sec:*) ;; *) unexpected admin 'show info' ;; esac
[ ! -e "$configuration/left" ] || { echo 'it has left itself' >&2; exit 1; }
"""
CAN_TAKE_ADDRESS = (
    CAN_TAKE
    + """systemctl is-active --quiet rackwright-vip.service ||
    { echo 'rackwright-vip.service does not run' >&2; exit 1; }
"""
)

FORWARD = "printf '%s' {rules} | nft -f -\n"

FORWARD_NO_MORE = """for family in ip ip6; do
    ! nft list table "$family" rackwright_handover >/dev/null 2>&1 || nft delete table "$family" rackwright_handover
done
"""

# ADDRESS…: how many connections of clients to these are open. A closed one counts until its last byte has arrived.
_OPEN = """open_connections() {{
    from=''
    for address in "$@"; do from="$from${{from:+ or }}src $address"; done
    found=$(ss -Htn state established state syn-recv state fin-wait-1 state close-wait state last-ack state closing \\
        "( $from ) and sport = :{port}") || exit 1
    printf '%s\\n' "$found" | grep -c . || true
}}
"""

CONNECTIONS = _OPEN + "open_connections {addresses}\n"

# keepalived reads the record. If connections to the virtual address are open, it stays on the loopback interface.
LEAVE = (
    _OPEN
    + """lock
vip={vip} left=$configuration/left
at_interface() {{ ip -o address show to "$vip" | grep -v '^[0-9]*: lo '; }}
{{
    grep -q "opt@$left)" "$configuration/haproxy.cfg" && grep -q 'left.nft' "$configuration/proxy" &&
    {{ [ -z "$vip" ] || grep -q "$left" {check}; }}
}} ||
    {{ echo 'an earlier version set it up; apply first' >&2; exit 1; }}
printf '%s' {rules} | install -T -m 0644 /dev/stdin "$left.nft"
nft -c -f "$left.nft"
keeps=false
if [ -n "$vip" ]; then
    open=$(open_connections "$vip")
    [ "$open" -eq 0 ] && ! at_interface >/dev/null || keeps=true
fi
if {keep} || [ ! -e "$left" ]; then
    printf 'left %s\\n' {record} | install -T -m 0644 /dev/stdin "$left.new"
    sync "$left.new"; mv -fT "$left.new" "$left"
fi
each '' put "$left" left yes
tries=100
while [ -n "$vip" ] && at_interface >/dev/null; do
    [ $((tries -= 1)) -gt 0 ] || {{
        rm -f "$left" "$left.nft"; each '' tell "del map $left left" 'Key not found.'
        echo 'keepalived did not give up the virtual address' >&2; exit 1
    }}
    sleep 0.1
done
nft -f "$left.nft"
! $keeps || ip address replace "$vip/{length}" dev lo scope host
knows "$left" left yes
"""
)

HAS_ADDRESS = "ip -o address show to {vip} | grep -v '^[0-9]*: lo ' || true\n"

# While it keeps the address for its open connections, it can't be a gateway that may take it.
REJOIN = (
    _OPEN
    + """lock
vip={vip} left=$configuration/left
kept() {{ [ -n "$vip" ] && ip -o address show dev lo to "$vip" | grep -q .; }}
if kept && ! {force}; then
    open=$(open_connections "$vip")
    [ "$open" -eq 0 ] || {{ echo "$open connections to the virtual address are still open here" >&2; exit 1; }}
fi
answer admin 'show info'
case $said in *Uptime_sec:*) ;; *) unexpected admin 'show info' ;; esac
! kept || ip address del "$vip/{length}" dev lo
for family in inet arp; do
    ! nft list table "$family" rackwright_left >/dev/null 2>&1 || nft delete table "$family" rackwright_left
done
rm -f "$left" "$left.nft"
each '' tell "del map $left left" 'Key not found.'
knows_no "$left" left
"""
)
