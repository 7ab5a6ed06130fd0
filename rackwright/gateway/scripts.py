"""Shell scripts that ask and change a running gateway over HAProxy's sockets, one for each command."""

from __future__ import annotations

from rackwright.gateway.canaries import SHOW_CANARIES, UNSHARE
from rackwright.operations.haproxy.paths import DRAINS, WORKERS, Paths
from rackwright.roles.gateway.configuration import CANARIES, CUTOVERS, DOWNTIME_HEEDED_SECONDS, DOWNTIMES, EARLY

_PLACES = """set -eu
umask 077
run={run} asks_as={asks_as} drains={drains} configuration={configuration} keys={configuration}/keys.map
downtimes={configuration}/{downtimes} early_map={configuration}/{early} canaries={configuration}/{canaries}
cutovers={configuration}/{cutovers}
"""
_HELPERS = r"""
# FILE MODEL VALUE: write the model's line to the file; without a value, remove it.
note() {
    { grep -v "^$2 " "$1" 2>/dev/null || true; [ -z "$3" ] || printf '%s %s\n' "$2" "$3"; } |
        install -T -m 0644 /dev/stdin "$1.new"
    sync "$1.new"; mv -fT "$1.new" "$1"
}
# MODEL: its servers in the worker that takes new connections; nothing if the worker doesn't know the model.
servers() {
    answer admin "show servers state model.$1"
    case $said in
        '1
# be_id '*) printf '%s\n' "$said" ;;
        "Can't find backend.") ;;
        *) unexpected admin "show servers state model.$1" ;;
    esac
}
named() {
    rows=$(servers "$1") || exit 1
    printf '%s\n' "$rows" | awk -v begin="$2." 'index($4, begin) == 1 { print $4 }'
}
# MODEL SERVER: its srv_admin_state.
admin_state() {
    rows=$(servers "$1") || exit 1
    printf '%s\n' "$rows" | awk -v server="$2" '$4 == server { print $7; found = 1 } END { exit !found }'
}
# drain|ready MODEL SERVER [PATTERN]: also for requests that wait for a slot or are retried. PATTERN as in `tell`.
set_server() {
    each new tell "set server model.$2/$3 state $1" "${4:-}"
    each old pass_on
    each old tell "replaced $1 model.$2 $3" 'no such server'
}
# MAP: remove the entry of $model in every worker.
forget() { each '' tell "del map $1 $model" 'Key not found.'; }
# UNTIL: $model is down early until then. A configuration by an older version doesn't have the map.
downtime_early() {
    answer admin "show map $early_map"
    case $said in 'Unknown map '*) return 0 ;; esac
    if [ "$1" -gt 0 ]; then each '' put "$early_map" "$model" "$1"; else forget "$early_map"; fi
}
# MAP: its entries in the worker that takes new connections. A configuration by an older version doesn't have the map.
entries() {
    answer admin "show map $1"
    case $said in '' | 'Unknown map '*) ;; 0x*) printf '%s\n' "$said" ;; *) unexpected admin "show map $1" ;; esac
}
# MAP KEY VALUE: check that this worker has the entry.
knows() {
    answer admin "get map $1 $2"
    case $said in *"value=\"$3\""*) ;; *) unexpected admin "get map $1 $2" ;; esac
}
# MAP KEY: check that this worker doesn't have the entry.
knows_no() {
    answer admin "get map $1 $2"
    case $said in *found=no*) ;; *) unexpected admin "get map $1 $2" ;; esac
}
"""


def helpers(paths: Paths, drains: str) -> str:
    """Return the first part of each script."""
    places = _PLACES.format(
        run=paths.run,
        asks_as=paths.asks_as,
        configuration=paths.configuration,
        drains=drains,
        downtimes=DOWNTIMES,
        early=EARLY,
        canaries=CANARIES,
        cutovers=CUTOVERS,
    )
    return places + WORKERS.read_text() + _HELPERS


SHOW_STAT = """show_stat() {
    answer "$1" 'show stat -1 6 -1' || return 0
    case $said in '# pxname,svname,'*) printf '== stat\n%s\n' "$said" ;; *) unexpected "$1" 'show stat' ;; esac
}
each '' show_stat
"""
"""Prints the statistics of backends and servers in every worker."""

STATES = """answer admin 'show servers state'
case $said in '1
# be_id '*) printf '== servers\n%s\n' "$said" ;; *) unexpected admin 'show servers state' ;; esac
"""
STATES += SHOW_STAT + SHOW_CANARIES

# A worker counts from its start, and the count ends with it.
SHOW_DROPPED = r"""show_dropped() {
    answer "$1" 'show info' || return 0
    dropped=$(printf '%s\n' "$said" | sed -n 's/^DroppedLogs: //p')
    case $dropped in '') unexpected "$1" 'show info' ;; *) printf '%s\n' "$dropped" ;; esac
}
each '' show_dropped
"""

