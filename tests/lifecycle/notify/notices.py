"""A notice, and channels to the real servers of a test."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rackwright.fleet.sections.notify import Mail
from rackwright.lifecycle.notify.mail import MailChannel
from rackwright.lifecycle.notify.notice import Notice
from rackwright.lifecycle.notify.webhook import WebhookChannel
from rackwright.route import Route
from rackwright.values.secrets import Secret
from tests.loopback_tls import bundle
from tests.smtp_server import LOGIN

TOKEN = "hook-t0ken"
EVENTS = ("started", "ended", "failed")
NOTICE = Notice(
    event="failed",
    command="patch run",
    fleet="acme",
    run="20261129T010203Z-ab12",
    operator="anna@desk",
    machine="desk",
    time=datetime(2026, 11, 29, 1, 2, 3, tzinfo=UTC),
    summary="patch run failed: gpu3: not proven after 600 s",
    reason="gpu3: not proven after 600 s",
    next="rackwright rollout resume",
    hosts=("gpu3",),
)


def webhook(url: str, *, token: str | None = TOKEN, route: Route | None = None) -> WebhookChannel:
    return WebhookChannel(
        Secret(url), "notify", EVENTS, route or Route(ca_bundle=bundle()), Secret(token) if token else None
    )


def mail(
    server: str,
    *,
    tls: str = "starttls",
    login: tuple[str, str] | None = LOGIN,
    ca: str | None = None,
    to: tuple[str, ...] = ("ops@acme.example",),
    **words: Any,
) -> MailChannel:
    """Return a channel that trusts the loopback CA, or the one in `ca`."""
    user, password = login or (None, None)
    section = {"to": list(to), "from": "rackwright@acme.example", "server": server, "tls": tls, **words}
    asked = Mail.model_validate(section | ({"user": user, "password": "env:P"} if user else {}))
    return MailChannel(asked, "notify", Path(ca or bundle()), Secret(password) if password else None)
