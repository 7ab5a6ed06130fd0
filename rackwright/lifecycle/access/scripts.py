"""The read-only script that lists who can log in to a host, and its parsed output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rackwright.fleet.public_key import keys_in

SCRIPT = """set -f
export LC_ALL=C
echo "begins $(journalctl -q --no-pager -o short-unix 2>/dev/null | { read -r t _ && echo "$t"; })"
t=$(/usr/sbin/sshd -T 2>/dev/null) || :
files=
while read -r word rest; do
  case $word in
    authorizedkeysfile) files=$rest ;;
    authorizedkeyscommand|trustedusercakeys) [ "$rest" = none ] || echo "other $word $rest" ;;
  esac
done <<END
$t
END
some=' '
while IFS=: read -r n _ u _ _ h _; do
  echo "user $n $u"
  for f in ${files:-.ssh/authorized_keys .ssh/authorized_keys2}; do
    case $f in none) continue ;; *%h*) f=${f%%%h*}$h${f#*%h} ;; *%u*) f=${f%%%u*}$n${f#*%u} ;; esac
    case $f in /*) ;; *) f=$h/$f ;; esac
    [ -f "$f" ] || continue
    case $some in *" $n "*) ;; *) some="$some$n " ;; esac
    while IFS= read -r l || [ -n "$l" ]; do printf 'key %s %s\\n' "$n" "$l"; done <"$f"
  done
done </etc/passwd
while IFS=: read -r n p _; do
  case $p in '!'*|'*'*) continue ;; esac
  echo "password $n"
  case $some in *" $n "*) ;; *) some="$some$n " ;; esac
done </etc/shadow
for n in $some; do
  [ "$n" != root ] || continue
  sudo -n -l -U "$n" 2>/dev/null | while read -r l; do case $l in '('*) printf 'sudo %s %s\\n' "$n" "$l" ;; esac; done
done
journalctl -q --no-pager -o short-unix -t sshd -t sshd-session -g '^Accepted publickey for ' 2>/dev/null |
  awk '{ k = $7 " " $NF; t[k] = $1; a[k] = $9 } END { for (k in t) print "login", k, t[k], a[k] }'
true
"""
"""Needs root. sshd's log is the only record of logins with their keys on both Debian 13 and Ubuntu 24.04: lastlog and
wtmp have no keys, and Debian 13 has neither. From shadow(5) it prints only the users that have a password."""


@dataclass(frozen=True)
class Use:
    """Time and source address of a key's last login to an account, as far back as the journal goes."""

    when: datetime
    address: str


@dataclass(frozen=True)
class User:
    name: str
    uid: int
    keys: Mapping[str, str] = field(default_factory=dict)
    """Fingerprint (SHA256:…) → comment."""
    password: bool = False
    sudo: tuple[str, ...] = ()
    """Lines of `sudo -l`; empty for root, which needs no sudo."""
    uses: Mapping[str, Use] = field(default_factory=dict)
    """By fingerprint, including removed keys."""


@dataclass(frozen=True)
class HostAccess:
    users: Mapping[str, User]
    begins: datetime | None
    """Start of the journal."""
    others: tuple[str, ...]
    """Other sources of sshd's keys, which this script doesn't read."""


def parse(output: str) -> HostAccess:
    """Parse the output of SCRIPT."""
    lines: dict[str, list[list[str]]] = {}
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        lines.setdefault(word, []).append(rest.split(" ", 1) if word in ("key", "sudo") else rest.split(" "))
    users = {name: _user(name, int(uid), lines) for name, uid in lines.get("user", ())}
    begins = next((words[0] for words in lines.get("begins", ()) if words[0]), None)
    others = tuple(" ".join(words) for words in lines.get("other", ()))
    return HostAccess(users, _moment(begins) if begins else None, others)


def _user(name: str, uid: int, lines: Mapping[str, list[list[str]]]) -> User:
    logins = (words for words in lines.get("login", ()) if words[0] == name and len(words) == 4)
    return User(
        name=name,
        uid=uid,
        keys=dict(keys_in(_of(name, lines.get("key", ())))),
        password=[name] in lines.get("password", ()),
        sudo=tuple(_of(name, lines.get("sudo", ()))),
        uses={key: Use(_moment(seconds), address) for _, key, seconds, address in logins},
    )


def _of(name: str, lines: Iterable[list[str]]) -> list[str]:
    return [words[1] for words in lines if words[0] == name and len(words) == 2]


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(float(seconds)), UTC)
