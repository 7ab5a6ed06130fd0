"""What `etcdctl -w json` prints."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, TypeVar

from pydantic import AliasPath, BeforeValidator, Field, ValidationError

from rackwright.state.etcd.members import Reply, unexpected
from rackwright.values.base import Stored

Answer = TypeVar("Answer", bound=Stored)


def _decoded(text: object) -> str:
    try:
        return base64.b64decode(str(text), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("should be UTF-8 in base64") from None


_Text = Annotated[str, BeforeValidator(_decoded)]


class Header(Stored):
    revision: int = Field(gt=0)


class Pair(Stored):
    """A key and its value."""

    key: _Text
    create_revision: int
    mod_revision: int
    lease: int = 0
    value: Annotated[str, BeforeValidator(_decoded)] = ""


class Range(Stored):
    """Answer of a `get`."""

    header: Header
    kvs: tuple[Pair, ...] = ()
    count: int = 0

    def named(self, key: str) -> Pair | None:
        return next((pair for pair in self.kvs if pair.key == key), None)


class _Response(Stored):
    # A response to a put or a deletion has none.
    range: Range | None = Field(None, validation_alias=AliasPath("Response", "response_range"))


class Committed(Stored):
    """Answer of a `txn`."""

    header: Header
    succeeded: bool = False
    responses: tuple[_Response, ...] = ()

    @property
    def found(self) -> Range:
        """What its `get`s found, together."""
        ranges = [response.range for response in self.responses if response.range]
        pairs = tuple(pair for one in ranges for pair in one.kvs)
        return Range(header=self.header, kvs=pairs, count=max((one.count for one in ranges), default=0))


class Remaining(Stored):
    """Answer of `lease timetolive`: -1 if there is no such lease any more."""

    ttl: int


class KeptAlive(Stored):
    """Answer of `lease keep-alive --once`: None if there is no such lease any more."""

    ttl: int | None = Field(None, validation_alias="TTL")


def range_of(reply: Reply, line: int = 0) -> Range:
    return _parsed(Range, reply, line)


def committed(reply: Reply, line: int = 1) -> Committed:
    return _parsed(Committed, reply, line)


def remaining(reply: Reply, line: int = 1) -> int:
    return _parsed(Remaining, reply, line).ttl


def kept_alive(reply: Reply, line: int = 1) -> int | None:
    return _parsed(KeptAlive, reply, line).ttl


def seconds(reply: Reply) -> int:
    """Return the control host's time, which its answer begins with."""
    word = reply.line(0).split(" ")[0]
    if not word.isdecimal() or len(word) > 11:
        raise unexpected(reply)
    return int(word)


def _parsed(model: type[Answer], reply: Reply, line: int) -> Answer:
    try:
        return model.model_validate_json(reply.line(line))
    except ValidationError:
        raise unexpected(reply) from None
