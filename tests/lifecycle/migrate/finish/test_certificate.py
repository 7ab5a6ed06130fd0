"""The certificate says what was shown and what wasn't; a recheck asks again, with a key of its own."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rackwright.cli.render.migrate_report.certificate_page import certificate_page
from rackwright.errors import ProofError, RackwrightError, UsageError
from rackwright.fleet.public_key import parse_public_key
from rackwright.lifecycle.drill.evidence.signature import SigningKey
from rackwright.lifecycle.drill.evidence.signers import BY_HAND, Signer
from rackwright.lifecycle.migrate.cutover.rollback import rollback
from rackwright.lifecycle.migrate.finish.certificate import Signed, certify, verified
from rackwright.lifecycle.migrate.finish.recheck import recheck
from rackwright.lifecycle.migrate.finish.standing import finished
from rackwright.lifecycle.migrate.standing import standing
from rackwright.lifecycle.status.occasions import Rechecks, ask_rechecks
from rackwright.state.formats import utc_now
from tests.lifecycle.migrate.finish.leaving import Leaving
from tests.stand_in_cloud import ADMIN_KEY, Fault


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    path = tmp_path_factory.mktemp("keys") / "anna"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    key = parse_public_key(path.with_suffix(".pub").read_text().strip())
    return SigningKey("anna", replace(key, comment=BY_HAND), path)


def made(at: Leaving, signer: SigningKey) -> Signed:
    to = at.desk.folder / "end.json"
    return certify(at.open(), to, signer, [Signer("anna", signer.key)], certificate_page)


def test_it_states_what_was_shown_and_what_wasnt(at: Leaving, signer: SigningKey) -> None:
    at.cloud.faults.append(Fault("status", status=400, times=-1, path="/v1/files/file-2/content"))
    at.desk.edit("replay:", "finish: {waivers: {files: results of evals}}\nreplay:")
    done = at.end()
    found = made(at, signer)
    assert verified(found.path, [Signer("anna", signer.key)]).certificate == found.certificate
    assert found.certificate.end == done
    said = " ".join(found.certificate.proves)
    assert "The export has 12 objects." in said
    assert "The provider accepted the deletion of 10 objects, and afterwards answered" in said
    said = "\n".join(found.certificate.not_proven)
    assert "They don't show that it has no copy, like a backup." in said
    assert "Still at the provider: 1 of the kind files: results of evals" in said
    assert "Still at the provider: 1 of the kind batches: the API has no deletion of batches" in said
    page = found.path.with_suffix(".md").read_text()
    assert "| files | 4 | 4 | - | - | 1 | - |" in page
    assert "- left: files file-2: HTTP 400 for the purpose batch" in page
    assert f"list's sha256 {done.copy_state.list_sha256 if done.copy_state else ''}" in page
    assert "- to be checked again on " in page
    entry = at.open().entries()[-1]
    assert (entry.step, entry.what) == ("certificate", f"signed by anna, sha256 {found.sha256}")


def test_ssh_keygen_alone_verifies_it(at: Leaving, signer: SigningKey, tmp_path: Path) -> None:
    at.end()
    found = made(at, signer)
    (tmp_path / "signers").write_text(f"anna {signer.key.line}\n")
    words = ["-f", tmp_path / "signers", "-I", "anna", "-n", "rackwright-drill", "-s", f"{found.path}.sig"]
    with found.path.open("rb") as stream:
        subprocess.run(["ssh-keygen", "-Y", "verify", *words], stdin=stream, check=True, capture_output=True)


def test_what_was_changed_is_no_certificate(at: Leaving, signer: SigningKey) -> None:
    at.end()
    found, signers = made(at, signer), [Signer("anna", signer.key)]
    content = found.path.read_bytes()
    found.path.write_bytes(content.replace(b'"deleted": 5', b'"deleted": 6'))
    with pytest.raises(ProofError, match="the signature isn't valid"):
        verified(found.path, signers)
    found.path.write_bytes(content)
    with pytest.raises(ProofError, match="isn't a signer's key"):
        verified(found.path, [])
    found.path.with_suffix(".md").write_text("All is well.")
    with pytest.raises(ProofError, match="was changed; should be the page that was signed"):
        verified(found.path, signers)


def test_there_is_none_before_the_end(at: Leaving, signer: SigningKey) -> None:
    with pytest.raises(UsageError, match="the migration hasn't ended"):
        made(at, signer)
    at.export()
    at.finish()
    with pytest.raises(UsageError, match="the migration hasn't ended"):
        made(at, signer)
    with pytest.raises(UsageError, match="the migration hasn't ended"):
        recheck(at.open())


def test_a_recheck_asks_for_each_object_with_a_key_of_its_own(at: Leaving, signer: SigningKey) -> None:
    at.end()
    at.cloud.keys.clear()
    at.cloud.received.clear()
    found = recheck(at.open())
    assert found.good
    assert found.absent == {
        "vector stores": 1,
        "vector store files": 2,
        "stored chat completions": 3,
        "files": 5,
    }
    assert {one.headers["authorization"] for one in at.cloud.received} == {f"Bearer {ADMIN_KEY}"}
    assert {one.method for one in at.cloud.received} == {"GET"}
    certificate = made(at, signer).certificate
    assert certificate.rechecks == (found,)
    assert "11 objects still answer 404" in certificate_page(certificate)


def test_what_is_back_is_named_and_the_recheck_stays_due(at: Leaving) -> None:
    at.end()
    at.cloud.objects["/v1/files"] = [{"id": "file-2", "bytes": 3}]
    at.cloud.objects["/v1/vector_stores"] = [{"id": "vs_1"}]
    at.cloud.gone.add("vs_1")
    found = recheck(at.open())
    assert [(one.kind, one.id, one.reason) for one in found.back] == [
        ("vector stores", "vs_1", "the provider lists it again"),
        ("files", "file-2", "it is still there"),
    ]
    assert found.absent["files"] == 4
    place = at.open()
    assert finished(place.session.store, place.log).due == at.state.due


def test_what_cant_be_asked_is_not_gone(at: Leaving) -> None:
    at.end()
    at.cloud.faults.append(Fault("status", status=405, times=-1, path="/v1/files/file-2"))
    found = recheck(at.open())
    assert [(one.id, one.reason) for one in found.back] == [("file-2", "nothing shows that it is gone: HTTP 405")]
    at.desk.edit('provider: {admin_key: "file:admin-key"}\n', "")
    with pytest.raises(RackwrightError, match=r"provider\.admin_key: is missing"):
        recheck(at.open())


def test_status_says_when_it_is_due(at: Leaving) -> None:
    done = at.end()
    session = at.desk.session
    assert ask_rechecks(session, utc_now()) == Rechecks()
    later = utc_now() + timedelta(days=31)
    (said,) = ask_rechecks(session, later).warnings
    assert said.startswith("the provider should be asked again since ")
    assert said.endswith("; next: rackwright migrate recheck support")
    assert standing(session.fleet, session.store, "support").next == "rackwright migrate certificate support"
    late = done.model_copy(update={"due": 1.0})
    at.open().note("finish", "long ago", late)
    assert standing(session.fleet, session.store, "support").next == "rackwright migrate recheck support"
    recheck(at.open())
    assert ask_rechecks(session, later) == Rechecks()
    assert standing(session.fleet, session.store, "support").next == "rackwright migrate certificate support"


def test_a_rollback_after_the_end_says_that_there_is_no_cloud(at: Leaving) -> None:
    at.end()
    with pytest.raises(UsageError, match="the migration has ended: the gateways have no key of the cloud"):
        rollback(at.desk.session, "support", at.world)
    assert at.open().entries()[-1].step == "finish"
