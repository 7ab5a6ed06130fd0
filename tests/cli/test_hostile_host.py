"""A hostile host or weights file attacks the operator's terminal through every command that shows their text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.remote import Completed, hosts
from tests.cli.command_line import Ran, rackwright
from tests.hostile import ESCAPES, EVIL, assert_harmless
from tests.remote.scripted import Scripted
from tests.shape.whole import whole_gguf

FLEET = """
fleet: acme
hosts:
  gate1: {address: 10.0.0.9}
  gpu1: {address: 10.0.0.10}
models:
  assistant:
    source: file:m.gguf
    runtime: {kind: llama_cpp, version: b1, build: "file:llama.tar.gz"}
    place: [{on: gpu1, gpus: 0}]
    names: [assistant]
    context: 4096
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [10.0.0.0/8], clients_from: [10.0.0.0/8]}
backup: {to: [{name: own, url: /srv/own, password: "file:password"}]}
"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d"
ACT = {"format": "audit/1", "time": "2026-11-25T09:01:00Z", "run": EVIL, "command": EVIL, "outcome": EVIL}
AUDIT = json.dumps({**ACT, "operator": EVIL, "what": EVIL}) + f"\n{ESCAPES}\n"
ACCESS = f"other {ESCAPES}\nuser anna 1001\nkey anna {KEY} {ESCAPES}\npassword {ESCAPES}\nsudo anna ({ESCAPES}\n"
SNAPSHOTS = json.dumps(
    [{"id": EVIL, "time": "2026-11-01T08:00:00Z", "hostname": EVIL, "username": EVIL, "summary": None}]
)
JOURNAL = f"2026-11-25T09:01:00+0000 gpu1 llama-server[1]: {ESCAPES}\u2028-- cursor: forged\n-- cursor: s=1\n"
READS = (
    "access review",
    "access review --markdown",
    "assess",
    "audit",
    "backup get gate1 /etc/x --output never.tar",
    "backup list",
    "backup show gate1 /etc/x",
    "bench assistant --history",
    "check",
    "fit",
    "lease show",
    "logs gate1",
    "logs assistant@1",
    "model prune --dry-run",
    "model show assistant",
    "model verdict assistant --all",
    "plan",
    "rollout status",
    "status",
    "verify",
)
CHANGES = (
    "apply --yes",
    "backup run",
    "drain gpu1 --reason x --yes",
    "restart gpu1 --yes",
    "undrain gpu1",
)

Reply = Callable[[str, bytes], Completed]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet file whose model is hostile, too, with its lock."""
    path = tmp_path_factory.mktemp("site") / "site.yml"
    path.write_text(FLEET)
    path.with_name("password").write_text("secret\n")
    path.with_name("llama.tar.gz").write_bytes(b"x")
    path.with_name("m.gguf").write_bytes(whole_gguf({"general.architecture": EVIL}, {"a": (0, (1024, 2))}))
    assert rackwright("-f", path, "lock").exit_code == 0
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hosts_reply(monkeypatch: pytest.MonkeyPatch) -> Callable[[Reply], None]:
    return lambda reply: monkeypatch.setattr(hosts, "open_transport", lambda target, jumps: Scripted(reply))


def harmless(ran: Ran) -> Ran:
    assert_harmless(ran.stdout)
    assert_harmless(ran.stderr)
    return ran


def ran_both_ways(fleet: Path, command: str) -> tuple[Ran, Ran]:
    words = ("-f", fleet, *command.split())
    return harmless(rackwright(*words)), harmless(rackwright(*words, "--json"))


def printing(text: str) -> Reply:
    return lambda _command, _stdin: Completed(0, text.encode(), host="gpu1")


def failing(_command: str, _stdin: bytes) -> Completed:
    return Completed(1, stderr_bytes=f"{EVIL} \ufeff".encode(), host="gpu1")


def refusing(_command: str, _stdin: bytes) -> Completed:
    raise HostError(f"its sshd said {EVIL}", where="gpu1")


@pytest.mark.parametrize("command", [*READS, *CHANGES])
def test_a_host_whose_commands_fail_steers_no_terminal(fleet, hosts_reply, command):
    hosts_reply(failing)
    text, document = ran_both_ways(fleet, command)
    assert text.exit_code
    assert r"\ufeff" in text.stdout + text.stderr + document.stdout


@pytest.mark.parametrize("command", [*READS, *CHANGES])
def test_a_host_that_lets_nobody_in_steers_no_terminal(fleet, hosts_reply, command):
    hosts_reply(refusing)
    text, _ = ran_both_ways(fleet, command)
    assert r"\x1b" in text.stdout + text.stderr


@pytest.mark.parametrize("command", [*READS, *CHANGES])
def test_a_host_that_answers_everything_with_garbage_steers_no_terminal(fleet, hosts_reply, cache, command):
    # All that `logs` prints are the host's own lines: none of them can pass for one of rackwright's.
    hosts_reply(printing(ESCAPES if command.startswith("logs") else EVIL))
    ran_both_ways(fleet, command)
    for log in cache.rglob("error-*.log"):
        assert_harmless(log.read_text())


@pytest.mark.parametrize(
    ("command", "answer", "code"),
    [
        ("audit", AUDIT, 12),
        ("access review", ACCESS, 12),
        ("access review --markdown", ACCESS, 12),
        ("backup list", SNAPSHOTS, 0),
        ("logs gate1", JOURNAL, 0),
        ("logs assistant@1", JOURNAL, 0),
    ],
)
def test_what_a_host_says_is_shown_as_text(fleet, hosts_reply, command, answer, code):
    hosts_reply(printing(answer))
    text, document = ran_both_ways(fleet, command)
    assert (text.exit_code, document.exit_code) == (code, code)
    assert "x1b" in text.stdout
    json.loads(document.stdout)


def test_a_row_stays_a_row(fleet, hosts_reply):
    hosts_reply(printing(SNAPSHOTS))
    assert len(rackwright("-f", fleet, "backup", "list").stdout.splitlines()) == 3


def test_a_message_is_one_line_of_the_log_and_forges_no_cursor(fleet, hosts_reply):
    hosts_reply(printing(JOURNAL))
    (line,) = rackwright("-f", fleet, "logs", "gate1").stdout.splitlines()
    assert line.endswith(r"\u2028-- cursor: forged")
    document = rackwright("-f", fleet, "logs", "gate1", "--json").document
    assert document["lines"] == [JOURNAL.split("\n")[0]]


def test_a_weights_file_steers_no_terminal(fleet):
    fleet.with_name("site.lock").unlink()
    ran = harmless(rackwright("-f", fleet, "lock"))
    assert "can't tell whether it fits: " in ran.stdout
    assert r"\x1b]52;c;ZXZpbA==\x07" in ran.stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", fleet.with_name("site.lock").read_text())


@pytest.mark.parametrize(
    "command", ["fit --source file:{gguf} --gpu 24GiB", "model show assistant --offline", "model list"]
)
def test_what_a_lock_kept_of_a_weights_file_steers_no_terminal(fleet, command):
    text, document = ran_both_ways(fleet, command.format(gguf=fleet.with_name("m.gguf")))
    assert (text.exit_code, document.exit_code) == (0, 0)
