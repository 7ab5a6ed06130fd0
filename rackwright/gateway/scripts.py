"""What a gateway is told and asked, over HAProxy's sockets: shell, one script a command."""

from __future__ import annotations

from rackwright.gateway.canaries import SHOW_CANARIES, UNSHARE
from rackwright.operations.haproxy.paths import DRAINS
from rackwright.roles.gateway.configuration import GAP_HEEDED_SECONDS

HELPERS = """set -eu
umask 077
run={run} drains={drains} configuration={configuration} keys={configuration}/keys.map
gaps={configuration}/{gaps} canaries={configuration}/{canaries}
ask() {{ printf '%s\\n' "$2" | socat -t 60 - "UNIX-CONNECT:$run/$1.sock"; }}
workers() {{ ask master 'show proc' | awk '$2 == "worker" {{ print $1 }}'; }}
# PID COMMAND. A worker that is gone isn't asked: HAProxy's master sometimes keeps the connection open then.
worker() {{
    [ ! -e "/proc/$1/exe" ] || printf '@!%s %s\\n' "$1" "$2" | socat -t 20 - "UNIX-CONNECT:$run/master.sock"
}}
tell() {{ for pid in $(workers); do worker "$pid" "$1"; done; }}
# PID MAP KEY VALUE. A second `add map` would make a second entry, and what is deleted first is missing for a moment.
put() {{
    case $(worker "$1" "get map $2 $3") in *found=yes*) verb=set ;; *) verb=add ;; esac
    worker "$1" "$verb map $2 $3 $4" >/dev/null
}}
# FILE MODEL VALUE: on disk; without a value the file says nothing of the model.
note() {{
    {{ grep -v "^$2 " "$1" 2>/dev/null || true; [ -z "$3" ] || printf '%s %s\\n' "$2" "$3"; }} |
        install -m 0644 /dev/stdin "$1.new"
    sync "$1.new"; mv -f "$1.new" "$1"
}}
named() {{ ask admin "show servers state model.$1" | awk -v begin="$2." 'index($4, begin) == 1 {{ print $4 }}'; }}
admin() {{ ask admin "show servers state model.$1" | awk -v server="$2" '$4 == server {{ print $7 }}'; }}
"""

STATES = """echo '== servers'; ask admin 'show servers state'
for pid in $(workers); do echo '== stat'; worker "$pid" 'show stat -1 4 -1'; done
"""
STATES += SHOW_CANARIES

SHOW_DRAINS = """for file in "$drains"/*; do [ ! -f "$file" ] || { echo "== drain ${file##*/}"; cat "$file"; }; done
"""
DRAINS_COMMAND = f"drains={DRAINS}\n{SHOW_DRAINS}"
"""What a gateway keeps of its drains, without asking HAProxy."""

DRAIN = (
    """server=$(named {model} {begin})
[ -n "$server" ] || {{ echo 'this gateway has no such server' >&2; exit 1; }}
"""
    + UNSHARE
    + """if {keep} || {{ [ ! -e "$drains/$server" ] && [ $(( $(admin {model} "$server") & 8 )) -eq 0 ]; }}; then
    printf '%s\\n' {record} >"$drains/.new"; sync "$drains/.new"; mv -f "$drains/.new" "$drains/$server"
fi
tell "set server model.{model}/$server state drain" >/dev/null
[ $(( $(admin {model} "$server") & 8 )) -ne 0 ] || {{ echo 'HAProxy did not drain it' >&2; exit 1; }}
"""
)

COPY_DRAIN = """install -d -m 0755 -- "$drains"
printf '%s\\n' {record} >"$drains/.new"; sync "$drains/.new"; mv -f "$drains/.new" "$drains"/{server}
[ ! -S "$run/master.sock" ] || tell "set server model.{model}/{server} state drain" >/dev/null
"""

READY = (
    """server=$(named {model} {begin})
[ -n "$server" ] || {{ echo 'this gateway has no such server' >&2; exit 1; }}
rm -f "$drains/$server"
tell "set server model.{model}/$server state ready" >/dev/null
[ $(( $(admin {model} "$server") & 9 )) -eq 0 ] || {{ echo 'HAProxy did not take it back' >&2; exit 1; }}
"""
    + UNSHARE
)

KEY = """sha={sha256} lines={lines}
exec 9>"$configuration/keys.lock"; flock 9
"""

# What an apply has written and not loaded yet must still be loaded: then the stamp stays the older one. A reload
# and an apply make the map of the two files, too: what is told here outlasts both.
WRITE_KEY = """[ -e "$configuration/keys.applied" ] ||
    {{ echo 'this gateway keeps no keys yet; apply first' >&2; exit 1; }}
loaded=false; [ "$keys" -nt "$run/keys.loaded" ] || [ "$keys" -ot "$run/keys.loaded" ] || loaded=true
{{ grep -v "^$sha " "$configuration/keys.told" || true; printf '%s' {told}; }} 2>/dev/null |
    install -m 0600 /dev/stdin "$configuration/keys.told.new"
sync "$configuration/keys.told.new"; mv -f "$configuration/keys.told.new" "$configuration/keys.told"
"$configuration/api-keys" merge
lines=$(grep "^$sha[ /]" "$keys" | LC_ALL=C sort -r || true)
[ -z "$lines" ] || lines="$lines
"
! $loaded || touch -r "$keys" "$run/keys.loaded"
"""

REFUSE_REVOKED = """! grep -qs "^$sha revoked" "$configuration/keys.applied" "$configuration/keys.told" ||
    { echo 'this key was revoked' >&2; exit 1; }
"""

TELL_KEY = """for pid in $(workers); do
    printf '%s' "$lines" | while read -r name value; do put "$pid" "$keys" "$name" "$value"; done
    worker "$pid" "show map $keys" | awk -v sha="$sha" 'index($2, sha) == 1 { print $2 }' |
        grep -vxF -e "$(printf '%s' "$lines" | cut -d ' ' -f 1)" |
        while read -r name; do worker "$pid" "del map $keys $name" >/dev/null; done
done
"""

# Written first: the next worker reads the file.
OPEN_GAP = """model={model} ends=$(($(date +%s) + {seconds}))
note "$gaps" "$model" "$ends"
for pid in $(workers); do put "$pid" "$gaps" "$model" "$ends"; done
ask admin "get map $gaps $model" | grep -q "value=\\"$ends\\"" ||
    {{ echo 'HAProxy knows no gaps; apply first' >&2; exit 1; }}
"""

CLOSE_GAP = """model={model}
note "$gaps" "$model" ''
tell "del map $gaps $model" >/dev/null
! ask admin "get map $gaps $model" | grep -q 'found=yes'
"""

SHOW_GAPS = f"""ask admin "show map $gaps" |
    awk -v since=$(($(date +%s) - {GAP_HEEDED_SECONDS})) 'NF == 3 && $3 > since {{ print $2, $3 }}'
"""
