"""Restore one host: files next to its own, validated, then switched in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rackwright.lifecycle.backup.adopt import adopt_restored
from rackwright.lifecycle.backup.make import ResticProgress
from rackwright.lifecycle.restore import scripts
from rackwright.lifecycle.restore.arrived import PLAIN, not_ours, refuse_incomplete
from rackwright.lifecycle.restore.contents import Contents, read_contents
from rackwright.lifecycle.restore.first_hashes import first_hashes, stays
from rackwright.lifecycle.restore.items import AUDIT, CONTROL, CONTROL_HOST, FLEET, USAGE, Combined
from rackwright.lifecycle.restore.plan import HostPlan
from rackwright.lifecycle.restore.staging import Staging, Target, discard, finish, stage, without_strange
from rackwright.lifecycle.restore.weights import put_in_place, saved_weights
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.remote import Connection
from rackwright.roles.backup.settings import RESTORES
from rackwright.state.api_keys.control_keys import keep_keys
from rackwright.state.applied import read_applied, unpacked
from rackwright.state.control import read_control, write_control
from rackwright.state.formats import utc_now
from rackwright.state.journal import Entry, Event, open_rollout
from rackwright.state.lease_session import LeaseSession
from rackwright.state.shell import command
from rackwright.state.switch_in import merge_audit, merge_control, merge_usage, settle, switch_in
from rackwright.stopping import Stopping

_READ = (
    "drains",
    "golden",
    "bench",
    "canaries",
    "migrations",
    "fleet",
    "control",
    "control-host.json",
    "keys.pushed",
)
"""What is validated here. The audit log's lines are read when an operator asks for them; evidence is only text."""


_SAID = 20
"""Names of files that are listed one by one."""


@dataclass(frozen=True)
class Restored:
    """What one host got."""

    host: str
    repository: str
    snapshot: str
    parts: tuple[str, ...]
    """Names of the parts of its state."""
    models: tuple[str, ...]
    closed: str | None = None
    """The rollout that was open when the snapshot was made, and is closed now."""
    left_out: tuple[str, ...] = ()
    """Names of what was not restored of the snapshot, below /var/lib/rackwright."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """sha256 of each file that stays as it was saved, by name, before it was put in place."""
    plan: HostPlan | None = None
    """The plan that was carried out: another one than the operator saw if a repository failed."""

    def lines(self) -> Iterator[str]:
        """Yield what was restored, in words."""
        what = (*self.parts, *(f"weights of {name}" for name in self.models))
        yield f"{self.host}: restored from {self.snapshot[:8]} at {self.repository}: {', '.join(what)}"
        if self.closed:
            yield f"{self.host}: closed the rollout {self.closed}, which was open when the snapshot was made"


def restore_host(
    session: Session, lease_session: LeaseSession, plan: HostPlan, console: Console, stopping: Stopping
) -> Restored:
    """Carry out the plan. What it replaces is kept for an undo.

    Raise NotRestored if the repository can't provide the files, ProofError if they aren't what rackwright writes:
    then the host's state is as it was.
    """
    shell, staging = session.remote.connection(plan.host), _staging(session, plan)
    console.say(f"{plan.host}: restoring {plan.chosen.snapshot.id[:8]} from {staging.repository.name}")
    stage(shell, staging, ResticProgress(console, f"{plan.host}: restore"), stopping)
    contents, left_out = _validated(session, shell, staging, plan, console)
    hashes = _hashes(shell, staging, plan)
    lease_session.check()
    for weights in plan.weights:
        console.say(f"{plan.host}: putting the weights of {weights.model.name} in place")
        put_in_place(shell, weights, staging.hashes)
    closed = None
    if plan.parts:
        # Writing weights to disk can take long.
        lease_session.check()
        _switch(shell, staging, plan, contents, _closing(lease_session, contents))
        closed = _close_rollout(session, lease_session, shell, contents)
        for why in adopt_restored(session, plan.host):
            console.say(
                f"no new snapshots until this is solved: {why}; next: rackwright backup run {plan.host} --adopt"
            )
    # Last: until then, the same restore goes on with what it has replaced already.
    finish(shell, staging, {f"{weights.root}/.restore" for weights in saved_weights(session.hosts[plan.host])})
    parts = tuple(part.item.name for part in plan.parts)
    models = tuple(one.model.name for one in plan.weights)
    return Restored(
        plan.host, staging.repository.name, plan.chosen.snapshot.id, parts, models, closed, left_out, hashes, plan
    )


def discard_restored(session: Session, plan: HostPlan) -> None:
    """Remove what the plan's repository could provide, because another one is used in its place."""
    discard(session.remote.connection(plan.host), _staging(session, plan))


def _staging(session: Session, plan: HostPlan) -> Staging:
    backup = session.hosts[plan.host].backup
    assert backup is not None  # noqa: S101 # a snapshot was chosen
    (repository,) = (one for one in backup.repositories if one.name == plan.chosen.reader.repository)
    snapshot = plan.chosen.snapshot.id
    staging = Staging(repository, snapshot, ())
    includes = [word for part in plan.parts for word in ("--include", part.item.path)]
    state = Target(f"{staging.folder}/files", (snapshot, "--verify", *includes), plan.space)
    weights = tuple(Target(one.restored, (f"{snapshot}:{one.folder}", "-vv"), one.model.size) for one in plan.weights)
    return Staging(repository, snapshot, ((state,) if plan.parts else ()) + weights)


