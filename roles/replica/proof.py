"""The proof of one engine, in one command: what runs, from which files, and what it answers at its own socket."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rackwright.roles.replica.answer import MOST_BYTES
from rackwright.roles.replica.question import GoldenAnswer, Question, parse_golden
from rackwright.roles.replica.settings import Settings

# $1: unit; $2: file with the running engine's digest; then the folders that it should run from. The engine chooses
# its program's path and its arguments: no line break in them begins a line of its own, and their length has a limit.
_LOOK = """unit=$1 started=$2
shift 2
shown=$(systemctl show -p ActiveState -p MainPID -- "$unit")
printf '%s\\n' "$shown"
echo "started=$(cut -d ' ' -f 1 -- "$started" 2>/dev/null)"
for folder in "$@"; do printf 'marker=%s %s\\n' "$(head -n 1 -- "$folder/.verified" 2>/dev/null)" "$folder"; done
pid=$(printf '%s\\n' "$shown" | sed -n 's/^MainPID=//p')
case $pid in '' | 0) exit 0 ;; esac
printf 'program=%s\\n' "$(readlink -n -- "/proc/$pid/exe" | tr '\\n' '?')"
head -c 262144 "/proc/$pid/cmdline" | tr '\\0' '\\n' | sed 's/^/word=/'
"""
_ANSWER = "answer:"


@dataclass(frozen=True)
class Seen:
    """One engine, as its host shows it."""

    active: str
    """systemd's ActiveState."""
    runs: bool
    started: str | None
    """sha256 of the unit file with which it was started."""
    program: str
    """Executable of its process; ends in " (deleted)" if the file was removed since."""
    command: tuple[str, ...]
    """Command line of its process."""
    markers: Mapping[str, str]
    """Folder → the digest for which it was verified; "": none."""
    answer: GoldenAnswer | None
    said: str
    """What was printed instead of an answer."""


_CUT_OFF = "the look at it was interrupted"
CUT_OFF = Seen(f"not known: {_CUT_OFF}", False, None, "", (), {}, None, _CUT_OFF)
"""The result of a look that was ended by a signal."""


def proof_command(settings: Settings, folders: Iterable[str], question: Question | None, *, seconds: int = 60) -> str:
    """Return the shell command, for root, whose output `parse` reads. Without a question, it asks no engine."""
    words = (settings.unit, settings.started_digest, *folders)
    look = f"set -- {shlex.join(words)}\n{_LOOK}"
    if question is None:
        return look
    return f"{look}echo {_ANSWER}\n{ask_command(settings, question, seconds)}\n"


def ask_command(settings: Settings, question: Question, seconds: int = 60) -> str:
    """Return the shell command, for root or a member of group rackwright, that prints the golden answer as JSON."""
    words = ["curl", "-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(seconds)]
    words += ["--max-filesize", str(MOST_BYTES), "--unix-socket", settings.socket]
    words += ["--header", "Content-Type: application/json"]
    return shlex.join([*words, "--data", question.body, f"http://engine{question.path}"])


def parse(output: str, said: str = "") -> Seen:
    """Given the command's output, and its error output, return what was seen."""
    look, _, answer = output.partition(f"\n{_ANSWER}\n")
    values: dict[str, str] = {}
    markers: dict[str, str] = {}
    command: list[str] = []
    # splitlines() would also split at characters that the engine may put into its arguments.
    for key, _, value in (line.partition("=") for line in look.split("\n")):
        if key == "word":
            command.append(value)
        elif key == "marker":
            digest, _, folder = value.partition(" ")
            markers[folder] = digest
        else:
            values[key] = value
    return Seen(
        active=values.get("ActiveState", "inactive"),
        runs=values.get("MainPID", "0") != "0",
        started=values.get("started") or None,
        program=values.get("program", ""),
        command=tuple(command),
        markers=markers,
        answer=parse_golden(answer),
        said=" ".join((said or answer).split())[:200],
    )
