"""How long the proxies wait, and how much they queue and store: each number in their configurations."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address

from rackwright.roles.gateway import configuration as gateway
from rackwright.roles.host_proxy import configuration as host_proxy
from tests.roles.test_gateway import SETTINGS
from tests.roles.test_host_proxy import settings

LIMITED = SETTINGS.model_copy(
    update={
        "response_timeout_seconds": 1000,
        "queue_timeout_seconds": 70,
        "connections": 123,
        "vip": ip_address("10.20.0.9"),
    }
)
GATEWAY = gateway.haproxy_cfg(LIMITED)
READER = gateway.reader_cfg(LIMITED)
HOST_PROXY = host_proxy.haproxy_cfg(settings().model_copy(update={"response_timeout_seconds": 1000}))


def said(configuration: str, word: str) -> dict[str, str]:
    """Return the second word of each line that starts with this word → the rest of the line."""
    lines = (line.split() for line in configuration.splitlines())
    return {words[1]: " ".join(words[2:]) for words in lines if words[:1] == [word] and len(words) > 1}


def test_a_gateway_waits_so_long_and_no_longer() -> None:
    head, _, tail = GATEWAY.partition("\nbackend next")
    tail, _, to_reader = tail.partition("\nbackend reader")
    # The next worker may queue a request for planned downtime and then for a slot before it answers.
    assert said(tail, "timeout") == {"server": f"{70 + 70 + 1000}s"}
    # A large request may take five minutes to arrive, and the place that it waits for as long.
    assert said(to_reader, "timeout") == {"server": f"{1000 + 2 * 70 + 180 + 300}s", "queue": "300s"}
    assert said(head, "timeout") == {
        "connect": "3s",
        "check": "2s",
        "client-hs": "10s",
        "http-request": "15s",
        "http-keep-alive": "75s",
        "client": "60s",
        "server": "1000s",
        "queue": "70s",
    }


def test_a_reader_waits_so_long_and_no_longer() -> None:
    assert said(READER, "timeout") == {
        "connect": "3s",
        "http-request": "15s",
        # Before the gateway's: the reader answers a request that stops arriving.
        "client": "55s",
        "server": f"{1000 + 2 * 70 + 180}s",
        "queue": "300s",
    }
    assert "http-request wait-for-body time 300s" in READER


def test_a_host_proxy_waits_so_long_and_no_longer() -> None:
    assert said(HOST_PROXY, "timeout") == {
        "connect": "5s",
        "client-hs": "5s",
        "http-request": "30s",
        "http-keep-alive": "120s",
        "client": "1000s",
        "server": "1000s",
        "queue": "60s",
    }


def test_an_old_worker_lives_as_long_as_any_request_of_its_own_may_take() -> None:
    # Kept idle, its head, its body, queued for planned downtime, queued for a slot, answered.
    (stop,) = said(GATEWAY, "hard-stop-after")
    assert 75 + 15 + 60 + 70 + 70 + 1000 < int(stop.removesuffix("s")) <= 75 + 15 + 60 + 70 + 70 + 1000 + 60
    # The reader's has its requests for as long, from before they have arrived.
    assert [*said(READER, "hard-stop-after")] == [f"{int(stop.removesuffix('s')) + 300}s"]
    assert [*said(HOST_PROXY, "hard-stop-after")] == [f"{1000 + 60}s"]


def test_so_many_connections_are_taken_at_a_time() -> None:
    assert [*said(GATEWAY, "maxconn")] == [str(123 + 64)]
    leaving = tuple(model.model_copy(update={"cloud": "acme"}) for model in LIMITED.models)
    either = gateway.haproxy_cfg(LIMITED.model_copy(update={"models": leaving}))
    assert re.findall(r"^ +maxconn (\d+)$", either, re.MULTILINE) == [str(2 * (123 + 64)), str(123 + 64)]
    assert re.findall(r"server reader \S+ maxconn (\d+)", GATEWAY) == ["64"]
    assert [*said(READER, "maxconn")] == [str(4 * 64)]
    # Four for each of two replicas' eight slots, and the connections of checks.
    assert [*said(HOST_PROXY, "maxconn")] == [f"{64 + 4 * 16}"]


def test_one_address_holds_half_of_a_gateways_connections_at_most() -> None:
    assert "tcp-request connection track-sc4 src,ipmask(32,64) table addresses" in GATEWAY
    assert "tcp-request connection reject if { sc_conn_cur(4) gt 61 }" in GATEWAY


def test_incomplete_headers_have_15_seconds_and_64_kib() -> None:
    # The script's own limit comes before the end of the inspection, which would let the rest in.
    assert "tcp-request inspect-delay 16s" in GATEWAY
    assert "tcp-request content reject if { var(txn.head.ms) -m int ge 15000 }" in GATEWAY
    assert "tcp-request content reject if { var(txn.head.bytes) -m int gt 65536 }" in GATEWAY


def test_an_engine_gets_as_many_requests_as_it_has_slots() -> None:
    assert re.findall(r"^ +server gpu\S+ .* maxconn (\d+)$", GATEWAY, re.MULTILINE) == ["4", "64"]
    assert re.findall(r"^ +server engine .* maxconn (\d+)$", HOST_PROXY, re.MULTILINE) == ["8", "8"]


def test_an_engine_is_looked_at_every_second_and_faster_when_that_changes() -> None:
    checked = "check inter 1s fastinter 300ms downinter 500ms fall 2 rise 2"
    assert GATEWAY.count(checked) == GATEWAY.count("default-server ssl verify required") == 2
    assert HOST_PROXY.count("agent-inter 1s") == 2


def test_what_is_remembered_of_requests_has_room_and_an_end() -> None:
    assert said(GATEWAY, "table") == {
        "requests.gate1": "type string len 40 size 100k expire 2m store gpc(1)",
        # A key's id, a side, an hour since 1970 and a process id.
        "accepted.gate1": "type string len 64 size 100k expire 2d store gpc0,conn_cur",
        # What a sum is of, a name, and a period.
        "used.gate1": "type string len 64 size 100k expire 24d store gpc0,gpc1",
        "dealt.gate1": "type string len 192 size 1k expire 2d store gpc(2)",
        "conversations": "type string len 24 size 1m expire 24h store gpt(2)",
    }
    large, addresses, running, by_model = re.findall(r"^ +stick-table (.*)$", GATEWAY, re.MULTILINE)
    assert addresses == "type ipv6 size 100k expire 1m store conn_cur"
    assert large == running == "type string len 32 size 100k expire 2h store conn_cur"
    # An id, |, and a model's name.
    assert by_model == "type string len 64 size 100k expire 2h store conn_cur"
    tracked = set(re.findall(r"track-sc(\d)", GATEWAY))
    assert [*said(GATEWAY, "tune.stick-counters")] == [str(len(tracked))]


def test_a_counted_key_leaves_no_room_in_its_table() -> None:
    # HAProxy 3.0.11 may make two entries of one whose key does.
    leaving = tuple(model.model_copy(update={"cloud": "acme"}) for model in LIMITED.models)
    configuration = gateway.haproxy_cfg(LIMITED.model_copy(update={"models": leaving}))
    keys = dict(re.findall(r'set-var-fmt\((txn\.\S+)\) "(\S+)"', configuration))
    tracked = dict(re.findall(r"track-sc\d (\S+) table (\S+)", configuration))
    assert {"var(txn.hourly)", "var(txn.moved)"} <= tracked.keys()
    filler = re.compile(r"\|\.{192}\)?$")
    room = {table for key, table in tracked.items() if not filler.search(keys.get(key[4:-1], key))}
    # What several requests note of a conversation is the same.
    assert room == {"addresses", "gateways/conversations"}
    assert max(int(length) for length in re.findall(r"type string len (\d+)", configuration)) == 192


def test_what_a_key_has_beyond_the_slots_of_replicas_that_are_up_waits_for_most_of_the_longest_wait() -> None:
    shares = re.findall(r"set-var\(txn.slots\) (\S+) if { var\(txn.model\) -m str (\S+) }", GATEWAY)
    assert shares == [("nbsrv(model.assistant),mul(4)", "assistant")]
    assert "set-priority-offset int(63000) if { sc_conn_cur(3),sub(txn.slots) gt 0 }" in GATEWAY


def test_tokens_are_passed_on_at_once_and_who_left_is_not_answered() -> None:
    for configuration in (GATEWAY, HOST_PROXY):
        assert {"http-no-delay", "abortonclose"} <= said(configuration, "option").keys()


def test_only_the_host_itself_may_speak_to_the_proxies_and_their_log_is_one() -> None:
    for configuration in (GATEWAY, HOST_PROXY):
        assert said(configuration, "stats")["socket"].endswith(".sock mode 600 level admin expose-fd listeners")
        assert said(configuration, "log")["/dev/log"].startswith(
            ("len 4096 format local local0", "format local local0")
        )
        assert said(configuration, "load-server-state-from-file") == {"global": ""}


def test_clients_find_a_gateway_at_its_own_and_at_the_virtual_address() -> None:
    binds = said(GATEWAY.partition("peers gateways")[0], "bind")
    tls = "maxconn 123 ssl crt /run/rackwright-gateway/gateway.pem alpn http/1.1"
    # The virtual address may still be at another gateway. At the socket root's own old worker passes requests on.
    # The reader sends large requests back.
    inner = {
        f"unix@/run/rackwright-gateway/sockets/{name}.sock": "mode 600 accept-proxy" for name in ("next", "read")
    }
    assert binds == {"10.20.0.10:443": tls, "10.20.0.9:443": tls.replace(" ssl", " transparent ssl")} | inner


def as_openai(body: str) -> str:
    """Return what a client gets that didn't use an Anthropic path: in each `iif`, the second of two."""
    quoted = r'"((?:\\.|[^"])*)"'
    text = re.sub(rf"%\[var\(txn.anthropic,0\),iif\((?:{quoted}|\w+),(?:{quoted}|(\w+))\)\]", r"\2\3", body)
    return text.replace('\\"', '"')


def test_what_goes_wrong_on_the_way_is_said_as_openai_says_it() -> None:
    codes = {
        "400": "bad_request",
        "408": "request_timeout",
        "500": "internal_error",
        "502": "bad_gateway",
        "503": "unavailable",
        "504": "timeout",
    }
    pattern = (
        r"^ +http-error status (\d+) content-type application/json lf-string '(.*?)' hdr cache-control no-store(.*)$"
    )
    for configuration in (GATEWAY, HOST_PROXY, READER):
        configuration, _, _ = configuration.partition("\nbackend ")
        errors = [(status, as_openai(body), more) for status, body, more in re.findall(pattern, configuration, re.M)]
        assert {status: json.loads(body)["error"]["code"] for status, body, _ in errors} == codes
        assert {status: more for status, _, more in errors if more} == {"503": " hdr retry-after 5"}
        kinds = {status: json.loads(body)["error"]["type"] for status, body, _ in errors}
        assert [status for status in kinds if kinds[status] == "invalid_request_error"] == ["400", "408"]
