from __future__ import annotations

import pytest
from pydantic import ValidationError

from rackwright.route import Route

ROUTE = Route(
    proxy="http://proxy:3128",
    no_proxy=(".acme.internal", "10.0.0.0/8", "fd00:20::/64", "192.0.2.7/32"),
    ca_bundle="/ca",
)


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.internal/x",
        "https://mirror.acme.internal:8443/x",
        "http://10.9.8.7",
        "https://[fd00:20::1]:443/",
        "https://192.0.2.7",
    ],
)
def test_what_no_proxy_names_is_reached_without_it(url: str) -> None:
    assert ROUTE.proxy_for(url) is None


@pytest.mark.parametrize("url", ["https://notacme.internal", "https://acme.internal.example", "https://192.0.2.70"])
def test_all_else_goes_through_the_proxy(url: str) -> None:
    assert ROUTE.proxy_for(url) == "http://proxy:3128"


def test_curl_is_told_all_of_it() -> None:
    assert ROUTE.curl_options == (
        *("--proxy", "http://proxy:3128"),
        *("--noproxy", "acme.internal,10.0.0.0/8,fd00:20::/64,192.0.2.7"),
        *("--cacert", "/ca"),
    )
    assert Route().curl_options == ()


@pytest.mark.parametrize("text", ["*.acme", "acme internal", "", ".", "a,b", "10.0.0.1/8", "https://acme", "x" * 254])
def test_what_curl_would_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Route(no_proxy=(text,))
