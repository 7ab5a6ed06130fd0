"""The shell function that downloads a file on a host."""

from __future__ import annotations

import shlex

_CURL = ("curl", "-q", "-sS", "--fail", "--location", "--proto", "=https,http,file", "--proto-redir", "=https,http")


def fetch_function(*options: str) -> str:
    """Return the shell function `fetch URL FILE`, with these options of curl.

    The URL may contain a password, so it isn't an argument of a program, which every user of the host could read.
    """
    curl = shlex.join((*_CURL, *options))
    return f"""fetch() {{ printf %s "$1" | sed 's/[\\\\"]/\\\\&/g; s/.*/url = "&"/' | {curl} -o "$2" -K -; }}\n"""
