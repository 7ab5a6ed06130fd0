"""Send a notice as plain text through a mail server."""

from __future__ import annotations

import hashlib
import ssl
from contextlib import closing, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from pathlib import Path

from rackwright.fleet.sections.notify import Mail
from rackwright.lifecycle.notify.notice import Notice
from rackwright.lifecycle.notify.smtp_connection import connect
from rackwright.lifecycle.notify.smtp_failures import FAILURES, failure_of
from rackwright.lifecycle.notify.undelivered import Undelivered
from rackwright.lifecycle.notify.wording import body, subject
from rackwright.resolve.tls import cooperative_tls
from rackwright.values.secrets import Secret


@dataclass(frozen=True)
class MailChannel:
    """Mail addresses, and what is needed to reach their server."""

    asked: Mail
    place: str
    """Its key in the fleet file."""
    ca: Path | None = None
    """None: the system's CAs."""
    password: Secret | None = None

    @property
    def name(self) -> str:
        return f"mail to {', '.join(self.asked.recipients)}"

    @property
    def events(self) -> tuple[str, ...]:
        return self.asked.events

    def send(self, notice: Notice) -> None:
        """Hand the notice to the server. Raise Undelivered, without the server's words: they may have a secret."""
        message = message_of(notice, self.asked)
        cooperative_tls()
        try:
            refused = self._sent(message)
        except FAILURES as error:
            failure = failure_of(error)
            what, check = f"{self.asked.server} {failure.what}", f"check {self.place}.{failure.check}"
            raise Undelivered(what, where=self.name, next=check, again=failure.again) from None
        if refused:
            # The others have it, and would get it twice.
            what = f"{self.asked.server} refuses {', '.join(sorted(refused))}"
            raise Undelivered(what, where=self.name, next=f"check {self.place}.to")

    def _sent(self, message: EmailMessage) -> frozenset[str]:
        """Return the recipients that the server refuses while it accepts others."""
        asked = self.asked
        context = None if asked.tls == "none" else ssl.create_default_context(cafile=self.ca)
        with closing(connect(asked.host, asked.port, context, starttls=asked.tls == "starttls")) as connection:
            if asked.user and self.password:
                connection.login(asked.user, self.password.reveal())
            refused = connection.send_message(message, asked.from_, asked.recipients)
            # It has the mail: what goes wrong from here on is no failure.
            with suppress(*FAILURES):
                connection.quit()
            return frozenset(refused)


def message_of(notice: Notice, asked: Mail) -> EmailMessage:
    """Return the mail. Each try sends the same Message-ID, so that a server can drop what it already has."""
    # Else a subject longer than a line would begin on the second one.
    message = EmailMessage(WIRE.clone(max_line_length=998))
    message["Subject"] = subject(notice)
    message["From"] = asked.from_
    message["To"] = ", ".join(asked.recipients)
    message["Date"] = format_datetime(notice.time)
    digest = hashlib.sha256(notice.model_dump_json().encode()).hexdigest()
    message["Message-ID"] = f"<{digest[:32]}@{asked.from_.rpartition('@')[2]}>"
    # RFC 3834: no one's vacation answers it.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body(notice))
    return message
