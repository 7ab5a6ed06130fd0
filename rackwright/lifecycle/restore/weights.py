"""Weights that only a snapshot has: which a host lacks, and how restored ones are put in place."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.lifecycle.restore import scripts
from rackwright.lifecycle.restore.staging import NotRestored
from rackwright.operations.filesystem.fetch import incoming
from rackwright.operations.filesystem.stored_folder import PLACE
from rackwright.remote import Connection
from rackwright.roles.model_store.settings import StoredModel, folder_of
from rackwright.state.shell import command

_LEAST_SECONDS, _BYTES_A_SECOND = 3600, 10_000_000
"""For the timeout of writing to disk. Slower than any disk that models are served from."""
_PRESENT = """for folder; do printf '%s %s\\n' "$folder" "$(head -c 64 -- "$folder/.verified" 2>/dev/null)"; done
"""


@dataclass(frozen=True)
class Weights:
    """The weights of one model on one host."""

    root: str
    """Folder of the host's models."""
    model: StoredModel

    @property
    def folder(self) -> str:
        return folder_of(self.root, self.model.name, self.model.digest)

    @property
    def restored(self) -> str:
        """Where a restore puts them, on the same filesystem."""
        return f"{self.root}/.restore/{self.model.digest[:16]}"


def saved_weights(spec: HostSpec) -> tuple[Weights, ...]:
    """Return the weights that the host's snapshots have: those that can't be fetched from their source again."""
    backup, store = spec.backup, spec.model_store
    if backup is None or store is None:
        return ()
    known = (Weights(store.root, model) for model in store.models)
    return tuple(one for one in known if one.folder in backup.sources)


def missing(shell: Connection, weights: tuple[Weights, ...]) -> tuple[Weights, ...]:
    """Return those that the host doesn't have. Their bytes aren't read. Raise HostError if it can't be asked."""
    if not weights:
        return ()
    asked = command(_PRESENT, *(one.folder for one in weights))
    said = shell.run(asked).check("looking for the weights").stdout.splitlines()
    there = {folder: digest for folder, _, digest in (line.partition(" ") for line in said)}
    return tuple(one for one in weights if there.get(one.folder) != one.model.digest)


def put_in_place(shell: Connection, weights: Weights, hashes: str) -> None:
    """Put the restored weights in place if their hashes, which this file has, and sizes are the lock's.

    Raise NotRestored, changing nothing, if a file differs, HostError if the host can't put them there.
    """
    words = [word for file in weights.model.files for word in (file.sha256, file.path)]
    sizes = "\n".join(f"{file.size} {file.path}" for file in weights.model.files)
    places = (hashes, weights.restored, incoming(weights.root), PLACE, weights.folder)
    arguments = (*places, weights.model.digest, sizes, *words)
    seconds = max(_LEAST_SECONDS, weights.model.size // _BYTES_A_SECOND)
    done = shell.run(command(scripts.PLACE_WEIGHTS, *arguments), timeout=seconds)
    if done.exit_status == scripts.DIFFERS:
        raise NotRestored(
            f"the restored weights of {weights.model.name} aren't what the lock says: {' '.join(done.last_lines(2))}",
            where=shell.name,
            should="every file should have the lock's sha256",
            next="rackwright restore with an older --at, or another --from",
        )
    done.check(f"putting the weights of {weights.model.name} in place")
