"""Web pages of the origins that the fleet file names may use the API from a browser, and no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.stack import Stack

PAGE, LOCAL = "https://chat.acme.internal", "http://localhost:3000"
ASKS = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,x-stainless-os"}


@pytest.fixture
def open_to_pages(stack: Stack) -> Iterator[Stack]:
    before = stack.settings
    stack.write(before.model_copy(update={"cors": (PAGE, LOCAL)}))
    stack.gateway.reload()
    yield stack
    stack.write(before)
    stack.gateway.reload()


@pytest.mark.parametrize("origin", [PAGE, LOCAL])
def test_a_browser_may_ask_before_it_sends_the_key(open_to_pages: Stack, origin: str) -> None:
    response = open_to_pages.send(method="OPTIONS", key=None, headers={"origin": origin, **ASKS})
    assert (response.status, response.read()) == (204, b"")
    assert response.getheader("access-control-allow-origin") == origin
    assert response.getheader("access-control-allow-methods") == "GET, POST"
    assert response.getheader("access-control-allow-headers") == ASKS["access-control-request-headers"]
    # Nobody gets a connection that stays open without a key.
    assert response.getheader("connection") == "close"
    assert not open_to_pages.engines["assistant"].requests


@pytest.mark.parametrize(("key", "status"), [("good", 200), ("wrong", 401)])
def test_its_page_reads_answers_and_refusals(open_to_pages: Stack, key: str, status: int) -> None:
    response = open_to_pages.send(key=key, headers={"origin": PAGE})
    assert response.status == status
    assert response.getheader("access-control-allow-origin") == PAGE
    assert response.getheader("vary") == "origin"
    assert "x-request-id" in (response.getheader("access-control-expose-headers") or "")


@pytest.mark.parametrize("origin", ["https://evil.example", f"{PAGE}.evil.example", PAGE.upper(), "null", "", "*"])
def test_no_other_page_may(open_to_pages: Stack, origin: str) -> None:
    asked = open_to_pages.send(method="OPTIONS", key=None, headers={"origin": origin, **ASKS})
    assert asked.status == 401
    for response in (asked, open_to_pages.send(headers={"origin": origin})):
        assert response.getheader("access-control-allow-origin") is None


def test_without_the_setting_no_page_may(stack: Stack) -> None:
    response = stack.send(headers={"origin": PAGE})
    assert response.status == 200
    assert response.getheader("access-control-allow-origin") is None
    assert response.getheader("vary") is None
