"""What a failed delivery to a mail server means, in our own words: a server's may repeat a password."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from smtplib import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupportedError,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from rackwright.lifecycle.notify.smtp_connection import TooMuch

FAILURES = (SMTPException, OSError, ValueError, TooMuch)
"""What sending a mail raises."""


@dataclass(frozen=True)
class Failure:
    what: str
    check: str = "server"
    """The key of the receiver that it is about."""
    again: bool = False
    """Whether another try may succeed."""


def failure_of(error: Exception) -> Failure:
    """Return what one of FAILURES means."""
    if isinstance(error, SMTPAuthenticationError):
        return Failure(f"refuses user and password ({error.smtp_code})", "password", _later(error.smtp_code))
    if isinstance(error, SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        said = ", ".join(f"{address} ({code})" for address, (code, _) in sorted(error.recipients.items()))
        return Failure(f"refuses {said}", "to", all(map(_later, codes)))
    if isinstance(error, SMTPResponseException):
        return Failure(f"answers {error.smtp_code}", again=_later(error.smtp_code))
    if isinstance(error, SMTPNotSupportedError):
        return Failure("doesn't offer STARTTLS, or no login that is known here", "tls")
    if isinstance(error, SMTPServerDisconnected):
        silent = isinstance(error.__context__, TimeoutError)
        return Failure("doesn't answer in time" if silent else "closed the connection too early", again=True)
    return _below_smtp(error)


def _below_smtp(error: Exception) -> Failure:
    if isinstance(error, TooMuch):
        return Failure("doesn't stop answering")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure("its certificate is not trusted on this machine", "ca")
    if isinstance(error, ssl.SSLError):
        return Failure("speaks no TLS on this port, or none that is accepted here", "tls")
    if isinstance(error, TimeoutError):
        return Failure("doesn't answer in time", again=True)
    if isinstance(error, OSError):
        return Failure("can't be reached", again=True)
    return Failure("can't get user and password: they have characters that no login can have", "password")


def _later(code: int) -> bool:
    """Return whether the code asks to try again later (RFC 5321)."""
    return 400 <= code < 500
