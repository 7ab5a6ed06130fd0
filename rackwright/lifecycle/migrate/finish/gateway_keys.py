"""Whether a gateway still has a provider's key."""

from __future__ import annotations

import time
from collections.abc import Mapping
from shlex import quote

from rackwright.errors import HostError
from rackwright.lifecycle.session.session import Session
from rackwright.operations.haproxy.paths import CLOUD_KEYS
from rackwright.remote import read_each
from rackwright.roles.cloud.settings import FOLDER

RUN = "/run/rackwright-gateway"
# A line of the decrypted file is NAME KEY.
_SCRIPT = r"""credential={credential} decrypted={decrypted} cloud={cloud}
[ ! -e "$credential" ] || echo "$credential"
[ ! -e "$decrypted" ] || if cut -d ' ' -f 1 "$decrypted" | grep -Fxq -- "$cloud"; then echo "$decrypted"; fi
echo looked
"""


def keys_at(session: Session, cloud: str) -> Mapping[str, HostError | tuple[str, ...]]:
    """Return by gateway the files that have the cloud's key."""
    values = {"credential": f"{FOLDER}/{cloud}.key.cred", "decrypted": f"{RUN}/{CLOUD_KEYS}", "cloud": cloud}
    script = _SCRIPT.format(**{name: quote(value) for name, value in values.items()})
    done = session.remote.run_on(session.fleet.gateways, f"sh -c {quote(script)}")
    return read_each(done, "looking for the provider's key", parse_key_files)


def refuse_keys(session: Session, cloud: str) -> dict[str, float]:
    """Return by gateway when it had no key of the cloud's. Raise HostError, naming each one that has it still."""
    answers = keys_at(session, cloud)
    failed = [one for one in answers.values() if isinstance(one, HostError)]
    failed += [
        HostError(f"still has the key of {cloud}", where=host, listed=one, next="rackwright apply")
        for host, one in answers.items()
        if isinstance(one, tuple) and one
    ]
    if failed:
        raise failed[0].with_problems(problem for one in failed[1:] for problem in one.problems)
    return dict.fromkeys(answers, time.time())


def parse_key_files(said: str) -> tuple[str, ...]:
    """Parse what the script says. Raise ValueError if it isn't that."""
    *files, end = said.splitlines() or [""]
    if end != "looked" or not all(one.startswith("/") and one.isprintable() for one in files):
        raise ValueError("not a list of files with keys")
    return tuple(files)
