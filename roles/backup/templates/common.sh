# Read by run.sh, check.sh and restore.sh: calls restic, distinguishes locks from failures, records what runs did.
. /etc/rackwright/backup/state.sh
limit='' holder='' work=${work:-$RUNTIME_DIRECTORY/$name}; said=$work.said errors=$work.errors
. "/etc/rackwright/backup/$name.values"

fail() { # WHY; the record of the last good run stays
  why=$(printf '%s' "$1" | tr '"\\\n\t' "'/  " | tr -cd ' -~' | cut -c -300)
  eval "${verb}_failed=\$why ${verb}_failed_at=$(now)"
  save; { tail -n 20 "$errors"; echo "$why"; } >&2
  exit 1
}
words() { grep -m 1 Fatal: "$errors" || tail -n 1 "$errors"; }
value() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$said" | tail -n 1; } # from restic's JSON

free() { # remove this host's locks of dead processes, unless there is a lock of a live process or of another host
  for lock in $(talk list locks --no-lock -q); do
    talk cat lock "$lock" --no-lock -q >"$said"
    holder=" by process $(value pid) of $(value hostname)"
    case $(value hostname)/$(cat "/proc/$(value pid)/comm" 2>/dev/null) in
      "$(uname -n)/restic") return 0 ;; "$(uname -n)/"*) ;; *) return 0 ;;
    esac
  done
  talk unlock -q
}
try() { code=0; talk "$@" >"$said" 2>"$errors" || code=$?; }
ask() { # try again if the repository was locked, or if a file disappeared while it was being read
  try "$@"
  case $code in 3) try "$@" ;; 11) free; try --retry-lock "$patience" "$@" ;; esac
  [ "$code" != 11 ] || fail "locked$holder, not damaged"
  [ "$code" = 0 ]
}
mounted() { [ -z "$mount" ] || [ -e "$RUNTIME_DIRECTORY/$name.mounted" ] || fail "$mount is not mounted"; }
reach() { # ensure that the repository can be reached, and that it is the same one as before
  mounted
  limit='timeout 120'
  ask cat config --no-lock || case $code/$verb/$repository in
    10/run/) { ask init -q && ask cat config --no-lock; } || fail "the repository could not be created: $(words)" ;;
    10/*) fail "the repository is gone; no new one is created" ;;
    12/*) fail "wrong password" ;;
    *) fail "can't be reached: $(words)" ;;
  esac
  found=$(value id)
  case $repository in
    "${found:-none}") ;;
    '') [ -n "$found" ] || fail "its id can't be read"; refuse_history; repository=$found since=$(now) ;;
    *) fail "there is another repository in its place" ;;
  esac
  limit='' found=''
  save
}
refuse_history() { # the host knows no repository: it may be a new machine, whose data is in the old one's snapshots
  ask list snapshots --no-lock -q || fail "its snapshots can't be listed: $(words)"
  [ -s "$said" ] || return 0
  history=$(wc -l <"$said"); try snapshots --json --no-lock
  newest=$(value time)
  fail "the repository has $history snapshots of an earlier $host, newest ${newest:-unknown}: restore $host, or adopt it"
}
load; : >"$errors"
found='' history='' newest='' # what this run finds
