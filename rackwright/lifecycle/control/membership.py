"""Which hosts are members of the control hosts' etcd: form it, add one, remove one, restart one.

Each act may be repeated after it was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from rackwright.errors import HostError
from rackwright.fleet.hosts.etcd import etcd_of
from rackwright.remote.answers import read_answer
from rackwright.roles.etcd.settings import CTL, DATA, MEMBER, UNIT
from rackwright.run import new_run_id
from rackwright.state.shell import command
from rackwright.values.base import Stored

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet
    from rackwright.remote import Remote

_LISTING = "listing the members of etcd"
_ASKING = "asking whether etcd was started alone"
WAIT_SECONDS = 90
"""How long a member may take until it answers, and the others until they agree to a change."""

# $1: ctl, $2: how many seconds it may take; then the arguments of ctl. Members that have just met refuse changes for
# some seconds.
_PATIENTLY = """set -eu
ctl=$1 until=$(($(cut -d. -f1 /proc/uptime) + $2))
shift 2
until said=$("$ctl" "$@" 2>&1); do
    [ "$(cut -d. -f1 /proc/uptime)" -lt "$until" ] || { printf '%s\\n' "$said" | tail -n 1 >&2; exit 1; }
    sleep 1
done
printf '%s\\n' "$said"
"""
# $1: unit, $2: member.env; stdin: its content.
_START = """set -eu
umask 022
cat >"$2.new"
sync "$2.new"
mv -fT -- "$2.new" "$2"
sync "${2%/*}"
systemctl reset-failed "$1" 2>/dev/null || :
systemctl start --no-block "$1"
"""
# $1: unit, $2: member.env, $3: the data. member.env goes last: it says that there may be data.
_CLEAR = """set -eu
systemctl stop "$1" 2>/dev/null || :
rm -rf -- "$3"
rm -f -- "$2"
[ ! -d "${2%/*}" ] || sync "${2%/*}"
"""
_FORCED = "ETCD_FORCE_NEW_CLUSTER=true"
"""Stays in member.env of a host that was started alone, until its data is removed."""
# $1: unit, $2: member.env, $3: the data. etcd forgets all other members, and keeps its data.
_ALONE = f"""set -eu
[ -e "$2" ] && [ -d "$3/member" ] || exit 66
systemctl stop "$1"
grep -qx {_FORCED} "$2" || echo {_FORCED} >>"$2"
systemctl reset-failed "$1" 2>/dev/null || :
systemctl start --no-block "$1"
"""
# $1: member.env.
_STARTED_ALONE = f"""if [ -e "$1" ] && grep -qx {_FORCED} "$1"; then echo yes; fi
"""
_RESTART = """set -eu
systemctl reset-failed "$1" 2>/dev/null || :
systemctl restart --no-block "$1"
"""
_NO_MEMBER = 66


class _Member(Stored):
    """A member as `etcdctl member list -w json` of etcd 3.5 shows it."""

    id: Annotated[int, Field(alias="ID", ge=0, lt=2**64)]
    name: str = ""
    """Empty until it has started for the first time."""
    urls: Annotated[tuple[str, ...], Field(alias="peerURLs")]


class _Members(Stored):
    members: tuple[_Member, ...]


@dataclass(frozen=True)
class Membership:
    """The etcd of a fleet's control hosts. `through` is always a member that works and that stays one."""

    fleet: Fleet
    remote: Remote

    def failing(self, hosts: Iterable[str], seconds: int = 1) -> dict[str, str]:
        """Return the hosts whose member can't read and write together with the others within this time, and why."""

        def ask(name: str) -> str | None:
            try:
                self._ctl(name, "endpoint", "health", what="asking etcd", seconds=seconds)
            except HostError as error:
                return error.problems[0].what
            return None

        return {name: why for name, why in self.remote.each(tuple(hosts), ask).items() if why}

    def hosts(self, through: str) -> frozenset[str]:
        """Return the hosts that are members, also those that are down."""
        return frozenset(one.name for one in self._list(through) if one.name)

    def form(self, hosts: tuple[str, ...]) -> None:
        """Make these hosts the members of a new etcd without data; what they had is removed.

        Raise HostError if one of them doesn't work in time.
        """
        self.remote.each(hosts, self._clear)
        urls = {name: self._url(name) for name in hosts}
        # Members of an attempt that was interrupted must not take these for their own.
        token = f"{self.fleet.file.fleet}-{new_run_id()}"
        self.remote.each(hosts, lambda name: self._start(name, urls, "new", token))
        self.remote.each(hosts, self._await)

    def add(self, host: str, through: str) -> None:
        """Make the host a member; it gets its data from the others. What it had is removed.

        All that are dead must have been removed before: etcd refuses new members otherwise. Raise HostError if the
        others refuse, or if the host doesn't work in time.
        """
        self.forget(host, through)
        self._clear(host)
        self._ctl(through, "member", "add", host, f"--peer-urls={self._url(host)}", what=f"adding {host} to etcd")
        others = {one.name: one.urls[0] for one in self._list(through) if one.name and one.urls}
        self._start(host, {**others, host: self._url(host)}, "existing", self.fleet.file.fleet)
        self._await(host)

    def forget(self, host: str, through: str) -> None:
        """End the host's membership among the others; the host itself isn't asked."""
        for one in self._list(through):
            # One that has never started has no name yet.
            if one.name == host or (not one.name and self._url(host) in one.urls):
                self._end(one, through)

    def remove(self, host: str, through: str) -> None:
        """End the host's membership; if the host can be reached, stop its etcd and remove its data."""
        self.forget(host, through)
        self.clear((host,))

    def keep_only(self, hosts: Iterable[str], through: str) -> None:
        """End the membership of all other hosts, also of one that has never started."""
        kept = {*hosts}
        urls = {self._url(host) for host in kept}
        for one in self._list(through):
            if one.name not in kept and not (not one.name and urls & {*one.urls}):
                self._end(one, through)
                self.clear((one.name,))

    def clear(self, hosts: Iterable[str]) -> None:
        """Stop etcd and remove its data, on those of the hosts that are in the fleet file and can be reached."""

        def clear(name: str) -> None:
            if self.reached(name):
                self._clear(name)

        self.remote.each([name for name in hosts if name in self.fleet.file.hosts], clear)

    def reached(self, host: str) -> bool:
        """Return whether the host can be reached."""
        try:
            self.remote.connection(host).open()
        except HostError:
            return False
        return True

    def alone(self, host: str) -> bool:
        """Make the host the only member, with the data that it has; return whether it has any.

        The others must never come back as members: they would know nothing of what follows. Raise HostError if it
        doesn't work in time.
        """
        done = self.remote.connection(host).run(command(_ALONE, UNIT, MEMBER, DATA))
        if done.exit_status == _NO_MEMBER:
            return False
        done.check("starting etcd alone")
        self._await(host)
        return True

    def started_alone(self, hosts: Iterable[str]) -> tuple[str, ...]:
        """Return those of the hosts that `alone` has started, as far as they can be reached."""
        found = self.remote.run_on(tuple(hosts), command(_STARTED_ALONE, MEMBER))
        answers = {name: answer for name, answer in found.items() if not isinstance(answer, HostError)}
        return tuple(name for name, answer in answers.items() if answer.check(_ASKING).stdout.strip() == "yes")

    def restart(self, host: str, through: str) -> None:
        """Restart the host's etcd, at its present address; return when it works. Raise HostError if it doesn't."""
        for one in self._list(through):
            if one.name == host and self._url(host) not in one.urls:
                moving = ("member", "update", f"{one.id:x}", f"--peer-urls={self._url(host)}")
                self._ctl(through, *moving, what=f"telling etcd the new address of {host}")
        self.remote.connection(host).run(command(_RESTART, UNIT)).check("restarting etcd")
        self._await(host)

    def restart_together(self, hosts: tuple[str, ...]) -> None:
        """Restart etcd on these hosts at the same time; return when each works. Raise HostError if one doesn't."""
        restarting = command(_RESTART, UNIT)
        self.remote.each(hosts, lambda name: self.remote.connection(name).run(restarting).check("restarting etcd"))
        self.remote.each(hosts, self._await)

    def _url(self, host: str) -> str:
        return "" if (settings := etcd_of(self.fleet, host)) is None else settings.peer_url

    def _end(self, member: _Member, through: str) -> None:
        self._ctl(through, "member", "remove", f"{member.id:x}", what=f"removing {member.name or 'one'} from etcd")

    def _list(self, through: str) -> tuple[_Member, ...]:
        answer = self._ctl(through, "member", "list", "--write-out=json", what=_LISTING)
        return read_answer(through, _LISTING, _Members.model_validate_json, answer).members

    def _start(self, host: str, members: Mapping[str, str], state: str, token: str) -> None:
        initial = ",".join(f"{name}={url}" for name, url in members.items())
        content = (
            f"ETCD_INITIAL_CLUSTER={initial}\n"
            f"ETCD_INITIAL_CLUSTER_STATE={state}\n"
            f"ETCD_INITIAL_CLUSTER_TOKEN={token}\n"
        )
        starting = command(_START, UNIT, MEMBER)
        self.remote.connection(host).run(starting, stdin=content).check("starting etcd")

    def _clear(self, host: str) -> None:
        self.remote.connection(host).run(command(_CLEAR, UNIT, MEMBER, DATA)).check("removing etcd's data")

    def _await(self, host: str) -> None:
        self._ctl(host, "endpoint", "health", what="waiting for etcd")

    def _ctl(self, host: str, *words: str, what: str, seconds: int = WAIT_SECONDS) -> str:
        asking = command(_PATIENTLY, CTL, seconds, *words)
        return self.remote.connection(host).run(asking, timeout=seconds + 30).check(what).stdout
