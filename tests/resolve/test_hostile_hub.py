"""A hostile hub, or a hostile mirror of one: `lock` ends with an error that names it, and in little memory."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator

import pytest

from rackwright.errors import RackwrightError
from rackwright.fleet.source import HubSource
from rackwright.resolve.hub import LISTING, Hub
from rackwright.resolve.model_files import choose
from rackwright.values.secrets import Secret
from tests.stand_in_hub import COMMIT, StandInHub

LFS = {"size": 9, "sha256": "a" * 64, "pointerSize": 130}


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub({"acme/tiny": {"m.gguf": b"GGUF"}}) as hub:
        yield hub


def refusal(hub: StandInHub) -> str:
    with pytest.raises(RackwrightError) as caught:
        Hub(hub.url, hub.web).settle(HubSource("acme/tiny"), where="x", choice=lambda sizes: choose(sizes, None))
    return str(caught.value)


def listing(**changes: object) -> bytes:
    return json.dumps(
        {"id": "acme/tiny", "sha": COMMIT, "siblings": [{"rfilename": "m.gguf", "lfs": LFS}], **changes}
    ).encode()


def of_file(**changes: object) -> bytes:
    return listing(siblings=[{"rfilename": "m.gguf", "lfs": LFS, **changes}])


HOSTILE = {
    "nothing": b"",
    "no JSON": b"<html>",
    "no UTF-8": b'{"sha": "\xff"}',
    "nested lists": b"[" * 200_000,
    "nested objects": b'{"siblings":' * 200_000,
    "a nested card": listing().replace(b'"sha"', b'"cardData": {"license": ' + b"[" * 100_000 + b'}, "sha"'),
    "a list": b"[]",
    "a number": b"5",
    "an endless number": b'{"sha": ' + b"9" * 100_000 + b"}",
    "no commit": listing(sha=None),
    "a commit that is a path": listing(sha="../../evil"),
    "a commit that is a number": listing(sha=5),
    "files that are a number": listing(siblings=5),
    "files that are an object": listing(siblings={"a": 1}),
    "a file that is a text": listing(siblings=["m.gguf"]),
    "a file without a name": listing(siblings=[{"lfs": LFS}]),
    "a name that is a number": of_file(rfilename=5),
    "a size that is a text": of_file(lfs=None, size="large"),
    "a negative size": of_file(lfs={**LFS, "size": -1}),
    "an absurd size": of_file(lfs={**LFS, "size": 10**30}),
    "a size that is a number in a text": of_file(lfs={**LFS, "size": "9"}),
    "a size that is a truth": of_file(lfs={**LFS, "size": True}),
    "a size that is no whole number": of_file(lfs={**LFS, "size": 9.0}),
    "no sha256": of_file(lfs={"size": 9}),
    "a sha256 that is a number": of_file(lfs={**LFS, "sha256": 5}),
    "a sha256 that is a path": of_file(lfs={**LFS, "sha256": "../" * 20}),
    "a card that is a list": listing(cardData=[1]),
    "a card with the library's own argument": listing(cardData={"ignore_metadata_errors": False}),
    "tags that are a number": listing(cardData={"tags": 5}),
    "a date that is none": listing(lastModified="yesterday"),
    "a date that is a number": listing(lastModified=5),
    "no id": json.dumps({"sha": COMMIT, "siblings": []}).encode(),
    "an attribute that the library sets": listing(self=5),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_an_answer_that_no_hub_gives_is_an_error_that_names_the_hub(hub: StandInHub, body: bytes) -> None:
    hub.hostile = body
    said = refusal(hub)
    assert said.startswith("127.0.0.1: doesn't answer like a model hub: ")
    assert said.endswith("\n  next: check downloads.hub, then rackwright lock")
    assert len(said) < 400


def test_an_answer_without_end_is_read_to_the_limit_only(hub: StandInHub) -> None:
    def endless() -> Iterator[bytes]:
        yield b'{"siblings": ['
        while True:
            yield b'{"rfilename": "m.gguf"},' * 10_000

    hub.hostile = endless()
    assert "127.0.0.1: doesn't answer like a model hub: its answer about acme/tiny has more than 16 MiB" in refusal(
        hub
    )
    # What the sockets hold comes on top.
    assert hub.sent < LISTING + 32 * 2**20


def test_what_is_compressed_unasked_is_refused(hub: StandInHub) -> None:
    hub.hostile, hub.compressed = gzip.compress(b" " * 2**28), True
    assert "doesn't answer like a model hub: its answer about acme/tiny is compressed" in refusal(hub)


def test_an_answer_is_not_followed_to_plain_http(hub: StandInHub) -> None:
    with StandInHub(hub.repositories, plain_http=True) as other:
        hub.moved = other.url
        assert "its answer about acme/tiny is a redirect to an address that is not https" in refusal(hub)
        assert other.asked == []


def test_a_token_does_not_follow_an_answer_to_another_server(hub: StandInHub) -> None:
    with StandInHub(hub.repositories) as other:
        hub.moved = other.url
        assert Hub(hub.url, hub.web, Secret("hf_x")).license(HubSource("acme/tiny"), where="x") is None
        assert (hub.tokens, other.tokens) == (["Bearer hf_x"], [None])


def test_redirects_without_end_are_refused(hub: StandInHub) -> None:
    hub.moved = hub.url
    assert "doesn't answer like a model hub" in refusal(hub)
    assert len(hub.asked) < 12


def test_an_error_with_a_nested_body_is_an_error_of_the_hub(hub: StandInHub) -> None:
    hub.hostile, hub.status = b"[" * 200_000, 500
    assert refusal(hub).startswith("127.0.0.1: ")


def test_nothing_that_a_hub_says_is_logged(hub: StandInHub) -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("huggingface_hub")
    logger.addHandler(handler)
    hub.warning = "a topic of this test; \x9b2J"
    hub.hostile = listing(cardData={"model-index": [5]})
    try:
        Hub(hub.url, hub.web).license(HubSource("acme/tiny"), where="x")
    finally:
        logger.removeHandler(handler)
    assert records == []


NAMES = (
    "-m.gguf",
    "a/-x/m.gguf",
    "../m.gguf",
    "/etc/m.gguf",
    "a//m.gguf",
    "m\x1b[2J.gguf",
    "m\n.gguf",
    "m $(id).gguf",
    "m\ud800.gguf",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_none_is_refused_as_text_without_effects(hub: StandInHub, name: str) -> None:
    hub.hostile = of_file(rfilename=name)
    said = refusal(hub)
    assert f"x: acme/tiny has a file named {name!a}; should have names of letters" in said
    assert said.isprintable() or said.replace("\n", "").isprintable()
