"""Push the lock that an unattended run has promoted to a branch, so that people see and merge it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.secrets import resolve
from rackwright.lifecycle.lock.applied_lock import changed_entries, parsed_lock
from rackwright.lifecycle.lock.git_server import GitServer, Rejected, git_server
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.last_applied import last_applied
from rackwright.lifecycle.session.session import Session
from rackwright.state.applied import About, lock_in

APPLIED = "rackwright lock --applied"


def publish_promoted(session: Session, console: Console, what: str) -> RackwrightError | None:
    """Push the lock that the command `what` has just promoted; return why that failed, None if it didn't.

    The run goes on in any case: the control hosts have the lock.
    """
    fleet = session.fleet
    repository = fleet.file.unattended.repository
    if repository is None:
        return None
    branch = f"branch {repository.branch} of {repository.url}"
    try:
        applied = last_applied(session.remote, fleet)
        content = lock_in(applied) if applied else None
        if applied is None or content is None:
            raise RackwrightError("the control hosts have no lock")
        made = publish_lock(fleet, applied.about, content, what)
    except (RackwrightError, OSError) as error:
        problem = _unpublished(branch, error)
        console.say(problem.problems[0].line())
        return problem
    console.say(f"pushed the lock to {branch}: commit {made[:12]}" if made else f"{branch} has the lock already")
    return None


def _unpublished(branch: str, error: RackwrightError | OSError) -> RackwrightError:
    first = error.problems[0] if isinstance(error, RackwrightError) else None
    why = f"{first.what}; {first.should}" if first and first.should else first.what if first else error
    return RackwrightError(
        f"the promoted lock isn't on {branch}: {why}",
        should="everything else is done, and the control hosts have the lock",
        next=(first.next if first else None) or f"{APPLIED}, then commit the lock",
    )


def publish_lock(fleet: Fleet, about: About, content: bytes, what: str) -> str | None:
    """Push this lock to the branch of `unattended.repository`; return the commit, None if the branch has it already.

    `about`: what is known about the fleet that was applied with it; `what`: the command. The commit follows the
    branch's last one; the first one follows the applied commit, or the default branch if the server lacks that.
    Raise RackwrightError if it can't be pushed; nothing else changes then.
    """
    repository = fleet.file.unattended.repository
    if repository is None:
        return None
    if about.inside is None:
        raise RackwrightError(
            "it isn't known where the lock is in the git repository",
            where=repository.url,
            should="the fleet was applied from a folder that isn't in git, or by an earlier rackwright",
            next=f"{APPLIED} and commit the lock; rackwright apply from a git checkout helps the next time",
        )
    where = f"{fleet.path} unattended.repository.key"
    key = resolve(repository.key, where=where, folder=fleet.path.parent)
    path = str(PurePosixPath(about.inside).with_suffix(".lock"))
    subject = f"Lock promoted by {what} (run {about.run})"
    author = _author(fleet.file.unattended.person or about.who, about)
    with git_server(repository.url, repository.host_key, key) as server:
        push = partial(_pushed, server, repository.branch, about.commit, _Change(path, content, subject, author))
        try:
            return push()
        except Rejected:
            # Another push was faster: once more from what the branch has now.
            return push()


@dataclass(frozen=True)
class _Change:
    path: str
    content: bytes
    subject: str
    author: Mapping[str, str]


def _pushed(server: GitServer, branch: str, applied: str | None, change: _Change) -> str | None:
    head = server.head(branch)
    base = _fetched(server, head, applied)
    before = server.file(base, change.path)
    if before == change.content:
        return None
    message = f"{change.subject}\n\n{_changes(before, change.content)}"
    made = server.commit(base, change.path, change.content, message, change.author)
    server.push(made, branch, head)
    return made


def _fetched(server: GitServer, head: str | None, applied: str | None) -> str:
    """Return the commit that the next one follows, which is fetched."""
    if head is None and applied and server.has(applied):
        return applied
    found = head or server.default()
    if found is None:
        raise RackwrightError(
            "the repository is empty", where=server.url, should="should be the one with the fleet file"
        )
    server.fetch(found)
    return found


def _changes(before: bytes | None, content: bytes) -> str:
    """Return what the commit changes, one entry of the lock per line."""
    old, new = (None if text is None else _readable(text) for text in (before, content))
    if old is None or new is None:
        return "The branch had no lock that can be compared.\n"
    return "".join(f"- {name}\n" for name in changed_entries(old, new)) or "Only its form.\n"


def _readable(content: bytes) -> Lock | None:
    try:
        return parsed_lock(content)
    except RackwrightError:
        return None


def _author(person: str, about: About) -> Mapping[str, str]:
    # git itself removes <, > and newlines from names.
    name = f"rackwright ({person})"
    who = {"NAME": name, "EMAIL": "rackwright@localhost", "DATE": f"@{int(about.when.timestamp())} +0000"}
    return {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in who.items()}
