"""Changing a host's packages so that it can be undone: each step is a script, run by a transient unit on the host.

The scripts are in the run's folder on the host, so that a person can run them without rackwright. Each step may run
again: it continues what was cut off, and changes nothing if there is nothing left to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from shlex import join

from rackwright.hardware.plain_text import plain
from rackwright.package_set import PackageChange
from rackwright.roles.patch.settings import RUNS

RESERVE = 256 * 2**20
"""Bytes that must stay free on each filesystem that a patch writes to; an eighth of that on /boot."""
PATIENCE = 300
"""Seconds that a step waits for another apt or dpkg."""
LOG_LINES = 12
_TEMPLATES = Path(__file__).parent / "templates"
_READ = ("questions", "common", "download", "marks", "conffiles")
_RUN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}")
_MOST_FINDINGS = 2000
_LONGEST = 400


class Step(StrEnum):
    """A script of the run's folder."""

    STAGE = "stage"
    KEEP = "keep"
    HOLD_OFF = "hold-off"
    INSTALL = "install"
    REVERT = "revert"
    LET_GO = "let-go"
    FINISH = "finish"


SCRIPTS = {f"{name}.sh": (_TEMPLATES / f"{name}.sh").read_text() for name in (*_READ, "run", *Step)}
"""File name in the run's folder → text."""


class Kind(StrEnum):
    """What a step can find."""

    BROKEN = "broken"
    """A package that dpkg has not finished. `found` is its status."""
    DIFFERS = "differs"
    """A package that isn't at the version that the plan found: the host has changed since."""
    HELD = "held"
    """A package on hold. `found` is the set of packages that rackwright holds it for, or "" for a person's hold."""
    SPACE = "space"
    """A filesystem with too little space; bytes."""
    CHANGED = "changed"
    """A file that isn't the one in the plan; version and sha256."""
    GONE = "gone"
    """A version that the archive doesn't have. `found` is the one that it has."""
    UNFETCHED = "unfetched"
    """A file that could not be downloaded."""
    LOCKED = "locked"
    """A lock or a unit of apt's that is in use. `found` is the process: id and name."""
    KEPT = "kept"
    """A package, its version before, and where its file is from: cache, archive, repacked or none."""
    UNASKED = "unasked"
    """A package that isn't in the plan, but would be installed or removed with it."""
    VERSION = "version"
    """A package that isn't at the version that the step should bring."""
    CONFFILE = "conffile"
    """A conffile that was not restored, because others than root can change a folder that it is in."""
    REVERTED = "reverted"
    """The run's packages were reverted, so it installs nothing any more."""


@dataclass(frozen=True)
class Finding:
    kind: Kind
    what: str
    """A package as NAME:ARCHITECTURE, or a path."""
    wanted: str
    found: str


@dataclass(frozen=True)
class Look:
    """How far a step is."""

    busy: bool
    """Whether its unit runs."""
    result: str
    """`complete` or `failed STATUS`. "": it has not ended, or was cut off."""
    seconds: int
    """How long it has run, or how long ago it started, by the host's own clock since its boot."""
    findings: tuple[Finding, ...]
    log: tuple[str, ...]
    """The last lines of its output."""


# $1: the run's folder; then names and texts of scripts. Standard input: the list of packages.
_PREPARE = f"""set -eu
folder=$1
shift
(umask 022 && mkdir -p -- "$(dirname {RUNS})")
umask 077
for one in {RUNS} "$folder"; do [ -d "$one" ] || mkdir -- "$one"; done
cat >"$folder/wanted.new"
if [ ! -e "$folder/wanted" ]; then sync -- "$folder/wanted.new"; mv -fT -- "$folder/wanted.new" "$folder/wanted"
elif cmp -s -- "$folder/wanted.new" "$folder/wanted"; then rm -f -- "$folder/wanted.new"
else
  rm -f -- "$folder/wanted.new"
  echo "this run changes other packages here: $folder/wanted" >&2
  exit 1
fi
while [ $# -ge 2 ]; do
  printf %s "$2" >"$folder/$1.new"
  mv -fT -- "$folder/$1.new" "$folder/$1"
  shift 2
done
sync -- "$folder"/*.sh "$folder"
"""
# $1: the run's folder, $2: its unit, $3: the step; then its arguments. Does nothing if it runs already.
_START = f"""set -eu
folder=$1 unit=$2 step=$3
shift 3
exec 9>{RUNS}/.lock
flock -w 20 9
units=$(systemctl list-units --plain --no-legend --no-pager --state=activating,active,reloading,deactivating \
  'rackwright-patch-*.service')
running=$(printf '%s\\n' "$units" | cut -d ' ' -f 1)
case $running in
  '') ;;
  "$unit.service")
    [ "$(cat "$folder/step")" != "$step" ] || exit 0
    echo "this run's step $(cat "$folder/step") is under way" >&2
    exit 69 ;;
  *) echo "another run changes packages here: $running" >&2; exit 69 ;;
esac
systemctl reset-failed -q "$unit.service" 2>/dev/null || :
umask 077
rm -f -- "$folder/$step.result" "$folder/$step.started" "$folder/$step.found" "$folder/$step.log"
printf '%s\\n' "$step" >"$folder/step"
exec systemd-run --quiet --collect --expand-environment=no --unit="$unit" --description="rackwright patch: $step" \
  --property=Type=exec --property=KillMode=process --property=TimeoutStopSec=900 sh "$folder/run.sh" "$step" "$@" 9>&-
"""
# $1: the run's folder, $2: its unit, $3: the step. Waits up to two seconds for its end.
_LOOK = f"""set -u
n=0
while state=$(systemctl show -P ActiveState -- "$2.service") && [ $n -lt 20 ]; do
  case $state in inactive | failed) break ;; esac
  n=$((n + 1))
  sleep 0.1
done
cd -- "$1" || exit 1
echo "state $state"
echo "result $(head -c 40 -- "$3.result" 2>/dev/null)"
echo "uptime $(cut -d ' ' -f 1 /proc/uptime) $(head -c 40 -- "$3.started" 2>/dev/null)"
head -c 400000 -- "$3.found" 2>/dev/null | head -n {_MOST_FINDINGS} | sed 's/^/found /'
tail -n {LOG_LINES} -- "$3.log" 2>/dev/null | cut -c -400 | sed 's/^/log /'
"""


