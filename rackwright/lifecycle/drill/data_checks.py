"""Whether the restored data is what was saved: every file by its hash, and a damaged copy that must be noticed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from shlex import quote

from rackwright.errors import HostError, ProofError, RackwrightError
from rackwright.lifecycle.drill.conclusion import DECRYPTS, GOLDEN, HASHES, NEGATIVE
from rackwright.lifecycle.drill.facts import Check, Integrity, NegativeControl, Outcome
from rackwright.lifecycle.proof.procedure import prove
from rackwright.lifecycle.proof.weights import hash_command, hash_list, what_differs
from rackwright.lifecycle.restore import scripts
from rackwright.lifecycle.restore.arrived import PLAIN
from rackwright.lifecycle.restore.contents import read_contents
from rackwright.lifecycle.restore.in_place import Restored
from rackwright.lifecycle.restore.plan import HostPlan
from rackwright.lifecycle.session.session import Session
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
    stored = {host: _stored(session, host) for host in hosts}
    differs = session.remote.each(hosts, lambda host: _hashed(session, host, stored[host]))
    files = session.remote.each(hosts, lambda host: _state(session, host))
    integrity = tuple(
        _integrity(host, plans.get(host), restored.get(host), stored[host], differs[host]) for host in hosts
    )
    controls = tuple(control for host in hosts for control in _controls(session, host, stored[host], files[host]))
    checks = (
        *(_hashes(one, differs[one.host]) for one in integrity),
        *(_decrypts(host, restored.get(host)) for host in hosts),
        _golden(session, files[session.fleet.control[0]], loss),
        _noticed(controls),
    )
    return Data(checks, integrity, controls)


def _hashes(one: Integrity, differs: str | None) -> Check:
    outcome: Outcome = "passed" if one.expected == one.equal else "failed"
    return Check(HASHES, outcome, one.host, differs or f"{counted(one.equal, 'file is', 'files are')} equal")


def _noticed(controls: tuple[NegativeControl, ...]) -> Check:
    outcome: Outcome = "passed" if controls and all(one.failed for one in controls) else "failed"
    return Check(NEGATIVE, outcome, found=counted(len(controls), "damaged copy", "damaged copies"))


def _stored(session: Session, host: str) -> dict[str, StoredModel]:
    """Folder → the model whose weights it must have."""
    store = session.hosts[host].model_store
    return {store.folder(model): model for model in store.models} if store else {}


def _hashed(session: Session, host: str, stored: Mapping[str, StoredModel]) -> str | None:
    if not stored:
        return None
    asked = session.remote.connection(host).run(hash_command(stored), stdin=hash_list(stored), timeout=_HASH_SECONDS)
    return what_differs(stored, asked.check("hashing the restored weights").stdout)


def _state(session: Session, host: str) -> dict[str, bytes]:
    """Return the files of the host's state that rackwright reads, by name."""
    shell, asking = session.remote.connection(host), "reading the restored state"
    packed = shell.run(command(scripts.SEND, FOLDER, *_READ), limit=scripts.READ_BYTES).check(asking)
    return unpacked(packed.stdout_bytes, host) if packed.stdout_bytes else {}


def _integrity(
    host: str,
    plan: HostPlan | None,
    restored: Restored | None,
    stored: Mapping[str, StoredModel],
    differs: str | None,
) -> Integrity:
    """Count files. The restore compared those of the state with the snapshot; weights were hashed again here."""
    state = [name for name in plan.files if PLAIN.fullmatch(name)] if plan and plan.parts else []
    weights = sum(len(model.files) for model in stored.values())
    size = sum(plan.files[name].bytes for name in state) if plan else 0
    there = len(state) if restored else 0
    wrong = differs.count("; ") + 1 if differs else 0
    return Integrity(
        host,
        expected=len(state) + weights,
        restored=there + weights,
        equal=there + max(weights - wrong, 0),
        bytes=size + sum(model.size for model in stored.values()),
    )


def _decrypts(host: str, restored: Restored | None) -> Check:
    found = f"{restored.repository} opened, {restored.snapshot[:8]} decrypted" if restored else "nothing was restored"
    return Check(DECRYPTS, "passed" if restored else "failed", host, found)


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
            why = prove(session, replica, say=remarks.append)
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


def _controls(
    session: Session, host: str, stored: Mapping[str, StoredModel], files: Mapping[str, bytes]
) -> Iterator[NegativeControl]:
    """Damage copies of the restored data: the same checks must refuse each of them."""
    name = next((name for name in ("control-host.json", "keys.pushed", *sorted(files)) if files.get(name)), None)
    if name is not None:
        damaged = {**files, name: b"\0" + files[name][1:]}
        problems = read_contents(damaged, session.fleet, host).problems
        found = problems[0].what if problems else "accepted"
        yield NegativeControl(f"{host}: a copy of {name} with another first byte", "refused", found, bool(problems))
    if stored:
        yield _damaged_weights(session, host, stored)


def _damaged_weights(session: Session, host: str, stored: Mapping[str, StoredModel]) -> NegativeControl:
    folder, model, file = min(
        ((folder, model, file) for folder, model in stored.items() for file in model.files if file.size),
        key=lambda one: one[2].size,
    )
    shell, copy = session.remote.connection(host), f"{DRILL_FOLDER}/copy"
    asked = command(_DAMAGE, f"{folder}/{file.path}", copy)
    shell.run(asked, timeout=_HASH_SECONDS).check("damaging a copy of the weights")
    alone = {copy: model.model_copy(update={"files": (file.model_copy(update={"path": "damaged"}),)})}
    hashing = shell.run(hash_command(alone), stdin=hash_list(alone), timeout=_HASH_SECONDS)
    differs = what_differs(alone, hashing.check("hashing the damaged copy").stdout)
    shell.run(f"rm -rf -- {quote(copy)}").check("removing the damaged copy")
    what = f"{host}: a copy of {model.name}'s {file.path} with another first byte"
    return NegativeControl(what, "another sha256", differs or "the same sha256", differs is not None)
