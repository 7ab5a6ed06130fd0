"""Hash a replica's stored weights again."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import join

from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.proof.identity import stored_for
from rackwright.lifecycle.session.replica_units import hosts_of
from rackwright.lifecycle.session.session import Session
from rackwright.roles.model_store.settings import StoredModel

# Arguments: folders; stdin: lines of sha256sum. Read-only, with the lowest priority. Files that aren't listed are
# reported too, because an engine would read them.
_HASH = """export LC_ALL=C
list=$(cat)
nice -n 19 ionice -c 3 sha256sum --check --strict 2>/dev/null <<END
$list
END
for folder in "$@"; do
  find "$folder/" ! -type d ! -name .verified -printf '%p\\n' 2>/dev/null | while IFS= read -r file; do
    printf '%s\\n' "$list" | cut -c 67- | grep -qxF -e "$file" || printf '%s: EXTRA\\n' "$file"
  done
done
true
"""
_LEAST_SECONDS = 3600
_BYTES_A_SECOND = 10_000_000
"""For the timeout. Slower than any disk that models are served from."""
_SAID = {
    "FAILED": "isn't what the lock says",
    "FAILED open or read": "is missing or can't be read",
    "EXTRA": "isn't in the lock",
    "": "was not hashed",
}


def whole_weights(session: Session, replica: Replica) -> str | None:
    """Return None if, on all of the replica's hosts, every file of its model and adapters is what the lock says.

    If not, return which files differ, and on which host. Reads every byte while the engine serves, which takes
    minutes for large models. Raise HostError if a host can't be asked.
    """
    differences = session.remote.each(hosts_of(session, replica), lambda host: _on_host(session, replica, host))
    return "; ".join(f"{host}: {wrong}" for host, wrong in differences.items() if wrong) or None


def _on_host(session: Session, replica: Replica, host: str) -> str | None:
    stored = stored_for(session, replica, host)
    seconds = max(_LEAST_SECONDS, sum(model.size for model in stored.values()) // _BYTES_A_SECOND)
    done = session.remote.connection(host).run(hash_command(stored), stdin=hash_list(stored), timeout=seconds)
    return what_differs(stored, done.check(f"hashing the weights of {replica.model}").stdout)


def hash_command(stored: Mapping[str, StoredModel]) -> str:
    """Return the shell command that hashes these folders; it reads `hash_list` from standard input."""
    return f"set -- {join(stored)}\n{_HASH}"


def hash_list(stored: Mapping[str, StoredModel]) -> str:
    """Return the list that sha256sum checks."""
    return "".join(f"{sha256}  {path}\n" for path, sha256 in _files(stored).items())


def what_differs(stored: Mapping[str, StoredModel], output: str) -> str | None:
    """Given the command's output, return every file that differs or wasn't hashed; None: there is none."""
    lines = (line.rpartition(": ") for line in output.splitlines())
    words = dict.fromkeys(_files(stored), "") | {path: word for path, _, word in lines}
    return "; ".join(f"{path} {_SAID.get(word, word)}" for path, word in words.items() if word != "OK") or None


def _files(stored: Mapping[str, StoredModel]) -> dict[str, str]:
    """Path → sha256."""
    return {f"{folder}/{file.path}": file.sha256 for folder, model in stored.items() for file in model.files}
