"""Read the gateways' access logs as they grow: only lines of conversations that belong to a version or a side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from shlex import quote

from rackwright.errors import HostError
from rackwright.lifecycle.session.session import Session
from rackwright.roles.gateway.access_log import TAG, Access, parse_access

_CURSOR = "-- cursor: "
_WHOLE = "-- whole"
MOST = 20_000
TIMEOUT = 60
"""Seconds."""


@dataclass
class AccessLogs:
    """The access logs of all gateways, from the call of `begin` or `resume` on."""

    session: Session
    wanted: str
    """Regular expression of the lines that are read."""
    _after: dict[str, str] = field(default_factory=dict)
    """Gateway → journalctl's option that says where to continue."""

    def begin(self) -> None:
        """Start reading from now on. Raise HostError if a gateway can't be asked for its time."""
        for gateway, done in self._run(dict.fromkeys(self.session.fleet.gateways, "date +%s")).items():
            self._after[gateway] = f"--since=@{int(done)}"

    def resume(self, since: Mapping[str, int]) -> None:
        """Start reading from these times on, by each gateway's clock; at most the newest MOST lines."""
        self._after = {gateway: f"--since=@{time} --lines={MOST}" for gateway, time in since.items()}

    def read(self) -> list[Access]:
        """Return the lines since the last read. Raise HostError, naming the gateways that could not be read; their
        lines are returned by a later read."""
        commands = {gateway: read_command(self.wanted, after) for gateway, after in self._after.items()}
        lines: list[Access] = []
        for gateway, output in self._run(commands).items():
            if _WHOLE not in output:
                raise HostError("journalctl failed", where=gateway, next=f"rackwright logs {gateway}")
            found, cursor = parse_lines(output)
            lines += found
            self._after[gateway] = quote(f"--after-cursor={cursor}") if cursor else self._after[gateway]
        return lines

    def _run(self, commands: dict[str, str]) -> dict[str, str]:
        done = self.session.remote.run_on(tuple(commands), commands, timeout=TIMEOUT)
        outputs: dict[str, str] = {}
        failed: list[str] = []
        for gateway, result in done.items():
            if isinstance(result, HostError):
                failed.append(str(result.problems[0]))
            else:
                outputs[gateway] = result.check("reading the access log").stdout
        if failed:
            raise HostError("; ".join(failed), next="rackwright status")
        return outputs


def of_canary(model: str) -> str:
    """Return what matches the lines of the model's conversations while it has a canary."""
    return f'"model":"{model}",.*"canary":(true|false)'


def read_command(wanted: str, after: str) -> str:
    """Return the shell command that prints what matches, and the last cursor. `after`: options of journalctl."""
    pattern = f"^{_CURSOR}|^{_WHOLE}|{wanted}"
    journal = f"journalctl --quiet --no-pager --output=cat --show-cursor -t {TAG} -p info..info {after}"
    return f"{{ {journal} && echo {quote(_WHOLE)}; }} | grep -E {quote(pattern)} || true"


def parse_lines(output: str) -> tuple[list[Access], str | None]:
    """Given the command's output, return the lines and the cursor of the last one, None if there was nothing new."""
    cursor = re.findall(rf"^{_CURSOR}(\S+)$", output, re.MULTILINE)
    return list(_lines(output)), cursor[-1] if cursor else None


def _lines(output: str) -> Iterator[Access]:
    for line in output.split("\n"):
        # journald may truncate a line.
        with suppress(ValueError):
            yield parse_access(line)
