"""The keys of a migration plan, NAME.migrate-MIGRATION.yml next to the fleet file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from rackwright.fleet.sections.patch import WindowField
from rackwright.migrate.plan.cutover import Cutover
from rackwright.migrate.plan.finish import Finish
from rackwright.migrate.plan.prices import Costs, Price
from rackwright.values.amounts import Seconds, Size
from rackwright.values.base import Frozen
from rackwright.values.paths import ControllerPath
from rackwright.values.secrets import SecretReference
from rackwright.values.text import HttpsUrl, Line, Name, ServedName, Shape

Recipient = Annotated[
    str, Shape("age1[02-9ac-hj-np-z]{58}", "should be a public key of age: age1 and 58 letters and digits")
]
Percent = Annotated[float, Field(gt=0, le=100)]
Pattern = Annotated[str, Field(min_length=1, max_length=500)]
"""A regular expression of Python's `re`."""


class Records(Frozen):
    """Where recorded requests and answers are, and who can read them."""

    recipient: Recipient
    """Everything is encrypted for this public key of age before it is written."""
    identity: SecretReference
    """The private key; only the controller ever has it."""
    folder: ControllerPath | None = None
    """If absent, a folder next to the plan, named like it."""
    redact: Mapping[Name, Pattern] = {}
    """More kinds of text to replace before anything is written, like ticket: "TCK-[0-9]{6}"."""


class Capture(Frozen):
    """The sample of clients' requests that the gateways record."""

    share: Percent = 10
    """Percent of the requests."""
    duration: Annotated[Seconds, Field(ge=60, le=2_592_000)] = 604_800
    """When it ends on its own."""
    size: Annotated[Size, Field(ge=1_048_576, le=1_099_511_627_776)] = 1_073_741_824
    """The most bytes on each gateway, encrypted."""
    request: Annotated[Size, Field(ge=1024, le=67_108_864)] = 1_048_576
    """A request with a larger body isn't recorded."""


class Provider(Frozen):
    """The provider's management API, to list what is stored there."""

    url: HttpsUrl | None = None
    """If absent, the cloud's `url`."""
    admin_key: SecretReference | None = None
    """A key that may read usage and costs; if absent, the cloud's key is used for what it may list. After `migrate
    finish`, this key alone asks whether everything is still gone."""


class Replay(Frozen):
    """How recorded requests are asked again."""

    sample: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    """The most requests, drawn evenly over all models and days."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 4
    """Requests at a time, to each side."""
    budget: Annotated[float, Field(gt=0)]
    """What the cloud may charge for all replays and scores of this migration, in `currency`."""
    hours: tuple[WindowField, ...] = ()
    """When both sides may be asked, in the fleet's time zone, like "daily 20:00-06:00"; at any time if absent."""


class Shadow(Frozen):
    """Replay and score of what clients ask at present."""

    sample: Annotated[int, Field(ge=20, le=100_000)] = 300
    """The most requests in one round, drawn evenly over all models and days. The cloud is asked each of them twice,
    within `replay.budget`."""


class Score(Frozen):
    """When answers are good enough."""

    margin: Annotated[float, Field(gt=0, le=50)] = 5
    """Points by which the fleet's answers may be worse than the cloud's."""
    least: Annotated[int, Field(ge=20, le=100_000)] = 40
    """The fewest pairs for a verdict on a segment."""
    golden: ControllerPath | None = None
    """The operator's golden set; both sides answer it, too."""
    judge: Name | None = None
    """A model of the fleet that compares answers for which there is no other check."""


class Capacity(Frozen):
    headroom: Annotated[float, Field(ge=0, le=90)] = 30
    """Percent of each replica that stays free at the busiest time."""
    spare: Annotated[int, Field(ge=0, le=64)] = 1
    """Replicas that may be down at the busiest time."""


class Plan(Frozen):
    format: Literal["migration-plan/1"]
    migration: Name
    intent: Line
    """Why, in one line; reports show it."""
    cloud: Name
    """One of the fleet file's `clouds`."""
    models: Annotated[Mapping[ServedName, Name], Field(min_length=1)]
    """The provider's model → the fleet's model that should answer in its place."""
    records: Records
    capture: Capture = Capture.model_construct()
    provider: Provider = Provider.model_construct()
    replay: Replay
    score: Score = Score.model_construct()
    shadow: Shadow = Shadow.model_construct()
    capacity: Capacity = Capacity.model_construct()
    cutover: Cutover = Cutover.model_construct()
    finish: Finish = Finish.model_construct()
    currency: Annotated[str, Shape("[A-Z]{3}", "should be a currency code like EUR")]
    prices: Annotated[Mapping[ServedName, Price], Field(min_length=1)]
    """What the provider charges for each of its models."""
    costs: Costs | None = None
    """What the fleet costs; `migrate cost` needs it."""
    waivers: Mapping[Annotated[str, Shape("[a-z][a-z0-9_.]{0,63}", "should be the name of a feature")], Line] = {}
    """A feature that the fleet rejects or ignores → why clients can do without it."""
