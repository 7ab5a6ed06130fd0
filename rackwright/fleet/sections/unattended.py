"""`unattended`: what runs when nobody watches, and what it may do that a person would be asked about."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, Tag, WithJsonSchema, model_validator

from rackwright.fleet.sections.forms import TEXT_OR_LIST, Hosts
from rackwright.fleet.sections.people import PersonName
from rackwright.values.base import Frozen
from rackwright.values.host_key import HostKey
from rackwright.values.secrets import SecretReference
from rackwright.values.text import Name, Shape

_WORDS: dict[object, bool] = {"yes": True, "no": False}


def _yes_or_no(value: object) -> object:
    # In YAML 1.2, yes and no are text; in YAML 1.1, they are booleans.
    return _WORDS.get(value, value) if isinstance(value, str) else value


YesOrNo = Annotated[bool, BeforeValidator(_yes_or_no), WithJsonSchema({"enum": ["yes", "no"]})]
ModelNames = Annotated[
    Annotated[Literal["all"], Tag("text")] | Annotated[tuple[Name, ...], Field(min_length=1), Tag("list")],
    TEXT_OR_LIST,
]
"""`all`, or a list of models."""
GitUrl = Annotated[
    str,
    Shape(
        r"ssh://([A-Za-z_][A-Za-z0-9_.-]{0,31}@)?([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:]{2,45}\])"
        r"(:[1-9][0-9]{0,4})?/[A-Za-z0-9._~/-]{1,512}",
        "should be like ssh://git@git.acme.internal/ops/fleet.git",
    ),
]
Branch = Annotated[
    str,
    Shape(
        r"(?!.*(\.\.|//|\.lock(/|$)|/\.|\.(/|$)|/$))[A-Za-z0-9_][A-Za-z0-9._/-]{0,99}",
        "should be the name of a branch, like rackwright-lock",
    ),
]


class Allow(Frozen):
    """What an unattended run may do that a person would be asked about. If absent, the run stops instead."""

    outage: ModelNames | None = None
    """Models whose last healthy replica may be taken down; or `all`."""
    downtime: ModelNames | None = None
    """Models with one replica that may be down while it changes; or `all`."""
    close_ports: YesOrNo = False
    """Whether ports that something listens on may close."""
    not_stale: YesOrNo = False
    """Whether files may be applied that git can't compare with the applied ones."""
    drop_names: YesOrNo = False
    """Whether names of models that clients used lately may be dropped."""

    def allows_outage(self, model: str) -> bool:
        return _names(self.outage, model)

    def allows_downtime(self, model: str) -> bool:
        return _names(self.downtime, model)


class LockRepository(Frozen):
    """The git repository that gets the lock which an unattended run promotes."""

    url: GitUrl
    """Where it is, over SSH."""
    key: SecretReference
    """Its deploy key: a private SSH key with write access."""
    host_key: HostKey
    """The git server's public SSH key."""
    branch: Branch = "rackwright-lock"
    """The branch that gets the lock; nothing else should push to it."""


class Unattended(Frozen):
    """What runs when nobody watches."""

    on: Hosts | None = None
    """The control hosts that have the tool; on no host if absent. They neither serve nor are gateways."""
    person: PersonName | None = None
    """The operator in `people` whom the tool logs in as, on every host."""
    key: SecretReference | None = None
    """That person's private SSH key, without a passphrase."""
    allow: Allow = Allow.model_construct()
    repository: LockRepository | None = None
    """If absent, `lock --applied` gets the promoted lock from the control hosts."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """What `on` names: hosts and groups."""
        return (self.on,) if isinstance(self.on, str) else self.on or ()

    @model_validator(mode="after")
    def _whole(self) -> Unattended:
        missing = [key for key in ("person", "key") if getattr(self, key) is None]
        if self.on is not None and missing:
            raise ValueError(f"missing key {' and '.join(missing)}; the tool needs both to log in to the hosts")
        if self.on is None and len(missing) < 2:
            raise ValueError("person and key are of the tool; name the control hosts that have it with on:")
        return self


def _names(named: str | tuple[str, ...] | None, model: str) -> bool:
    return named == "all" if named is None or isinstance(named, str) else model in named
