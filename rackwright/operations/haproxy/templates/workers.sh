# SOCKET COMMAND SECONDS: as HAProxy's user, which may have put a link there. Its answer is bounded for the same reason.
say() { printf '%s\n' "$2" | socat -t "$3" - "UNIX-CONNECT:$run/sockets/$1.sock,su-e=$asks_as" | head -c 64M; }

ask() { say "$1" "$2" 60; } # SOCKET COMMAND

# Lock until this shell ends: commands to all workers must not overlap with a reload or with another writer of a map.
lock() {
    exec 9<"$configuration"
    flock -w 45 9 || { echo 'another command is changing HAProxy; try again later'; exit 1; } >&2
}

# [new|old]: process ids.
workers() {
    processes=$(ask master 'show proc')
    case $processes in *' worker '*) ;; *) echo "HAProxy's master lists no worker" >&2; exit 1 ;; esac
    printf '%s\n' "$processes" | awk -v asked="${1:-}" '/^#/ { group = /^# old/ ? "old" : "new" }
        $2 == "worker" && (asked == "" || asked == group) { print $1 }'
}

# WHICH FUNCTION WORD…: FUNCTION PID WORD… for each worker; WHICH is new, old, or '' for all.
each() {
    pids=$(workers "$1") || exit 1
    function=$2
    shift 2
    for pid in $pids; do "$function" "$pid" "$@"; done
}

# PID COMMAND. Don't ask a worker that has ended: HAProxy's master sometimes keeps such a connection open.
worker() {
    [ ! -e "/proc/$1/exe" ] || say master "@!$1 $2" 10
}

# PID|admin COMMAND: set $said to the complete answer. Return 1 if the worker has ended.
answer() {
    answer_tries=100 answer_until=$(($(date +%s) + 30))
    while [ "$1" = admin ] || [ -e "/proc/$1/exe" ]; do
        case $1 in admin) said=$(ask admin "$2"; echo .) ;; *) said=$(worker "$1" "$2"; echo .) ;; esac
        # A blank line ends each answer, but not the master's error message for a worker that it can't reach.
        case $said in "
." | *"

.") said=${said%??}; said=${said%?}; return 0 ;; esac
        # A worker whose last request has finished doesn't answer, and may take a while to end.
        [ "$1" != admin ] && [ $((answer_tries -= 1)) -gt 0 ] && [ "$(date +%s)" -lt "$answer_until" ] ||
            unexpected "$1" "$2"
        sleep 0.2
    done
    return 1
}

# PID|admin COMMAND: report that $said isn't the expected answer.
unexpected() {
    case $said in "Unknown map "* | "Unknown command: "*)
        # An earlier version started this worker: it ends after its answers, and doesn't know the command.
        [ "$1" = admin ] || ! workers old | grep -qx "$1" || return 0
        said="$said (it runs with other files: apply first)" ;;
    esac
    who="HAProxy's worker $1"
    [ "$1" != admin ] || who=HAProxy
    printf "%s, asked '%.100s', answered: %s\n" "$who" "${2%%
*}" "${said%.}" |
        LC_ALL=C tr -c '[:print:]' ' ' | cut -c 1-300 >&2
    exit 1
}

# PID COMMAND [PATTERN]: run the command in the worker, unless it has ended. The answer must be empty or match PATTERN.
tell() {
    answer "$1" "$2" || return 0
    case $said in '' | ${3:-}) ;; *) unexpected "$1" "$2" ;; esac
}

# PID MAP KEY VALUE. A second `add map` would create a duplicate, and an entry deleted first would be missing briefly.
put() {
    answer "$1" "get map $2 $3" || return 0
    case $said in
        *found=yes*) tell "$1" "set map $2 $3 $4" ;;
        *found=no*) tell "$1" "add map $2 $3 $4" ;;
        *) unexpected "$1" "get map $2 $3" ;;
    esac
}

# PID: a replaced worker passes the requests that it still gets to the next worker.
pass_on() { put "$1" "$configuration/replaced.map" replaced yes; }

# MAP FOLDER: load exactly the file's entries into every worker, also one that is only finishing its answers.
load_map() {
    parts=$(mktemp -d "$2/rackwright-map.XXXXXX")
    trap 'rm -rf "$parts"' EXIT
    # HAProxy reads a command into one buffer, and truncates a longer one.
    split -C 65536 -a 6 "$1" "$parts/"
    each '' worker_map "$1"
}

# PID MAP: load it into this worker, unless it has ended; after a failure, it keeps what it has.
worker_map() {
    answer "$1" "prepare map $2" || return 0
    case $said in 'New version created: '*) version=${said##* } ;; *) unexpected "$1" "prepare map $2"; return 0 ;; esac
    for part in "$parts"/*; do
        [ ! -e "$part" ] || tell "$1" "add map @$version $2 <<
$(cat "$part")
"
    done
    answer "$1" "show map @$version $2" || return 0
    known=$(printf '%s\n' "$said" | grep -c . || true) wanted=$(grep -c . "$2" || true)
    [ "$known" -eq "$wanted" ] || { echo "HAProxy's worker $1 took $known of $wanted lines of $2"; exit 1; } >&2
    tell "$1" "commit map @$version $2"
}
