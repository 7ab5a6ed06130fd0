"""The gateway's files as text. No host, no pyinfra."""

from __future__ import annotations

import json
from pathlib import Path

from rackwright.operations.haproxy.config_text import render
from rackwright.operations.haproxy.paths import Paths, endpoint
from rackwright.roles.gateway.access_log import ENDS, error_log_format, log_format
from rackwright.roles.gateway.settings import FOLDER, Key, RevokedKey, Settings

PATHS = Paths(configuration=FOLDER, run="/run/rackwright-gateway")
TEMPLATES = Path(__file__).parent / "templates"
BUFFER_BYTES = 1048576
DOWNTIMES = "downtimes.map"
"""Name of the file of planned downtimes, beside the configuration: model → expected end, Unix seconds. Not rendered:
rackwright.gateway writes it."""
DOWNTIME_HEEDED_SECONDS = 600
"""So long after its expected end downtime still counts: one that a rollout left open must not last for ever."""
CANARIES = "canaries.map"
"""Name of the file of canaries beside it: model → share and where to. Not rendered either."""


REPLACED = "replaced.map"
"""Name of an empty file beside it: a worker in whose memory it has an entry was replaced."""


def haproxy_cfg(settings: Settings, paths: Paths = PATHS) -> str:
    return render(
        TEMPLATES,
        "haproxy.cfg.j2",
        settings=settings,
        paths=paths,
        endpoint=endpoint,
        bufsize=BUFFER_BYTES,
        downtimes=DOWNTIMES,
        downtime_heeded_seconds=DOWNTIME_HEEDED_SECONDS,
        canaries=CANARIES,
        replaced=REPLACED,
        log_format=log_format(paths.configuration),
        error_log_format=error_log_format(),
    )


def key_entries(key: Key) -> tuple[tuple[str, str], ...]:
    """Return the key's entries: SHA-256 → id|expiry|all or listed|requests per minute|concurrency, and |server if it
    asks for one; SHA-256/MODEL for each listed model."""
    expiry = int(key.expires.timestamp()) if key.expires else 0
    scope = "listed" if key.models else "all"
    entry = f"{key.id}|{expiry}|{scope}|{key.requests_per_minute}|{key.concurrency}"
    if key.server:
        entry += f"|{key.server}"
    return ((key.sha256, entry), *((f"{key.sha256}/{model}", "yes") for model in key.models))


def key_lines(key: Key) -> str:
    """Return what the gateway's files of keys say of it: a line `SHA-256 VERSION NAME VALUE` for each entry of
    keys.map, and one with # for whoever reads it."""
    head = f"{key.sha256} {key.version}"
    entries = "".join(f"{head} {name} {value}\n" for name, value in key_entries(key))
    return f"{head} # {key.about}\n{entries}"


def revoked_line(key: RevokedKey) -> str:
    return f"{key.sha256} revoked # {key.about}\n"


def applied_keys(settings: Settings) -> str:
    """Return the keys as the keys file has them. What a gateway was told since counts where it is newer."""
    lines = [line for key in settings.keys for line in key_lines(key).splitlines(keepends=True)]
    lines += [revoked_line(key) for key in settings.revoked]
    return "".join(sorted(lines))


def models_map(settings: Settings) -> str:
    """Return served name → model|digest."""
    entries = [(name, f"{model.name}|{model.digest}") for model in settings.models for name in model.names]
    return "".join(f"{name} {value}\n" for name, value in sorted(entries))


def models_json(settings: Settings) -> str:
    """Return the answer to GET /v1/models."""
    names = sorted(name for model in settings.models for name in model.names)
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "rackwright"} for name in names]
    return json.dumps({"object": "list", "data": listed}) + "\n"


def ends_map() -> str:
    return "".join(f"{state} {end}\n" for state, end in ENDS.items())


def maps(settings: Settings) -> dict[str, str]:
    """Return each file that HAProxy reads beside its configuration, by name, but the keys."""
    return {
        "models.map": models_map(settings),
        "models.json": models_json(settings),
        "ends.map": ends_map(),
        REPLACED: "",
        "downtime.lua": (TEMPLATES / "downtime.lua").read_text(),
    }
