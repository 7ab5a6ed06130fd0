"""Whether the restored data is what was saved: every file by its hash, and a damaged copy that must be noticed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from shlex import quote

from rackwright.errors import HostError, ProofError, RackwrightError
from rackwright.lifecycle.drill.evidence.conclusion import (
    DECRYPTS,
    GOLDEN,
    HASHES,
    NEGATIVE,
    STATE_READ,
    WEIGHTS_SAVED,
)
from rackwright.lifecycle.drill.evidence.facts import Check, Integrity, NegativeControl, Outcome
from rackwright.lifecycle.proof.procedure import NOT_RECORDED, prove
from rackwright.lifecycle.proof.weights import hash_command, hash_list, what_differs
from rackwright.lifecycle.restore import scripts
from rackwright.lifecycle.restore.arrived import PLAIN
from rackwright.lifecycle.restore.contents import NOT_READ, read_contents, refuses_damage
from rackwright.lifecycle.restore.first_hashes import first_hashes, stays
from rackwright.lifecycle.restore.in_place import Restored
from rackwright.lifecycle.restore.items import CONTROL_HOST, FLEET, ITEMS, Combined
from rackwright.lifecycle.restore.plan import Files, HostPlan, present_files
from rackwright.lifecycle.restore.weights import saved_weights
from rackwright.lifecycle.session.session import Session
from rackwright.remote import Connection
from rackwright.report.words import counted
from rackwright.roles.model_store.settings import StoredModel
from rackwright.state.applied import unpacked
from rackwright.state.formats import parse
from rackwright.state.golden import Golden
from rackwright.state.shell import FOLDER, command

DRILL_FOLDER = "/var/lib/rackwright-drill"
_HASH_SECONDS = 6 * 3600
_READ = ("control", "control-host.json", "drains", "golden", "bench", "canaries", "keys.pushed", "fleet")
# $1: a file; $2: where its damaged copy goes. The first byte is changed to another one.
_DAMAGE = """set -eu
umask 077
mkdir -p -- "$2"
cp -- "$1" "$2/damaged"
byte=$(head -c 1 -- "$1" | od -An -tu1 | tr -d ' ')
printf "\\\\$(printf %o $(( (byte + 1) % 256 )))" | dd of="$2/damaged" bs=1 conv=notrunc status=none
"""


@dataclass(frozen=True)
class Data:
    """What was found out about the restored data."""

    checks: tuple[Check, ...]
    integrity: tuple[Integrity, ...]
    negative_controls: tuple[NegativeControl, ...]


def data_checks(
    session: Session, plans: Mapping[str, HostPlan], restored: Mapping[str, Restored], loss: datetime
) -> Data:
    """Hash all weights, read all state again, and compare golden answers with those from before the loss.

    `plans` and `restored` are of the restore, by host. Raise HostError if a host can't be asked.
    """
    hosts = tuple(session.hosts)
    found = session.remote.each(hosts, lambda host: _look(session, host, plans.get(host), restored.get(host)))
    integrity = tuple(_integrity(one) for one in found.values())
    controls = tuple(control for one in found.values() for control in _controls(session, one))
    checks = (
        *(_hashes(one, found[one.host]) for one in integrity),
        *(_decrypts(host, restored.get(host)) for host in hosts),
        *(_readable(session, one) for one in found.values()),
        *(_weights_saved(session, host, plans.get(host)) for host in hosts),
        _golden(session, found[session.fleet.control[0]].state, loss),
        _noticed(controls),
    )
    return Data(checks, integrity, controls)


@dataclass(frozen=True)
class _Found:
    """What one host has."""

    host: str
    stored: Mapping[str, StoredModel]
    """Folder → the model whose weights it must have."""
    differs: str | None
    """Which weights aren't what the lock says."""
    state: Mapping[str, bytes]
    """The files of its state that rackwright reads, by name."""
    files: Files
    """All files of its state."""
    expected: Files
    """Those of the snapshot that the host must have."""
    saved: Mapping[str, str]
    """sha256 of each of these that stays as it was saved, when it was restored."""
    hashes: Mapping[str, str]
    """The same, of what the host has now."""


