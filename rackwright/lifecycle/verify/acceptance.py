"""The acceptance test of `verify --full`: measure each model that has objectives under its own load."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rackwright.errors import RackwrightError
from rackwright.fleet.sections.models import Model
from rackwright.lifecycle.bench import Listener, Wanted, bench, load_of
from rackwright.lifecycle.client.request import Asker
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.verify.procedure import Proof


def accept(
    session: Session, asker: Asker, tell: Callable[[Proof], None], say: Callable[[str], None]
) -> tuple[Proof, ...]:
    """Return a proof for each objective of each model; `tell` gets them after each model."""
    proofs: list[Proof] = []
    for name, model in session.fleet.file.models.items():
        for proof in _proofs(session, asker, name, model, say):
            tell(proof)
            proofs.append(proof)
    return tuple(proofs)


def _proofs(session: Session, asker: Asker, name: str, model: Model, say: Callable[[str], None]) -> Iterator[Proof]:
    if model.objectives is None:
        say(f"{name} has no objectives in the fleet file: not tested")
        return
    load, entrance = load_of(model), "vip" if session.fleet.file.gateway.vip else session.fleet.gateways[0]
    under = f"{load.requests} requests, {load.rate:g} a second"
    say(f"{name}: {under}")
    try:
        found = bench(session, asker, Wanted(name, load), Listener(lambda _: None, say))
    except RackwrightError as error:
        yield Proof(entrance, f"{name}: its objectives, with {under}", False, error.problems[0].what)
        return
    for verdict in found.verdicts:
        what = f"{name}: {verdict.objective} {verdict.wanted}, with {under}"
        yield Proof(entrance, what, verdict.met, verdict.found)
