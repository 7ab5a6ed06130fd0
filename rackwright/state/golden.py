"""What engines answer to the fixed prompt, as the control host keeps it: the first answer of each kind."""

from __future__ import annotations

import hashlib

from rackwright.roles.replica.answer import Answer
from rackwright.state.formats import Moment, parse
from rackwright.state.shell import FOLDER, Shell, call
from rackwright.values.base import Stored

_READ = """set -eu
file=$1/golden/$2/$3.json
[ ! -e "$file" ] || cat -- "$file"
"""
# A link is made only where no file is: of two that come at once one is the first, whole.
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
    """What engines share that must answer alike."""

    model: str
    digest: str
    """Of the weights."""
    runtime: str
    """Like llama_cpp-b10434."""
    build: str
    """Digest of what the runtime is made from."""
    processor: str
    """gpu or cpu: their kernels are different ones."""
    settings: tuple[str, ...]
    """Of the runtime: those that change answers, like `dtype="float16"`."""
    prompt: int
    """Version of the prompt."""

    @property
    def key(self) -> str:
        """Sixteen digits that tell it from others."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class Golden(Stored):
    """The first answer of a kind, and who was there."""

    format: str = "golden/1"
    kind: Kind
    answer: Answer
    replica: str
    """HOST/MODEL@N that gave it."""
    run: str
    when: Moment
    who: str


def golden_path(kind: Kind, folder: str = FOLDER) -> str:
    """Return where a control host keeps the answer."""
    return f"{folder}/golden/{kind.model}/{kind.key}.json"


def read_golden(shell: Shell, kind: Kind, *, folder: str = FOLDER) -> Golden | None:
    """Return what is kept; None: nothing yet. Raise RackwrightError if it is newer or damaged."""
    text = call(shell, _READ, folder, kind.model, kind.key, what="reading the golden answer")
    return _parsed(shell, kind, text, folder) if text else None


def write_golden(shell: Shell, golden: Golden, *, folder: str = FOLDER) -> Golden:
    """Return what the control host keeps afterwards, on disk: this, or what was there before and stays."""
    kind, content = golden.kind, golden.model_dump_json(indent=1) + "\n"
    text = call(shell, _KEEP, folder, kind.model, kind.key, stdin=content, what="keeping the golden answer")
    return _parsed(shell, kind, text, folder)


def _parsed(shell: Shell, kind: Kind, text: str, folder: str) -> Golden:
    return parse(Golden, "golden", text, f"{shell.name}: {golden_path(kind, folder)}")
