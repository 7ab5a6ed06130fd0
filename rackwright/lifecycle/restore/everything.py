"""Disaster recovery: restore every host, bring all of them to the lock, and prove the service."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rackwright.errors import HostsFailed, RackwrightError
from rackwright.lifecycle.restore.asked import Asked
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.last_applied import last_applied
from rackwright.state.checkout import checkout

if TYPE_CHECKING:
    from rackwright.lifecycle.apply.plan import Plan
    from rackwright.lifecycle.apply.stages import Applied, Options
    from rackwright.lifecycle.restore.in_place import Restored
    from rackwright.lifecycle.restore.plan import RestorePlan
    from rackwright.lifecycle.session.session import Session
    from rackwright.lifecycle.verify.procedure import Proof


class View(Protocol):
    """How the operator sees it."""

    def restore(self, planned: RestorePlan) -> None: ...

    def apply(self, planned: Plan) -> None: ...

    def proof(self, proof: Proof) -> None: ...


@dataclass(frozen=True)
class Everything:
    restored: tuple[Restored, ...]
    applied: Applied
    proofs: tuple[Proof, ...]
    unsaved: RackwrightError | None
    """Why a first snapshot or the kit could not be saved. The service doesn't need them."""

    @property
    def failed(self) -> tuple[Proof, ...]:
        return tuple(proof for proof in self.proofs if not proof.passed)


def restore_everything(
    opened: Callable[[], AbstractContextManager[Session]],
    asked: Asked,
    console: Console,
    view: View,
    *,
    not_stale: bool,
    reboot: bool = False,
) -> Everything:
    """Restore all hosts in service, apply the lock to them, and verify the service; return what happened.

    Weights and state are there before an engine or a gateway starts. `opened` opens a session; each step has its own,
    because the restore can change the keys file. Each plan is shown, and the operator is asked. `not_stale` and
    `reboot` are as for an apply. Raise what `restore` and `apply` raise, HostsFailed if some hosts could not be
    applied.
    """
    from rackwright.lifecycle.apply.stages import Options
    from rackwright.lifecycle.client.origin import choose_asker
    from rackwright.lifecycle.restore.procedure import restore
    from rackwright.lifecycle.verify.procedure import verify

    with opened() as session:
        restored = restore(session, asked, console, view.restore)
    with opened() as session:
        expected = not_stale or _differ_as_expected(session)
        applied = _applied(session, Options(not_stale=expected, reboot=reboot), console, view)
    with opened() as session:
        proofs = verify(session, choose_asker(session), view.proof)
    return Everything(restored, applied, proofs, applied.unsaved)


def _applied(session: Session, options: Options, console: Console, view: View) -> Applied:
    from rackwright.lifecycle.apply.procedure import apply

    applied = apply(session, options, console, view.apply)
    if applied.failure:
        raise applied.failure
    if failed := applied.run.failed_hosts:
        raise HostsFailed(f"not applied: {', '.join(failed)}", next="rackwright apply, then rackwright verify")
    if applied.run.interrupted:
        raise RackwrightError("interrupted", next="rackwright apply, then rackwright verify")
    return applied


def _differ_as_expected(session: Session) -> bool:
    """Return whether the files differ from those applied last only by what a recovery changes: keys and pins.

    The merged keys lack nothing: an apply refuses keys that lack a change.
    """
    applied = last_applied(session.remote, session.fleet)
    local = checkout(session.fleet).files
    changed = {
        name
        for name in {*local, *(applied.files if applied else ())}
        if applied is None or applied.files.get(name) != local.get(name)
    }
    expected = (session.fleet.sibling("keys.yml").name, session.fleet.sibling("known_hosts").name)
    return all(name.rpartition("/")[2] in expected for name in changed)
