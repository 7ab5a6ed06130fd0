"""What clients get: the gateways' answers are a test's, the keys file is real."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import SecretError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.keys_file import sha256_of
from rackwright.lifecycle.client.request import Request, Response
from rackwright.lifecycle.drill import client_checks
from rackwright.lifecycle.drill.client_checks import drill_keys, key_checks, service_checks
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.verify.procedure import Proof
from rackwright.values.secrets import Secret
from tests.fleet.test_load import GOOD
from tests.lifecycle.drill.drills import OWN, own_fleet

VALID, REVOKED = Secret("rw-drill-valid"), Secret("rw-drill-revoked")
TEXT = (
    GOOD.replace("  gpu1: {", "  gate2: {address: 10.0.0.13}\n  gpu1: {", 1)
    .replace("[gate1]", "[gate1, gate2]")
    .replace(
        "gateway:",
        """\
  coder:
    source: hf:acme/coder
    runtime: {kind: llama_cpp, version: b1}
    place: [{on: gpu2, gpus: 0}]
    names: [code, coder]
    context: 4096
gateway:""",
    )
)
BOTH = ("10.0.0.10", "10.0.0.13")


def keys(*, models: str = "[]", valid: Secret = VALID, revoked: Secret | None = REVOKED) -> str:
    text = f"format: keys/1\nkeys:\n- {{id: drill, owner: d, sha256: {sha256_of(valid)}, models: {models}, "
    text += "created: 2026-11-01T00:00:00Z}\n"
    if revoked:
        text += f"revoked:\n- {{id: old, owner: d, sha256: {sha256_of(revoked)}, revoked: 2026-11-02T00:00:00Z}}\n"
    return text


ANSWER = json.dumps({"choices": [{"message": {"content": "Red, green, blue"}}]})


@dataclass
class Gateways:
    """Gateways that answer as a test says."""

    odd: dict[tuple[str, str], Response] = field(default_factory=dict)
    """Address, and key or model → another answer."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Address, key, model; "": the list of models."""

    def ask(self, asker: object, trusted: str, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        assert trusted == "the restored CA"
        assert requests
        return tuple(map(self._answer, requests))

    def _answer(self, request: Request) -> Response:
        assert request.key
        assert request.domain == "llm.acme.internal"
        key, model = request.key.reveal(), json.loads(request.body)["model"] if request.body else ""
        self.asked.append((request.address, key, model))
        good = (
            Response(200, ANSWER if model else "[]", 0.1, "") if key == VALID.reveal() else Response(401, "", 0.1, "")
        )
        return self.odd.get((request.address, model or key), good)

    @property
    def models(self) -> set[str]:
        return {model for _, _, model in self.asked if model}


Work = Callable[..., tuple[Check, Check]]


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch) -> Gateways:
    made = Gateways()
    monkeypatch.setattr(client_checks, "ask", made.ask)
    return made


@pytest.fixture
def checked(tmp_path: Path, gateways: Gateways) -> Work:
    """Return both checks."""

    def work(
        text: str = keys(), *, valid: Secret | None = VALID, revoked: Secret | None = REVOKED, fleet: str = TEXT
    ) -> tuple[Check, Check]:
        own: Fleet = own_fleet(tmp_path, fleet)
        own.sibling("keys.yml").write_text(text)
        session = cast(Any, SimpleNamespace(fleet=own, trusted="the restored CA"))
        accepted, refused = key_checks(session, cast(Any, SimpleNamespace(where="the controller")), valid, revoked)
        assert (accepted.name, refused.name) == ("valid key accepted", "revoked key refused")
        return accepted, refused

    return work


def test_each_gateway_admits_the_key_to_each_model_and_refuses_the_revoked_one(
    checked: Work, gateways: Gateways
) -> None:
    accepted, refused = checked()
    assert (accepted.outcome, refused.outcome, refused.found) == ("passed", "passed", "401")
    assert accepted.found.startswith("answers from assistant, code; asked from the controller, certificate verified")
    valid, revoked = VALID.reveal(), REVOKED.reveal()
    assert set(gateways.asked) == {
        *((address, valid, model) for address in BOTH for model in ("", "assistant", "code")),
        *((address, revoked, "") for address in BOTH),
    }


