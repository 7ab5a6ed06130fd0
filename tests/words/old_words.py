"""Words and phrases that have a plainer or more precise form; docs/glossary.md defines the terms."""

from __future__ import annotations

import re

_WORDS = {
    r"authority|authorities": "CA",
    r"licences?": "license",
    r"colours?": "color",
    r"anew": "again, or: new",
    r"beside|besides": "next to",
    r"begun": "started",
    r"hindrances?": "blocker, or: error",
    r"whoever|whomever": "an operator, a host, or: the process that",
    r"thereby|thereof|therein|wherein|hereby": "a sentence of its own",
    r"nonetheless|nevertheless": "but",
    r"told": "report, print, pass, show, or: tell, with a person as its object",
    r"(?:stands?|stood)(?! for\b)": "is, is in, is written",
    r"bonds?": "replica group",
    r"gaps?": "planned downtime",
    r"give back|gives back|given back|take back|takes back|taken back": "undrain, or: restore",
    r"put back|puts back": "revert, or: restore",
    r"put off|puts off": "defer",
    r"held": "on hold, in use, queued, drained manually, or: leased",
    r"drained by hand": "drained manually",
    r"by itself|by themselves": "automatically, or: on its own",
    r"for want of|be it|so it does|as it were": "a plain sentence",
    r"somebody|anybody": "an operator, no one, or: the host that",
    r"vouch|vouches": "sign",
    r"mend|mends": "repair",
    r"heed|heeds|heeded": "follow, or: respect",
    r"staging(?! (?:site|environment))": "peer-to-peer transfer, or: another site (a staging site)",
    r"undrain(?:s|ed)? it back": "undrain",
    r"is away|are away": "is unavailable, is down",
    r"makes do|make do": "use",
}
OLD = tuple(
    (re.compile(rf"(?<![\w.@/{{-])({words})(?![\w/@}}]|-)", re.IGNORECASE), better)
    for words, better in _WORDS.items()
)
