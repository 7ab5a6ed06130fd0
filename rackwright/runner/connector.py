"""pyinfra over our own connections: everything runs as root, with one connection for all runs of a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import IOBase
from typing import IO, Any, cast

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.util import get_file_io
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.util import CommandOutput, OutputLine, make_unix_command

from rackwright.errors import HostError, RackwrightError
from rackwright.remote import CommandTimeout, Completed, Connection
from rackwright.remote.answers import unreadable
from rackwright.runner import shortcuts
from rackwright.runner.prefetch import Prefetch
from rackwright.runner.questions import Questions

LINK = "rackwright"
"""The key of a host's Link in its `connector_data`."""
_OURS = ("_success_exit_codes", "_timeout", "_get_pty", "_stdin", "_sudo_password", "_sudo")


@dataclass
class Link:
    """What one run knows about one host in addition to pyinfra."""

    connection: Connection
    questions: Questions
    question_seconds: float
    operation_seconds: float
    prefetch: Prefetch
    live: bool = False
    """False in the read-only stage, whose questions go through `questions`; later ones go through `prefetch`."""
    asking: bool = False
    """Whether a fact is being gathered; every command that runs then is a question."""
    failed_lines: tuple[str, ...] = ()
    """The last lines that the last failed command printed, or that it took too long."""
    on_bytes: Callable[[int, int], None] = field(default=lambda _sent, _total: None)


class Connector(BaseConnector):
    handles_execution = True

    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        yield name, {}, []

    @property
    def _link(self) -> Link:
        return cast(Link, self.host.connector_data[LINK])

    def connect(self) -> None:
        try:
            self._link.connection.open()
        except HostError as error:
            raise ConnectError(str(error)) from error

    def run_shell_command(
        self, command: StringCommand | str, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        """Run the command as root, or ask it as a question, and return whether it succeeded, and its output.

        Raise HostError if the host is lost, TimeoutError if the command takes too long.
        """
        text, secret = shell(command, arguments)
        try:
            completed = self._completed(text, secret, arguments)
        except CommandTimeout as error:
            self._link.failed_lines = (error.problems[0].what,)
            raise TimeoutError(str(error)) from error
        good = completed.exit_status in (arguments.get("_success_exit_codes") or (0,))
        if not good:
            self._link.failed_lines = completed.last_lines()
        return good, output(completed)

    def _completed(self, text: str, secret: bool, arguments: dict[str, Any]) -> Completed:
        link, stdin = self._link, _stdin(arguments.get("_stdin"))
        if not link.live and stdin is None:
            if self.host.current_op_hash and not secret:
                link.prefetch.foresee(self.host.current_op_hash, text)
            return link.questions.ask(text, arguments.get("_timeout") or link.question_seconds, secret=secret)
        if link.asking and (answer := link.prefetch.answer(text)):
            return answer
        if not link.asking:
            link.prefetch.forget()
        return link.connection.run(text, stdin=stdin, timeout=arguments.get("_timeout") or link.operation_seconds)

    def put_file(
        self,
        filename_or_io: str | IOBase,
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Write the file as root, atomically; mode 0600 if new. Raise HostError if that fails or the host is lost."""
        self._link.prefetch.forget()
        with get_file_io(cast(Any, filename_or_io), "rb") as content:
            self._link.connection.put(
                cast("IO[bytes]", content),
                remote_filename,
                timeout=arguments.get("_timeout") or None,
                progress=self._link.on_bytes,
            )
        return True

    def get_file(
        self,
        remote_filename: str,
        filename_or_io: str | IOBase,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Copy a small file from the host to this machine. Raise HostError if it can't be read."""
        with get_file_io(cast(Any, filename_or_io), "wb") as stream:
            cast("IO[bytes]", stream).write(self._link.connection.get(remote_filename))
        return True


class AskedHost(Host):
    """A host whose link distinguishes questions from changes."""

    def get_fact(self, *arguments: Any, **options: Any) -> Any:
        """Return the fact. Raise UnreadableAnswer if the host's answer can't be parsed."""
        link = cast(Link, self.connector_data[LINK])
        before, link.asking = link.asking, True
        try:
            return super().get_fact(*arguments, **options)
        except (PyinfraError, RackwrightError, OSError):
            raise
        except Exception as error:
            # Mostly from the fact's `process`, which parses what the host wrote.
            raise unreadable(self.name, f"the fact {arguments[0].__name__}") from error
        finally:
            link.asking = before


class OneHost(Inventory):
    """pyinfra's inventory of a single host, reached through our connector."""

    def make_hosts_and_groups(self, names: list[str], groups: object) -> None:
        self.hosts = {name: AskedHost(name, inventory=self, groups=[], connector_cls=Connector) for name in names}
        shortcuts.install()
        for host in self.hosts.values():
            shortcuts.simplify(host)


def shell(command: StringCommand | str, arguments: dict[str, Any]) -> tuple[str, bool]:
    """Given pyinfra's command and arguments, return the text for a root shell, and whether it contains a secret."""
    # We are already root: use sudo only for another user.
    passed = {key: value for key, value in arguments.items() if key not in _OURS}
    passed["_sudo"] = bool(arguments.get("_sudo_user"))
    if passed.get("_shell_executable") == "sh" and not passed["_sudo"] and not passed.get("_su_user"):
        passed["_shell_executable"] = None
    wrapped = make_unix_command(command if isinstance(command, StringCommand) else StringCommand(command), **passed)
    text = wrapped.get_raw_value()
    return text, text != wrapped.get_masked_value()


def output(completed: Completed) -> CommandOutput:
    """Return the lines in pyinfra's form: all of stdout, then all of stderr."""
    streams = (("stdout", completed.stdout), ("stderr", completed.stderr))
    return CommandOutput([OutputLine(name, line) for name, text in streams for line in _lines(text)])


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _stdin(value: object) -> str | None:
    if not value:
        return None
    lines = [value] if isinstance(value, str) else list(cast("list[str]", value))
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
