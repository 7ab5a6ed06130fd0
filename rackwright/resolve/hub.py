"""A repository on a model hub, resolved to one commit and the size and SHA-256 of each file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import ValidationError

from rackwright.errors import FleetError, Problem, RackwrightError
from rackwright.fleet.source import HubSource
from rackwright.resolve.hub_answer import Listed, Repository
from rackwright.resolve.licenses import license_of_card
from rackwright.resolve.model_files import Choice, UnfitFiles
from rackwright.resolve.tls import cooperative_tls
from rackwright.resolve.web import Web, unreachable
from rackwright.values.file import File
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

SMALL = 50 * 2**20
"""In bytes. Every hub stores larger files in LFS, with their sha256."""
LISTING = 16 * 2**20
"""In bytes: the largest answer about a repository. 10,000 files take about three million."""


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
    """Its URL."""
    web: Web
    token: Secret | None = None

    def settle(self, source: HubSource, *, where: str, choice: Choice) -> Settled:
        """Return the source's commit, the chosen files and the license.

        Raise FleetError if there is no such repository or revision, or if no files are suitable; raise
        RackwrightError if the hub can't be reached or doesn't answer like a hub.
        """
        found, chosen = self._chosen(source, where, choice)
        files = tuple(self._file(source, found.commit, item) for item in chosen)
        return Settled(found.commit, files, license_of_card(found.card))

    def license(self, source: HubSource, *, where: str) -> str | None:
        """Return the license from the model card, or None. Raise the same errors as `settle`."""
        return license_of_card(self._repository(source, where).card)

    def files(self, source: HubSource, *, where: str, choice: Choice) -> tuple[str, dict[str, int]]:
        """Return the commit, and path → bytes of the chosen files. Raise the same errors as `settle`."""
        found, chosen = self._chosen(source, where, choice)
        return found.commit, {item.path: item.size or 0 for item in chosen}

    def _chosen(self, source: HubSource, where: str, choice: Choice) -> tuple[Repository, tuple[Listed, ...]]:
        found = self._repository(source, where)
        listed = {item.path: item for item in found.files}
        try:
            chosen = choice({path: item.size or 0 for path, item in listed.items()})
        except UnfitFiles as error:
            raise FleetError([error.problem(where, source.repository)]) from None
        return found, tuple(listed[path] for path in chosen)

    def _file(self, source: HubSource, commit: str, item: Listed) -> File:
        url = source.url(self.endpoint, commit, item.path)
        if item.lfs:
            size, sha256 = item.lfs.size, item.lfs.sha256
        else:
            size, sha256 = self.web.digest(url, limit=SMALL, token=self.token)
        return File(path=item.path, size=size, sha256=sha256, url=url)

    def _repository(self, source: HubSource, where: str) -> Repository:
        try:
            return Repository.model_validate(self._info(source, where))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            raise self._no_hub(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def _info(self, source: HubSource, where: str) -> ModelInfo:
        """Return what the hub says, unchecked: its attributes may be of any type."""
        cooperative_tls()
        import httpx2
        from huggingface_hub import HfApi, constants, set_client_factory
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
        from huggingface_hub.utils.logging import set_verbosity

        from rackwright.resolve.hub_client import UnfitAnswer, hub_client

        # With telemetry, the library asks huggingface.co for a list of AI agents, whatever the endpoint is.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        # The library logs headers of the hub to the terminal, with any characters.
        set_verbosity(logging.CRITICAL)
        client = hub_client(self.web.route, self.endpoint, limit=LISTING)
        set_client_factory(lambda: client)
        # If the fleet file has no token, False prevents the use of the operator's own login.
        api = HfApi(endpoint=self.endpoint, token=self.token.reveal() if self.token else False)
        try:
            return api.model_info(source.repository, revision=source.revision, files_metadata=True, timeout=60)
        except HFValidationError:
            problem = Problem(
                where, f"{source.repository} can't be a repository", "should be OWNER/REPO, as on its page"
            )
            raise FleetError([problem]) from None
        except HfHubHTTPError as error:
            raise self._refused(source, where, error.response.status_code) from None
        except httpx2.TransportError as error:
            distrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            raise unreachable(self._host, "SSLError" if distrusted else type(error).__name__) from None
        except UnfitAnswer as error:
            raise self._no_hub(f"its answer about {source.repository} {error}") from None
        # The library doesn't check an answer before it uses it, so a hostile one can raise any exception.
        except Exception as error:
            raise self._no_hub(
                f"its answer about {source.repository} can't be read ({type(error).__name__})"
            ) from None

    def _no_hub(self, why: str) -> RackwrightError:
        return RackwrightError(
            f"doesn't answer like a model hub: {why}",
            where=self._host,
            next="check downloads.hub, then rackwright lock",
        )

    @property
    def _host(self) -> str:
        return urlsplit(self.endpoint).hostname or self.endpoint

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
        return RackwrightError(f"answers {status} to a request for {asked}", where=self._host, next="rackwright lock")
