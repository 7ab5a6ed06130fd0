"""The input of a verdict: the traffic of both versions, and their answers to the golden set in pairs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client, from the gateway's access log."""

    conversation: str
    """Requests of one conversation are correlated (one client, one history), and never counted as independent."""
    error: bool
    """Whether the service failed it. Requests that the client did wrong or aborted are not included."""
    ttft: float | None = None
    """Seconds to the first token; None: not known, for example because it failed."""
    tpot: float | None = None
    """Seconds per output token after the first; None: not known, for example because tokens weren't counted."""


@dataclass(frozen=True)
class Traffic:
    """Clients' requests to one version, while both served."""

    requests: tuple[Request, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One version's answer to one prompt of the golden set."""

    passed: bool
    """Whether it passed the prompt's check."""
    valid: bool | None = None
    """Whether its format was valid; None: the check asks for no format."""
    ttft: float | None = None
    """Seconds to the first token; None: not known."""
    tpot: float | None = None
    """Seconds per output token after the first; None: not known."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to the same prompt."""

    prompt: str
    """The prompt's id."""
    running: Answer
    candidate: Answer


@dataclass(frozen=True)
class GoldenAnswers:
    """Both versions' answers to the golden set, one to each prompt."""

    digest: str
    """sha256 of the golden set's file."""
    pairs: tuple[Pair, ...]
    again: tuple[Pair, ...] = ()
    """The noise floor: the running version's first answers as `running`, its second ones as `candidate`."""


@dataclass(frozen=True)
class Evidence:
    """All data about two versions of one model."""

    running: Traffic
    candidate: Traffic
    golden: GoldenAnswers | None = None
    """None: the operator has no golden set."""
