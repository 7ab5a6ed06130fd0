from __future__ import annotations

import hashlib
import re

import pytest

from rackwright.lifecycle import key as procedure
from tests.cli.command_line import rackwright


@pytest.fixture
def told(monkeypatch):
    """The calls that push keys to the gateways, with each gateway's answer."""
    calls, answers = [], procedure.Pushed({"gate1": None}, {"gate1": None, "gpu1": None})

    def tell(fleet, key, verb, gone):
        assert (gone is not None) == (verb == "revoke")
        calls.append((key.id, verb))
        return answers

    monkeypatch.setattr(procedure, "push_key", tell)
    tell.calls, tell.answers = calls, answers
    return tell


def test_a_key_is_shown_once_and_written_down_as_its_sha256(site, told):
    ran = rackwright(
        "-f", site, "key", "add", "anna", "--owner", "Anna A.", "--model", "assistant", "--expires", "90d"
    )
    assert ran.exit_code == 0
    key = ran.stdout.strip()
    assert re.fullmatch(r"rw-anna-[A-Za-z0-9_-]{43}", key)
    written = (site.parent / "site.keys.yml").read_text()
    assert hashlib.sha256(key.encode()).hexdigest() in written
    assert key not in written
    assert key not in rackwright("-f", site, "key", "list", "--json").stdout
    assert told.calls == [("anna", "add")]


def test_a_key_in_json_has_its_text_and_what_the_gateways_know(site, told):
    document = rackwright(
        "-f", site, "--json", "key", "add", "ci", "--owner", "CI", "--expires", "2099-12-31"
    ).document
    assert document["key"].startswith("rw-ci-")
    assert document["expires"] == "2100-01-01T00:00:00Z"
    assert document["gateways"] == {"gate1": None}
    assert document["control_hosts"] == {"gate1": None, "gpu1": None}


