"""The files of apt, pip and uv as text. No host, no pyinfra."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from rackwright.roles.downloads.settings import MARK, AptMirror, Keyring, Settings


def apt_conf(settings: Settings) -> str | None:
    """Return apt's settings for proxy and CAs; None: it needs none from rackwright.

    apt can't match domains or networks, so each mirror that is reached without the proxy is listed.
    """
    route, lines = settings.route, []
    if route.proxy:
        lines += [f'Acquire::{scheme}::Proxy "{route.proxy}";' for scheme in ("http", "https")]
        for host in dict.fromkeys(urlsplit(mirror.url).hostname for mirror in settings.mirrors):
            if host and route.proxy_for(f"//{host}") is None:
                lines += [f'Acquire::{scheme}::Proxy::{host} "DIRECT";' for scheme in ("http", "https")]
    if route.ca_bundle:
        lines += [f'Acquire::https::CAInfo "{route.ca_bundle}";']
    return "".join(f"{line}\n" for line in lines) or None


def apt_sources(settings: Settings, signed_by: Callable[[Keyring], str] | None = None) -> str:
    """Return the mirrors as deb822. `signed_by` returns the field for a keyring whose file isn't on the host."""
    named = signed_by or (lambda keyring: f"Signed-By: {keyring.path}\n")
    return "\n".join(stanza for mirror in settings.mirrors for stanza in _stanzas(mirror, named))


def _stanzas(mirror: AptMirror, signed_by: Callable[[Keyring], str]) -> Iterator[str]:
    flat = tuple(suite for suite in mirror.suites if suite.endswith("/"))
    if flat:
        yield _stanza(mirror, flat, (), signed_by)
    if deep := tuple(suite for suite in mirror.suites if suite not in flat):
        yield _stanza(mirror, deep, mirror.components, signed_by)


def _stanza(
    mirror: AptMirror, suites: tuple[str, ...], components: tuple[str, ...], signed_by: Callable[[Keyring], str]
) -> str:
    fields = {"Types": "deb", "URIs": mirror.url, "Suites": " ".join(suites)}
    fields |= {"Components": " ".join(components)} if components else {}
    text = "".join(f"{key}: {value}\n" for key, value in fields.items())
    return text + signed_by(mirror.keyring) if mirror.keyring else text


def pip_conf(settings: Settings) -> str | None:
    if settings.package_index is None:
        return None
    values = {"index-url": settings.package_index, "cert": settings.route.ca_bundle, "proxy": _proxy(settings)}
    return f"{MARK}[global]\n" + "".join(f"{key} = {value}\n" for key, value in values.items() if value)


def uv_toml(settings: Settings) -> str | None:
    """Return uv's settings. They can't name CAs: uv takes those from SSL_CERT_FILE."""
    if settings.package_index is None:
        return None
    proxy = _proxy(settings)
    lines = [f"{key} = {json.dumps(proxy)}" for key in ("http-proxy", "https-proxy") if proxy]
    lines += ["[[index]]", f"url = {json.dumps(settings.package_index)}", "default = true"]
    return MARK + "".join(f"{line}\n" for line in lines)


def _proxy(settings: Settings) -> str | None:
    return settings.route.proxy_for(settings.package_index or "")
