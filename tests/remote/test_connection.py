from __future__ import annotations

import io
import shlex
import subprocess

import pytest

from rackwright.errors import HostError
from rackwright.remote.completed import Completed
from rackwright.remote.connection import Connection
from rackwright.values.secrets import Secret
from rackwright.values.targets import Target
from tests.remote.scripted import Scripted

PASSWORD = "pa ss'w0rd"


def connection(transport: Scripted, password: str | None = None) -> Connection:
    target = Target("h1", "10.0.0.1", user="ops", sudo_password=Secret(password) if password else None)
    return Connection(target, transport=lambda _: transport)


def inner(command: str) -> str:
    """Return the input of sudo's shell."""
    return shlex.split(command)[-1]


def test_root_needs_no_sudo() -> None:
    transport = Scripted(is_root=True)
    connection(transport).run("echo $HOME")
    assert transport.commands == ["env LC_ALL=C.UTF-8 sh -c 'echo $HOME'"]


def test_an_ordinary_user_becomes_root_without_being_asked() -> None:
    transport = Scripted(is_root=False)
    connection(transport).run("id")
    assert shlex.split(transport.commands[0])[:-1] == ["env", "LC_ALL=C", "sudo", "-n", "--", "sh", "-c"]
    assert inner(transport.commands[0]) == "export LC_ALL=C.UTF-8\nid"


def test_the_password_travels_on_stdin_only() -> None:
    transport = Scripted(is_root=False)
    connection(transport, PASSWORD).run("cat", stdin="payload")
    assert not [command for command in transport.commands if "w0rd" in command]
    assert transport.inputs[0] == f"{PASSWORD}\n".encode()
    assert transport.inputs[1].startswith(f"{PASSWORD}\n".encode())
    assert transport.inputs[1].endswith(b"\npayload")


@pytest.mark.parametrize("asked", [True, False], ids=["sudo takes the password", "sudo doesn't ask"])
def test_the_command_never_reads_the_password(asked: bool) -> None:
    transport = Scripted(is_root=False)
    connection(transport, PASSWORD).run('cat; echo "[$line]"', stdin="pay\nload")
    given = transport.inputs[-1].split(b"\n", 1)[1] if asked else transport.inputs[-1]
    ran = subprocess.run(["sh", "-c", inner(transport.commands[-1])], input=given, capture_output=True, check=True)
    assert ran.stdout == b"pay\nload[]\n"


def test_a_wrong_password_is_tried_once_and_nothing_else_is_sent() -> None:
    transport = Scripted(lambda _c, _s: Completed(1, b"", b"sudo: 1 incorrect password attempt\n"), is_root=False)
    with pytest.raises(HostError) as caught:
        connection(transport, PASSWORD).run("rm -rf /srv/x")
    assert str(caught.value) == (
        "h1: sudo refused the password; sudo.password in the fleet file should refer to the password of the user ops"
    )
    assert len(transport.commands) == 1


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        (
            "sudo: a password is required",
            "h1: sudo asks the user ops for a password; "
            "set sudo: {password: …} in the fleet file, or give ops NOPASSWD on the host",
        ),
        (
            "ops is not in the sudoers file.",
            "h1: sudo doesn't let the user ops become root; allow it in /etc/sudoers.d on the host",
        ),
        (
            "env: 'sudo': No such file or directory",
            "h1: sudo is not installed; install it on the host, or log in as root",
        ),
    ],
)
def test_what_sudo_complains_of_is_an_error_with_a_way_out(stderr: str, message: str) -> None:
    transport = Scripted(lambda _c, _s: Completed(1, b"", stderr.encode()), is_root=False)
    with pytest.raises(HostError) as caught:
        connection(transport).run("true")
    assert str(caught.value) == message


def test_once_sudo_worked_a_command_may_say_what_it_likes() -> None:
    replies = iter([Completed(0), Completed(1, b"", b"sudo: a password is required")])
    link = connection(Scripted(lambda _c, _s: next(replies), is_root=False))
    link.run("true")
    assert link.run("inner").exit_status == 1


def test_a_lost_connection_is_opened_again() -> None:
    transports = [Scripted(), Scripted()]
    link = Connection(Target("h1", "10.0.0.1"), transport=lambda _: transports.pop(0))
    first = transports[0]
    link.run("one")
    first.dead = True
    link.run("two")
    assert len(first.commands) == 1
    assert link.counters.commands == 2


def test_a_failed_command_tells_its_last_lines() -> None:
    failed = Completed(3, b"out\n", b"".join(b"line %d\n\n" % number for number in range(9)), "h1")
    with pytest.raises(HostError) as caught:
        failed.check("building the index")
    assert str(caught.value) == (
        "h1: building the index failed with exit status 3\n    line 4\n    line 5\n    line 6\n    line 7\n    line 8"
    )


def test_what_a_command_printed_is_not_in_its_repr() -> None:
    assert "hunter2" not in repr(Completed(0, b"hunter2", b"hunter2"))


class Endless(io.RawIOBase):
    """Zeros that are never in memory all at once."""

    def __init__(self) -> None:
        self.largest = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self.largest = max(self.largest, size)
        return bytes(size)


class Counting(Scripted):
    def execute(self, command, stdin, *, timeout, limit):  # type: ignore[no-untyped-def]
        self.received = sum(len(chunk) for chunk in stdin)
        return Completed(0)


def test_a_large_file_is_sent_in_small_pieces_with_news_of_it() -> None:
    transport, content, news = Counting(), Endless(), []
    connection(transport).put(content, "/srv/model", size=50_000_000, progress=lambda *now: news.append(now))  # type: ignore[arg-type]
    assert transport.received == 50_000_000
    assert content.largest <= 2**20
    assert news[-1] == (50_000_000, 50_000_000)
    assert len(news) > 100


def test_content_that_ends_early_is_an_error() -> None:
    with pytest.raises(HostError, match="the content ended after 3 of 10 bytes"):
        connection(Scripted()).put(io.BytesIO(b"abc"), "/srv/model", size=10)