def test_a_gateway_that_is_not_there_yet_is_named_with_the_next_command(site, told):
    told.answers.gateways["gate1"] = "unreachable"
    ran = rackwright("-f", site, "key", "add", "ci", "--owner", "CI")
    assert ran.exit_code == 3
    assert ran.stdout.startswith("rw-ci-")
    assert ran.stderr == "gate1 was not updated: unreachable\nnext: rackwright apply\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["Anna", "--owner", "a"],
            "error: ID: isn't a valid id of a key; should be a letter, then up to 23 letters, digits and -",
        ),
        (["../x", "--owner", "a"], "error: ID: isn't a valid id of a key"),
        (["a", "--owner", "a\nb"], "error: owner: has a control character or a newline"),
        (["a", "--owner", "a", "--model", "nosuch"], "error: nosuch: no model of that name; one of assistant"),
        (
            ["a", "--owner", "a", "--expires", "soon"],
            "error: --expires soon: isn't a time; should be like 12h, 90d or 2027-03-31",
        ),
        (["a", "--owner", "a", "--expires", "2020-01-01"], "error: --expires 2020-01-01: is in the past"),
        (["a", "--owner", "a", "--expires", "0d"], "error: --expires 0d: is in the past"),
        (["a", "--owner", "a", "--expires", "99999999d"], "error: --expires 99999999d: isn't a time"),
        (
            ["a", "--owner", "a", "--concurrency", "0"],
            "error: Invalid value for '--concurrency': '0' should be a number from 1 or 'unlimited' or 'default'",
        ),
        (
            ["a", "--owner", "a", "--requests-per-minute", "x"],
            "error: Invalid value for '--requests-per-minute': 'x' should be a number from 1 or 'unlimited'",
        ),
        (["a", "--owner", "a", "--requests-per-minute", "9" * 9], "error: requests_per_minute: Input should be less"),
        (
            ["a", "--owner", "a", "--tokens-per-day", "0"],
            "error: Invalid value for '--tokens-per-day': '0' should be a number of tokens like 500k, 20M or 1.5G",
        ),
        (
            ["a", "--owner", "a", "--priority", "urgent"],
            "error: Invalid value for '--priority': 'urgent' is not one of 'high', 'normal', 'low', 'team'",
        ),
        (["a"], "error: Missing option '--owner'."),
    ],
)
def test_a_key_that_cannot_be_is_a_usage_error_and_writes_nothing(site, told, arguments, error):
    ran = rackwright("-f", site, "key", "add", *arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(error)
    assert not (site.parent / "site.keys.yml").exists()
    assert told.calls == []


def test_a_taken_id_is_refused(site, told):
    rackwright("-f", site, "key", "add", "anna", "--owner", "Anna")
    ran = rackwright("-f", site, "key", "add", "anna", "--owner", "Ben")
    assert ran.exit_code == 2
    assert "there is a key with this id already" in ran.stderr


def test_keys_are_listed_as_a_table(site, told):
    assert rackwright("-f", site, "key", "list").stdout == "no keys yet\n"
    rackwright("-f", site, "key", "add", "ci", "--owner", "CI team", "--expires", "2099-12-31")
    lines = rackwright("-f", site, "key", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "OWNER", "MODELS", "LIMITS", "CREATED", "EXPIRES"]
    assert re.fullmatch(r"ci  CI team  all     default at a time  \d{4}-\d\d-\d\d  2100-01-01", lines[1])


def test_a_key_is_edited_in_what_is_named_and_stays_the_same_key(site, told):
    key = rackwright(
        *("-f", site, "--json", "key", "add", "ci", "--owner", "CI", "--model", "assistant"),
        *("--expires", "90d", "--requests-per-minute", "60"),
    ).document
    ran = rackwright("-f", site, "key", "edit", "ci", "--concurrency", "2", "--expires", "never")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout == "ci of CI: assistant; 60 requests a minute; 2 at a time\n"
    assert told.calls[-1] == ("ci", "edit")
    (listed,) = rackwright("-f", site, "key", "list", "--json").document["keys"]
    assert listed == {name: key[name] for name in listed} | {"concurrency": 2, "expires": None}
    rackwright("-f", site, "key", "edit", "ci", "--all-models", "--requests-per-minute", "unlimited")
    rows = rackwright("-f", site, "key", "list").stdout.splitlines()
    assert re.fullmatch(r"ci  CI     all     2 at a time  \d{4}-\d\d-\d\d  never", rows[1])


def test_a_keys_concurrency_is_a_number_unlimited_or_the_default(site, told):
    document = rackwright("-f", site, "--json", "key", "add", "ci", "--owner", "CI").document
    assert document["concurrency"] is None
    for given, shown, said in (
        ("unlimited", "unlimited", "; unlimited at a time"),
        ("7", 7, "; 7 at a time"),
        ("default", None, ""),
    ):
        ran = rackwright("-f", site, "key", "edit", "ci", "--concurrency", given)
        assert ran.stdout == f"ci of CI: all models{said}\n"
        (listed,) = rackwright("-f", site, "key", "list", "--json").document["keys"]
        assert listed["concurrency"] == shown
        assert f"  {given} at a time  " in rackwright("-f", site, "key", "list").stdout


def test_quotas_and_priority_are_given_changed_and_taken_away(site, told):
    ran = rackwright(
        *("-f", site, "--json", "key", "add", "ci", "--owner", "CI"),
        *("--tokens-per-day", "5M", "--tokens-per-month", "100M", "--priority", "low"),
    )
    document = ran.document
    assert [document[name] for name in ("tokens_per_day", "tokens_per_month", "priority")] == [
        5_000_000,
        100_000_000,
        "low",
    ]
    ran = rackwright("-f", site, "key", "edit", "ci", "--tokens-per-day", "2.5M")
    assert ran.stdout == "ci of CI: all models; 2500k tokens a day; 100M tokens a month; low priority\n"
    assert "  default at a time, 2500k tokens a day, 100M tokens a month, low priority  " in (
        rackwright("-f", site, "key", "list").stdout
    )
    unlimited = ("--tokens-per-day", "unlimited", "--tokens-per-month", "unlimited", "--priority", "team")
    assert rackwright("-f", site, "key", "edit", "ci", *unlimited).stdout == "ci of CI: all models\n"
    assert "tokens" not in (site.parent / "site.keys.yml").read_text()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "error: ci: no option says what to change\n"),
        (
            ["--model", "assistant", "--all-models"],
            "error: --model and --all-models contradict each other; give one of them\n",
        ),
        (["--model", "nosuch"], "error: nosuch: no model of that name"),
        (["--expires", "2020-01-01"], "error: --expires 2020-01-01: is in the past"),
        (["--owner", "a\nb"], "error: owner: has a control character"),
    ],
)
def test_an_edit_that_cannot_be_changes_nothing(site, told, arguments, error):
    rackwright("-f", site, "key", "add", "ci", "--owner", "CI")
    before = (site.parent / "site.keys.yml").read_text()
    ran = rackwright("-f", site, "key", "edit", "ci", *arguments)
    assert ran.exit_code == 2
    assert ran.stderr.startswith(error)
    assert (site.parent / "site.keys.yml").read_text() == before
    assert len(told.calls) == 1


