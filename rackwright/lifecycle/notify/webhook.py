"""Send a notice to a webhook: one POST request, without redirects, and nothing is read but the status."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rackwright.lifecycle.notify.notice import Notice
from rackwright.lifecycle.notify.undelivered import Undelivered
from rackwright.lifecycle.notify.wording import chat_text
from rackwright.resolve.tls import cooperative_tls
from rackwright.resolve.web import unreachable
from rackwright.route import Route
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    from requests import PreparedRequest

TIMEOUTS = (5, 5)
"""For the connection, and for the answer."""
_BUSY = (408, 425, 429)


@dataclass(frozen=True)
class WebhookChannel:
    """A webhook and what is needed to reach it."""

    url: Secret
    """Secret, because the URL of a chat's webhook admits everyone who knows it."""
    place: str
    """Its key in the fleet file."""
    events: tuple[str, ...]
    route: Route = field(default_factory=Route, repr=False)
    token: Secret | None = None

    @property
    def name(self) -> str:
        return f"webhook {urlsplit(self.url.reveal()).netloc}"

    def send(self, notice: Notice) -> None:
        """Post the notice. Raise Undelivered, without a library's error: it may contain the token or the URL."""
        cooperative_tls()
        import requests
        import urllib3

        url, headers = self.url.reveal(), {"Content-Type": "application/json", "User-Agent": "rackwright"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token.reveal()}"
        try:
            with (
                requests.Session() as session,
                session.post(
                    url,
                    data=notice.document(chat_text(notice)).encode(),
                    headers=headers,
                    # Without it, requests would send a login from ~/.netrc, and not the token.
                    auth=_as_it_is,
                    proxies=self._proxies(url),
                    verify=self.route.ca_bundle or True,
                    timeout=TIMEOUTS,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                code = response.status_code
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            raise self._unreachable(type(error).__name__, untrusted=untrusted) from None
        if not 200 <= code < 300:
            again = code >= 500 or code in _BUSY
            raise Undelivered(f"answers {code}", where=self.name, next=self._hint(code), again=again)

    def _proxies(self, url: str) -> dict[str, str] | None:
        """Return the proxies for requests; None means the environment's."""
        if self.route.proxy is None:
            return None
        # An empty string also overrides the environment's proxy.
        proxy = self.route.proxy_for(url) or ""
        return {"http": proxy, "https": proxy}

    def _unreachable(self, kind: str, *, untrusted: bool) -> Undelivered:
        what = unreachable(self.name, kind).problems[0].what
        if "SSL" in kind and not untrusted:
            what = "its TLS isn't accepted here, or it has none"
        hint = f"add its CA to {self.place}.ca" if untrusted else f"check {self.place}.url and that it runs"
        return Undelivered(what, where=self.name, next=hint, again=not untrusted)

    def _hint(self, code: int) -> str:
        if 300 <= code < 400:
            return "name the address that it redirects to; redirects aren't followed"
        return f"check {self.place}.token" if code in (401, 403) else f"check {self.place}.url"


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    return request
