"""The gateway's files as text. No host, no pyinfra."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from rackwright.operations.haproxy.config_text import render
from rackwright.operations.haproxy.paths import CLOUD_KEYS, Paths, endpoint
from rackwright.roles.gateway.access_log import ENDS, error_log_format, log_format
from rackwright.roles.gateway.settings import BASIC_PATHS, FOLDER, LEFT, Key, RevokedKey, RoutedModel, Settings
from rackwright.roles.host_proxy.settings import KEY_HEADER

PATHS = Paths(configuration=FOLDER, run="/run/rackwright-gateway")
READER_PATHS = Paths(configuration="/etc/rackwright/reader", run="/run/rackwright-reader")
READ_SOCKET = "read.sock"
"""Name of a socket of the gateway and of one of the reader: each sends the other one large requests."""
MOST_SMALL_BYTES = 262144
"""A larger body is a large request, which goes through the reader."""
ARRIVAL_SECONDS = 300
"""How long a large request may take to arrive."""
READER_THREADS = 2
"""How many threads the reader has. Each keeps some buffers of the largest size."""
TEMPLATES = Path(__file__).parent / "templates"
HEADER_BYTES = 65536
"""What a buffer holds in addition to the largest body: headers, half of this at most, and what HAProxy adds."""
DEEPEST = 100
"""How many arrays and objects of a request may nest."""
MOST_GROUPS = 1000
"""How many groups a request's pattern or grammar may have. llama-server crashes from 20,000 in some places."""
LATER_SHARE = 0.9
"""How much later, as a share of the longest wait, what a key has beyond all slots counts as having come."""
LATER_MOST_MILLISECONDS = 520_000
"""HAProxy can't compare times that are further apart."""
DOWNTIMES = "downtimes.map"
"""Name of the file of planned downtimes, next to the configuration: model → expected end, Unix seconds. This role
doesn't render it; rackwright.gateway writes it."""
DOWNTIME_HEEDED_SECONDS = 600
"""How long after its expected end a planned downtime still applies. The limit exists because a rollout may be
interrupted and never end its downtime."""
CANARIES = "canaries.map"
"""Name of the file of canaries, next to the configuration: model → share and server. Not rendered here either."""
CUTOVERS = "cutovers.map"
"""Name of the file of cutovers: served name → share of the fleet. Not rendered here either."""
LEFT_OUT, GIVEN = 1, 2
"""What the table of conversations has for those that a share didn't get, and for those that it got."""
CAPTURES = "captures.map"
"""Name of the file of captures: served name → share, end and largest body. Not rendered here either."""
MOST_COPIES = 256
"""How many copies of requests each thread keeps for the unit that records them."""
MOST_COPIED_BYTES = 16 * 2**20
"""How many bytes of copies each thread keeps. A larger request isn't recorded."""


CLIENT_ERRORS = (
    (400, "context.(size|length)", 400, "context_length_exceeded"),
    (400, "", 400, "invalid_request"),
    (404, "", 404, "not_found"),
    (413, "", 413, "request_too_large"),
    (415, "", 415, "unsupported_media_type"),
    (422, "", 422, "invalid_request"),
    (500, "^(Failed.to.parse|(image|audio|video).input.is.not.supported)", 400, "invalid_request"),
    (501, "", 400, "not_supported"),
)
"""Status of an engine's answer to a wrong request, a regular expression for its message → status and `code`.
llama-server (b10434) answers some with 500."""
PASSED_TO_CLOUDS = ("accept", "content-length", "transfer-encoding")
"""The headers of a client's request that a cloud gets."""
NO_ADDRESS = "192.0.2.1"
"""What a server of a cloud has as long as the cloud's address isn't known (RFC 5737: nobody has it)."""
MOST_ERROR_BYTES = 4000
"""How much is kept of what an engine says about a wrong request: it may quote all of it."""
OWNER = "rackwright"
"""What GET /v1/models says as `owned_by`."""
BUSIER_PERCENT = 125
"""How busy a replica may be, in percent of the mean, before conversations that it knows spill over to others."""
NEVER_BUSY = 2
"""How many requests never make a replica too busy."""
REPLACED = "replaced.map"
"""Name of an empty map file next to the configuration. A worker that has an entry of it in memory was replaced."""
MOST_OF_OWNER = 128
"""How many characters of an owner's name gateways know."""
QUOTAS = "quotas.map"
"""Name of the file of quotas of which much is used, next to the configuration: key/ID or owner/NAME → percent|when it
ends, Unix seconds. The role `usage` has it written."""
EARLY = "early.map"
"""Name of another one: model → until when new requests wait although its last server is up, Unix seconds."""


