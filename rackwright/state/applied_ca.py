"""The CA of the last apply, whose certificate the control hosts keep. Another one would break every client."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from rackwright.errors import RackwrightError
from rackwright.fleet.x509 import certificates_in
from rackwright.state.applied import Applied
from rackwright.state.checkout import Checkout


def applied_cas(applied: Applied) -> tuple[str, ...]:
    """Return the CA certificates (PEM) that were applied last; none if the fleet had no CA."""
    return _cas(applied.about.fleet_file, applied.files)


def refuse_other_ca(applied: Applied | None, local: Checkout) -> None:
    """Raise RackwrightError if NAME.ca.crt is missing here, or has none of the CAs that were applied last.

    Gateways would then show certificates that no client trusts, and hosts would refuse one another.
    """
    before, here = applied_cas(applied) if applied else (), _cas(local.fleet_file, local.files)
    if not before or {*before} & {*here}:
        return
    path = local.folder / _name(local.fleet_file)
    found = local.files.get(_name(local.fleet_file))
    get = "git pull, or rackwright ca fetch"
    raise RackwrightError(
        "doesn't have the CA that was applied last" if found else "is missing, and the fleet has a CA",
        where=str(path),
        should="a new CA would break every client, so it should be the file that was applied last",
        next=f"mv {path.name} {path.name}.other; then {get}" if found else get,
    )


def _cas(fleet_file: str, files: Mapping[str, bytes]) -> tuple[str, ...]:
    return certificates_in(files.get(_name(fleet_file), b"").decode("ascii", errors="replace"))


def _name(fleet_file: str) -> str:
    path = PurePosixPath(fleet_file)
    return str(path.with_name(f"{path.stem}.ca.crt"))
