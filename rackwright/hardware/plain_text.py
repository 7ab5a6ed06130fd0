"""Text of a host, fit for a terminal."""

from __future__ import annotations


def plain(text: str, longest: int) -> str:
    """Return the text in one line, at most so many characters, with ? for what moves cursors or can't be seen.

    A program chooses its own name, and the driver writes it into the kernel's log.
    """
    words = " ".join(text.split())[:longest]
    return "".join(letter if letter.isprintable() else "?" for letter in words)
