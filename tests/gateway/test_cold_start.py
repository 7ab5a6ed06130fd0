"""A gateway that starts or gets another server: a drained replica gets no requests, from the first moment on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.roles.gateway.settings import Server
from tests.gateway.stack import Stack, eventually

DRAIN = '{"format":"drain/1","who":"ada","reason":"fan","manual":true,"time":"2026-11-28T00:00:00Z"}\n'
DRAINED = 8
"""A value of `srv_admin_state`."""
SEEN_BY_CHECKS = {9, 10, 11, 12, 13}
"""Fields of a server's state: the time of its last change, and what its last check saw."""


@pytest.fixture
def drains(stack: Stack) -> Iterator[Path]:
    folder = Path(stack.gateway.proxy.drains or "")
    yield folder
    for file in folder.iterdir():
        file.unlink()
    stack.reset()


def states(stack: Stack) -> dict[str, list[str]]:
    """Map each server to the fields of its state."""
    rows = (line.split() for line in stack.gateway.ask("show servers state").splitlines() if " model." in line)
    return {row[3]: row for row in rows}


def is_drained(stack: Stack, server: str) -> bool:
    return int(states(stack)[server][6]) == DRAINED


def test_what_was_drained_takes_nothing_before_the_unit_has_drained_it_again(stack: Stack, drains: Path) -> None:
    server = stack.servers["assistant"]
    usual = states(stack)[server]
    stack.gateway.stop()
    (drains / server).write_text(DRAIN)
    stack.gateway.start()
    assert is_drained(stack, server)
    assert not is_drained(stack, stack.servers["coder"])
    # Address, port, TLS, weights and the rest are the same as for a server that was never drained.
    after = states(stack)[server]
    changed = {at for at, (one, other) in enumerate(zip(usual, after, strict=True)) if one != other}
    assert changed - SEEN_BY_CHECKS == {6}, (usual, after)
    assert stack.send().status == 503
    assert stack.engines["assistant"].requests == []


def test_a_replica_that_is_undrained_then_serves(stack: Stack, drains: Path) -> None:
    server = stack.servers["assistant"]
    stack.gateway.stop()
    (drains / server).write_text(DRAIN)
    stack.gateway.start()
    with stack.gateways() as gateways:
        gateways.undrain("gpu1/assistant@1")
        eventually(lambda: gateways.servers()["gpu1/assistant@1"].up)
    assert stack.send().status == 200


def test_a_drain_of_a_server_that_is_gone_hinders_no_start(stack: Stack, drains: Path) -> None:
    stack.gateway.stop()
    (drains / "gpu9.other.1.8100").write_text(DRAIN)
    stack.gateway.start()
    assert stack.send("coder").status == 200


def test_a_server_that_comes_with_a_reload_is_drained_as_it_comes(stack: Stack, drains: Path) -> None:
    """Its drain was copied from another gateway before this gateway knew the server."""
    settings, (model, *others) = stack.settings, stack.settings.models
    (first,) = model.servers
    second = Server(replica="assistant@2", host=first.host, address=first.address, port=first.port, slots=4)
    (drains / second.name).write_text(DRAIN)
    stack.write(
        settings.model_copy(update={"models": (model.model_copy(update={"servers": (first, second)}), *others)})
    )
    try:
        stack.gateway.script("reload")
        known = Path(stack.gateway.paths.run, "servers.state").read_text().splitlines()
        assert [row.split()[6] for row in known if f" {second.name} " in row] == [str(DRAINED)]
        assert is_drained(stack, second.name)
        assert not is_drained(stack, first.name)
    finally:
        stack.write(settings)
        stack.gateway.reload()


def test_a_drained_server_that_is_down_is_down_after_a_reload_too(stack: Stack, drains: Path) -> None:
    """The old worker's line comes first: if there are two lines for one server, HAProxy uses the first."""
    server = stack.servers["assistant"]
    with stack.gateways() as gateways:
        gateways.drain("gpu1/assistant@1", who="ada", reason="fan")
        stack.agents["assistant"].state = "down"
        eventually(lambda: not gateways.servers()["gpu1/assistant@1"].up)
        before = set(stack.gateway.workers)
        stack.gateway.reload()
        assert set(stack.gateway.workers[:1]).isdisjoint(before)
        known = Path(stack.gateway.paths.run, "servers.state").read_text().splitlines()
        rows = [row.split() for row in known if f" {server} " in row]
        assert (rows[0][5], int(rows[0][6])) == ("0", DRAINED)
        assert is_drained(stack, server)
        stack.agents["assistant"].state = "up ready"
        gateways.undrain("gpu1/assistant@1")
