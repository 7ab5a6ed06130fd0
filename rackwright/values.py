"""Small values that several layers share: names, sizes, durations, networks, secrets, files, targets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Protocol

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_SIZES = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Frozen(BaseModel):
    """Base of what people write: unknown keys are errors, values don't change."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Stored(BaseModel):
    """Base of what an earlier version of the tool wrote: unknown keys are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _one_line(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("has a control character or a newline; write one plain line")
    return text


def _host_path(text: str) -> str:
    path = PurePosixPath(_one_line(text))
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError("should be an absolute path without ..")
    if not re.fullmatch(r"[A-Za-z0-9/._@+-]+", text):
        raise ValueError("should have letters, digits and / . _ - @ + only")
    return str(path)


def _relative_path(text: str) -> str:
    path = PurePosixPath(_one_line(text))
    if path.is_absolute() or ".." in path.parts or text in ("", "."):
        raise ValueError("should be a relative path without ..")
    return str(path)


def parse_duration(value: object) -> int:
    """Given "10m" (s, m, h, d) or seconds, return whole seconds. Raise ValueError if it is neither."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = re.fullmatch(r"(\d{1,9})([smhd])", value) if isinstance(value, str) else None
    if not match:
        raise ValueError("should be a duration like 30s, 10m, 2h or 1d")
    return int(match[1]) * _SECONDS[match[2]]


def parse_size(value: object) -> int:
    """Given "80GiB", "1.5G" or bytes, return whole bytes. Raise ValueError if it is neither."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = (
        re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?i?)b?", value.lower()) if isinstance(value, str) else None
    )
    if not match or match[2] == "i":
        raise ValueError("should be a size like 500M, 80GiB or 2TB")
    return int(float(match[1]) * _SIZES[match[2]])


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,23}$")]
"""Of a fleet, host, group or model."""
Line = Annotated[str, AfterValidator(_one_line)]
HostPath = Annotated[str, AfterValidator(_host_path)]
RelativePath = Annotated[str, AfterValidator(_relative_path)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[int, BeforeValidator(parse_duration)]
Size = Annotated[int, BeforeValidator(parse_size)]
ServedName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,95}$")]
"""What a client may put into `model`."""


class Secret:
    """A secret's text. It shows as *** wherever it is printed, logged, compared in a diff or pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. Only for standard input of a process or a file's content."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not stored")


def _secret_reference(text: str) -> str:
    kind, _, rest = _one_line(text).partition(":")
    if kind not in ("env", "file", "cmd") or not rest.strip():
        raise ValueError("should be a reference: env:NAME, file:PATH or cmd:COMMAND, never the secret itself")
    if kind == "env" and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rest):
        raise ValueError("should name an environment variable after env:")
    return text


SecretReference = Annotated[str, AfterValidator(_secret_reference)]
"""Where a secret comes from: `env:NAME`, `file:PATH` or `cmd:COMMAND`."""


class File(Frozen):
    """One file that the lock names: its bytes are settled by size (bytes) and sha256."""

    path: RelativePath
    size: int
    sha256: Sha256
    url: Line
    """https://… or file:///absolute/path on the controller."""


def plain(value: object) -> str:
    return str(value)


NetworkField = Annotated[Network, PlainSerializer(plain, return_type=str)]
AddressField = Annotated[Address, PlainSerializer(plain, return_type=str)]


@dataclass(frozen=True)
class Issued:
    """A certificate with its chain (PEM) and its private key (PEM)."""

    certificate_pem: str
    key: Secret


class Issuer(Protocol):
    """Who signs certificates."""

    @property
    def authority_pem(self) -> str:
        """What verifies them (PEM)."""

    def issue(self, names: tuple[str, ...], *, client: bool, days: int) -> Issued:
        """Return a new certificate for these DNS names and addresses. Raise SecretError without the key."""


@dataclass(frozen=True)
class Jump:
    """A host that the SSH connection goes through."""

    address: str
    user: str
    port: int = 22
    key: Path | None = None


@dataclass(frozen=True)
class Target:
    """One host as the controller reaches it. `address` is "@local" for the machine the tool runs on."""

    name: str
    address: str
    user: str = "root"
    port: int = 22
    key: Path | None = None
    """None: the SSH agent's keys, then those that ~/.ssh/config names."""
    certificate: Path | None = None
    jump: Jump | None = None
    known_hosts: Path | None = None
    """The fleet's own pins; ~/.ssh/known_hosts is read after it."""
    sudo_password: Secret | None = field(default=None, repr=False)
    """None: sudo without a password."""
