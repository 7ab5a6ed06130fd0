"""Two scripts that need root: one lists a host's weights and which of them are in use, the other removes weights.

$1 is the folder of the host's models. Weights are in NAME/<first 16 digits of the digest>, with the marker of the
operation that put them there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.operations.filesystem.fetch import MARKER
from rackwright.roles.p2p.settings import ARRIVING, UNIT

# Searches command lines, mapped files and units, so that weights that an engine uses, or will read at its next start,
# stay. grep's own command line doesn't match, because it has no digits.
_USED = r"""
used() {
  { cat /proc/[0-9]*/cmdline | tr '\0' '\n'; cat /proc/[0-9]*/maps
    cat /etc/systemd/system/rackwright-*@*.service /run/systemd/system/rackwright-*@*.service
  } 2>/dev/null | grep -aoE '/[^ ":=]*/[a-z][a-z0-9-]*/[0-9a-f]{16}' | sort -u
}
marked() { [ "$(head -c 16 -- "$1/MARKER" 2>/dev/null)" = "${1##*/}" ]; }
""".replace("MARKER", MARKER)

LOOK = (
    _USED
    + r"""
cd -- "$1" 2>/dev/null || exit 0
date '+now %s'
used | sed 's/^/used /'
for f in */*/; do
  f=${f%/}
  [ -d "$f" ] && [ ! -L "$f" ] || continue
  if ! marked "$f"; then printf 'strange %s\n' "$(printf %s "$f" | tr '[:cntrl:]' '?')"
  else echo "weights $(du -sb -- "$f" | cut -f 1) $(stat -c %Y -- "$f/MARKER") $f"; fi
done
for f in .incoming/*; do
  [ -f "$f" ] || continue
  case $f in *.lock) ;; *) echo "arriving $(stat -c '%s %Y' -- "$f") ${f#.incoming/}" ;; esac
done
for f in ARRIVING/*/; do
  f=${f%/}
  [ ! -d "$f" ] || echo "transferred $(du -s -B1 -- "$f" | cut -f 1) $(stat -c %Y -- "$f") $f"
done
""".replace("MARKER", MARKER).replace("ARRIVING", ARRIVING)
)
"""Changes nothing. Prints lines of `now`, `used`, `weights`, `strange`, `arriving` and `transferred`."""

REMOVE = (
    _USED
    + r"""
set -eu
cd -- "$1"
root=$1 status=0
shift
now_used=$(used)
weights() {
  case "
$now_used
" in *"
$root/$1
"*) echo "$1: is in use, so it stays" >&2; return 1 ;; esac
  marked "$1" || { echo "$1: has lost its marker, so it stays" >&2; return 1; }
  # The marker is removed last, so that an interrupted removal is found again.
  find "$1" -mindepth 1 ! -path "$1/MARKER" -delete && rm -f -- "$1/MARKER" && rmdir -- "$1" &&
    rmdir --ignore-fail-on-non-empty -- "${1%/*}"
}
arriving() {
  name=${1%.verified}
  exec 9>"$name.lock"
  flock -n 9 || { echo "$1: is being fetched, so it stays" >&2; return 1; }
  rm -f -- "$1" "$name.lock"
}
transferred() {
  ! systemctl is-active -q UNIT || { echo "$1: is arriving from another host, so it stays" >&2; return 1; }
  rm -rf -- "$1"
}
for f; do
  case $f in .incoming/*) kind=arriving ;; ARRIVING/*) kind=transferred ;; *) kind=weights ;; esac
  if $kind "$f"; then echo "removed $f"; else status=1; fi
done
exit $status
""".replace("MARKER", MARKER)
    .replace("ARRIVING", ARRIVING)
    .replace("UNIT", UNIT)
)
"""$2 and further: paths to remove, as LOOK printed them. Prints `removed` lines; fails if something stays."""

_WEIGHTS = re.compile(r"([a-z][a-z0-9-]*)/([0-9a-f]{16})")
_TRANSFERRED = re.compile(rf"{re.escape(ARRIVING)}/([0-9a-f]{{16}})")
_ARRIVING = re.compile(r"([0-9a-f]{64})(\.verified)?")
INCOMING = ".incoming"


@dataclass(frozen=True)
class Weights:
    """A model's folder, or an unfinished download, that rackwright created."""

    path: str
    """Relative to the folder of models."""
    model: str | None
    """None: an unfinished download of a file, or of a model from another host."""
    digest: str
    """First 16 digits of the model's digest, or all 64 of the file's."""
    bytes: int
    age: int
    """Seconds since it was put there, or since its last bytes arrived."""
    used: bool
    """Whether a process or a unit of the host uses it."""


@dataclass(frozen=True)
class Found:
    """What was found on one host."""

    weights: tuple[Weights, ...] = ()
    strange: tuple[str, ...] = ()
    """Folders with weights that rackwright didn't create, or that are incomplete."""


def parse(output: str, root: str) -> Found:
    """Parse the output of LOOK for the folder `root`."""
    lines = [line.partition(" ")[::2] for line in output.splitlines()]
    now = next((int(rest) for word, rest in lines if word == "now"), 0)
    used = {rest for word, rest in lines if word == "used"}
    weights: list[Weights] = []
    strange = [rest for word, rest in lines if word == "strange"]
    for word, rest in lines:
        if word in ("weights", "arriving", "transferred"):
            size, placed, path = rest.split(" ", 2)
            one = _weights(word, path, int(size), now - int(placed), used=f"{root}/{path}" in used)
            weights += [one] if one else []
            strange += [] if one else [path]
    return Found(tuple(weights), tuple(strange))


def _weights(word: str, path: str, size: int, age: int, *, used: bool) -> Weights | None:
    if word == "arriving":
        file = _ARRIVING.fullmatch(path)
        return Weights(f"{INCOMING}/{path}", None, file[1], size, age, used=False) if file else None
    if word == "transferred":
        part = _TRANSFERRED.fullmatch(path)
        return Weights(path, None, part[1], size, age, used=False) if part else None
    folder = _WEIGHTS.fullmatch(path)
    return Weights(path, folder[1], folder[2], size, age, used) if folder else None


def removed(output: str) -> Iterator[str]:
    """Given the output of REMOVE, yield the paths that were removed."""
    return (line.removeprefix("removed ") for line in output.splitlines() if line.startswith("removed "))