def _look(session: Session, host: str, plan: HostPlan | None, restored: Restored | None) -> _Found:
    shell, store = session.remote.connection(host), session.hosts[host].model_store
    stored = {store.folder(model): model for model in store.models} if store else {}
    asking = "reading the restored state"
    packed = shell.run(command(scripts.SEND, FOLDER, *_READ), limit=scripts.READ_BYTES).check(asking)
    state = unpacked(packed.stdout_bytes, host) if packed.stdout_bytes else {}
    expected = _expected(plan, restored)
    saved = {name: digest for name, digest in (restored.hashes if restored else {}).items() if name in expected}
    return _Found(
        host=host,
        stored=stored,
        differs=_hashed(shell, stored) if stored else None,
        state=state,
        files=present_files(shell, ITEMS),
        expected=expected,
        saved=saved,
        hashes=first_hashes(shell, FOLDER, {name: expected[name] for name in saved}),
    )


def _expected(plan: HostPlan | None, restored: Restored | None) -> Files:
    left_out = restored.left_out if restored else ()
    files = plan.files if plan else {}
    return {name: file for name, file in files.items() if _must_be_here(name) and name not in left_out}


def _hashed(shell: Connection, stored: Mapping[str, StoredModel]) -> str | None:
    asked = shell.run(hash_command(stored), stdin=hash_list(stored), timeout=_HASH_SECONDS)
    return what_differs(stored, asked.check("hashing the restored weights").stdout)


def _readable(session: Session, found: _Found) -> Check:
    """Read the state by the parsers that use it."""
    problems = read_contents(found.state, session.fleet, found.host).problems
    said = "; ".join(problem.line() for problem in problems) or f"{counted(len(found.state), 'file')} read"
    return Check(STATE_READ, "failed" if problems else "passed", found.host, said)


def _hashes(one: Integrity, found: _Found) -> Check:
    outcome: Outcome = "passed" if one.expected == one.equal else "failed"
    said = f"{one.equal} of {counted(one.expected, 'file')} equal"
    return Check(HASHES, outcome, one.host, "; ".join(filter(None, (said, found.differs))))


def _noticed(controls: tuple[NegativeControl, ...]) -> Check:
    outcome: Outcome = "passed" if controls and all(one.failed for one in controls) else "failed"
    return Check(NEGATIVE, outcome, found=counted(len(controls), "damaged copy", "damaged copies"))


def _integrity(found: _Found) -> Integrity:
    """Count files, compared by hash with what restic restored, or with the lock. Builds and packages count by size:
    the apply hashed them."""
    there = [name for name in found.expected if name in found.files]
    equal = [name for name in there if _is_whole(name, found)]
    weights = sum(len(model.files) for model in found.stored.values())
    wrong = found.differs.count("; ") + 1 if found.differs else 0
    size = sum(file.bytes for file in found.expected.values())
    return Integrity(
        found.host,
        expected=len(found.expected) + weights,
        restored=len(there) + weights,
        equal=len(equal) + max(weights - wrong, 0),
        bytes=size + sum(model.size for model in found.stored.values()),
    )


def _must_be_here(name: str) -> bool:
    """Return whether a restore brings the file back as it was, or with more.

    The applied fleet and the record of the control hosts are the drill's.
    """
    of_drill = name == CONTROL_HOST.name or name.startswith(f"{FLEET.name}/")
    return PLAIN.fullmatch(name) is not None and not NOT_READ.fullmatch(name) and not of_drill


def _is_whole(name: str, found: _Found) -> bool:
    """Return whether the file has all of the snapshot's. Logs have more since."""
    here, saved = found.files[name], found.expected[name]
    if stays(name) and found.saved.get(name, "") != found.hashes.get(name):
        return False
    grows = any(item.combined is not Combined.FILES for item in ITEMS if name.split("/")[0] == item.name)
    return here.bytes >= saved.bytes if grows else here.bytes == saved.bytes


def _decrypts(host: str, restored: Restored | None) -> Check:
    found = f"{restored.repository} opened, {restored.snapshot[:8]} decrypted" if restored else "nothing was restored"
    return Check(DECRYPTS, "passed" if restored else "failed", host, found)


def _weights_saved(session: Session, host: str, plan: HostPlan | None) -> Check:
    """Return whether the snapshot has the weights that no source has; else they came from this machine."""
    wanted = saved_weights(session.hosts[host])
    there = plan.chosen.snapshot.paths if plan else ()
    lacking = [one.model.name for one in wanted if one.folder not in there]
    saved = f"{counted(len(wanted), 'model')} in it" if wanted else "the host has no weights that only a snapshot has"
    found = f"not in it: {', '.join(lacking)}" if lacking else saved
    return Check(WEIGHTS_SAVED, "failed" if lacking else "passed", host, found)


