"""`patch`: when hosts may be patched, how many at a time, and what stops it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainSerializer, PlainValidator, Tag, WithJsonSchema, model_validator

from rackwright.fleet.sections.forms import TEXT_OR_LIST
from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen
from rackwright.values.paths import ControllerPath
from rackwright.values.secrets import SecretReference
from rackwright.values.text import JSON_TEXT, Shape, Url, plain
from rackwright.values.windows import Freeze, Window, parse_freeze, parse_window

LATE_BACKUP = 36 * 3600
"""Seconds after which `status` calls a snapshot late: one and a half days."""

WindowField = Annotated[
    Window,
    PlainValidator(parse_window),
    PlainSerializer(plain, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^((mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?|daily) "
            "([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
        }
    ),
]
FreezeField = Annotated[Freeze, PlainValidator(parse_freeze), PlainSerializer(plain, return_type=str), JSON_TEXT]
AlertName = Annotated[
    str, Shape(r"[^\s](.{0,126}[^\s])?", "should be the name of an alert, as in the rule's `alert:`")
]


class Prometheus(Frozen):
    """The Prometheus whose firing alerts stop patching, asked by the controller."""

    url: Url
    """Where its API is, without /api/v1."""
    ca: ControllerPath | None = None
    """A PEM file with the CAs of it and its Alertmanagers; downloads.ca_bundle or the system's CAs if absent."""
    token: SecretReference | None = None
    """A bearer token for Prometheus, which needs https. Alertmanagers don't get it."""
    ignore: tuple[AlertName, ...] = ()
    """Names of alerts that don't stop patching, like one that always fires."""

    @model_validator(mode="after")
    def _encrypted(self) -> Prometheus:
        if self.token and not self.url.startswith("https://"):
            raise ValueError("the token would be sent in clear text; use an https URL")
        return self


class Patch(Frozen):
    """When hosts may be patched, how many at a time, and what stops it."""

    max_unavailable: Annotated[int, Field(ge=1, le=64)] = 1
    """The most hosts that may be down for patching at a time; hosts that are already down count."""
    window: (
        Annotated[
            Annotated[WindowField, Tag("text")]
            | Annotated[tuple[WindowField, ...], Field(min_length=1), Tag("list")],
            TEXT_OR_LIST,
        ]
        | None
    ) = None
    """Maintenance windows in the fleet's time zone, like "sun 02:00-05:00"; at any time if absent."""
    freezes: Annotated[tuple[FreezeField, ...], Field(alias="except")] = ()
    """Days without patching, first and last included, in the fleet's time zone."""
    prometheus: Prometheus | None = None
    """If absent, no alert stops patching."""
    backup_within: Annotated[Seconds, Field(ge=60)] = LATE_BACKUP
    """How old a host's newest good snapshot may be before the host is patched."""

    @property
    def windows(self) -> tuple[Window, ...]:
        """Empty: at any time."""
        if self.window is None:
            return ()
        return (self.window,) if isinstance(self.window, Window) else self.window
