"""Text from a host, made safe for a terminal."""

from __future__ import annotations


def plain(text: str, longest: int) -> str:
    """Return the text in one line, cut to `longest` characters, with ? for control and invisible characters.

    A program chooses its own name, and the driver writes that to the kernel's log.
    """
    words = " ".join(text.split())[:longest]
    return "".join(letter if letter.isprintable() else "?" for letter in words)
