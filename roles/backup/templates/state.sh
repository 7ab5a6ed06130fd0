# Read by common.sh and adopt.sh: what this host remembers of a repository, in NAME.json (backup/1).
set -euf; umask 077
name=$1 state=/var/lib/rackwright/backup/$1.json
keys='repository since snapshot snapshot_at files bytes check_at part run_failed_at run_failed check_failed_at check_failed
found history newest'

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
load() {
  for key in $keys; do eval "$key=\$(sed -n 's/^ \"$key\": \"\(.*\)\",\{0,1\}$/\1/p' '$state' 2>/dev/null || :)"; done
}
save() { # one value per line, because `load` reads this file
  {
    printf '{"format": "backup/1"'
    for key in $keys; do eval "v=\$$key"; [ -z "$v" ] || printf ',\n "%s": "%s"' "$key" "$v"; done
    printf '\n}\n'
  } >"$state.new"
  sync "$state.new" && mv -fT "$state.new" "$state"
}
