"""The state of one host's replicas, queried in one command over a plain connection."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Probe and agent units don't have a number after an @.
COMMAND = r"""
cd /etc/systemd/system || exit 0
for f in rackwright-*@*.service; do
  r=${f#rackwright-}; r=${r%.service}
  case ${r##*@} in '' | *[!0-9]*) continue ;; esac
  echo "replica=$r"
  shown=$(systemctl show -p ActiveState -p Result -p ExecMainStatus -p NRestarts -p MainPID -- "$f")
  echo "$shown"
  mounts=/proc/$(echo "$shown" | sed -n 's/^MainPID=//p')/mountinfo
  seen="s|.* /[^ ]*/${r%@*}/\([0-9a-f]\{16\}\) .*|\1|p"
  echo "weights=$(sed -n "$seen" "$mounts" 2>/dev/null | sort -u | tr '\n' ' ')"
  echo "wanted=$(sha256sum <"$f" | cut -d ' ' -f 1)"
  echo "started=$(cut -d ' ' -f 1 "/run/rackwright-started/$r/unit.sha256" 2>/dev/null)"
  echo "gpus=$(sed -n 's/^Environment=CUDA_VISIBLE_DEVICES=//p' "$f.d/gpus.conf" 2>/dev/null)"
  gpus_in_use=/run/rackwright-started/$r/gpus.conf
  if [ -f "$gpus_in_use" ]; then
    echo "gpus_in_use=$(sed -n 's/^Environment=CUDA_VISIBLE_DEVICES=//p' "$gpus_in_use" | head -n 1)"
    echo "gpus_digest=$(sha256sum <"$gpus_in_use" | cut -d ' ' -f 1)"
  fi
  paused=$(awk -v now="$(date +%s)" '$1 + 0 > now + 0' "/run/rackwright-state/$r.paused" 2>/dev/null) || :
  echo "paused=$(echo "$paused" | tr '\n' ',')"
  cat "/run/rackwright-state/$r" 2>/dev/null || :
done
"""
"""For root, or the `started` digests are missing. Prints blocks of `key=value` lines that begin with `replica=`."""
_PAUSED = re.compile(r"([0-9]{1,12}) ([a-z0-9-]{1,64}) ([0-9]{1,9}),")
_ILLEGAL_INSTRUCTION = 4
STATES = ("loading", "ready", "busy", "hung", "faulted", "stopped", "unknown")
"""The probe's; unknown: it hasn't looked yet."""
SERVING = ("ready", "busy")
"""The probe's states in which an engine gets requests."""


@dataclass(frozen=True)
class PausedKey:
    """An API key whose requests ended a replica's engine repeatedly."""

    key: str
    """Its id."""
    times: int
    until: int
    """Seconds since 1970."""


@dataclass(frozen=True)
class ReplicaState:
    """One replica as its host sees it."""

    replica: str
    active: str
    """systemd's ActiveState: active, activating, deactivating, inactive, failed."""
    probe: str
    """loading, ready, busy, hung, faulted or stopped; unknown before the probe's first look."""
    since: int | None
    """When the probe's state began, seconds since 1970."""
    started: str | None
    """sha256 of the unit file with which the running engine was started."""
    wanted: str
    """sha256 of the current unit file."""
    restarts: int = 0
    """How often systemd has restarted the engine automatically since it was last started manually."""
    crash: str | None = None
    """Why the engine last exited, if it wasn't stopped on purpose."""
    gpus: tuple[str, ...] = ()
    """UUIDs in the current drop-in."""
    gpus_in_use: tuple[str, ...] = ()
    """UUIDs with which the running engine was started."""
    gpus_digest: str | None = None
    """sha256 of the drop-in with which the running engine was started."""
    weights: tuple[str, ...] = ()
    """First digits of the digests that the running engine sees: of its model and the model's adapters."""
    reason: str | None = None
    """Why the probe found it hung or faulted."""
    paused: tuple[PausedKey, ...] = ()
    """Keys whose requests the host proxy doesn't pass to it for now."""

    def is_written(self, unit: str) -> bool:
        """Return whether the unit file is the one with this sha256, whatever runs."""
        return self.wanted == unit

    def started_on(self, unit: str) -> bool:
        """Return whether the running engine was started on the unit with this sha256."""
        return self.active == "active" and self.started == unit

    def runs(self, unit: str) -> bool:
        """Return whether the unit with this sha256 is written, and the running engine was started on it."""
        return self.is_written(unit) and self.started_on(unit)

    def was_given(self, unit: str) -> bool:
        """Return whether the unit with this sha256 is written, or the last engine was started on it."""
        return self.is_written(unit) or self.started == unit

    @property
    def serves(self) -> bool:
        return self.active == "active" and self.probe in SERVING

    @property
    def why(self) -> str | None:
        """Why it can't serve: the probe's reason, and why the engine last exited."""
        said = [text for text in (self.reason, self.crash) if text]
        return None if self.serves else "; ".join(said) or None

    @property
    def said(self) -> str:
        """The probe's state, with the reason why it can't serve."""
        return f"{self.probe}: {self.why}" if self.why else self.probe


def parse(output: str) -> tuple[ReplicaState, ...]:
    """Given COMMAND's output, return the host's replicas in the order of their names."""
    blocks: list[dict[str, str]] = []
    for line in output.splitlines():
        key, separator, value = line.partition("=")
        if key == "replica":
            blocks.append({})
        if separator and blocks:
            blocks[-1][key] = value
    return tuple(sorted((_state(block) for block in blocks), key=lambda state: state.replica))


def _state(block: dict[str, str]) -> ReplicaState:
    active = block.get("ActiveState", "inactive")
    probe = block.get("state", "unknown")
    if active not in ("active", "reloading") and probe in SERVING:
        # The engine ended after the probe's last look.
        probe = "stopped"
    return ReplicaState(
        replica=block["replica"],
        active=active,
        probe=probe,
        since=_number(block.get("since")),
        started=block.get("started") or None,
        wanted=block.get("wanted", ""),
        restarts=_number(block.get("NRestarts")) or 0,
        crash=_crash(block.get("Result", "success"), _number(block.get("ExecMainStatus"))),
        gpus=_uuids(block.get("gpus", "")),
        gpus_in_use=_uuids(block.get("gpus_in_use", "")),
        gpus_digest=block.get("gpus_digest") or None,
        weights=tuple(block.get("weights", "").split()),
        reason=block.get("reason") or None if probe in ("hung", "faulted") else None,
        paused=tuple(
            PausedKey(found[2], int(found[3]), int(found[1])) for found in _PAUSED.finditer(block.get("paused", ""))
        ),
    )


def _uuids(text: str) -> tuple[str, ...]:
    return tuple(uuid for uuid in text.split(",") if uuid)


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch("[0-9]{1,15}", text) else None


def _crash(result: str, status: int | None) -> str | None:
    if result == "success":
        return None
    if result in ("signal", "core-dump") and status == _ILLEGAL_INSTRUCTION:
        return "illegal instruction: this build needs a newer CPU than the host has"
    return f"{result}, status {status}"
