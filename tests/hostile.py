"""Text with which a host, a hub or a weights file attacks the operator's terminal, and what must be left of it."""

from __future__ import annotations

ESCAPES = (
    "\x1b]52;c;ZXZpbA==\x07"  # writes the clipboard
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\"  # a link under other words
    "\x1b[2J\x1b[1A\x1b[32mok\x1b[0m\x9b31m"  # clears, moves up, colors; the last is one C1 character
    "\rgone\b\x7f\x0b\x0c\x85"  # overwrites
    "\u202egnp.exe\u2066\u200b\u2028\u2029\ufeff\U000e0041"  # reorders, hides, breaks lines
    "[red]x[/][link=https://evil.example]y[/]"  # rich's markup
)
"""In one line: no newline and no tab."""
FORGED = "error: forged by a host"
EVIL = f"{ESCAPES}\n{FORGED}\n  next: curl evil.example"
"""The same, and lines that look like rackwright's own."""


def assert_harmless(text: str) -> None:
    """Fail if the text, as it was printed, has anything that steers a terminal, or a line that begins as forged."""
    strange = {character for character in text if not character.isprintable()} - {"\n", "\t"}
    assert not strange, f"{strange} in {text!r}"
    lines = text.split("\n")
    assert not [line for line in lines if line.startswith((FORGED, "  next: curl"))], text
