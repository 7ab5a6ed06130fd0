"""Whether an apply would lock this machine out, and whether it could issue what is due."""

from __future__ import annotations

import subprocess
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rackwright.fleet.ca import ca_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.baseline import Baseline
from rackwright.lifecycle.check.access import QUESTION, judge_access
from rackwright.lifecycle.check.ca import due, judge_ca, kept, questions
from rackwright.lifecycle.check.result import Condition, State
from rackwright.roles.certificate.settings import FOLDER
from rackwright.roles.certificate.settings import Settings as Certificate
from rackwright.roles.firewall.settings import Opening
from rackwright.roles.firewall.settings import Settings as Firewall
from tests.fleet.fleets import make_fleet
from tests.lifecycle.check.test_requirements import HOST

NOW = datetime.now(UTC)
ADMITTING = Firewall(openings=(Opening(port=22, sources=("10.0.0.0/8",), why="ssh"),))
UNMANAGED = Baseline.model_validate({"fail2ban": {"manage": "no"}}).decided()
SPEC = replace(HOST, firewall=ADMITTING, baseline=UNMANAGED)
CERTIFIED = replace(HOST, certificates=(Certificate(name="host-proxy", names=("gpu1",)),))


def access(connected: str, spec=SPEC) -> list[Condition]:
    return list(judge_access(spec, connected))


def test_an_admitted_machine_may_connect():
    (condition,) = access("10.1.2.3 10.0.0.2")
    assert (condition.what, condition.state, condition.found) == ("access", State.OK, "10.1.2.3 may connect")


def test_one_that_the_packet_filter_would_shut_out_is_named_with_what_to_add():
    (condition,) = access("192.0.2.7 10.0.0.2")
    assert (condition.where, condition.state) == ("gpu1", State.FAILED)
    assert condition.found == (
        "firewall.admin_from: 192.0.2.7, where this command runs, could no longer reach ssh (port 22)"
    )
    assert condition.next == "add 192.0.2.7 or its network to admin_from"


def test_one_that_fail2ban_could_ban_is_named():
    (condition,) = access("10.1.2.3 10.0.0.2", replace(SPEC, baseline=Baseline().decided()))
    assert condition.found == "baseline.fail2ban.ignoreip: 10.1.2.3, where this command runs, could be banned"


def test_a_host_without_ssh_tells_nothing():
    assert access("") == []


def test_the_question_is_answered_by_a_real_shell():
    environment = {"PATH": "/usr/bin:/bin", "SSH_CONNECTION": "192.0.2.7 40000 10.0.0.2 22"}
    ran = subprocess.run(["sh", "-c", QUESTION], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "connected 192.0.2.7 10.0.0.2\n"


# The CA.


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return make_fleet(tmp_path / "site.yml")


def judged(fleet: Fleet, pem: str | None, now: datetime = NOW) -> Condition:
    """Judge a fleet whose host has this certificate."""
    having = kept([] if pem is None else [f"host-proxy {b64encode(pem.encode()).decode()}"])
    names = due(CERTIFIED, having, ca_of(fleet).ca_pem, now)
    return judge_ca(fleet, {"gpu1": names} if names else {}, certified=bool(having))


def test_a_new_fleet_gets_its_ca_from_the_first_apply(fleet: Fleet):
    condition = judged(fleet, None)
    assert (condition.state, condition.found) == (State.OK, "none yet: the first apply creates it")


def test_with_the_key_everything_can_be_issued(fleet: Fleet):
    issued = ca_of(fleet).issue(("gpu1",), client=False, days=365)
    for pem in (issued.certificate_pem, None):
        condition = judged(fleet, pem)
        assert (condition.state, condition.found) == (State.OK, "site.ca.crt, with its key")


@pytest.mark.parametrize("kind", ["missing", "expiring", "garbled"])
def test_without_the_key_what_is_due_can_not_be_issued(fleet: Fleet, kind: str):
    issued = ca_of(fleet).issue(("gpu1",), client=False, days=365).certificate_pem
    path = ca_of(fleet).key_file
    assert path
    path.unlink()
    fine = judged(fleet, issued)
    assert (fine.state, fine.found) == (
        State.OK,
        "site.ca.crt; the CA's key isn't on this machine, and no certificate is due",
    )
    given = {"missing": None, "expiring": issued, "garbled": "no certificate"}[kind]
    failed = judged(fleet, given, NOW + timedelta(days=300 if kind == "expiring" else 0))
    assert (failed.where, failed.what, failed.state) == ("controller", "ca", State.FAILED)
    assert failed.found == "the CA's key isn't on this machine, and certificates are due: gpu1 (host-proxy)"
    assert failed.next == f"put it at {path}, or run the apply on a machine that has it"


def test_a_missing_ca_of_a_fleet_that_has_one_is_named(fleet: Fleet):
    issued = ca_of(fleet).issue(("gpu1",), client=False, days=365).certificate_pem
    fleet.sibling("ca.crt").unlink()
    condition = judged(fleet, issued)
    assert (condition.state, condition.found) == (State.FAILED, "site.ca.crt is missing, and hosts have certificates")
    assert condition.next == "git pull, or rackwright ca fetch"


def test_a_file_without_a_certificate_fails(fleet: Fleet):
    fleet.sibling("ca.crt").write_text("nothing")
    condition = judged(fleet, None)
    assert (condition.state, condition.found) == (State.FAILED, "site.ca.crt contains no PEM certificate")


def test_an_answer_that_is_no_base64_counts_as_no_certificate():
    assert kept(["host-proxy ???", "gateway"]) == {"gateway": ""}


def test_certificates_are_printed_by_a_real_shell(tmp_path: Path):
    script = "\n".join(questions(CERTIFIED)).replace(FOLDER, str(tmp_path))
    assert subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True).stdout == ""
    (tmp_path / "host-proxy.crt").write_text("PEM\n" * 100)
    answer = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True).stdout
    key, _, value = answer.rstrip("\n").partition(" ")
    assert (key, kept([value])) == ("pem", {"host-proxy": "PEM\n" * 100})
