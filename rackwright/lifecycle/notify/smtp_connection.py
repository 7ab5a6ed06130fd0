"""A connection to a mail server, with bounded answers."""

from __future__ import annotations

import ssl
from smtplib import SMTP, SMTP_SSL
from typing import Any

TIMEOUT = 5.0
"""For the connection, and for each answer."""
LIMIT = 2**16
"""Most bytes of all answers of a connection, before and after STARTTLS each."""


class TooMuch(Exception):
    """The server says more than any server has to say."""


class _Answers:
    """What the server says, up to LIMIT."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._left = stream, LIMIT

    def readline(self, most: int) -> bytes:
        line: bytes = self._stream.readline(most)
        self._left -= len(line)
        if self._left < 0:
            raise TooMuch
        return line

    def close(self) -> None:
        self._stream.close()


class _Connection(SMTP):
    """smtplib itself would read an answer without an end, and keep all of it."""

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Answers(self.sock.makefile("rb"))
        return super().getreply()


class _TlsConnection(_Connection, SMTP_SSL):
    """The same, with TLS from the first byte."""


def connect(host: str, port: int, context: ssl.SSLContext | None, *, starttls: bool) -> SMTP:
    """Return a connection, encrypted if there is a context. Raise as smtplib and ssl do, or TooMuch."""
    if context and not starttls:
        return _TlsConnection(host, port, timeout=TIMEOUT, context=context)
    connection = _Connection(host, port, timeout=TIMEOUT)
    if context:
        try:
            connection.starttls(context=context)
        except BaseException:
            connection.close()
            raise
    return connection
