"""What is stored at a provider, as its management API lists it: counts and dates, no content and no names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rackwright.values.base import Stored

LISTS = {
    "files": "/files",
    "batches": "/batches",
    "fine-tuning jobs": "/fine_tuning/jobs",
    "vector stores": "/vector_stores",
    "stored chat completions": "/chat/completions",
}
"""Kind of objects → path of its list."""
Access = Literal["listed", "partly", "needs an admin key", "not offered", "failed"]
"""partly: there is more than was read; not offered: this provider doesn't have it."""


class Objects(Stored):
    """One kind of objects."""

    kind: str
    """Like files or batches."""
    access: Access
    count: int = 0
    bytes: int | None = None
    """None: the list doesn't say."""
    files: int | None = None
    """In vector stores; None: these aren't such."""
    oldest: float | None = None
    """Unix seconds; None: there is none, or the list doesn't say."""
    problem: str = ""
    """Why it failed, in a few words."""


class ProvidedModel(Stored):
    """A model of the provider that the plan moves."""

    name: str
    access: Access
    shutdown_date: str | None = None
    """Like 2027-01-15; None: the provider says none."""
    problem: str = ""


class Usage(Stored):
    """What the provider counted in the last `days`."""

    days: int
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    costs: Mapping[str, float] = {}
    """Currency → amount."""


class ProviderObjects(Stored):
    host: str
    """Where it was asked."""
    objects: tuple[Objects, ...] = ()
    models: tuple[ProvidedModel, ...] = ()
    usage: Usage | None = None
    """None: it can't be read with the keys that there are, or it failed."""
    usage_problem: str = ""
    """Why usage and costs failed, in a few words; empty if the keys may not read them."""