def haproxy_cfg(settings: Settings, paths: Paths = PATHS, reader: Paths = READER_PATHS) -> str:
    """Return the configuration of the gateway that clients connect to."""
    return render(
        TEMPLATES,
        "haproxy.cfg.j2",
        settings=settings,
        tls=settings.tls,
        paths=paths,
        reader=reader,
        read_socket=READ_SOCKET,
        most_small_bytes=MOST_SMALL_BYTES,
        arrival_seconds=ARRIVAL_SECONDS,
        endpoint=endpoint,
        bufsize=min(settings.max_request_bytes, MOST_SMALL_BYTES) + HEADER_BYTES,
        most_incomplete_bytes=HEADER_BYTES,
        most_connections=settings.connections + settings.large_requests,
        most_header_bytes=HEADER_BYTES // 2,
        most_url_bytes=HEADER_BYTES // 8,
        deepest=DEEPEST,
        most_groups=MOST_GROUPS,
        later_milliseconds=min(int(settings.queue_timeout_seconds * 1000 * LATER_SHARE), LATER_MOST_MILLISECONDS),
        downtimes=DOWNTIMES,
        downtime_heeded_seconds=DOWNTIME_HEEDED_SECONDS,
        canaries=CANARIES,
        cutovers=CUTOVERS,
        given=GIVEN,
        left_out=LEFT_OUT,
        captures=CAPTURES,
        most_copies=MOST_COPIES,
        most_copied_bytes=MOST_COPIED_BYTES,
        replaced=REPLACED,
        early=EARLY,
        left=LEFT,
        quotas=QUOTAS,
        log_format=log_format(paths.configuration),
        error_log_format=error_log_format(),
        basic_paths=BASIC_PATHS,
        scheduling=[model.name for model in settings.with_engines if model.schedules],
        salted=[model.name for model in settings.with_engines if model.salts],
        busier_percent=BUSIER_PERCENT,
        never_busy=NEVER_BUSY,
        key_header=KEY_HEADER,
        owner=OWNER,
        client_errors=CLIENT_ERRORS,
        passed_to_clouds="|".join(PASSED_TO_CLOUDS),
        cloud_keys=f"{paths.run}/{CLOUD_KEYS}",
        no_address=NO_ADDRESS,
        most_error_bytes=MOST_ERROR_BYTES,
    )


def reader_cfg(settings: Settings, paths: Paths = READER_PATHS, gateway: Paths = PATHS) -> str:
    """Return the configuration of the reader, which takes large requests in for the gateway."""
    return render(
        TEMPLATES,
        "reader.cfg.j2",
        settings=settings,
        paths=paths,
        gateway=gateway,
        read_socket=READ_SOCKET,
        arrival_seconds=ARRIVAL_SECONDS,
        reader_threads=READER_THREADS,
        bufsize=settings.max_request_bytes + HEADER_BYTES,
        deepest=DEEPEST,
        most_groups=MOST_GROUPS,
        log_format=log_format(paths.configuration),
        # Its client left before anything of the request got here.
        error_log_format=error_log_format(
            end="client_aborted",
            key='"%[fc_pp_tlv(0xF1)]"',
            path='"%[fc_pp_tlv(0xF2)]"',
            owner='"%[fc_pp_tlv(0xF3),url_dec,json(utf8s)]"',
        ),
    )


