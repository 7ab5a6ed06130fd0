"""Send requests to the gateways as a client would, with curl scripts on the controller or on a host of the fleet.

API keys are part of the script, which a shell reads from standard input; they are never in an argument vector.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from rackwright.errors import RackwrightError
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_answer
from rackwright.remote.batch import Batch
from rackwright.roles.replica.answer import MOST_BYTES
from rackwright.values.secrets import Secret

_UNHEARD = (7, 28, 52, 56)
"""Exit codes of curl(1): failed to connect; timeout; nothing was returned; receiving failed."""
_FIGURES = "figures:"
"""What curl writes after an answer begins with this."""
_ANSWER = re.compile(rf"(.*)\n{_FIGURES} (\d+) ([\d.]+) (\d+) replica=(\S*) (.*)", re.DOTALL)


@dataclass(frozen=True)
class Request:
    """One HTTP request to a gateway at `address`, under the gateway's domain."""

    address: str
    domain: str
    path: str = "/v1/models"
    body: str | None = None
    key: Secret | None = field(default=None, repr=False)
    port: int = 443
    scheme: str = "https"
    seconds: int = 120


@dataclass(frozen=True)
class Response:
    """The response. `status` is 0 if there was no HTTP response; then `problem` says why."""

    status: int
    body: str
    seconds: float
    problem: str
    exit_code: int = 0
    """curl's exit code."""
    replica: str = ""
    """HOST/MODEL@N that answered, as gateways report it for the keys of a proof; "": none was reported."""

    @property
    def unheard(self) -> bool:
        """Whether the server refused the connection or dropped it without an answer. False for local errors."""
        return self.exit_code in _UNHEARD

    @property
    def text(self) -> str:
        """The answer's text, from a completion or the joined chunks of a stream."""
        if not self.body.startswith("data:"):
            return "".join(_content(self.body))
        # Not splitlines(): JSON may contain other characters that it takes for the end of a line.
        return "".join(part for line in self.body.split("\n") for part in _content(line.removeprefix("data:")))

    @property
    def whole_stream(self) -> bool:
        """Whether the stream is complete, with a finish reason and [DONE]."""
        return '"finish_reason":"' in self.body.replace(" ", "") and "data: [DONE]" in self.body


class Asker(Protocol):
    """Where requests are sent from."""

    @property
    def where(self) -> str: ...

    def shell(self, script: str, timeout: float) -> str:
        """Run a script with `sh -s`; return its standard output. `timeout`: seconds."""


@dataclass(frozen=True)
class FromController:
    where: str = "the controller"

    def shell(self, script: str, timeout: float) -> str:
        # gevent's subprocess: work over other hosts' connections continues in parallel.
        from gevent import subprocess

        output: str = subprocess.run(
            ["sh", "-s"], input=script, capture_output=True, text=True, timeout=timeout, check=False
        ).stdout
        return output


@dataclass(frozen=True)
class FromHost:
    session: Session
    host: str
    why: str = ""
    """The reason for this host; "": it isn't shown."""

    @property
    def where(self) -> str:
        return f"host {self.host} ({self.why})" if self.why else f"host {self.host}"

    def shell(self, script: str, timeout: float) -> str:
        connection = self.session.remote.connection(self.host)
        return connection.run("sh -s", stdin=script, sudo=False, timeout=timeout).stdout


def ask(asker: Asker, ca: str, requests: tuple[Request, ...]) -> tuple[Response, ...]:
    """Send the requests one after another; return the responses. `ca`: PEM of the CA to trust."""
    batch = Batch.of(map(_curl, requests), setup=_trusting(ca))
    output = asker.shell(batch.script, sum(request.seconds for request in requests) + 30)
    # Without curl, or if it was killed, a command ends without figures.
    found = [answer for part in batch.whole(output.encode()) if (answer := _ANSWER.fullmatch(part.stdout))]
    if len(found) != len(requests):
        raise RackwrightError(
            f"{len(found)} of {len(requests)} requests finished",
            where=asker.where,
            should="curl should be installed there",
        )
    return read_answer(asker.where, "the figures of its requests", _responses, found)


def _responses(answers: Iterable[re.Match[str]]) -> tuple[Response, ...]:
    return tuple(
        Response(int(status), body, float(seconds), problem, int(code), replica)
        for body, status, seconds, code, replica, problem in (answer.groups() for answer in answers)
    )


def certificate_end(asker: Asker, ca: str, request: Request) -> datetime | None:
    """Return when the served certificate expires, None if there is none or `ca` didn't sign it."""
    resolve = shlex.quote(f"{request.domain}:{request.port}:{bracketed(request.address)}")
    options = f"-q -s --noproxy '*' --connect-timeout 5 -m {request.seconds} -o /dev/null -w '%{{certs}}'"
    url = shlex.quote(f"https://{request.domain}:{request.port}/")
    script = f'{_trusting(ca)}\ncurl {options} --cacert "$ca" --resolve {resolve} {url}\n'
    shown = asker.shell(script, request.seconds + 10)
    return read_answer(asker.where, "the end of a certificate", _end, shown)


def _end(shown: str) -> datetime | None:
    found = re.search(r"^Expire date:(.+)$", shown, re.MULTILINE)
    return datetime.strptime(found[1].strip(), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC) if found else None


def _trusting(ca: str) -> str:
    """Return shell lines after which the file $ca has this PEM."""
    return f"umask 077; ca=$(mktemp); trap 'rm -f \"$ca\"' EXIT; printf '%s\\n' {shlex.quote(ca.strip())} >\"$ca\""


def _curl(request: Request) -> str:
    figures = "%{http_code} %{time_total} %{exitcode} replica=%header{x-rackwright-replica} %{errormsg}"
    options = [
        f'url = "{request.scheme}://{request.domain}:{request.port}{request.path}"',
        f'resolve = "{request.domain}:{request.port}:{bracketed(request.address)}"',
        f"max-time = {request.seconds}",
        f"max-filesize = {MOST_BYTES}",
        "connect-timeout = 5",
        "silent",
        'noproxy = "*"',
        f'write-out = "\\n{_FIGURES} {figures}"',
    ]
    if request.key:
        options.append(f'header = "Authorization: Bearer {request.key.reveal()}"')
    if request.body is not None:
        options += ['header = "Content-Type: application/json"', f"data = {json.dumps(request.body)}"]
    # printf is part of the shell: no other process has the key among its arguments.
    return f"printf '%s\\n' {shlex.quote(chr(10).join(options))} | curl -q --cacert \"$ca\" -K -"


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _content(line: str) -> list[str]:
    try:
        choices = json.loads(line)["choices"]
        parts = [choice.get("message") or choice.get("delta") or {} for choice in choices]
        return [str(part.get("content") or "") for part in parts]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
