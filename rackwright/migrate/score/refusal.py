"""Whether an answer refuses what was asked."""

from __future__ import annotations

import re

from rackwright.migrate.replayed_answer import ReplayedAnswer

_BEGINNING = 300
"""Characters: a refusal comes first."""
_REFUSES = re.compile(
    r"\b(?:"
    r"i(?:'m| am) (?:sorry|unable|not able)\b.{0,40}"
    r"\b(?:can't|cannot|can not|unable|not able|won't|assist|help|comply)"
    r"|i (?:can't|cannot|can not|won't|will not|am unable to|must decline to|have to decline)"
    r" (?:assist|help|provide|comply|fulfill|do that|discuss|create|generate|share|support|answer|engage)"
    r"|i must (?:decline|refuse)"
    r"|es tut mir leid.{0,60}\b(?:kann|darf)\b.{0,60}\bnicht"
    r"|(?:dabei|damit) kann ich (?:dir |ihnen |euch )?(?:leider )?nicht (?:helfen|dienen)"
    r"|je suis désolée?.{0,60}\bne (?:peux|puis)\b"
    r"|lo siento.{0,60}\bno puedo\b"
    r"|mi dispiace.{0,60}\bnon posso\b"
    r"|(?:desculpe|sinto muito|lamento).{0,60}\bnão posso\b"
    r")",
    re.IGNORECASE | re.DOTALL,
)


def refuses(answer: ReplayedAnswer) -> bool:
    """Return whether the provider marked the answer as a refusal, or it begins with words of one.

    The words are those of six languages, so a refusal in other words or in another language isn't noticed.
    """
    if answer.refusal or answer.finish == "content_filter":
        return True
    return _REFUSES.search(answer.text[:_BEGINNING].replace("\u2019", "'")) is not None