def key_entries(key: Key) -> tuple[tuple[str, str], ...]:
    """Return the key's entries: SHA-256 → a list as `keys.map` has it, and SHA-256/MODEL for each listed model.

    The list is id|expiry|all or listed|requests per minute|concurrency or default|server|side|lent|owner|priority|
    tokens per day|tokens per month. Empty fields at its end are left out, so that what an earlier version of
    rackwright wrote means the same. The owner is percent-encoded. Only `Gateways.lend_key` fills `lent`.
    """
    expiry = int(key.expires.timestamp()) if key.expires else 0
    scope = "listed" if key.models else "all"
    concurrency = "default" if key.concurrency is None else key.concurrency
    fields: tuple[str | int, ...] = (
        key.id,
        expiry,
        scope,
        key.requests_per_minute,
        concurrency,
        key.server,
        key.side,
    )
    owner = quote(key.owner[:MOST_OF_OWNER], safe="")
    fields += ("", owner, key.priority or "", key.tokens_per_day or "", key.tokens_per_month or "")
    entry = "|".join(map(str, fields)).rstrip("|")
    return ((key.sha256, entry), *((f"{key.sha256}/{model}", "yes") for model in key.models))


def key_lines(key: Key) -> str:
    """Return the key's lines in the gateway's key files: `SHA-256 VERSION NAME VALUE` for each entry of keys.map, and
    one with # that describes the key to people."""
    head = f"{key.sha256} {key.version}"
    entries = "".join(f"{head} {name} {value}\n" for name, value in key_entries(key))
    return f"{head} # {key.about}\n{entries}"


def revoked_line(key: RevokedKey) -> str:
    return f"{key.sha256} revoked # {key.about}\n"


def applied_keys(settings: Settings) -> str:
    """Return the content of the keys file. A newer version of a key that was sent to a gateway since takes
    precedence."""
    lines = [line for key in settings.keys for line in key_lines(key).splitlines(keepends=True)]
    lines += [revoked_line(key) for key in settings.revoked]
    return "".join(sorted(lines))


def models_map(settings: Settings) -> str:
    """Return served name → model|digest|the name that its engine knows|when it was locked, Unix seconds|cloud.

    Only an engine has adapters, so a cloud answers none of their names."""
    entries = {name: _route(model, name) for model in settings.models for name in (*model.names, *model.adapters)}
    return "".join(f"{name} {value}\n" for name, value in sorted(entries.items()))


def _route(model: RoutedModel, name: str) -> str:
    adapter = name in model.adapters
    route = f"{model.name}|{model.digest or ''}|{name if adapter else model.name}|{model.created}"
    return route if adapter or not model.cloud else f"{route}|{model.cloud}"


def apis_map(settings: Settings) -> str:
    """Return model|path → yes for each path that a model's engine serves."""
    return "".join(f"{model.name}|{path} yes\n" for model in settings.with_engines for path in sorted(model.apis))


def models_json(settings: Settings) -> str:
    """Return the answer to GET /v1/models."""
    names = sorted((name, model.created) for model in settings.models for name in (*model.names, *model.adapters))
    listed = [{"id": name, "object": "model", "created": created, "owned_by": OWNER} for name, created in names]
    return json.dumps({"object": "list", "data": listed}) + "\n"


def ends_map() -> str:
    """Return termination state → end. After - comes the state of the inner request, if that one ended early."""
    inner = {f"-{state}": end for state, end in ENDS.items() if state != "-"}
    return "".join(f"{state} {end}\n" for state, end in {**ENDS, **inner}.items())


def maps(settings: Settings) -> dict[str, str]:
    """Return the files that HAProxy reads in addition to its configuration, by name; all except the keys."""
    return {
        "models.map": models_map(settings),
        "apis.map": apis_map(settings),
        "models.json": models_json(settings),
        "ends.map": ends_map(),
        REPLACED: "",
        EARLY: "",
        **_programs(_READ_BY_BOTH),
        **_programs(_gateway_programs(settings)),
    }


def reader_files() -> dict[str, str]:
    """Return the files that the reader reads in addition to its configuration, by name."""
    return {"ends.map": ends_map(), **_programs((*_READ_BY_BOTH, "whole.lua"))}


_READ_BY_BOTH = ("conversation.lua", "facts.lua", "json_text.lua", "nesting.lua")


def _programs(names: Iterable[str]) -> dict[str, str]:
    return {name: (TEMPLATES / name).read_text() for name in names}


def _gateway_programs(settings: Settings) -> Iterator[str]:
    yield from ("answer.lua", "downtime.lua", "not_http.lua", "reuse.lua", "routing.lua", "salt.lua", "tokens.lua")
    if settings.clouds:
        yield "whole.lua"
    if settings.captures:
        yield "capture.lua"
