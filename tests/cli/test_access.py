from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from rackwright.fleet.keys_file import ApiKey
from rackwright.lifecycle.access import procedure
from rackwright.lifecycle.access.procedure import Account, Key, Review
from rackwright.lifecycle.access.scripts import Use
from tests.cli.command_line import rackwright

WHEN = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
ANNA = Account(
    host="gate1",
    user="anna",
    role="operator",
    until=date(2027, 3, 31),
    keys=(Key("SHA256:abc", "anna|laptop", "anna", Use(WHEN, "10.0.0.9")), Key("SHA256:def", "", None, None)),
    sudo=("(ALL : ALL) NOPASSWD: ALL",),
    password=False,
    remarks=(),
)
BARE = Account("gpu1", "dba", "-", None, (), (), password=True, remarks=("a password is set",))
CI = ApiKey(id="ci", owner="team", sha256="a" * 64, created=WHEN)
GOOD = Review(WHEN, (ANNA,), (CI,), {"gate1": WHEN, "gpu1": None}, (), {})
BAD = replace(GOOD, accounts=(ANNA, BARE), remarks=("gpu1: sshd also reads keys from elsewhere: x",))


@pytest.fixture
def found(monkeypatch):
    return lambda review: monkeypatch.setattr(procedure, "review", lambda fleet, hosts: review)


def test_each_key_is_a_line_with_its_last_use(site, found):
    found(GOOD)
    ran = rackwright("-f", site, "access", "review")
    assert ran.exit_code == 0
    header, first, second, _, api_header, api, _, end = ran.stdout.splitlines()
    assert header.split() == ["HOST", "USER", "ROLE", "UNTIL", "KEY", "PERSON", "LAST", "USE", "SUDO"]
    assert "2027-03-31  SHA256:abc anna|laptop  anna    2026-11-25T08:00:00Z from 10.0.0.9  (ALL" in first
    assert second.split()[4:7] == ["SHA256:def", "-", "-"]
    assert api_header.split() == ["API", "KEY", "OWNER", "MODELS", "CREATED", "EXPIRES"]
    assert api.split() == ["ci", "team", "all", "2026-11-25", "never"]
    assert end == "everything matches the fleet file"


def test_the_account_of_the_tool_says_so(site, found):
    found(replace(GOOD, accounts=(replace(ANNA, tool=True),)))
    assert "operator, the tool  2027-03-31" in rackwright("-f", site, "access", "review").stdout
    assert "operator, the tool" in rackwright("-f", site, "access", "review", "--markdown").stdout


def test_findings_end_with_their_own_exit_code(site, found):
    found(BAD)
    ran = rackwright("-f", site, "access", "review")
    assert ran.exit_code == 12
    assert ran.stdout.splitlines()[-3:] == [
        "2 findings:",
        "gpu1: dba: a password is set",
        "gpu1: sshd also reads keys from elsewhere: x",
    ]
    assert "a password" in ran.stdout.splitlines()[3]


def test_a_host_that_could_not_be_asked_is_named(site, found):
    found(replace(GOOD, unreachable={"gpu2": "no route to host"}))
    ran = rackwright("-f", site, "access", "review")
    assert ran.exit_code == 3
    assert "gpu2: couldn't be asked: no route to host" in ran.stdout
    assert ran.stdout.endswith("everything matches the fleet file, on the hosts that answered\n")


def test_markdown_has_what_an_auditor_needs_and_no_cell_breaks_its_table(site, found):
    found(BAD)
    lines = rackwright("-f", site, "access", "review", "--markdown").stdout.splitlines()
    assert lines[0] == "# Access to the hosts of acme"
    assert lines[2] == "Checked at 2026-11-25T08:00:00Z."
    rows = [line for line in lines if line.startswith("| g")]
    assert [row.count(" | ") for row in rows] == [7, 7, 7]
    assert r"SHA256:abc anna\|laptop" in rows[0]
    assert "- gate1: 2026-11-25T08:00:00Z" in lines
    assert "- gpu1: no journal" in lines
    assert "- gpu1: dba: a password is set" in lines


def test_json_has_all_of_it(site, found):
    found(BAD)
    document = rackwright("-f", site, "access", "review", "--json").document
    anna, dba = document["accounts"]
    assert (anna["until"], dba["until"], dba["password"]) == ("2027-03-31", None, True)
    assert anna["keys"][0] == {
        "fingerprint": "SHA256:abc",
        "comment": "anna|laptop",
        "person": "anna",
        "last_use": {"when": "2026-11-25T08:00:00Z", "from": "10.0.0.9"},
    }
    assert anna["keys"][1]["last_use"] is None
    assert document["api_keys"][0]["id"] == "ci"
    assert document["findings"] == list(BAD.findings)
