"""`notify`: which webhooks and mail addresses hear of patch runs and drills."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator

from rackwright.fleet.sections.forms import TEXT_OR_LIST
from rackwright.values.base import Frozen
from rackwright.values.paths import ControllerPath
from rackwright.values.secrets import SecretReference
from rackwright.values.text import Line, Shape, Url

Event = Literal["started", "ended", "failed", "missed"]
Events = Annotated[tuple[Event, ...], Field(min_length=1)]
EVENTS: tuple[Event, ...] = ("started", "ended", "failed", "missed")
Tls = Literal["starttls", "implicit", "none"]
_PORTS: dict[Tls, int] = {"starttls": 587, "implicit": 465, "none": 25}
_REFERENCE = ("env:", "file:", "cmd:")
_PLAIN = "http://"
_WEBHOOK, _MAIL = "a webhook", "mail server"
"""Not `webhook` and `mail`: an operator could write these as keys, and the errors would be placed there."""
_OF_MAIL = frozenset(("to", "from", "server"))

WebhookUrl = Annotated[
    Annotated[Url, Tag("url")] | Annotated[SecretReference, Tag("reference")],
    Discriminator(lambda value: "reference" if str(value).startswith(_REFERENCE) else "url"),
]
"""A URL, or a reference to a secret that is one: the URL of a chat's webhook admits everyone who knows it."""
MailAddress = Annotated[
    str,
    Shape(
        r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?",
        "should be an address like ops@acme.example",
    ),
    Field(max_length=254),
]
Server = Annotated[
    str,
    Shape(
        r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(:[1-9][0-9]{0,4})?",
        "should be a mail server like mail.acme.internal or mail.acme.internal:587",
    ),
]


class Webhook(Frozen):
    """A URL that gets each notice as JSON in a POST request."""

    url: WebhookUrl
    """Its URL, or a reference to a secret that is one."""
    token: SecretReference | None = None
    """A bearer token, which needs https."""
    ca: ControllerPath | None = None
    """A PEM file with the CAs that verify it; downloads.ca_bundle or the system's CAs if absent."""
    events: Events = EVENTS
    """What it hears of; all of it if absent."""

    @property
    def secret_url(self) -> str | None:
        """The reference to the URL; None if the URL itself is in the fleet file."""
        return self.url if self.url.startswith(_REFERENCE) else None

    @model_validator(mode="after")
    def _encrypted(self) -> Webhook:
        if self.token and self.url.startswith(_PLAIN):
            raise ValueError("the token would be sent in clear text; use an https URL")
        return self


class Mail(Frozen):
    """Addresses that get each notice as plain text."""

    to: Annotated[
        Annotated[MailAddress, Tag("text")]
        | Annotated[tuple[MailAddress, ...], Field(min_length=1, max_length=20), Tag("list")],
        TEXT_OR_LIST,
    ]
    """An address or a list of them."""
    from_: Annotated[MailAddress, Field(alias="from")]
    """The sender; the server must accept it."""
    server: Server
    """HOST or HOST:PORT; the port is 587 for starttls, 465 for implicit and 25 for none if absent."""
    tls: Tls = "starttls"
    """`starttls` or `implicit`, both with a verified certificate; `none` for a server on this machine or network."""
    user: Annotated[Line, Field(min_length=1, max_length=254)] | None = None
    """The login at the server; none if absent."""
    password: SecretReference | None = None
    """The password of `user`."""
    ca: ControllerPath | None = None
    """A PEM file with the CAs that verify it; downloads.ca_bundle or the system's CAs if absent."""
    events: Events = EVENTS
    """What they hear of; all of it if absent."""

    @property
    def recipients(self) -> tuple[str, ...]:
        return (self.to,) if isinstance(self.to, str) else self.to

    @property
    def host(self) -> str:
        return self._place[0]

    @property
    def port(self) -> int:
        return int(self._place[1] or _PORTS[self.tls])

    @property
    def _place(self) -> tuple[str, str]:
        if self.server.startswith("["):
            host, _, port = self.server[1:].partition("]")
            return host, port.removeprefix(":")
        host, _, port = self.server.partition(":")
        return host, port

    @model_validator(mode="after")
    def _login(self) -> Mail:
        if bool(self.user) != bool(self.password):
            raise ValueError("has only one of user and password; a login needs both")
        if self.password and self.tls == "none":
            raise ValueError("the password would be sent in clear text; use tls: starttls or implicit")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port {self.port} doesn't exist; should be 1 to 65535")
        return self


def _kind(value: object) -> str:
    if isinstance(value, BaseModel):
        return _MAIL if isinstance(value, Mail) else _WEBHOOK
    return _MAIL if isinstance(value, dict) and "url" not in value and not _OF_MAIL.isdisjoint(value) else _WEBHOOK


Receiver = Annotated[Annotated[Webhook, Tag(_WEBHOOK)] | Annotated[Mail, Tag(_MAIL)], Discriminator(_kind)]
"""A mapping with `url` is a webhook; one with `to`, `from` and `server` is mail."""