def folder_of(run: str) -> str:
    """Return the folder of a run on each of its hosts. Raise ValueError if that isn't a run's id."""
    if not _RUN.fullmatch(run):
        raise ValueError(f"{run!r} is no run's id")
    return f"{RUNS}/{run}"


def unit_of(run: str) -> str:
    """Return the transient unit of a run's steps, without its suffix."""
    return f"rackwright-patch-{folder_of(run).rpartition('/')[2]}"


def listing(changes: Iterable[PackageChange]) -> str:
    """Return the list of a run's packages as its scripts read it, sorted."""
    return "".join(sorted(map(_line, changes)))


def _line(change: PackageChange) -> str:
    new = change.package
    return f"{new.name} {new.architecture} {change.before or '-'} {new.version} {new.sha256} {new.size}\n"


def prepare_command(run: str) -> str:
    """Return the command that puts the run's scripts and its list, from standard input, into its folder.

    It fails if the run has another list there.
    """
    scripts = (word for pair in SCRIPTS.items() for word in pair)
    return join(("sh", "-c", _PREPARE, "prepare", folder_of(run), *scripts))


def start_command(run: str, step: Step, patience: int) -> str:
    """Return the command that starts a step, unless it runs already. `patience`: seconds to wait for another apt.

    It fails if another step or another run is under way.
    """
    return join(("sh", "-c", _START, "start", folder_of(run), unit_of(run), step, *_arguments(step, patience)))


def _arguments(step: Step, patience: int) -> tuple[str, ...]:
    match step:
        case Step.STAGE:
            return (str(RESERVE), str(patience))
        case Step.HOLD_OFF | Step.INSTALL | Step.REVERT:
            return (str(patience),)
        case Step.KEEP | Step.LET_GO | Step.FINISH:
            return ()


def look_command(run: str, step: Step) -> str:
    """Return the command that prints how far a step is, after at most two seconds."""
    return join(("sh", "-c", _LOOK, "look", folder_of(run), unit_of(run), step))


def by_hand(run: str, step: Step, patience: int) -> str:
    """Return the command for a person on the host that runs a step without rackwright."""
    return join(("sh", f"{folder_of(run)}/run.sh", step, *_arguments(step, patience)))


def parse_look(output: str) -> Look:
    """Parse the output of `look_command`. Raise ValueError if it isn't that."""
    lines = [line.partition(" ")[::2] for line in output.split("\n")]
    first = {word: rest for word, rest in reversed(lines) if word in ("state", "result", "uptime")}
    now, _, started = first["uptime"].partition(" ")
    if first["result"] not in ("", "complete") and not re.fullmatch(r"failed [0-9]{1,3}", first["result"]):
        raise ValueError("its result")
    findings = tuple(_finding(rest) for word, rest in lines if word == "found")
    log = tuple(shown for word, rest in lines if word == "log" if (shown := plain(rest, _LONGEST)))
    seconds = _uptime(now) - _uptime(started) if started else 0
    return Look(first["state"] not in ("inactive", "failed"), first["result"], seconds, findings, log[-LOG_LINES:])


def _uptime(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text, re.ASCII):
        raise ValueError("its uptime")
    return int(text.partition(".")[0])


def _finding(line: str) -> Finding:
    kind, what, wanted, found = line.split("\t")
    return Finding(Kind(kind), *(plain(field, _LONGEST) for field in (what, wanted, found)))


def kept(look: Look) -> Iterator[Finding]:
    """Yield where the files of before are from, for each package."""
    return (one for one in look.findings if one.kind is Kind.KEPT)
