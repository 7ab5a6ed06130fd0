"""Prove a recovered fleet: more than `verify` does, because all of it must be what was saved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rackwright.lifecycle.client.origin import choose_asker
from rackwright.lifecycle.drill.client_checks import key_checks, service_checks
from rackwright.lifecycle.drill.data_checks import Data, data_checks
from rackwright.lifecycle.drill.evidence.facts import Check, EngineVersion
from rackwright.lifecycle.drill.recover import Recovered
from rackwright.lifecycle.drill.statements import engines
from rackwright.lifecycle.session.session import Session
from rackwright.values.secrets import Secret


@dataclass(frozen=True)
class Proved:
    """What was found out about a recovered fleet."""

    checks: tuple[Check, ...]
    data: Data
    engines: tuple[EngineVersion, ...]


def prove(
    session: Session, recovered: Recovered, keys: tuple[Secret | None, Secret | None], loss: datetime
) -> Proved:
    """Return what was found out. `keys`: a valid and a revoked API key. Raise HostError if a host can't be asked."""
    restored = {one.host: one for one in recovered.done.restored}
    data = data_checks(session, recovered.plans, restored, loss)
    service = (*service_checks(recovered.done.proofs), *key_checks(session, choose_asker(session), *keys))
    return Proved((*service, *data.checks), data, engines(session))