SHOW_DRAINS = """for file in "$drains"/*; do [ ! -f "$file" ] || { echo "== drain ${file##*/}"; cat "$file"; }; done
"""
DRAINS_COMMAND = f"drains={DRAINS}\n{SHOW_DRAINS}"
"""Prints the records of a gateway's drains, without asking HAProxy."""

DRAIN = (
    """lock
server=$(named {model} {begin})
[ -n "$server" ] || {{ echo 'this gateway has no such server' >&2; exit 1; }}
"""
    + UNSHARE
    + """state=$(admin_state {model} "$server")
if {keep} || {{ [ ! -e "$drains/$server" ] && [ $((state & 8)) -eq 0 ]; }}; then
    printf '%s\\n' {record} >"$drains/.new"; sync "$drains/.new"; mv -fT "$drains/.new" "$drains/$server"
fi
set_server drain {model} "$server"
state=$(admin_state {model} "$server")
[ $((state & 8)) -ne 0 ] || {{ echo 'HAProxy did not drain it' >&2; exit 1; }}
"""
)

COPY_DRAIN = """install -d -m 0755 -- "$drains"
printf '%s\\n' {record} >"$drains/.new"; sync "$drains/.new"; mv -fT "$drains/.new" "$drains"/{server}
[ ! -S "$run/sockets/master.sock" ] || {{ lock; set_server drain {model} {server} 'No such *'; }}
"""

READY = (
    """lock
server=$(named {model} {begin})
[ -n "$server" ] || {{ echo 'this gateway has no such server' >&2; exit 1; }}
rm -f "$drains/$server"
set_server ready {model} "$server"
state=$(admin_state {model} "$server")
[ $((state & 9)) -eq 0 ] || {{ echo 'HAProxy did not undrain it' >&2; exit 1; }}
"""
    + UNSHARE
)

FORGET_DRAIN = """rm -f -- "$drains"/{begin}.*
"""

KEY = """sha={sha256} lines={lines}
lock
"""

# If an apply has written keys that are not loaded yet, the stamp stays older than the map, so that they get loaded. A
# reload and an apply also build the map from both files, so a pushed key outlasts them.
WRITE_KEY = """[ -e "$configuration/keys.applied" ] ||
    {{ echo 'this gateway keeps no keys yet; apply first' >&2; exit 1; }}
loaded=false; [ "$keys" -nt "$run/keys.loaded" ] || [ "$keys" -ot "$run/keys.loaded" ] || loaded=true
{{ grep -v "^$sha " "$configuration/keys.pushed" || true; printf '%s' {pushed}; }} 2>/dev/null |
    install -T -m 0600 /dev/stdin "$configuration/keys.pushed.new"
sync "$configuration/keys.pushed.new"; mv -fT "$configuration/keys.pushed.new" "$configuration/keys.pushed"
"$configuration/api-keys" merge
lines=$(grep "^$sha[ /]" "$keys" | LC_ALL=C sort -r)
[ -z "$lines" ] || lines="$lines
"
! $loaded || touch -r "$keys" "$run/keys.loaded"
"""

REFUSE_REVOKED = """! grep -qs "^$sha revoked" "$configuration/keys.applied" "$configuration/keys.pushed" ||
    { echo 'this key was revoked' >&2; exit 1; }
"""

TELL_KEY = r"""tell_key() {
    printf '%s' "$lines" | while read -r name value; do put "$1" "$keys" "$name" "$value"; done || exit 1
    answer "$1" "show map $keys" || return 0
    case $said in '' | 0x*) ;; *) unexpected "$1" "show map $keys"; return 0 ;; esac
    printf '%s\n' "$said" | awk -v sha="$sha" 'index($2, sha) == 1 { print $2 }' |
        grep -vxF -e "$(printf '%s' "$lines" | cut -d ' ' -f 1)" |
        while read -r name; do tell "$1" "del map $keys $name" 'Key not found.'; done || exit 1
}
each '' tell_key
"""

# The file is written first, because a new worker reads it.
OPEN_DOWNTIME = """lock
model={model} now=$(date +%s) early={early}
ends=$((now + {seconds}))
note "$downtimes" "$model" "$ends"
each '' put "$downtimes" "$model" "$ends"
downtime_early $((early ? now + early : 0))
knows "$downtimes" "$model" "$ends"
"""

CLOSE_DOWNTIME = """lock
model={model}
note "$downtimes" "$model" ''
forget "$downtimes"
downtime_early 0
knows_no "$downtimes" "$model"
"""

SHOW_DOWNTIMES = f"""found=$(entries "$downtimes")
printf '%s\n' "$found" |
    awk -v since=$(($(date +%s) - {DOWNTIME_HEEDED_SECONDS})) 'NF == 3 && $3 > since {{ print $2, $3 }}'
"""
