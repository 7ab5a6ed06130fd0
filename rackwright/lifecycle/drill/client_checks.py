"""What clients get from the restored service, under the restored CA and with restored API keys."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.keys_file import KeysFile, read_keys_file, sha256_of
from rackwright.fleet.secrets import resolve
from rackwright.lifecycle.client.request import Asker, Request, Response, ask
from rackwright.lifecycle.drill.evidence.conclusion import KEY_ACCEPTED, REVOKED_REFUSED, SERVES
from rackwright.lifecycle.drill.evidence.facts import Check, Outcome
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.verify.procedure import Proof
from rackwright.lifecycle.verify.proof_requests import cases, unexpected
from rackwright.values.secrets import Secret

_UNAUTHORIZED = 401


def drill_keys(own: Fleet) -> tuple[Secret | None, Secret | None]:
    """Return the valid and the revoked API key of the fleet file. Raise SecretError if one doesn't resolve."""
    drill = own.file.drill
    references = {"key": drill.key, "revoked_key": drill.revoked_key} if drill else {}
    found = {
        name: resolve(text, where=f"{own.path} drill.{name}", folder=own.path.parent) if text else None
        for name, text in references.items()
    }
    return found.get("key"), found.get("revoked_key")


def service_checks(proofs: tuple[Proof, ...]) -> Iterator[Check]:
    """Yield whether the restored service passed the proofs of `verify`."""
    failed = [f"{proof.host}: {proof.what}: {proof.found}" for proof in proofs if not proof.passed]
    found = "; ".join(failed) or f"{len(proofs)} proofs passed"
    yield Check(SERVES, "failed" if failed or not proofs else "passed", found=found, expected="every proof of verify")


def key_checks(session: Session, asker: Asker, valid: Secret | None, revoked: Secret | None) -> Iterator[Check]:
    """Yield whether each restored gateway admits a restored key and refuses a revoked one."""
    file = read_keys_file(session.fleet.sibling("keys.yml"))
    if valid is None:
        yield Check(KEY_ACCEPTED, "not run", found="the fleet file has no drill.key")
    elif sha256_of(valid) not in {key.sha256 for key in file.keys}:
        yield Check(KEY_ACCEPTED, "failed", found="drill.key isn't among the restored keys")
    else:
        yield _accepted(session, asker, valid)
    if revoked is None:
        yield Check(REVOKED_REFUSED, "not run", found="the fleet file has no drill.revoked_key")
    elif not _is_revoked(file, revoked):
        yield Check(REVOKED_REFUSED, "failed", found="drill.revoked_key isn't among the restored revocations")
    else:
        yield _refused(session, asker, revoked)


def _is_revoked(file: KeysFile, key: Secret) -> bool:
    return sha256_of(key) in {one.sha256 for one in file.revoked}


def _accepted(session: Session, asker: Asker, key: Secret) -> Check:
    """Ask each gateway for its models, and each model for tokens or an embedding."""
    wrong, names = [], _may_use(session, key)
    for gateway in session.fleet.gateways:
        address, domain = str(session.fleet.service(gateway)), session.fleet.file.gateway.domain
        (models,) = ask(asker, session.trusted, (Request(address, domain, key=key),))
        if models.status != 200:
            wrong.append(f"{gateway}: {unexpected(models)}")
        asked = [cases(session, address, name, key)[0] for name in names]
        responses = ask(asker, session.trusted, tuple(case.request for case in asked)) if asked else ()
        judged = ((case.what, *case.judge(response)) for case, response in zip(asked, responses, strict=True))
        wrong += [f"{gateway}: {what}: {found}" for what, passed, found in judged if not passed]
    answered = f"answers from {', '.join(names)}" if names else "no model that it may use is part of the drill"
    said = f"{answered}; asked from {asker.where}, certificate verified by the CA in the kit"
    unproven = session.fleet.replicas and not names
    outcome: Outcome = "failed" if wrong else "not run" if unproven else "passed"
    return Check(KEY_ACCEPTED, outcome, found="; ".join(wrong) or said, expected="200 and an answer")


def _may_use(session: Session, key: Secret) -> tuple[str, ...]:
    """Return a name of each model in service that the key may use."""
    file = read_keys_file(session.fleet.sibling("keys.yml"))
    allowed = next((one.models for one in file.keys if one.sha256 == sha256_of(key)), ())
    models = session.fleet.file.models
    served = (name for name in models if session.fleet.replicas_of(name) and name in (allowed or models))
    return tuple(models[name].names[0] for name in served)


def _refused(session: Session, asker: Asker, key: Secret) -> Check:
    said: dict[str, Response] = {}
    for gateway in session.fleet.gateways:
        request = Request(str(session.fleet.service(gateway)), session.fleet.file.gateway.domain, key=key)
        (said[gateway],) = ask(asker, session.trusted, (request,))
    wrong = [f"{gateway}: {unexpected(one)}" for gateway, one in said.items() if one.status != _UNAUTHORIZED]
    outcome: Outcome = "failed" if wrong or not said else "passed"
    return Check(REVOKED_REFUSED, outcome, found="; ".join(wrong) or "401", expected="401")
