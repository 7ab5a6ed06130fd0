"""What each engine runs, since when, and why the one before it ended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

COMMAND = r"""
cd /etc/systemd/system || exit 0
up=$(cut -d . -f 1 /proc/uptime); now=$(date +%s)
field() { echo "$shown" | sed -n "s/^$1=//p"; }
for f in rackwright-*@*.service; do
  r=${f#rackwright-}; r=${r%.service}
  case ${r##*@} in '' | *[!0-9]*) continue ;; esac
  shown=$(systemctl show -p ActiveState -p ActiveEnterTimestampMonotonic -p MainPID -p NRestarts -- "$f")
  [ "$(field ActiveState)" = active ] || continue
  echo "replica=$r"
  echo "seconds=$((up - $(field ActiveEnterTimestampMonotonic) / 1000000))"
  echo "restarts=$(field NRestarts)"
  runtime='s|.*/opt/rackwright/runtimes/\([^/]*\)/.*|\1|p'
  echo "runtime=$(tr '\0' '\n' 2>/dev/null <"/proc/$(field MainPID)/cmdline" | sed -n "$runtime" | head -n 1)"
  [ "$(field NRestarts)" != 0 ] || continue
  exited='s/.*Main process exited, code=\([a-z]*\), status=\([0-9A-Z/]*\).*/exited=\1, \2/p'
  journalctl -q -o cat -n 1 _PID=1 UNIT="$f" --grep 'Main process exited' 2>/dev/null | sed -n "$exited"
  kept=$(ls -d /var/lib/rackwright/evidence/*Z-rackwright-"$r" 2>/dev/null | tail -n 1)
  [ -n "$kept" ] || continue
  echo "evidence=$((now - $(head -n 1 "$kept/state")))"
  sed -n 's/^state=/found=/p; s/^reason=/reason=/p' "$kept/state"
done
"""
"""For root. Prints blocks of `key=value` lines that begin with `replica=`, for engines that run."""
_STARTS_WITHIN = 900
"""Seconds from the evidence of a hang to the start of the next engine, at most: systemd pauses between tries."""
_RUNTIME = re.compile(r"[a-z0-9_.+-]{1,100}")
_LONGEST = 200
"""Characters of a reason."""


@dataclass(frozen=True)
class Engine:
    """The engine of one replica, which runs."""

    replica: str
    seconds: int
    """How long it has been running."""
    restarts: int
    """How often systemd has restarted it automatically since it was last started manually."""
    runtime: str | None
    """KIND-VERSION of its program; None: unknown."""
    ended: str | None
    """Why the engine before it ended, if it was restarted automatically."""


def parse_engines(output: str) -> dict[str, Engine]:
    """Given COMMAND's output, return the engines by replica name. Raise ValueError for numbers that aren't ones."""
    return {block["replica"]: _engine(block) for block in _blocks(output)}


def _blocks(output: str) -> Iterator[dict[str, str]]:
    for text in f"\n{output}".split("\nreplica=")[1:]:
        lines = (line.partition("=") for line in f"replica={text}".splitlines())
        yield {key: value for key, separator, value in lines if separator}


def _engine(block: Mapping[str, str]) -> Engine:
    seconds, runtime = int(block["seconds"]), block.get("runtime", "")
    return Engine(
        replica=block["replica"],
        seconds=max(seconds, 0),
        restarts=int(block["restarts"]),
        runtime=runtime if _RUNTIME.fullmatch(runtime) else None,
        ended=_ended(block, seconds),
    )


def _ended(block: Mapping[str, str], seconds: int) -> str | None:
    since_evidence = int(block.get("evidence", "-1"))
    if seconds <= since_evidence <= seconds + _STARTS_WITHIN:
        said = ": ".join(text for text in (block.get("found"), block.get("reason")) if text)
        return said[:_LONGEST] or None
    exited = block.get("exited")
    return f"it exited ({exited})" if exited else None
