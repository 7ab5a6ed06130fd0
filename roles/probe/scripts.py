"""The probe's shell scripts: this replica's values first, then a fixed text."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

from rackwright.launch import Task
from rackwright.operations.haproxy.paths import Paths
from rackwright.roles.gpu_faults.settings import FOLDER as GPU_FAULTS
from rackwright.roles.host_proxy.configuration import PATHS, PAUSE_SECONDS, QUEUE_SECONDS, REMEMBERED_SECONDS
from rackwright.roles.probe.settings import Settings
from rackwright.roles.replica.answer import MOST_BYTES
from rackwright.roles.replica.settings import STARTED

STATES = "/run/rackwright-state"
_TEMPLATES = Path(__file__).parent / "templates"
LONGEST = 5
"""After this many deadlines, a look is ended, and a state that was not renewed no longer counts. On an overloaded
host the script itself waits up to three deadlines, and a little for metrics."""

MOST_EVIDENCE = 20
"""Folders with evidence that a host keeps of one replica, the newest ones."""

ENDED_WITHIN = 10
"""Seconds after its start in which a request counts as the cause of a crash: requests that crash an engine do so when
it reads or starts them. Within as many seconds, the probe notices that an engine no longer works."""
MOST_ENDED = 3
"""A key whose requests ended an engine so often, as far as its host remembers, is paused at its replica."""


def probe(settings: Settings) -> str:
    """Return the script that looks once, writes the state, and has a hung engine killed."""
    path, body = _request(settings)
    values = {
        "file": f"{STATES}/{settings.replica}",
        "unit": settings.unit,
        "socket": settings.socket,
        "moves": settings.counter,
        "busy": " ".join(settings.busy),
        "deadline": str(settings.deadline_seconds),
        "idle": str(settings.idle_seconds),
        "most": str(MOST_BYTES),
        "path": path,
        "body": body,
    }
    return _script("probe", settings, values)


def _request(settings: Settings) -> tuple[str, str]:
    """Return path and body of the request that an idle engine must answer: for one token, or one embedding."""
    if settings.task is Task.EMBED:
        return "/v1/embeddings", json.dumps({"model": settings.served_name, "input": "Hi"})
    body = {"model": settings.served_name, "prompt": "Hi", "max_tokens": 1, "temperature": 0}
    return "/v1/completions", json.dumps(body)


def loading(settings: Settings) -> str:
    """Return the script that distinguishes a stuck load from a long one."""
    values = {
        "file": f"{STATES}/{settings.replica}.loading",
        "unit": settings.unit,
        "stall": str(settings.stall_seconds),
        "longest": str(settings.longest_load_seconds),
        "least": str(settings.stall_seconds // 100),
        "hint": f"; {settings.hint}" if settings.hint else "",
    }
    return _script("loading", settings, values)


def unfit(settings: Settings) -> str:
    """Return the script that prints why the replica must not serve, whatever its engine answers."""
    values = {
        "file": f"{STATES}/{settings.replica}.unit",
        "unit": settings.unit,
        "most": str(settings.most_restarts),
        "gpus": settings.gpus_file or "",
        "faults": GPU_FAULTS,
        "group": settings.group_file or "",
    }
    return _script("unfit", settings, values)


def evidence(settings: Settings) -> str:
    """Return the script that saves evidence of why the engine hung, and kills the engine."""
    return _script("evidence", settings, {"most": str(MOST_EVIDENCE)})


def ended(settings: Settings, paths: Paths = PATHS) -> str:
    """Return the script that finds the API keys whose requests may have ended the engine."""
    values = {
        "file": f"{STATES}/{settings.replica}",
        "replica": settings.replica,
        "unit": settings.unit,
        "started": f"{STARTED}/{settings.replica}/unit.sha256",
        **_asking(paths),
        "within": str(ENDED_WITHIN),
        "queue": str(QUEUE_SECONDS),
    }
    return _script("ended", settings, values)


def pause(settings: Settings, paths: Paths = PATHS) -> str:
    """Return the script that notes these keys, and pauses one that was noted too often."""
    values = {
        "file": f"{STATES}/{settings.replica}",
        "replica": settings.replica,
        "unit": settings.unit,
        **_asking(paths),
        "window": str(REMEMBERED_SECONDS),
        "most": str(MOST_ENDED),
        "pause": str(PAUSE_SECONDS),
    }
    return _script("pause", settings, values)


def agent(settings: Settings) -> str:
    """Return the script that answers HAProxy's agent-check: `up` or `down`."""
    stale = str(settings.deadline_seconds * LONGEST)
    values = {"file": f"{STATES}/{settings.replica}", "stale": stale, "group": settings.group_file or ""}
    return _script("agent", settings, values)


def _asking(paths: Paths) -> dict[str, str]:
    """The host proxy's socket, and the user as whom root connects to it."""
    return {"socket": f"{paths.sockets}/admin.sock", "asks_as": paths.asks_as}


def _script(kind: str, settings: Settings, values: dict[str, str]) -> str:
    head = [f"#!/bin/sh\n# Made by rackwright: the {kind} of replica {settings.replica}.\n"]
    head += [f"{name}={shlex.quote(value)}\n" for name, value in values.items()]
    return "".join(head) + (_TEMPLATES / f"{kind}.sh").read_text()


ALL: dict[str, Callable[[Settings], str]] = {
    "probe": probe,
    "loading": loading,
    "unfit": unfit,
    "evidence": evidence,
    "ended": ended,
    "pause": pause,
    "agent": agent,
}
"""The function that renders each script, by kind."""
