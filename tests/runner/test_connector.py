"""What pyinfra asks of a connector, on our connections."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import pytest
from pyinfra.api.config import Config
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.state import State
from pyinfra.context import ctx_host, ctx_state

from rackwright.errors import HostError
from rackwright.remote import Completed, Remote
from rackwright.runner.connector import LINK, Connector, Link, OneHost, shell
from rackwright.runner.prefetch import Prefetch
from rackwright.runner.pyinfra_state import current
from rackwright.runner.questions import Questions
from rackwright.values.targets import Target
from tests.remote.scripted import Scripted


@pytest.fixture
def transport() -> Scripted:
    return Scripted()


@pytest.fixture
def connector(transport: Scripted) -> Iterator[Connector]:
    def reach(target: Target) -> Scripted:
        if transport.dead:
            raise HostError("no route to host", where=target.name)
        return transport

    with Remote([Target("gpu1", "@local")], transport=reach) as remote:
        connection = remote.connection("gpu1")
        inventory = OneHost((["gpu1"], {}))
        state = State(inventory, Config())
        host = inventory.get_host("gpu1")
        host.connector_data[LINK] = Link(
            connection, Questions(connection, ()), 1, 1, Prefetch(connection, 1), live=True
        )
        yield Connector(state, host)


def test_a_host_that_cannot_be_reached_is_one_that_pyinfra_cannot_connect_to(
    connector: Connector, transport: Scripted
) -> None:
    connector.connect()
    transport.dead = True
    with pytest.raises(ConnectError, match="gpu1: no route to host"):
        connector.connect()


def test_a_file_of_the_host_is_copied_here(connector: Connector, transport: Scripted) -> None:
    transport.reply = lambda command, _stdin: Completed(0, b"what stands there\n")
    into = BytesIO()
    assert connector.get_file("/etc/a file", into)
    assert into.getvalue() == b"what stands there\n"
    (command,) = transport.commands
    assert "cat -- " in command
    assert "/etc/a file" in command


@pytest.mark.parametrize("stdin", ["one\ntwo", ["one", "two\n"]])
def test_standard_input_arrives_as_whole_lines(connector: Connector, transport: Scripted, stdin: object) -> None:
    assert connector.run_shell_command("cat", _stdin=stdin)[0]
    assert b"".join(transport.inputs).splitlines() == [b"one", b"two"]
    assert connector.run_shell_command("cat", _stdin="")[0]
    assert transport.inputs[-1] == b""


def test_a_host_is_one_host_under_its_own_name() -> None:
    assert list(Connector.make_names_data("gpu1")) == [("gpu1", {}, [])]


def test_a_command_is_wrapped_only_where_it_is_another_users() -> None:
    assert shell("id", {"_sudo": True, "_shell_executable": "sh"}) == ("id", False)
    assert shell("id", {"_sudo_user": "rw-web", "_shell_executable": "sh"})[0].startswith("sudo ")


def test_outside_of_a_greenlet_state_and_host_are_the_processs(connector: Connector) -> None:
    with current(connector.state, connector.host):
        assert ctx_state.get() is connector.state
        assert ctx_host.get() is connector.host
    assert not ctx_state.isset()
    assert not ctx_host.isset()
