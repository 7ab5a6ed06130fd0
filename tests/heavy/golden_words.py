"""A golden set for the lab's small model: what it can do more often than not."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = "red blue green black white yellow brown pink gray gold".split()
ASKED = (
    "Repeat this word three times: {}",
    "Repeat this word three times: {}. Only that word.",
    "Say {} and nothing else.",
    "Write the word {} twice.",
)


def golden_set(path: Path) -> None:
    prompts = [
        {
            "id": f"{number}-{word}",
            "messages": [{"role": "user", "content": asked.format(word)}],
            "max_tokens": 16,
            "check": {"contains": word},
        }
        for number, asked in enumerate(ASKED)
        for word in WORDS
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in prompts))
