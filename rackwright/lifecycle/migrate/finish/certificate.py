"""`migrate certificate`: write and sign what a migration's end has shown, and verify such a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import ProofError
from rackwright.lifecycle.drill.evidence.folder import put, read, signature_path
from rackwright.lifecycle.drill.evidence.signature import LIMIT as SIGNATURE_LIMIT
from rackwright.lifecycle.drill.evidence.signature import REPORT, SigningKey, sign, verify_signature
from rackwright.lifecycle.drill.evidence.signers import Signer
from rackwright.lifecycle.migrate.finish.certificate_file import Certificate, certificate_in, not_proven, proves
from rackwright.lifecycle.migrate.finish.recheck import refuse_unended
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.finish.state import Rechecked
from rackwright.state.formats import utc_now
from rackwright.state.migrations import result_in

Page = Callable[[Certificate], str]
"""Given a certificate without the hash of its page, returns the page."""


@dataclass(frozen=True)
class Signed:
    path: Path
    sha256: str
    """Of the file."""
    certificate: Certificate


def default_path(place: Place) -> Path:
    """Return where a certificate is if the operator doesn't say: next to the plan."""
    return place.session.fleet.path.with_name(
        f"{place.session.fleet.path.stem}.migrate-{place.plan.migration}.certificate.json"
    )


def certify(place: Place, to: Path, key: SigningKey, signers: Sequence[Signer], page: Page) -> Signed:
    """Write the certificate, its page and its signature; note it, and return it.

    The certificate itself is written last. Raise UsageError if the migration hasn't ended, RackwrightError if a file
    can't be written or the key doesn't sign, ProofError if the signature isn't valid.
    """
    made = _made(place, key)
    text = page(made).encode()
    made = made.model_copy(update={"page": hashlib.sha256(text).hexdigest()})
    content = made.written()
    signature = sign(content, key, REPORT)
    verify_signature(content, signature, key.signer, signers, REPORT, made.made)
    put(page_path(to), text)
    put(signature_path(to), signature)
    put(to, content)
    digest = hashlib.sha256(content).hexdigest()
    place.note("certificate", f"signed by {key.signer}, sha256 {digest}")
    return Signed(to, digest, made)


def verified(path: Path, signers: Sequence[Signer]) -> Signed:
    """Return the certificate in this file, if its signature and its page hold.

    Raise ProofError if they don't, RackwrightError if a file can't be read.
    """
    content = read(path)
    found = certificate_in(content, str(path))
    try:
        signer = verify_signature(
            content, read(signature_path(path), SIGNATURE_LIMIT), found.signer, signers, REPORT, found.made
        )
    except ProofError as error:
        raise error.but(should="nothing in it counts", where=str(path)) from None
    if signer.key.fingerprint != found.key:
        raise ProofError(f"it names the key {found.key}, and {signer.key.fingerprint} signed it", where=str(path))
    if hashlib.sha256(read(page_path(path))).hexdigest() != found.page:
        raise ProofError("was changed", where=str(page_path(path)), should="should be the page that was signed")
    return Signed(path, hashlib.sha256(content).hexdigest(), found)


def page_path(certificate: Path) -> Path:
    return certificate.with_suffix(".md")


def _made(place: Place, key: SigningKey) -> Certificate:
    end, log = refuse_unended(place), place.log
    return Certificate(
        fleet=place.session.fleet.file.fleet,
        migration=place.plan.migration,
        intent=place.plan.intent,
        models=place.plan.models,
        made=utc_now(),
        signer=key.signer,
        key=key.key.fingerprint,
        entries=len(log.entries),
        log=log.last or "",
        end=end,
        rechecks=tuple(_rechecks(place)),
        proves=tuple(proves(end)),
        not_proven=tuple(not_proven(end)),
    )


def _rechecks(place: Place) -> list[Rechecked]:
    """Return those whose results are kept."""
    found = [one for one in place.log.entries if one.step == "recheck" and one.result][-10:]
    return [result_in(place.session.store, one, Rechecked) for one in found]
