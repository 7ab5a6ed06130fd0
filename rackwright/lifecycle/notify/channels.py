"""The receivers of a fleet file, with their secrets resolved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import SecretError
from rackwright.fleet.downloads import route_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.references import places_of_receivers
from rackwright.fleet.secrets import resolve
from rackwright.fleet.sections.notify import Mail, Receiver, Webhook
from rackwright.lifecycle.notify.deliver import Channel
from rackwright.lifecycle.notify.notice import Notice
from rackwright.lifecycle.notify.undelivered import Undelivered
from rackwright.values.secrets import Secret

_URL = re.compile(r"https://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(:[0-9]{1,5})?([/?][!-~]*)?")


@dataclass(frozen=True)
class Unusable:
    """A receiver without its secret."""

    name: str
    events: tuple[str, ...]
    failure: Undelivered

    def send(self, notice: Notice) -> None:
        del notice
        raise self.failure


def channels_of(fleet: Fleet) -> tuple[Channel, ...]:
    """Return all receivers. One whose secret doesn't resolve says so instead of sending."""
    return tuple(_channels(fleet))


def _channels(fleet: Fleet) -> Iterator[Channel]:
    for place, one in places_of_receivers(fleet):
        try:
            yield _webhook(fleet, place, one) if isinstance(one, Webhook) else _mail(fleet, place, one)
        except SecretError as error:
            problem = error.problems[0]
            failure = Undelivered(problem.what, where=problem.where, next=problem.next)
            yield Unusable(place, one.events, failure)
        except OSError:
            where = f"{fleet.path} {place}.ca"
            failure = Undelivered("can't be read, or has no certificates in PEM form", where=where)
            yield Unusable(place, one.events, failure)


def _webhook(fleet: Fleet, place: str, asked: Webhook) -> Channel:
    from rackwright.lifecycle.notify.webhook import WebhookChannel

    url = _secret(fleet, f"{place}.url", asked.secret_url) or Secret(asked.url)
    if asked.secret_url and not _URL.fullmatch(url.reveal()):
        raise SecretError(f"{asked.secret_url} is not an https URL", where=f"{fleet.path} {place}.url")
    ca = _ca(fleet, asked)
    route = route_from_here(fleet).model_copy(update={"ca_bundle": str(ca) if ca else None})
    return WebhookChannel(url, place, asked.events, route, _secret(fleet, f"{place}.token", asked.token))


def _mail(fleet: Fleet, place: str, asked: Mail) -> Channel:
    from rackwright.lifecycle.notify.mail import MailChannel

    return MailChannel(asked, place, _ca(fleet, asked), _secret(fleet, f"{place}.password", asked.password))


def _ca(fleet: Fleet, asked: Receiver) -> Path | None:
    """Return the file with the CAs; None: the system's. Raise OSError if it can't be used."""
    written = asked.ca or fleet.file.downloads.ca_bundle
    if written is None:
        return None
    import ssl

    path = fleet.at(written)
    ssl.create_default_context(cafile=path)
    return path


def _secret(fleet: Fleet, place: str, reference: str | None) -> Secret | None:
    if reference is None:
        return None
    return resolve(reference, where=f"{fleet.path} {place}", folder=fleet.path.parent)
