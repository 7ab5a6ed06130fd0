"""What a verdict is made from: the traffic of both versions, and the golden set's answers in pairs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client, as the gateway's access log tells of it."""

    conversation: str
    """Requests of one conversation are alike (one client, one history), and are never counted as independent."""
    error: bool
    """Whether the service failed it. What the client did wrong or gave up is no request here."""
    ttft: float | None = None
    """Seconds to the first token; None: not known, as of a failed one."""
    tpot: float | None = None
    """Seconds per output token after the first; None: not known, as where nobody counted tokens."""


@dataclass(frozen=True)
class Traffic:
    """What clients asked of one version, while both served."""

    requests: tuple[Request, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One version's answer to one prompt of the golden set."""

    passed: bool
    """Whether the prompt's check was passed."""
    valid: bool | None = None
    """Whether its format was valid; None: the check asks for no format."""
    ttft: float | None = None
    """Seconds to the first token; None: not known."""
    tpot: float | None = None
    """Seconds per output token after the first; None: not known."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same prompt, asked twice."""

    prompt: str
    """Its id."""
    running: Answer
    candidate: Answer


@dataclass(frozen=True)
class GoldenAnswers:
    """The golden set, asked of both versions, each prompt once."""

    digest: str
    """Of the golden set: sha256 of its file."""
    pairs: tuple[Pair, ...]
    again: tuple[Pair, ...] = ()
    """The running version asked twice: its first answer as `running`, its second as `candidate`. The noise floor."""


@dataclass(frozen=True)
class Evidence:
    """All that is known of two versions of one model."""

    running: Traffic
    candidate: Traffic
    golden: GoldenAnswers | None = None
    """None: the operator has no golden set."""
