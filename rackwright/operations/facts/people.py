"""People's accounts on a host. Without pyinfra: also for a plain connection."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rackwright.fleet.public_key import keys_in
from rackwright.roles.people.settings import AUDITORS, OPERATORS, PEOPLE, READERS

_GROUPS = (PEOPLE, OPERATORS, AUDITORS, *READERS)
# One process each for groups, accounts, their expiry, and all key files; only the first if we have admitted no one.
# getent answers in the order of its arguments: the first line is our group, if it exists.
_COMMAND = """set -f
set -- {names}
echo '-- group'
g=$(getent group {groups}) || :
printf '%s\\n' "$g"
m=
case $g in {people}:*) m=${{g%%
*}} m=${{m##*:}} ;; esac
IFS=,
for n in $m; do case ",$*," in *",$n,"*) ;; *) set -- "$@" "$n" ;; esac; done
unset IFS
if [ $# -gt 0 ]; then
  echo '-- passwd'
  p=$(getent passwd -- "$@") || :
  printf '%s\\n' "$p"
  echo '-- shadow'
  getent shadow -- "$@" || :
  set --
  echo '-- odd'
  while IFS=: read -r n _ _ _ _ h _; do
    k=$h/.ssh/authorized_keys
    if [ -L "$h/.ssh" ] || [ -L "$k" ] || [ -e "${{k}}2" ] || [ -L "${{k}}2" ]; then echo "$n"
    elif [ -f "$k" ]; then set -- "$@" "$k"; fi
  done <<END
$p
END
  if [ $# -gt 0 ]; then
    echo '-- stat'
    stat -c '%a %U %n' -- "$@" || :
    echo '-- keys'
    grep -aHm 500 '' -- "$@" || :
  fi
fi
"""


@dataclass(frozen=True)
class Account:
    """One user's entries in passwd(5) and shadow(5)."""

    name: str
    uid: int
    home: str
    shell: str = "/bin/bash"
    full_name: str = ""
    groups: frozenset[str] = frozenset()
    """Only groups that we assign."""
    expires: int | None = None
    """The first day on which it is expired, in days since 1970."""
    locked: bool = False
    keys: tuple[str, ...] | None = None
    """Lines of authorized_keys; None if there is no such file, or something else in its place."""
    keys_kept: bool = False
    """Whether that file belongs to the user and has mode 0600."""
    odd: bool = False
    """Whether there is a link in the path of the key file, or a second key file."""

    @property
    def fingerprints(self) -> dict[str, str]:
        """Return the fingerprints of its keys, with their comments."""
        return fingerprints(self.keys or ())

    @property
    def ours(self) -> bool:
        return PEOPLE in self.groups

    @property
    def out(self) -> bool:
        """Return whether no one can log in as this user, and all rights that we assigned are gone."""
        away = self.locked and self.expires is not None and self.expires <= 1
        return away and self.groups <= {PEOPLE} and not self.keys and not self.odd


@dataclass(frozen=True)
class Accounts:
    groups: frozenset[str] = frozenset()
    """The groups that we assign and that exist."""
    by_name: Mapping[str, Account] = field(default_factory=dict)


def people_command(names: Iterable[str]) -> str:
    """Return a read-only command, for root, that lists these users and all users that we have ever admitted."""
    listed = " ".join(shlex.quote(name) for name in names)
    return _COMMAND.format(names=listed, groups=" ".join(_GROUPS), people=PEOPLE)


def parse_people(lines: Iterable[str]) -> Accounts:
    """Given the output of people_command, return the accounts."""
    sections = _sections(lines)
    groups = {
        fields[0]: fields[3].split(",") for fields in map(_fields, sections.get("group", ())) if len(fields) == 4
    }
    shadow = {fields[0]: fields for fields in map(_fields, sections.get("shadow", ())) if len(fields) > 7}
    kept = {path: f"{mode} {user}" for mode, user, path in (line.split(" ", 2) for line in sections.get("stat", ()))}
    accounts = {}
    for fields in map(_fields, sections.get("passwd", ())):
        if len(fields) != 7 or not fields[2].isdigit():
            continue
        name, _, uid, _, comment, home, shell = fields
        secret, expires = (shadow[name][1], shadow[name][7]) if name in shadow else ("", "")
        path = f"{home}/.ssh/authorized_keys"
        accounts[name] = Account(
            name=name,
            uid=int(uid),
            home=home,
            shell=shell,
            full_name=comment.partition(",")[0],
            groups=frozenset(group for group, members in groups.items() if name in members),
            expires=int(expires) if expires.isdigit() else None,
            locked=secret.startswith("!"),
            keys=_keys(path, sections.get("keys", [])) if path in kept else None,
            keys_kept=kept.get(path) == f"600 {name}",
            odd=name in sections.get("odd", ()),
        )
    return Accounts(frozenset(groups), accounts)


def fingerprints(keys: Iterable[str]) -> dict[str, str]:
    """Given the lines of authorized_keys, return each key's fingerprint (SHA256:…) with its comment."""
    return dict(keys_in(keys))


def _sections(lines: Iterable[str]) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        # A line with a key starts with its file's path, so it can't look like a heading.
        if line.startswith("-- "):
            name = line.removeprefix("-- ")
            sections[name] = []
        elif line and name:
            sections[name].append(line)
    return sections


def _fields(line: str) -> list[str]:
    return line.split(":")


def _keys(path: str, lines: list[str]) -> tuple[str, ...]:
    return tuple(line.removeprefix(f"{path}:") for line in lines if line.startswith(f"{path}:"))
