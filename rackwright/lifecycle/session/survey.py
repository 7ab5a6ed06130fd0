"""The read-only survey of every host: one command per host for everything that a plan needs, apart from the roles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import zip_longest
from typing import TypeVar

from rackwright.errors import HostError
from rackwright.gateway import DRAINS_COMMAND, LEFT_COMMAND, DrainRecord, LeftRecord, parse_drains, parse_left
from rackwright.hardware.hardware import COMMAND as HARDWARE_COMMAND
from rackwright.hardware.hardware import Hardware, parse_hardware
from rackwright.lifecycle.session.control_host import latest
from rackwright.lifecycle.session.overrides import OVERRIDES_COMMAND, Override, parse_overrides
from rackwright.lifecycle.session.session import Session
from rackwright.operations.facts.filters import FILTERS_COMMAND, Filters, parse_filters
from rackwright.operations.facts.found_driver import FOUND_DRIVER_COMMAND, FoundDriver, parse_found_driver
from rackwright.operations.facts.listening import LISTENING_COMMAND, Socket, parse_listening
from rackwright.operations.facts.people import Accounts, parse_people, people_command
from rackwright.remote.answers import read_answer
from rackwright.remote.batch import Batch
from rackwright.remote.completed import Completed
from rackwright.roles.backup.state import COMMAND as BACKUP_COMMAND
from rackwright.roles.backup.state import BackupState
from rackwright.roles.backup.state import parse as parse_backup
from rackwright.roles.etcd.state import COMMAND as ETCD_COMMAND
from rackwright.roles.etcd.state import EtcdState
from rackwright.roles.etcd.state import parse as parse_etcd
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.roles.replica.state import ReplicaState
from rackwright.roles.replica.state import parse as parse_replicas
from rackwright.state.control import ControlRecord, parse_control, read_command
from rackwright.state.kit import QUESTION as KIT_COMMAND
from rackwright.state.kit import KnownKit, parse_kit
from rackwright.state.record import applied_lock

CONNECTED_COMMAND = """p=$$
while [ "${p:-1}" -gt 1 ]; do
a=$(grep -zs '^SSH_CONNECTION=' "/proc/$p/environ" | tr -d '\\0')
[ -z "$a" ] || { a=${a#*=}; set -- $a; echo "$1 $3"; break; }
parent=''
while read -r key value; do if [ "$key" = PPid: ]; then parent=$value; break; fi; done <"/proc/$p/status"
p=$parent
done 2>/dev/null
"""
"""Prints the source address of this SSH connection as the host sees it, and the host's own address.

sudo removes the variable, so the script reads it from the parent processes; if one of them has exited, it stops."""
OUR_PROCESSES_COMMAND = "grep -ls '/rackwright-[^/]*[.]service' /proc/[0-9]*/cgroup"
RECORD_COMMAND = "cat /var/lib/rackwright/record.json 2>/dev/null"

Read = TypeVar("Read")

ANSWER_LIMIT = 8 * 2**20
"""Most bytes that a host may answer."""
_SIGNALED = 128
"""Exit statuses from here on mean that a signal ended the command."""

# rackwright's own processes are listed twice, to include those that start or exit while ss runs.
_PARTS = {
    "ours before": OUR_PROCESSES_COMMAND,
    "listening": LISTENING_COMMAND,
    "ours after": OUR_PROCESSES_COMMAND,
    "filters": FILTERS_COMMAND,
    "replicas": REPLICAS_COMMAND,
    "record": RECORD_COMMAND,
    "connected": CONNECTED_COMMAND,
    "drains": DRAINS_COMMAND,
    "backup": BACKUP_COMMAND,
    "driver": FOUND_DRIVER_COMMAND,
    "hardware": HARDWARE_COMMAND,
    "control": read_command(),
    "kit": KIT_COMMAND,
    "overrides": OVERRIDES_COMMAND,
    "left": LEFT_COMMAND,
    "etcd": ETCD_COMMAND,
}


@dataclass(frozen=True)
class Connected:
    """This SSH connection, as the host sees it."""

    source: str
    own: str
    """The address of the host that it was made to."""


@dataclass(frozen=True)
class Surveyed:
    """The current state of one host."""

    listening: tuple[Socket, ...]
    """Without the sockets of rackwright's own units: the fleet file decides about those."""
    filters: Filters
    replicas: Mapping[str, ReplicaState]
    """By replica name, without those that aren't installed yet."""
    applied_lock: str | None
    """Digest of the lock that was applied last; "" if the host's record can't be read; None: it has no record."""
    connected: Connected | None
    """None if the host is this machine."""
    drains: Mapping[str, DrainRecord]
    """Of a gateway: its drained replicas, by HOST/MODEL@N."""
    backup: BackupState
    driver: FoundDriver
    """The GPU driver, no matter what installed it."""
    people: Accounts
    """Accounts of the people in the fleet file, and accounts that rackwright gave access to before."""
    hardware: Hardware = field(default_factory=Hardware)
    control: ControlRecord | None = None
    """Which host is the control host, according to this one."""
    kit: KnownKit = field(default_factory=KnownKit)
    """Of a control host: where the kit was saved, and what was applied last."""
    overrides: tuple[Override, ...] = ()
    """Files that change our units and that rackwright didn't write."""
    left: LeftRecord | None = None
    """Of a gateway that takes no connections: why."""
    etcd: EtcdState = field(default_factory=EtcdState)


@dataclass(frozen=True)
class Survey:
    hosts: Mapping[str, Surveyed]
    unreachable: Mapping[str, str]
    """Host → the reason."""

    @property
    def overrides(self) -> tuple[str, ...]:
        """What changes our units on any host although rackwright didn't write it, with the next command."""
        return tuple(
            f"{name}: {found}; next: compare it with `systemctl cat {found.unit}` there, and remove it"
            for name, host in self.hosts.items()
            for found in host.overrides
        )

    @property
    def control(self) -> ControlRecord | None:
        """The newest record of the control host that any host has."""
        return latest(host.control for host in self.hosts.values())


def survey(session: Session) -> Survey:
    """Ask every host at the same time. Changes nothing."""
    batches = {name: batch_of(spec.people.names) for name, spec in session.hosts.items()}
    answers = session.remote.run_on(
        tuple(batches), {name: batch.script for name, batch in batches.items()}, limit=ANSWER_LIMIT
    )
    hosts: dict[str, Surveyed] = {}
    unreachable: dict[str, str] = {}
    for name, answer in answers.items():
        try:
            hosts[name] = _surveyed(batches[name], answer, name)
        except HostError as error:
            unreachable[name] = error.problems[0].line()
    return Survey(hosts, unreachable)


def _surveyed(batch: Batch, answer: Completed | HostError, name: str) -> Surveyed:
    if isinstance(answer, HostError):
        raise answer
    parts = batch.whole(answer.stdout_bytes)
    if missing := _missing(parts):
        raise HostError(f"the survey stopped at: {missing}", where=name)
    return surveyed_of(parts, name)


def batch_of(people: tuple[str, ...]) -> Batch:
    """Return the questions of a survey; `people`: users that the fleet file names."""
    return Batch.of((*_PARTS.values(), people_command(people)))


def _missing(parts: list[Completed]) -> str | None:
    """Return the first part that is incomplete, so that an unknown host isn't taken for an empty one."""
    statuses = [part.exit_status for part in parts]
    ends = zip_longest((*_PARTS, "people"), statuses, fillvalue=_SIGNALED)
    return next((str(name) for name, status in ends if status >= _SIGNALED), None)


def surveyed_of(parts: list[Completed], name: str) -> Surveyed:
    """Given the answers of one host, each whole, return what they say. Raise HostError if one can't be parsed."""
    report = {part: answer.stdout for part, answer in zip((*_PARTS, "people"), parts, strict=True)}

    def read(part: str, parse: Callable[[str], Read]) -> Read:
        return read_answer(name, f"the survey at: {part}", parse, report[part])

    our_pids = read("ours before", _pids) | read("ours after", _pids)
    return Surveyed(
        listening=tuple(socket for socket in read("listening", parse_listening) if socket.pid not in our_pids),
        filters=read("filters", parse_filters),
        replicas={state.replica: state for state in read("replicas", parse_replicas)},
        applied_lock=read("record", applied_lock),
        connected=read("connected", parse_connected),
        drains=read("drains", parse_drains),
        backup=read("backup", parse_backup),
        driver=read("driver", parse_found_driver),
        people=read("people", lambda text: parse_people(text.splitlines())),
        hardware=read("hardware", parse_hardware),
        control=read("control", lambda text: parse_control(text.strip(), name)),
        kit=read("kit", lambda text: parse_kit(text, name)),
        overrides=read("overrides", parse_overrides),
        left=read("left", parse_left),
        etcd=read("etcd", parse_etcd),
    )


def _pids(text: str) -> set[int]:
    return {int(line.split("/")[2]) for line in text.splitlines() if line}


def parse_connected(text: str) -> Connected | None:
    """Given CONNECTED_COMMAND's output, return both ends of the connection; None: the host doesn't know them.

    Raise ValueError if one is no address.
    """
    ends = text.split()
    if len(ends) != 2:
        return None
    for end in ends:
        ip_address(end.partition("%")[0])
    return Connected(*ends)
