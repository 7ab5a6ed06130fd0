from __future__ import annotations

from dataclasses import replace

import pytest

from rackwright.fleet.lock import model_digest
from rackwright.lifecycle.proof.identity import identity_of, mismatches, not_yet
from rackwright.roles.replica.proof import Seen, parse
from tests.lifecycle.proving import FILES, shown, site_of

SITE = site_of({})
IDENTITY = identity_of(SITE, SITE.fleet.replicas[0], "gpu1")
SEEN = parse(shown(IDENTITY))
WEIGHTS = f"/srv/models/assistant/{model_digest(FILES)[:16]}"


def seen(**changes: object) -> Seen:
    return replace(SEEN, **changes)


def test_what_an_engine_should_be_follows_from_the_lock() -> None:
    assert IDENTITY.folders == {"/opt/rackwright/runtimes/llama_cpp-b1": "b" * 64, WEIGHTS: model_digest(FILES)}
    assert IDENTITY.command[:3] == (
        "/opt/rackwright/runtimes/llama_cpp-b1/llama-server",
        "--model",
        f"{WEIGHTS}/m.gguf",
    )


def test_one_that_is_so_is_nothing_else() -> None:
    assert not_yet(IDENTITY, SEEN) is None
    assert mismatches(IDENTITY, SEEN) == ()


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (seen(runs=False, active="activating"), "its unit is activating"),
        (seen(active="activating", program="/usr/lib/systemd/systemd-executor"), "its unit is activating"),
        (seen(command=(), program=""), "its process has just ended"),
        (seen(started=None), "it doesn't report which unit file it was started from"),
        (seen(started="f" * 64), "it was started from another unit file than the fleet file and the lock ask for"),
    ],
)
def test_one_that_does_not_run_on_its_unit_is_waited_for(other: Seen, reason: str) -> None:
    assert not_yet(IDENTITY, other) == reason


def test_a_script_has_its_interpreter_in_front() -> None:
    assert mismatches(IDENTITY, seen(command=("/usr/bin/python3", *IDENTITY.command))) == ()


def test_everything_that_is_not_as_locked_is_named_at_once() -> None:
    command = tuple(word.replace("m.gguf", "other.gguf") for word in IDENTITY.command)
    markers = {"/opt/rackwright/runtimes/llama_cpp-b1": "c" * 64}
    told = mismatches(IDENTITY, seen(command=command, markers=markers, program="/opt/x/llama-server (deleted)"))
    assert told == (
        "its program /opt/x/llama-server was replaced after it started",
        f"it runs {WEIGHTS}/other.gguf instead of {WEIGHTS}/m.gguf",
        f"/opt/rackwright/runtimes/llama_cpp-b1 was verified as {'c' * 16}; the lock has {'b' * 16}",
        f"{WEIGHTS} was never verified; the lock has {model_digest(FILES)[:16]}",
    )


def test_words_too_many_are_named() -> None:
    assert mismatches(IDENTITY, seen(command=(*IDENTITY.command, "--lora", "/tmp/x"))) == (
        "it runs --lora /tmp/x in addition",
    )


def test_words_that_are_missing_or_out_of_order_are_named() -> None:
    *first, last = IDENTITY.command
    assert mismatches(IDENTITY, seen(command=tuple(first))) == (f"it runs without {last}",)
    assert mismatches(IDENTITY, seen(command=(last, *first))) == ("it runs with its arguments in another order",)
