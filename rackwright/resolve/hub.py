"""A repository on a model hub, resolved to one commit and the size and SHA-256 of each file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from rackwright.errors import FleetError, Problem, RackwrightError
from rackwright.fleet.source import HubSource
from rackwright.resolve.licenses import license_of_card
from rackwright.resolve.model_files import Choice, UnfitFiles
from rackwright.resolve.tls import cooperative_tls
from rackwright.resolve.web import Web, unreachable
from rackwright.values.file import File
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

SMALL = 50 * 2**20
"""In bytes. Every hub stores larger files in LFS, with their sha256."""


@dataclass(frozen=True)
class Settled:
    """A resolved source."""

    revision: str | None
    """The commit of a hub repository."""
    files: tuple[File, ...]
    license: str | None = None
    """From its model card; None if there is no card, or if the card names no license."""


@dataclass(frozen=True)
class Hub:
    endpoint: str
    """As returned by `hub_endpoint`."""
    web: Web
    token: Secret | None = None

    def settle(self, source: HubSource, *, where: str, choice: Choice) -> Settled:
        """Return the source's commit, the chosen files and the license.

        Raise FleetError if there is no such repository or revision, or if no files are suitable; raise
        RackwrightError if the hub can't be reached.
        """
        info, chosen = self._chosen(source, where, choice)
        commit = info.sha or ""
        files = tuple(self._file(source, commit, item) for item in chosen)
        return Settled(commit, files, license_of_card(info.card_data))

    def license(self, source: HubSource, *, where: str) -> str | None:
        """Return the license from the model card, or None. Raise the same errors as `settle`."""
        return license_of_card(self._info(source, where).card_data)

    def files(self, source: HubSource, *, where: str, choice: Choice) -> tuple[str, dict[str, int]]:
        """Return the commit, and path → bytes of the chosen files. Raise the same errors as `settle`."""
        info, chosen = self._chosen(source, where, choice)
        return info.sha or "", {item.rfilename: item.size or 0 for item in chosen}

    def _chosen(self, source: HubSource, where: str, choice: Choice) -> tuple[ModelInfo, tuple[RepoSibling, ...]]:
        info = self._info(source, where)
        siblings = {item.rfilename: item for item in info.siblings or ()}
        sizes = {path: item.size or 0 for path, item in siblings.items()}
        try:
            chosen = choice(sizes)
        except UnfitFiles as error:
            raise FleetError([Problem(where, f"{source.repository} {error}", error.should)]) from None
        return info, tuple(siblings[path] for path in chosen)

    def url(self, repository: str, commit: str, path: str) -> str:
        """Return the URL of one file of one commit."""
        return f"{self.endpoint}/{repository}/resolve/{commit}/{quote(path)}"

    def _file(self, source: HubSource, commit: str, item: RepoSibling) -> File:
        url = self.url(source.repository, commit, item.rfilename)
        if item.lfs:
            size, sha256 = item.lfs.size, item.lfs.sha256
        else:
            size, sha256 = self.web.digest(url, limit=SMALL, token=self.token)
        return File(path=item.rfilename, size=size, sha256=sha256, url=url)

    def _info(self, source: HubSource, where: str) -> ModelInfo:
        cooperative_tls()
        import httpx2
        from huggingface_hub import HfApi, set_client_factory
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        set_client_factory(self._client)
        # If the fleet file has no token, False prevents the use of the operator's own login.
        api = HfApi(endpoint=self.endpoint, token=self.token.reveal() if self.token else False)
        host = urlsplit(self.endpoint).hostname or self.endpoint
        try:
            info = api.model_info(source.repository, revision=source.revision, files_metadata=True, timeout=60)
        except HFValidationError:
            problem = Problem(
                where, f"{source.repository} can't be a repository", "should be OWNER/REPO, as on its page"
            )
            raise FleetError([problem]) from None
        except HfHubHTTPError as error:
            raise self._refused(source, where, error.response.status_code) from None
        except httpx2.TransportError as error:
            distrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            raise unreachable(host, "SSLError" if distrusted else type(error).__name__) from None
        except (httpx2.HTTPError, json.JSONDecodeError, TypeError, KeyError):
            raise RackwrightError("doesn't answer like a model hub", where=host, next="check downloads.hub") from None
        if not re.fullmatch("[0-9a-f]{40}", info.sha or ""):
            raise RackwrightError(
                "returns no commit, so it is not a model hub", where=host, next="check downloads.hub"
            )
        return info

    def _client(self) -> httpx2.Client:
        import ssl

        import httpx2

        route = self.web.route
        proxy = route.proxy_for(self.endpoint)
        return httpx2.Client(
            proxy=proxy,
            # A host that bypasses the fleet file's proxy must not use the environment's proxy either.
            mounts={"all://": None, "http://": None, "https://": None} if route.proxy and not proxy else None,
            verify=ssl.create_default_context(cafile=route.ca_bundle) if route.ca_bundle else True,
            follow_redirects=True,
            timeout=60,
        )

    def _refused(self, source: HubSource, where: str, status: int) -> RackwrightError:
        asked = f"{source.repository}@{source.revision}"
        if status == 404:
            return FleetError([Problem(where, f"{self.endpoint} has no {asked}", "check the name on its page")])
        if status in (401, 403):
            hint = (
                "ask its owner for access"
                if self.token
                else "a private or gated repository needs downloads.hub_token"
            )
            return FleetError([Problem(where, f"{self.endpoint} refuses access to {asked} ({status})", hint)])
        host = urlsplit(self.endpoint).hostname or self.endpoint
        return RackwrightError(f"answers {status} to a request for {asked}", where=host, next="rackwright lock")
