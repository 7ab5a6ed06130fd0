"""`make quickstart`: from nothing to a real answer, with the commands that an operator would type."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rackwright.errors import RackwrightError
from rackwright.lab.fleet_file import DOMAIN
from rackwright.terminal import echo

QUESTION = "Name three colors."
_BODY = json.dumps(
    {
        "model": "assistant",
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 60,
        "temperature": 0,
    }
)
_FLEET = Path("inventory/lab.yml")
_KEY = Path("inventory/lab.key")
_CA = Path("inventory/lab.ca.crt")
Result = TypeVar("Result")


@dataclass
class Stages:
    """Runs stages and records how long each took, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, name: str, act: Callable[[], Result]) -> Result:
        echo("", f"== {name}")
        start = time.monotonic()
        result = act()
        self.seconds[name] = time.monotonic() - start
        return result


def main() -> int:
    try:
        return _main(Stages())
    except RackwrightError as error:
        for problem in error.problems:
            echo(*problem.lines("error: "), err=True)
        return int(error.exit_code)


def _main(stages: Stages) -> int:
    lab = json.loads(stages.run("lab up", lambda: _rackwright("lab", "up", "--json")))
    gateway = str(lab["hosts"]["gate1"])
    stages.run("lock", lambda: _fleet("lock"))
    stages.run("check", lambda: _fleet("check"))
    stages.run("key", _key)
    applied = stages.run("apply", lambda: _fleet("apply", "--yes"))
    stages.run("verify", lambda: _fleet("verify"))
    answer = stages.run("question", lambda: _ask(gateway))
    echo(*_summary(stages.seconds, changed_of(applied), answer, gateway))
    return 0


def changed_of(applied: str) -> int:
    """Given apply's output, return how many operations changed something. Raise RackwrightError without a total."""
    found = re.search(r"^total +(\d+)", applied, re.MULTILINE)
    if not found:
        raise RackwrightError("apply printed no total", where="quickstart")
    return int(found[1])


def _rackwright(*words: str) -> str:
    """Run the tool with visible progress and return its output. Raise RackwrightError if it fails."""
    command = [sys.executable, "-m", "rackwright", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        echo(*done.stdout.splitlines(), err=True)
        raise RackwrightError(f"`rackwright {' '.join(words)}` exited {done.returncode}", where="quickstart")
    if "--json" not in words:
        echo(*done.stdout.splitlines())
    return done.stdout


def _fleet(*words: str) -> str:
    return _rackwright("-f", str(_FLEET), *words)


def _key() -> None:
    """Ensure that the quick start's API key is in the keys file and, for its owner only, in inventory/lab.key."""
    known = _FLEET.with_suffix(".keys.yml").exists()
    if _KEY.exists() and known:
        echo(f"{_KEY} is reused")
        return
    if known:
        _fleet("key", "revoke", "quickstart", "--later", "--yes")
    added = json.loads(_fleet("key", "add", "quickstart", "--owner", "quickstart", "--later", "--json"))
    _write(_KEY, f"{added['key']}\n", 0o600)
    echo(f"{_KEY} written")


def _ask(gateway: str) -> str:
    """Ask the question through the gateway, over TLS, and return the model's answer."""
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "120", "--config", "-"]
    command += ["--cacert", str(_CA), "--resolve", f"{DOMAIN}:443:{gateway}", "--json", _BODY]
    # The key goes through standard input: every user of this machine can read an argument vector.
    config = f'header = "Authorization: Bearer {_KEY.read_text().strip()}"\n'
    url = f"https://{DOMAIN}/v1/chat/completions"
    done = subprocess.run([*command, url], input=config, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RackwrightError(f"curl exited {done.returncode}: {done.stderr}{done.stdout}", where="quickstart")
    return str(json.loads(done.stdout)["choices"][0]["message"]["content"]).strip()


def _summary(seconds: dict[str, float], changed: int, answer: str, gateway: str) -> tuple[str, ...]:
    what = "nothing changed" if changed == 0 else f"{changed} changes"
    return (
        "",
        f"Question: {QUESTION}",
        f"Answer:   {answer}",
        "",
        "Ask yourself:",
        f"""  printf 'header = "Authorization: Bearer %s"' "$(cat {_KEY})" | curl --config - --cacert {_CA} \\""",
        f"    --resolve {DOMAIN}:443:{gateway} https://{DOMAIN}/v1/chat/completions --json '{_BODY}'",
        "",
        f"Apply: {what}. Time:",
        *(f"  {name:<9}{taken:7.1f} s" for name, taken in seconds.items()),
        f"  {'in all':<9}{sum(seconds.values()):7.1f} s",
        "",
    )


def _write(path: Path, text: str, mode: int) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
