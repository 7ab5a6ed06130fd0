"""Small values that several layers share: names, sizes, durations, networks, secrets, files, targets."""

from __future__ import annotations

import re
import shlex
import unicodedata
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

import rackwright._lean  # noqa: F401

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

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Stored(BaseModel):
    """Base of what an earlier version of the tool wrote: unknown keys are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


def _one_line(text: str) -> str:
    for character in text:
        category = unicodedata.category(character)
        if category == "Cc":
            raise ValueError("has a control character or a newline; write one plain line")
        if category in ("Cf", "Cs", "Co", "Zl", "Zp"):
            raise ValueError(f"has the invisible character {_called(character)}; remove it")
    return text


def _called(character: str) -> str:
    """Name a character by words: many of them look like others."""
    name = unicodedata.name(character, "without a name").capitalize()
    return f"'{name}' (U+{ord(character):04X})"


@dataclass(frozen=True)
class Shape:
    """Of a text: the pattern that all of it matches, and how an error says what it should be."""

    pattern: str
    should: str

    def check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, _one_line(text)):
            strange = next((character for character in text if ord(character) > 126), None)
            raise ValueError(f"has the letter {_called(strange)} in it; {self.should}" if strange else self.should)
        return text

    def __get_pydantic_core_schema__(self, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | {"pattern": f"^{self.pattern}$"}


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


def parse_network(value: object) -> Network:
    """Given CIDR text or an address, return the network. Raise ValueError naming the network that was meant."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?", value):
        raise ValueError("should be a network like 10.20.0.0/24 or fd00:20::/64")
    try:
        meant = ip_network(value, strict=False)
    except ValueError:
        raise ValueError("should be a network like 10.20.0.0/24 or fd00:20::/64") from None
    address = ip_address(value.partition("/")[0])
    if address != meant.network_address:
        raise ValueError(f"{value} is a host in a network; write {meant}, or {address} for that host alone")
    return meant


def parse_address(value: object) -> Address:
    """Given an IPv4 or IPv6 address of one machine, return it. Raise ValueError if it is none."""
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f.:]{2,45}", value):
        raise ValueError("should be an IPv4 or IPv6 address")
    try:
        address = ip_address(value)
    except ValueError:
        raise ValueError("should be an IPv4 or IPv6 address") from None
    if address.is_unspecified or address.is_multicast or value == "255.255.255.255":
        raise ValueError(f"{address} is no machine's address; should be the address of one machine")
    return address


def _dns_name(text: str) -> str:
    label = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    last = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
    return Shape(
        rf"(?=.{{1,253}}$)({label}\.)*{last}", "should be a DNS name in lower case, like llm.acme.internal"
    ).check(text)


def _machine(text: str) -> str:
    if re.fullmatch(r"[0-9.]+|.*:.*", text, re.DOTALL):
        return str(parse_address(text))
    return _dns_name(text)


def host_address(text: str) -> str:
    """Given an IP address, a DNS name or "@local", return it in its plain form. Raise ValueError if it is none."""
    if text.startswith("@") and text != "@local":
        raise ValueError("should be @local, an IP address or a DNS name")
    return text if text == "@local" else _machine(text)


def _controller_path(text: str) -> str:
    if not _one_line(text).strip():
        raise ValueError("is empty; should be the path of a file")
    return text


def _reason(text: str) -> str:
    if len(text.encode(errors="replace")) > 100:
        raise ValueError("should be shorter: at most 100 bytes")
    if not re.fullmatch(r"[\w .,:/()+#@-]+", _one_line(text)):
        raise ValueError("should be a few words, of letters, digits, spaces and . , : / ( ) + # @ - only")
    return text


def _yes_or_no(value: object) -> object:
    # YAML 1.2 reads yes and no as text, YAML 1.1 as booleans.
    return ("yes" if value else "no") if isinstance(value, bool) else value


Name = Annotated[
    str,
    Shape("[a-z][a-z0-9-]{0,23}", "should be a letter, then letters, digits and -, all in lower case, 24 at most"),
]
"""Of a fleet, host, group or model."""
Line = Annotated[str, AfterValidator(_one_line)]
HostPath = Annotated[str, AfterValidator(_host_path)]
RelativePath = Annotated[str, AfterValidator(_relative_path)]
ControllerPath = Annotated[str, AfterValidator(_controller_path)]
"""A file on the controller; a relative path starts at the fleet file."""
Reason = Annotated[str, AfterValidator(_reason)]
"""Why something is as it is, in a few words; it may become a comment on a host."""
Manage = Annotated[Literal["yes", "no"], BeforeValidator(_yes_or_no)]
"""Whether the tool looks after a thing; `no` leaves what is there alone, and removes nothing."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[
    int,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": ["string", "integer"], "pattern": "^[0-9]{1,9}[smhd]$"}),
]
Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema({"type": ["string", "integer"]})]
ServedName = Annotated[
    str,
    Shape(
        "[A-Za-z0-9][A-Za-z0-9._:/-]{0,95}",
        "should be a letter or digit, then letters, digits and . _ : / -, 96 at most",
    ),
]
"""What a client may put into `model`."""
DnsName = Annotated[str, AfterValidator(_dns_name)]
Machine = Annotated[str, AfterValidator(_machine)]
"""An IPv4 or IPv6 address, or a DNS name."""
HostAddress = Annotated[str, AfterValidator(host_address)]
"""A machine, or "@local" for the one that the tool runs on."""
UserName = Annotated[
    str, Shape("[A-Za-z_][A-Za-z0-9_.@-]{0,63}", "should be a user name: letters, digits and _ . - @ only")
]
Url = Annotated[
    str,
    Shape(
        r"https?://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(:[0-9]{1,5})?(/[A-Za-z0-9._~%+@=/-]*)?",
        "should be a URL like https://mirror.acme.internal:8443/path, without a password, quotes or spaces",
    ),
]


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
    if kind == "cmd":
        try:
            shlex.split(rest)
        except ValueError:
            raise ValueError("has a quote that is not closed; should be a command, run without a shell") from None
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

    @property
    def local(self) -> Path | None:
        """Where it lies on the controller; None: it is fetched from elsewhere."""
        return Path(unquote(urlsplit(self.url).path)) if self.url.startswith("file:") else None


def plain(value: object) -> str:
    return str(value)


_TEXT = WithJsonSchema({"type": "string"})
NetworkField = Annotated[Network, PlainValidator(parse_network), PlainSerializer(plain, return_type=str), _TEXT]
AddressField = Annotated[Address, PlainValidator(parse_address), PlainSerializer(plain, return_type=str), _TEXT]


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
