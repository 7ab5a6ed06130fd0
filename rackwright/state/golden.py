"""Engines' answers to the fixed prompt, stored on the control host: the first answer of each kind of engine."""

from __future__ import annotations

import hashlib

from rackwright.roles.replica.question import GoldenAnswer
from rackwright.state.formats import Moment, parse
from rackwright.state.shell import FOLDER, Shell, call
from rackwright.values.base import Stored

_READ = """set -eu
file=$1/golden/$2/$3.json
[ ! -e "$file" ] || cat -- "$file"
"""
# ln never replaces a file: if two runs write at once, one of them is first, and its file is complete.
_KEEP = """set -eu
umask 022
mkdir -p -- "$1/golden/$2"
cd -- "$1/golden/$2"
trap 'rm -f -- ".$3.$$"' EXIT
cat >".$3.$$"
sync ".$3.$$"
ln -T -- ".$3.$$" "$3.json" 2>/dev/null || [ -e "$3.json" ]
sync .
cat -- "$3.json"
"""


class Kind(Stored):
    """What engines have in common that must give the same answer."""

    model: str
    digest: str
    """Digest of the weights."""
    runtime: str
    """Like llama_cpp-b10434."""
    build: str
    """Digest of what the runtime was built from."""
    processor: str
    """gpu or cpu: they run different kernels."""
    settings: tuple[str, ...]
    """The runtime's settings that change answers, like `dtype="float16"`."""
    prompt: int
    """Version of the prompt."""

    @property
    def key(self) -> str:
        """Sixteen digits that identify it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class Golden(Stored):
    """The first answer of a kind, and who recorded it."""

    format: str = "golden/1"
    kind: Kind
    answer: GoldenAnswer
    replica: str
    """HOST/MODEL@N that gave it."""
    run: str
    when: Moment
    who: str


def golden_path(kind: Kind, folder: str = FOLDER) -> str:
    """Return the answer's path on a control host."""
    return f"{folder}/golden/{kind.model}/{kind.key}.json"


def read_golden(shell: Shell, kind: Kind, *, folder: str = FOLDER) -> Golden | None:
    """Return the stored answer, None if there is none yet. Raise RackwrightError if it is damaged or too new."""
    text = call(shell, _READ, folder, kind.model, kind.key, what="reading the golden answer")
    return _parsed(shell, kind, text, folder) if text else None


def write_golden(shell: Shell, golden: Golden, *, folder: str = FOLDER) -> Golden:
    """Store the answer unless there is one already; return the one that the control host has on disk afterwards."""
    kind, content = golden.kind, golden.model_dump_json(indent=1) + "\n"
    text = call(shell, _KEEP, folder, kind.model, kind.key, stdin=content, what="storing the golden answer")
    return _parsed(shell, kind, text, folder)


def _parsed(shell: Shell, kind: Kind, text: str, folder: str) -> Golden:
    return parse(Golden, "golden", text, f"{shell.name}: {golden_path(kind, folder)}")
