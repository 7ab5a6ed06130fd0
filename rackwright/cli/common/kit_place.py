"""The place of a kit, as the options of a command describe it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rackwright.errors import UsageError
from rackwright.fleet.secrets import resolve
from rackwright.terminal import secret_answer_to
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    from rackwright.lifecycle.restore.fetch_kit import KitPlace


def kit_place(url: str, *, password: str | None, user: str | None, login: str | None, ca: Path | None) -> KitPlace:
    """Return where the kit is and what opens it. Without a reference to the password, ask for it.

    Raise UsageError if options don't fit each other, SecretError if a reference doesn't resolve.
    """
    from rackwright.lifecycle.backup.repository_url import refuse_bad_url
    from rackwright.lifecycle.restore.fetch_kit import kit_at, kit_url

    refuse_bad_url(kit_url(url), "--from")
    if bool(user) != bool(login):
        raise UsageError("belong together", where="--user, --login", should="pass both, or neither")
    if not url.startswith("rest:") and (user or ca):
        raise UsageError("are only for a rest: URL", where="--user, --login, --ca", should="leave them out")
    try:
        pem = ca.read_text(encoding="ascii") if ca else None
    except (OSError, UnicodeDecodeError):
        raise UsageError("can't be read", where=f"--ca {ca}", should="should be a PEM file") from None
    secret = resolve(password, where="--password") if password else Secret(secret_answer_to("Password of the kit"))
    opened = resolve(login, where="--login") if login else None
    return kit_at(url, secret, user=user, login=opened, ca_pem=pem)