def test_keys_that_are_not_given_are_not_tried(checked: Work, gateways: Gateways) -> None:
    accepted, refused = checked(valid=None, revoked=None)
    assert (accepted.outcome, accepted.found) == ("not run", "the fleet file has no drill.key")
    assert (refused.outcome, refused.found) == ("not run", "the fleet file has no drill.revoked_key")
    assert gateways.asked == []


def test_a_key_that_was_not_restored_fails_even_if_the_gateways_admit_it(checked: Work, gateways: Gateways) -> None:
    accepted, refused = checked(keys(valid=Secret("another"), revoked=Secret("another one")))
    assert (accepted.outcome, accepted.found) == ("failed", "drill.key isn't among the restored keys")
    assert (refused.outcome, refused.found) == ("failed", "drill.revoked_key isn't among the restored revocations")
    assert gateways.asked == []


def test_a_revocation_that_was_lost_fails(checked: Work) -> None:
    _, refused = checked(keys(revoked=None))
    assert refused.outcome == "failed"


@pytest.mark.parametrize("at", BOTH)
def test_a_gateway_that_admits_the_revoked_key_is_named(checked: Work, gateways: Gateways, at: str) -> None:
    gateways.odd[at, REVOKED.reveal()] = Response(200, "[]", 0.1, "")
    _, refused = checked()
    assert refused.outcome == "failed"
    assert refused.found == f"{'gate1' if at == BOTH[0] else 'gate2'}: HTTP 200  []"


@pytest.mark.parametrize("at", BOTH)
@pytest.mark.parametrize("what", [VALID.reveal(), "assistant", "code"])
def test_a_gateway_that_does_not_answer_the_valid_key_is_named(
    checked: Work, gateways: Gateways, at: str, what: str
) -> None:
    gateways.odd[at, what] = Response(503, "no server", 0.1, "")
    accepted, _ = checked()
    assert accepted.outcome == "failed"
    assert accepted.found.startswith("gate1: " if at == BOTH[0] else "gate2: ")
    assert "HTTP 503" in accepted.found
    assert VALID.reveal() not in accepted.found


def test_an_answer_without_tokens_is_none(checked: Work, gateways: Gateways) -> None:
    gateways.odd[BOTH[0], "code"] = Response(200, "{}", 0.1, "")
    accepted, _ = checked()
    assert accepted.outcome == "failed"


def test_a_key_is_tried_at_the_models_that_it_may_use(checked: Work, gateways: Gateways) -> None:
    accepted, _ = checked(keys(models="[coder]"))
    assert accepted.outcome == "passed"
    assert gateways.models == {"code"}


def test_a_model_that_is_not_served_is_not_asked_for(checked: Work, gateways: Gateways) -> None:
    fleet = TEXT.replace("gpu2: {", "gpu2: {disabled: not part of this drill, ")
    accepted, _ = checked(fleet=fleet)
    assert gateways.models == {"assistant"}
    gateways.asked.clear()
    accepted, _ = checked(keys(models="[coder]"), fleet=fleet)
    assert accepted.outcome == "not run", "engines are there, and none was asked"
    assert gateways.models == set()
    assert accepted.found.startswith("no model that it may use is part of the drill; ")


def proof(*, passed: bool) -> Proof:
    return Proof("gate1", "a completion", passed, "HTTP 503")


@pytest.mark.parametrize(
    ("proofs", "outcome", "found"),
    [
        ((proof(passed=True), proof(passed=True)), "passed", "2 proofs passed"),
        ((proof(passed=True), proof(passed=False)), "failed", "gate1: a completion: HTTP 503"),
        ((), "failed", "0 proofs passed"),
    ],
)
def test_the_service_is_proven_by_every_proof_of_verify(proofs: tuple[Proof, ...], outcome: str, found: str) -> None:
    (check,) = service_checks(proofs)
    assert (check.name, check.outcome, check.found) == ("serves", outcome, found)


def test_the_keys_are_the_fleet_files(tmp_path: Path) -> None:
    assert drill_keys(own_fleet(tmp_path, GOOD)) == (None, None)
    assert drill_keys(own_fleet(tmp_path)) == (None, None)
    (tmp_path / "valid.key").write_text("rw-drill-valid\n")
    assert drill_keys(own_fleet(tmp_path, f"{OWN}  key: 'file:valid.key'\n")) == (VALID, None)
    with pytest.raises(SecretError, match=r"acme.yml drill.revoked_key: .*revoked.key can't be read"):
        drill_keys(own_fleet(tmp_path, f"{OWN}  revoked_key: 'file:revoked.key'\n"))
