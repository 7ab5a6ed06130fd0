"""The source of a model or a runtime, as written in the fleet file, and the URLs that follow from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator

from rackwright.values.text import Line


@dataclass(frozen=True)
class HubSource:
    """hf:OWNER/REPO[@REVISION][#GLOB]"""

    repository: str
    revision: str = "main"
    glob: str | None = None
    pinned: bool = False
    """Whether the fleet file names the revision."""

    def __str__(self) -> str:
        return f"hf:{self.repository}@{self.revision}{f'#{self.glob}' if self.glob else ''}"

    def url(self, hub: str, commit: str, path: str) -> str:
        """Return the URL of one file of one commit at this hub."""
        return f"{hub.rstrip('/')}/{self.repository}/resolve/{commit}/{quote(path)}"


@dataclass(frozen=True)
class WebSource:
    """https://…#sha256=HEX"""

    url: str
    sha256: str


@dataclass(frozen=True)
class FileSource:
    """file:PATH, on the controller; a relative path starts at the fleet file's folder."""

    path: str

    @property
    def url(self) -> str:
        """The URL of the file, if it is a file. It is relative like the source, so that every checkout can use it."""
        return f"file:{self.path}"

    def url_below(self, path: str) -> str:
        """Return the URL of one file in the folder, if it is a folder."""
        return f"{self.url.rstrip('/')}/{path}"


def parse_source(text: str) -> HubSource | WebSource | FileSource:
    """Return the source of a text in the fleet file. Raise ValueError with what it should be."""
    if ".." in re.split(r"[/:@#]", text) and not text.startswith("file:"):
        raise ValueError("has .. in it; should name a repository, a revision or a URL in full")
    if match := re.fullmatch(r"hf:(\w[\w.-]*/\w[\w.-]*)(?:@(\w[\w./-]*))?(?:#([\w.*?/\[\]-]+))?", text, re.ASCII):
        return HubSource(match[1], match[2] or "main", match[3], pinned=bool(match[2]))
    if match := re.fullmatch(r"(https://[A-Za-z0-9._~:/?%=&+,@\[\]-]+)#sha256=([0-9a-f]{64})", text):
        return WebSource(match[1], match[2])
    if text.startswith("file:") and len(text) > 5:
        return FileSource(text[5:])
    raise ValueError("should be hf:OWNER/REPO[@REVISION][#GLOB], https://…#sha256=HEX or file:PATH")


def name_in(url: str) -> str:
    """Return the file name at the end of a URL; empty if there is none."""
    return PurePosixPath(unquote(urlsplit(url).path)).name


def _checked(text: str) -> str:
    parse_source(text)
    return text


Source = Annotated[Line, AfterValidator(_checked)]
