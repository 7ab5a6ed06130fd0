"""`clouds`: providers' APIs that the gateways pass requests to, and the models that a cloud answers."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from rackwright.launch import Task
from rackwright.values.base import Frozen
from rackwright.values.paths import ControllerPath
from rackwright.values.secrets import SecretReference
from rackwright.values.text import Name, ServedName, Shape

Auth = Literal["bearer", "api-key"]
_SHOULD = (
    "should be an https URL like https://api.openai.com/v1, with a DNS name instead of an address, without a query, "
    "a password or a / at its end"
)


def _port(url: str) -> str:
    if not 1 <= int(urlsplit(url).netloc.partition(":")[2] or 443) <= 65535:
        raise ValueError("has a port that doesn't exist; should be 1 to 65535")
    return url


CloudUrl = Annotated[
    str,
    # The last part of the name has a letter: a certificate is verified by a name, not by an address.
    Shape(
        r"https://(?=[^/:]{1,253}(:|/|$))([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
        r"(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~-]+)*",
        _SHOULD,
    ),
    AfterValidator(_port),
]


class Cloud(Frozen):
    """A provider's API, in OpenAI's format."""

    url: CloudUrl
    """Where its API starts, up to and including the part that takes the place of /v1."""
    key: SecretReference
    """The API key that the provider issued to you."""
    names: Annotated[tuple[ServedName, ...], Field(min_length=1)]
    """The names of the provider's models that may be asked for."""
    auth: Auth = "bearer"
    """How the key is sent: bearer (Authorization: Bearer KEY) or api-key (the header api-key)."""
    ca: ControllerPath | None = None
    """A PEM file with the CAs that verify it; the system's CAs if absent."""

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 443

    @property
    def path(self) -> str:
        """What takes the place of /v1 in a request's path."""
        return urlsplit(self.url).path


class CloudModel(Frozen):
    """A model that only a cloud answers: it has no engine yet."""

    cloud: Name
    """Which of `clouds` answers it."""
    names: Annotated[tuple[ServedName, ...], Field(min_length=1)]
    """The names that clients use in `model`; the provider knows its models by the same names."""
    task: Task = Task.GENERATE
    """What clients ask it for: `generate` (text) or `embed` (embeddings)."""

    @property
    def served(self) -> tuple[str, ...]:
        """Every name that clients may use."""
        return self.names