def test_a_gateway_that_does_not_get_an_edit_makes_exit_code_3(site, told):
    rackwright("-f", site, "key", "add", "ci", "--owner", "CI")
    told.answers.gateways["gate1"] = "unreachable"
    ran = rackwright("-f", site, "key", "edit", "ci", "--concurrency", "1")
    assert ran.exit_code == 3
    assert "gate1 was not updated: unreachable\nnext: rackwright apply\n" in ran.stderr


def test_a_revoked_key_is_gone_from_the_file_and_the_gateways(site, told):
    rackwright("-f", site, "key", "add", "anna", "--owner", "Anna")
    assert rackwright("-f", site, "key", "revoke", "anna", answers="n\n").exit_code == 1
    ran = rackwright("-f", site, "key", "revoke", "anna", "--yes", "--json")
    assert ran.document["revoked"]["id"] == "anna"
    assert told.calls[-1] == ("anna", "revoke")
    assert rackwright("-f", site, "key", "list", "--json").document == {"keys": []}


def test_a_gateway_that_still_lets_a_revoked_key_in_is_exit_code_3(site, told):
    rackwright("-f", site, "key", "add", "anna", "--owner", "Anna")
    told.answers.gateways["gate1"] = "unreachable"
    ran = rackwright("-f", site, "key", "revoke", "anna", "-y")
    assert ran.exit_code == 3
    assert "gate1 was not updated: unreachable" in ran.stderr


@pytest.mark.parametrize(
    ("host", "at_gateway", "said"),
    [
        ("gpu1", None, "gpu1, a control host, doesn't have this change: full\nnext: rackwright apply\n"),
        ("gate1", "full", "gate1 was not updated: full\nnext: rackwright apply\n"),
    ],
)
def test_a_control_host_without_the_change_is_exit_code_3_and_an_unreachable_host_is_named_once(
    site, told, host, at_gateway, said
):
    rackwright("-f", site, "key", "add", "anna", "--owner", "Anna")
    told.answers.gateways["gate1"] = at_gateway
    told.answers.control_hosts[host] = "full"
    ran = rackwright("-f", site, "key", "edit", "anna", "--concurrency", "4")
    assert (ran.exit_code, ran.stderr) == (3, said)
    ran = rackwright("-f", site, "key", "revoke", "anna", "-y", "--json")
    assert ran.exit_code == 3
    assert ran.document["control_hosts"] == {"gate1": None, "gpu1": None, host: "full"}


def test_a_key_that_is_not_there_cannot_be_revoked(site, told):
    rackwright("-f", site, "key", "add", "anna", "--owner", "Anna")
    ran = rackwright("-f", site, "key", "revoke", "ana", "-y")
    assert ran.exit_code == 2
    assert "ana: no key with this id; did you mean anna?" in ran.stderr


def test_with_later_no_gateway_gets_the_key(site, told):
    ran = rackwright("-f", site, "key", "add", "ci", "--owner", "CI", "--later")
    assert told.calls == []
    assert ran.stderr == "next: rackwright apply\n"
