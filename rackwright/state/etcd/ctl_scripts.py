"""The shell scripts that run etcdctl on a control host; $1 is its wrapper there, $2 how many seconds it gets.

Each is safe to repeat on another host while the first may still run.
"""

# Some commands of etcdctl have no time limit of their own. While a member doesn't know yet that the leader is gone,
# what it was asked is lost: then another attempt is faster than waiting. The limit is for etcd alone: what goes over
# a slow connection is read before, and printed afterwards.
_CTL = """set -eu
ctl() {
    timeout -k 1 "$limit" "$wrapper" --dial-timeout=1s "$@" || {
        status=$?
        [ "$status" != 124 ] || echo "etcdctl timed out after $limit s" >&2
        return "$status"
    }
}
wrapper=$1 limit=$2
shift 2
"""
_READ = """
text=$(cat; echo .)
commit() { found=$(printf %s "${text%.}" | ctl txn -w json) && printf '%s\\n' "$found"; }
"""

# Words: flags, key.
GET = (
    _CTL
    + """
found=$(ctl get -w json "$@")
printf '%s\\n' "$found"
"""
)

# stdin: the transaction. etcdctl exits with 0 when a comparison fails, too.
COMMIT = (
    _CTL
    + _READ
    + """
date +%s
commit
"""
)

# Words: seconds; stdin: the transaction, with placeholders.
GRANT_AND_COMMIT = (
    _CTL
    + _READ
    + """
now=$(date +%s)
granted=$(ctl lease grant "$1")
id=${granted#lease }
id=${id%% *}
case $id in ''|*[!0-9a-f]*) printf '%s\\n' "$granted" >&2; exit 65 ;; esac
echo "$now $id"
text=$(printf %s "$text" | sed -e "s/@LEASE@/$id/g" -e "s/@NOW@/$now/g")
commit
"""
)

# Words: the etcd lease; stdin: the transaction. Without its key, an etcd lease is of no use.
COMMIT_AND_REVOKE = (
    _CTL
    + _READ
    + """
date +%s
commit
ctl lease revoke "$1" >/dev/null 2>&1 || :
"""
)

# Words: the etcd lease.
REVOKE = (
    _CTL
    + """
ctl lease revoke "$1" >/dev/null 2>&1 || :
"""
)

# Words: the etcd lease, and another one that isn't needed, or nothing.
LEFT = (
    _CTL
    + """
[ -z "$2" ] || ctl lease revoke "$2" >/dev/null 2>&1 || :
date +%s
ctl lease timetolive "$1" -w json
"""
)

# Words: the etcd lease, the lease's key. The key is read afterwards, with a quorum: a member that doesn't know yet
# that another one leads may have renewed nothing.
KEEP_ALIVE = (
    _CTL
    + """
now=$(date +%s)
if ! reply=$(ctl lease keep-alive --once "$1" -w json 2>&1); then
    case $reply in
        *'requested lease not found'*) reply='{}' ;;
        *) printf '%s\\n' "$reply" >&2; exit 1 ;;
    esac
fi
echo "$now"
printf '%s\\n' "$reply" | tail -n 1
ctl get -w json -- "$2"
"""
)
