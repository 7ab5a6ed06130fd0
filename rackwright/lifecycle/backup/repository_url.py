"""URLs of repositories that an operator types."""

from __future__ import annotations

import re

from rackwright.errors import UsageError

_MACHINE = r"([A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:]{2,45}\])"
_USER = r"([A-Za-z_][A-Za-z0-9_.-]*@)?"
_FOLDER = r"/[A-Za-z0-9/._@+-]+"
_URL = re.compile(
    rf"{_FOLDER}|sftp:{_USER}{_MACHINE}:{_FOLDER}|sftp://{_USER}{_MACHINE}(:[0-9]{{1,5}})?/{_FOLDER}"
    rf"|rest:https?://{_MACHINE}(:[0-9]{{1,5}})?/[A-Za-z0-9._~%+@=/-]+"
)
_WITH_LOGIN = re.compile(r"[a-z+]+:(https?:)?//[^/]*@", re.IGNORECASE)


def is_repository_url(text: str) -> bool:
    """Return whether it is a place of one repository, as restic writes it: a folder, sftp: or rest:."""
    return _URL.fullmatch(text) is not None and ".." not in text.split("/")


def refuse_bad_url(url: str, where: str) -> None:
    """Raise UsageError unless this is the place of one repository. The error never shows it, or a password in it."""
    if url.lower().startswith("rest:") and _WITH_LOGIN.match(url):
        raise UsageError("the URL contains a login", where=where, should="pass --user and --login")
    if not is_repository_url(url):
        should = "should be /srv/restic/kit, sftp:kit@server:/srv/restic/kit or rest:https://server/kit"
        raise UsageError("isn't the URL of a repository", where=where, should=should)
