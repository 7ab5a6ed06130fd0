"""Count what is stored at the provider, and find out until when it offers the models that the plan moves."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.migrate.plan_provider import plan_provider
from rackwright.lifecycle.migrate.provider_answers import Page, Refused
from rackwright.lifecycle.migrate.provider_client import ProviderClient
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.provider_objects import LISTS, Access, Objects, ProvidedModel, ProviderObjects, Usage

USAGE_DAYS = 30
USAGE_PAGE = 31
"""The most daily buckets that OpenAI returns at once."""
_ACCESS: Mapping[str, Access] = {
    "key": "needs an admin key",
    "absent": "not offered",
    "large": "failed",
    "failed": "failed",
}
_MOST = 10**15


def provider_objects(fleet: Fleet, plan: Plan) -> ProviderObjects:
    """Return what the provider lists. What it refuses is part of the answer.

    Raise SecretError if a key doesn't resolve, FleetError if the file with its CAs can't be used.
    """
    with plan_provider(fleet, plan) as client:
        objects = tuple(_counted(client, kind, path) for kind, path in LISTS.items())
        models = tuple(_model(client, name) for name in plan.models)
        usage = _usage(client)
        host = urlsplit(client.base).hostname or ""
        if isinstance(usage, Refused):
            problem = usage.problem if usage.why == "failed" else ""
            return ProviderObjects(host=host, objects=objects, models=models, usage_problem=problem)
        return ProviderObjects(host=host, objects=objects, models=models, usage=usage)


@dataclass
class _Count:
    count: int = 0
    more: bool = False
    size: int | None = None
    files: int | None = None
    oldest: float | None = None

    def add(self, page: Page) -> None:
        self.count, self.more = self.count + len(page.items), page.more
        for one in page.items:
            if (size := _number(one.get("bytes", one.get("usage_bytes")))) is not None:
                self.size = (self.size or 0) + int(size)
            counts = one.get("file_counts")
            if isinstance(counts, dict) and (files := _number(counts.get("total"))) is not None:
                self.files = (self.files or 0) + int(files)
            if (created := _number(one.get("created_at", one.get("created")))) is not None:
                self.oldest = min(created, self.oldest if self.oldest is not None else created)

    def objects(self, kind: str, access: Access, problem: str = "") -> Objects:
        known = {"count": self.count, "bytes": self.size, "files": self.files, "oldest": self.oldest}
        return Objects.model_validate({"kind": kind, "access": access, "problem": problem, **known})


def _counted(client: ProviderClient, kind: str, path: str) -> Objects:
    found = _Count()
    try:
        for page in client.pages(path):
            found.add(page)
    except Refused as refused:
        return found.objects(kind, "partly" if found.count else _ACCESS[refused.why], refused.problem)
    return found.objects(kind, "partly" if found.more else "listed")


def _model(client: ProviderClient, name: str) -> ProvidedModel:
    try:
        found = client.get(f"/models/{name}")
    except Refused as refused:
        return ProvidedModel(name=name, access=_ACCESS[refused.why], problem=refused.problem)
    date = found.get("shutdown_date")
    return ProvidedModel(name=name, access="listed", shutdown_date=_date(date))


def _usage(client: ProviderClient) -> Usage | Refused:
    since = int(time.time() - USAGE_DAYS * 86_400)
    requests = prompt = answer = 0
    costs: dict[str, float] = {}
    try:
        for result in _results(client, "/organization/usage/completions", since):
            requests += int(_number(result.get("num_model_requests")) or 0)
            prompt += int(_number(result.get("input_tokens")) or 0)
            answer += int(_number(result.get("output_tokens")) or 0)
        for result in _results(client, "/organization/costs", since):
            amount = result.get("amount")
            if isinstance(amount, dict) and (value := _number(amount.get("value"))) is not None:
                currency = str(amount.get("currency"))[:3].upper()
                if currency.isalpha() and currency.isascii():
                    costs[currency] = costs.get(currency, 0.0) + value
    except Refused as refused:
        return refused
    return Usage(days=USAGE_DAYS, requests=requests, input_tokens=prompt, output_tokens=answer, costs=costs)


def _results(client: ProviderClient, path: str, since: int) -> Iterable[Mapping[str, Any]]:
    for page in client.pages(path, start_time=since, bucket_width="1d", limit=USAGE_PAGE):
        for bucket in page.items:
            results = bucket.get("results", bucket.get("result"))
            yield from (one for one in results if isinstance(one, dict)) if isinstance(results, list) else ()


def _number(value: object) -> float | None:
    """Return a count, size or time that can be one."""
    if isinstance(value, str):
        # Costs come as decimal text, too.
        try:
            value = float(value[:40])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _MOST else None


def _date(value: object) -> str | None:
    """Return the day, from a text like 2027-01-15T00:00:00Z or from Unix seconds."""
    if (seconds := _number(value)) is not None and not isinstance(value, str):
        return datetime.fromtimestamp(min(seconds, 2**33), UTC).date().isoformat()
    try:
        return date.fromisoformat(value[:10]).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None