def _golden(session: Session, files: Mapping[str, bytes], loss: datetime) -> Check:
    """Prove each replica again: it must give the answer that was recorded before the loss."""
    if not session.fleet.replicas:
        return Check(GOLDEN, "not run", found="no replica is part of this drill")
    recorded = {name: _parsed(name, text) for name, text in files.items() if name.startswith("golden/")}
    new = [name for name, one in recorded.items() if one is None or one.when >= loss]
    wrong = [f"{name}: not from before the loss" for name in new]
    wrong += [] if recorded else ["no golden answer was restored"]
    for replica in session.fleet.replicas:
        remarks: list[str] = []
        try:
            why = prove(session, replica, say=remarks.append) or next(filter(NOT_RECORDED.__eq__, remarks), None)
        except (HostError, ProofError) as error:
            why = error.problems[0].what
        wrong += [f"{replica.address}: {why}"] if why else []
    found = (
        "; ".join(wrong) or f"{counted(len(session.fleet.replicas), 'replica')} proven: as recorded before the loss"
    )
    return Check(GOLDEN, "failed" if wrong else "passed", found=found)


def _parsed(name: str, text: bytes) -> Golden | None:
    try:
        return parse(Golden, "golden", text.decode(errors="replace"), name)
    except RackwrightError:
        return None


def _controls(session: Session, found: _Found) -> Iterator[NegativeControl]:
    """Damage copies of the restored data: the same checks must refuse each of them."""
    files, host = found.state, found.host
    names = ("control-host.json", "keys.pushed", *sorted(files))
    name = next((name for name in names if files.get(name) and refuses_damage(name)), None)
    if name is not None:
        damaged = {**files, name: b"\0" + files[name][1:]}
        problems = read_contents(damaged, session.fleet, host).problems
        said = problems[0].what if problems else "accepted"
        yield NegativeControl(f"{host}: a copy of {name} with another first byte", "refused", said, bool(problems))
    if found.saved:
        yield _damaged_state(session.remote.connection(host), found)
    if found.stored:
        yield _damaged_weights(session, found)


def _damaged_state(shell: Connection, found: _Found) -> NegativeControl:
    """Hash a damaged copy of a file of the state, as the files themselves are hashed."""
    name = max(found.saved, key=lambda one: found.expected[one].bytes)
    what = f"{found.host}: a copy of {name} with another first byte, by its hash"
    copy, expected = f"{DRILL_FOLDER}/copy", "another sha256"
    damaged = shell.run(command(_DAMAGE, f"{FOLDER}/{name}", copy), timeout=_HASH_SECONDS)
    if not damaged.ok:
        return NegativeControl(what, expected, f"no copy: {' '.join(damaged.last_lines(1))}", failed=False)
    digest = first_hashes(shell, copy, {"damaged": found.expected[name]}).get("damaged")
    shell.run(f"rm -rf -- {quote(copy)}").check("removing the damaged copy")
    differs = digest is not None and digest != found.saved[name]
    return NegativeControl(what, expected, f"{digest or 'no'} sha256", differs)


def _damaged_weights(session: Session, found: _Found) -> NegativeControl:
    folder, model, file = min(
        ((folder, model, file) for folder, model in found.stored.items() for file in model.files if file.size),
        key=lambda one: one[2].size,
    )
    shell, copy = session.remote.connection(found.host), f"{DRILL_FOLDER}/copy"
    what = f"{found.host}: a copy of {model.name}'s {file.path} with another first byte"
    damaged = shell.run(command(_DAMAGE, f"{folder}/{file.path}", copy), timeout=_HASH_SECONDS)
    if not damaged.ok:
        return NegativeControl(what, "another sha256", f"no copy: {' '.join(damaged.last_lines(1))}", failed=False)
    alone = {copy: model.model_copy(update={"files": (file.model_copy(update={"path": "damaged"}),)})}
    differs = _hashed(shell, alone)
    shell.run(f"rm -rf -- {quote(copy)}").check("removing the damaged copy")
    return NegativeControl(what, "another sha256", differs or "the same sha256", differs is not None)
