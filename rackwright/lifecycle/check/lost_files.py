"""Whether everything in the lock can be had again: each file answers at its URL, or the hosts' backups save it."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.needs import Need, needs_of
from rackwright.lifecycle.check import result
from rackwright.lifecycle.check.result import Condition
from rackwright.resolve.answering import PRESENT, UNASKED, Answer, Asking, State, judged
from rackwright.values.file import File
from rackwright.values.regular_file import has_size

if TYPE_CHECKING:
    from rackwright.fleet.hosts.host_spec import HostSpec

MOST = 300
"""URLs that one host is asked about; all of them are part of one command."""
SECONDS = 30
"""The longest time for one host's questions."""
_LINE = re.compile(r"([0-9]{1,4}) ([0-9]{1,3}) ([0-9]{3})")
_NO_CURL = "nocurl"


@dataclass(frozen=True)
class Sources:
    """What the hosts need and no backup saves, and what is known about it so far."""

    needs: tuple[Need, ...]
    """Everything that the hosts need."""
    answers: Mapping[str, Answer]
    """URL → answer, as this machine sees it."""

    @property
    def unsaved(self) -> tuple[Need, ...]:
        return tuple(need for need in self.needs if not need.saved)

    def left(self, reached: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the URLs that a host must be asked about, by host: this machine may be the only one without access.

        `reached` are the hosts that answer. The first of them that needs a file is asked.
        """
        reached, left = tuple(reached), dict[str, dict[str, None]]()
        for need in self.unsaved:
            asked = next((host for host in need.hosts if host in reached), None)
            for file in need.files if asked else ():
                state = self.answers.get(file.url, UNASKED).state
                if state in (State.UNREACHED, State.UNKNOWN) and not _is_controllers(need, file):
                    left.setdefault(str(asked), {})[file.url] = None
        return {host: tuple(urls)[:MOST] for host, urls in left.items()}


def ask_sources(fleet: Fleet, lock: Lock, hosts: tuple[str, ...]) -> Sources:
    """Ask from this machine about everything that these hosts need and no backup saves."""
    from rackwright.errors import SecretError
    from rackwright.fleet.downloads import route_from_here
    from rackwright.fleet.secrets import hub_token
    from rackwright.resolve.web import Web

    needs = needs_of(fleet, lock, hosts)
    unsaved = tuple(need for need in needs if not need.saved)
    try:
        token = hub_token(fleet) if any(need.hub for need in unsaved) else None
    except SecretError:
        # Another condition reports it.
        token = None
    asking = Asking(Web(route_from_here(fleet)), fleet.file.downloads.hub, token)
    return Sources(needs, asking.ask(unsaved))


def script(spec: HostSpec, urls: tuple[str, ...]) -> str:
    """Return a shell script that asks the host's servers for these URLs, without downloading anything.

    It reads the CAs of downloads (PEM) from standard input, if the spec has any. It prints `nocurl`, or a line for
    each URL: its number, curl's exit status and the HTTP status.
    """
    route = spec.downloads.route.model_copy(update={"ca_bundle": None}).curl_options
    options = ["-q", "-sS", "-L", "-I", "-Z", "--parallel-max", "8", "--globoff", "--max-time", "15"]
    options += ["--proto", "=https,http,file", "--proto-redir", "=https,http", *route]
    lines = [f"command -v curl >/dev/null || {{ echo {_NO_CURL}; exit 0; }}"]
    authorities = ""
    if spec.downloads.ca_bundle:
        lines.append('ca=$(mktemp) && trap \'rm -f -- "$ca"\' EXIT && cat >"$ca"')
        authorities = ' --cacert "$ca"'
    said = r"-w '%{urlnum} %{exitcode} %{http_code}\n'"
    curl = f"timeout {SECONDS} curl {shlex.join(options)}{authorities} {said} -K - 2>/dev/null"
    asked = "".join(f'url = "{_escaped(url)}"\noutput = "/dev/null"\n' for url in urls)
    return "\n".join([*lines, f"printf %s {shlex.quote(asked)} | {curl}", ":"])


def _escaped(url: str) -> str:
    return url.replace("\\", "\\\\").replace('"', '\\"')


def parse(output: str, urls: tuple[str, ...]) -> dict[str, Answer]:
    """Given the script's output, return the answer for each URL. Lines that curl can't have printed are ignored."""
    if output.strip() == _NO_CURL:
        return dict.fromkeys(urls, Answer(State.UNKNOWN, "was not asked: the first apply installs curl there"))
    answers = dict.fromkeys(urls, Answer(State.UNKNOWN, "had no answer in time"))
    for line in output.splitlines():
        if (match := _LINE.fullmatch(line)) and int(match[1]) < len(urls):
            answers[urls[int(match[1])]] = _judged(urls[int(match[1])], int(match[2]), int(match[3]))
    return answers


def _judged(url: str, status: int, code: int) -> Answer:
    if url.startswith("file:"):
        return PRESENT if status == 0 else Answer(State.GONE, "is not there")
    return judged(code) if code else Answer(State.UNREACHED, f"can't be reached (curl exit {status})")


def judge_sources(fleet: Fleet, found: Sources, by_hosts: Mapping[str, Mapping[str, Answer]]) -> Iterator[Condition]:
    """Yield a warning for each reason why files of one need can't be had again; one condition if there is none.

    `by_hosts` are the answers from hosts: host → URL → answer. They count more than this machine's.
    """
    counts: Counter[str] = Counter()
    warned = False
    for need in found.needs:
        if need.saved:
            counts["saved"] += len(need.files)
            continue
        reasons: dict[str, list[File]] = {}
        for file in need.files:
            why = _why_lost(need, file, found.answers, by_hosts)
            counts["there"] += why is None
            if why:
                reasons.setdefault(why, []).append(file)
        for why, files in reasons.items():
            warned = True
            yield _warning(fleet, need, why, files)
    if not warned and counts:
        texts = {"there": "answer", "saved": "saved by backups"}
        said = ", ".join(f"{counts[key]} {text}" for key, text in texts.items() if counts[key])
        yield Condition("controller", "sources", result.State.OK, f"files in the lock: {said}")


def _is_controllers(need: Need, file: File) -> bool:
    """Return whether a file comes from the controller. A driver's file:/// is on the host itself."""
    return file.local is not None and need.kind != "drivers"


def _why_lost(
    need: Need, file: File, answers: Mapping[str, Answer], by_hosts: Mapping[str, Mapping[str, Answer]]
) -> str | None:
    """Return why a file can't be had again, None if it can."""
    if _is_controllers(need, file):
        here = has_size(Path(str(file.local)), file.size)
        return None if here else "is missing on this machine, or has another size"
    asked = next(((host, said[file.url]) for host, said in by_hosts.items() if file.url in said), None)
    if asked:
        host, answer = asked
        return None if answer.state is State.THERE else f"{answer.why}, asked from {host}"
    answer = answers.get(file.url, UNASKED)
    return None if answer.state is State.THERE else answer.why


def _warning(fleet: Fleet, need: Need, why: str, files: list[File]) -> Condition:
    where, first = f"{need.place} ({', '.join(need.hosts)})", files[0].url.partition("?")[0]
    if len(files) == 1:
        found = f"{where}: {first} {why}, and no backup saves it"
    else:
        named = ", ".join((first, *(file.path for file in files[1:])))
        found = f"{where}: {len(files)} files, each {why}, and no backup saves them: {named}"
    return Condition("controller", "sources", result.State.WARNING, found, _next(fleet, need))


def _next(fleet: Fleet, need: Need) -> str:
    """Return what to do before a host is lost."""
    lock = "then rackwright lock and rackwright apply"
    if need.setting and fleet.file.backup:
        back = "" if need.kind == "drivers" else "put the file back and "
        return f"{back}set backup.{need.setting}: yes, then rackwright apply"
    if need.kind == "drivers":
        return (
            "set backup (docs/backup.md), or lock a newer driver (rackwright lock --upgrade), then rackwright apply"
        )
    if need.setting:
        return "put the file back and set backup (docs/backup.md), then rackwright apply"
    if need.kind == "runtimes":
        return f"set runtime.build to a copy (file:PATH) or choose another version, {lock}"
    if need.kind == "tool":
        return "rackwright lock --upgrade, then rackwright apply"
    at = fleet.file.hosts[need.hosts[0]].store.path
    return f"copy the weights from {need.hosts[0]}:{at} and set source: file:PATH, or choose another source; {lock}"
