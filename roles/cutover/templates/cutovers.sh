# Which share of new conversations the fleet gets. Needs the functions for workers, and $cutovers, $records and $panic.

running() { [ -S "$run/sockets/master.sock" ]; }

# FILE: replace it by standard input.
keep() { install -T -m 0644 /dev/stdin "$1.new"; sync "$1.new"; mv -fT "$1.new" "$1"; }

# MIGRATION: the lines that the map's file has of it.
lines_of() { awk -v migration="$1" '{ split($2, part, "|") } part[2] == migration' "$cutovers" 2>/dev/null || true; }
others_than() { awk -v migration="$1" '{ split($2, part, "|") } part[2] != migration' "$cutovers" 2>/dev/null || true; }

# MIGRATION: the names that HAProxy has of it. An earlier rollback may have changed only the file.
held_of() {
    if running; then
        answer admin "show map $cutovers"
        printf '%s\n' "$said" | awk -v migration="$1" '{ split($3, part, "|") } part[2] == migration { print $2 }'
    fi
}

# PID NAME…: this worker sends all requests for these names to the cloud.
take_back() {
    asked=$1
    shift
    for name in "$@"; do tell "$asked" "del map $cutovers $name" 'Key not found.'; done
}

# MIGRATION RECORD: send all its requests to the cloud. The file comes first, because a new worker reads it.
roll_back() {
    names=$({ lines_of "$1" | cut -d ' ' -f 1; held_of "$1"; } | sort -u)
    others_than "$1" | keep "$cutovers"
    if running; then
        each '' take_back $names
        answer admin "show map $cutovers"
        for name in $names; do
            ! printf '%s\n' "$said" | grep -q " $name " || { echo "HAProxy still gives the fleet a share of $name" >&2; exit 1; }
        done
    fi
    install -d -m 0755 -- "$records"
    # Who rolled back first stays known.
    [ -z "$names" ] && grep -qs '"back":true' "$records/$1.json" || printf '%s\n' "$2" | keep "$records/$1.json"
}