def _validated(
    session: Session, shell: Connection, staging: Staging, plan: HostPlan, console: Console
) -> tuple[Contents, tuple[str, ...]]:
    """Read the restored state, and leave out what rackwright doesn't write there; return both.

    Raise ProofError, with every problem, if something isn't what it should be.
    """
    if not plan.parts:
        return Contents(), ()
    strange = without_strange(shell, staging.restored)
    refuse_incomplete(shell, staging.restored, plan.files)
    asking = "reading the restored state"
    packed = shell.run(command(scripts.SEND, staging.restored, *_READ), limit=scripts.READ_BYTES).check(asking)
    files = unpacked(packed.stdout_bytes, shell.name) if packed.stdout_bytes else {}
    contents = read_contents(files, session.fleet, shell.name)
    if contents.problems:
        raise not_ours(shell.name).with_problems(contents.problems)
    # A run that has ended must not keep a replica drained.
    of_runs = [f"drains/{name}" for name, drain in contents.drains.items() if not drain.manual]
    left_out = (*contents.unknown, *of_runs)
    _say_left_out(console, plan.host, (*strange, *left_out))
    if left_out:
        names = "".join(f"{name}\n" for name in left_out)
        shell.run(command(scripts.LEAVE_OUT, staging.restored), stdin=names).check("leaving out files")
    return contents, (*(line.partition(" ")[2] for line in strange), *left_out)


def _hashes(shell: Connection, staging: Staging, plan: HostPlan) -> Mapping[str, str]:
    files = {name: file for name, file in plan.files.items() if PLAIN.fullmatch(name) and stays(name)}
    return first_hashes(shell, staging.restored, files) if plan.parts else {}


def _say_left_out(console: Console, host: str, names: Sequence[str]) -> None:
    for name in names[:_SAID]:
        console.say(f"{host}: not restored: {name}")
    if len(names) > _SAID:
        console.say(f"{host}: not restored: {len(names) - _SAID} more")


def _switch(shell: Connection, staging: Staging, plan: HostPlan, contents: Contents, closing: str) -> None:
    """Put the validated state in place: logs are merged, folders switched in by rename."""
    before = f"{staging.folder}/before"
    settle(shell, RESTORES, going_on=before)
    parts = {part.item: part for part in plan.parts}
    folders = [item for item in parts if item.combined in (Combined.FILES, Combined.WHOLE)]
    if FLEET in folders and not _is_newer(shell, contents):
        folders.remove(FLEET)
    words = [
        word
        for item in folders
        for word in (item.name, item.combined.value, item.mode, "0600" if item.mode == "0700" else "0644")
    ]
    shell.run(command(scripts.COMPOSE, staging.restored, staging.next, *words), timeout=600).check("combining it")
    switch_in(shell, staging.next, before, [item.name for item in folders])
    saved = [item.name for item in parts if item.combined is Combined.MISSING]
    shell.run(command(scripts.ADD, staging.restored, *saved), timeout=600).check("restoring files")
    if AUDIT in parts:
        merge_audit(shell, f"{staging.restored}/{AUDIT.name}")
    if CONTROL in parts:
        merge_control(shell, f"{staging.restored}/{CONTROL.name}", closing=closing)
    if USAGE in parts:
        merge_usage(shell, f"{staging.restored}/{USAGE.name}")
    if contents.keys:
        keep_keys(shell, contents.keys)
    if CONTROL_HOST in parts:
        _keep_newest_control(shell, contents)


def _is_newer(shell: Connection, contents: Contents) -> bool:
    """Return whether the restored applied fleet was applied after the one that the host has."""
    present = read_applied(shell)
    return contents.about is not None and (present is None or present.about.when < contents.about.when)


def _keep_newest_control(shell: Connection, contents: Contents) -> None:
    present = read_control(shell)
    if contents.control and (present is None or present.number < contents.control.number):
        write_control(shell, contents.control)


def _closing(lease_session: LeaseSession, contents: Contents) -> str:
    """Return the line that closes the rollout of the restored journal, "" if none was open.

    It is written together with the journal: after a crash in between, an open rollout would refuse the same restore.
    """
    opened = contents.opened
    if opened is None:
        return ""
    return Entry(
        time=utc_now(),
        rollout=opened.rollout,
        run=lease_session.run,
        operator=lease_session.lease.owner.who,
        event=Event.CLOSED,
        detail=_closed(opened),
    ).line()


def _closed(opened: Entry) -> str:
    return f"closed by a restore; it was: {opened.detail}"


def _close_rollout(
    session: Session, lease_session: LeaseSession, shell: Connection, contents: Contents
) -> str | None:
    """Close the rollout that was open when the snapshot was made: what it led to isn't known any more."""
    if contents.opened is None or (shell.name,) != session.fleet.control_hosts:
        return None
    # Lines that only the host has come after the snapshot's; together they could open another one.
    opened = open_rollout(session.store.entries())
    if opened:
        lease_session.write(Event.CLOSED, opened.rollout, detail=_closed(opened))
    return (opened or contents.opened).rollout
