from __future__ import annotations

import json
import shlex

import pytest

from rackwright.roles.replica.proof import proof, proof_command
from rackwright.roles.replica.role import replica
from rackwright.roles.replica.state import parse
from rackwright.roles.replica.unit import render
from tests.fakes import commands
from tests.roles.serving import REPLICA


def test_systemd_expands_nothing_in_a_command() -> None:
    assert '"50%% of $$HOME" \\\n  "a \\"quote\\""' in render(REPLICA)


def test_systemd_waits_longer_than_the_longest_drain() -> None:
    assert "TimeoutStopSec=630\n" in render(REPLICA)


def test_devices_are_open_to_gpu_replicas_alone() -> None:
    assert "PrivateDevices=yes" in render(REPLICA)
    assert "PrivateDevices=yes" not in render(REPLICA.model_copy(update={"gpus": 1}))


def test_the_role_starts_an_engine_and_never_restarts_one() -> None:
    ran = commands(replica, settings=REPLICA)
    assert any(command.startswith("systemctl start") for command in ran)
    running = commands(
        replica, answers={"systemctl show": [f"Id={REPLICA.unit}", "ActiveState=active"]}, settings=REPLICA
    )
    assert not any("restart" in command or "systemctl start" in command for command in running)


def test_states_tell_the_outdated_the_crashed_and_the_stopped() -> None:
    first, second = parse(
        "replica=b@1\nActiveState=failed\nResult=core-dump\nExecMainStatus=4\nwanted=1\nstarted=\nstate=ready\n"
        "replica=a@1\nActiveState=active\nResult=success\nNRestarts=2\nwanted=2\nstarted=1\nstate=busy\nsince=5\n"
    )
    assert (first.replica, first.outdated, first.serves, first.since, first.restarts) == ("a@1", True, True, 5, 2)
    assert (second.probe, second.outdated) == ("stopped", False)
    assert (second.crash or "").startswith("illegal instruction")


def test_a_host_without_replicas_has_no_states() -> None:
    assert parse("") == ()


def test_a_served_name_stays_one_word_of_the_proof() -> None:
    words = shlex.split(proof_command(REPLICA, "it's"))
    assert json.loads(words[words.index("--data") + 1])["model"] == "it's"


@pytest.mark.parametrize(
    "output",
    [
        "",
        "no",
        "[]",
        "{}",
        '{"choices": []}',
        '{"choices":[{"message":{"content":" "}}],"usage":{"completion_tokens":3}}',
    ],
)
def test_what_is_no_answer_proves_nothing(output: str) -> None:
    assert proof(output) is None


def test_an_answer_with_tokens_is_a_proof() -> None:
    assert proof('{"choices":[{"message":{"content":" Red. "}}],"usage":{"completion_tokens":3}}') == "Red."
