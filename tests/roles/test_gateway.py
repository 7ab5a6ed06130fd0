from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import OurUnitStates, Unit
from rackwright.operations.haproxy.key_map import KeysLoaded, KeysMerged, Known, KnownKeys
from rackwright.operations.haproxy.paths import WORKERS, Paths
from rackwright.roles.gateway.access_log import Access, error_log_format, log_format, parse_access
from rackwright.roles.gateway.configuration import applied_keys, haproxy_cfg, key_entries, maps, models_json
from rackwright.roles.gateway.role import gateway
from rackwright.roles.gateway.settings import Key, Peer, RevokedKey, RoutedModel, Server, Settings
from tests.fakes import play, systemctl
from tests.gateway.certificates import CertificateAuthority

SETTINGS = Settings(
    name="gate1",
    domain="llm.acme.internal",
    address=ip_address("10.20.0.10"),
    certificate="gateway",
    client_certificate="gateway-client",
    models=(
        RoutedModel(
            name="assistant",
            digest="a" * 64,
            names=("assistant", "gpt-4o-mini"),
            servers=(
                Server(replica="assistant@1", host="gpu1", address=ip_address("10.30.0.11"), port=8100, slots=4),
                Server(replica="assistant@12", host="gpu2", address=ip_address("fd00::12"), port=8111, slots=64),
            ),
        ),
        RoutedModel(name="idle", digest="b" * 64, names=("idle",), servers=()),
    ),
    keys=(
        Key(
            id="b",
            sha256="b" * 64,
            version=7,
            about="b of team: assistant, idle",
            models=("assistant", "idle"),
            expires=datetime(2030, 1, 1, tzinfo=UTC),
            requests_per_minute=60,
            concurrency=2,
        ),
        Key(id="a", sha256="a" * 64),
    ),
)
LINE = {
    "format": "access/1",
    "time": "2026-11-25T04:28:12.656Z",
    "request": "93ac796a",
    "key": "good",
    "model": "assistant",
    "replica": "gpu1/assistant@1",
    "digest": "d" * 64,
    "path": "/v1/completions",
    "stream": False,
    "status": 200,
    "end": "completed",
    "bytes": 353,
    "queued_ms": 0,
    "first_byte_ms": 6,
    "total_ms": -1,
    "prompt_tokens": 7,
    "completion_tokens": None,
}


def accepted(configuration: str, folder: Path) -> None:
    path = folder / "haproxy.cfg"
    path.write_text(configuration)
    checked = subprocess.run(["haproxy", "-dW", "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("address", ["10.20.0.10", "fd00::1"])
@pytest.mark.parametrize("peers", [(), ("10.20.0.11",), ("fd00::2", "fd00::3")])
def test_haproxy_accepts_the_configuration(tmp_path: Path, address: str, peers: tuple[str, ...]) -> None:
    paths = Paths(configuration=str(tmp_path), run=str(tmp_path), certificates=str(tmp_path))
    others = tuple(Peer(name=f"gate-{at}", address=ip_address(peer)) for at, peer in enumerate(peers))
    settings = SETTINGS.model_copy(update={"address": ip_address(address), "peers": others})
    ca = CertificateAuthority(tmp_path)
    for name in ("gateway", "gateway-client"):
        ca.issue(name, (name,), client=name != "gateway")
        (tmp_path / f"{name}.pem").write_text(
            (tmp_path / f"{name}.crt").read_text() + (tmp_path / f"{name}.key.cred").read_text()
        )
    for name, content in {**maps(settings), "keys.map": ""}.items():
        (tmp_path / name).write_text(content)
    accepted(haproxy_cfg(settings, paths), tmp_path)


def test_a_first_run_installs_and_starts_everything() -> None:
    played = play(gateway, settings=SETTINGS)
    assert systemctl("start", "rackwright-gateway.service") in played.commands[-2]
    assert played.commands[-1] == "/etc/rackwright/gateway/proxy load_keys"
    merged = played.commands.index("/etc/rackwright/gateway/api-keys alone merge")
    assert merged < played.commands.index(played.commands[-2])
    assert any("install --no-install-recommends -- haproxy socat curl" in command for command in played.commands)
    assert any("/etc/rackwright/gateway/proxy check" in command for command in played.commands)


def facts(**changed: object) -> dict[object, object]:
    """A host that has everything, except what is given by path."""
    uploads = play(gateway, settings=SETTINGS).uploads
    answers: dict[object, object] = {
        InstalledPackages: frozenset({"haproxy", "socat", "curl"}),
        OurUnitStates: {unit: Unit(load="loaded", active="active", file="enabled") for unit in SETTINGS.units},
        KeysLoaded: True,
        KeysMerged: True,
        KnownKeys: None,
    }
    for path in ("/etc/rackwright/gateway", "/etc/rackwright/reader", "/var/lib/rackwright/drains"):
        answers[(PathState, path)] = Found("directory", 0o755, "root", "root")
    for path, text in uploads.items():
        final = path.removesuffix(".rackwright-new")
        name = final.rsplit("/", 1)[-1]
        mode = {"proxy": 0o755, "api-keys": 0o755, "keys.applied": 0o600}.get(name, 0o644)
        content = str(changed.get(name, text)).encode()
        found = Found("regular file", mode, "root", "root", _sha256(content), content)
        answers[(PathState, final)] = found
    return answers


def _sha256(content: bytes) -> str:
    from hashlib import sha256

    return sha256(content).hexdigest()


def test_a_second_run_changes_nothing() -> None:
    assert play(gateway, settings=SETTINGS, facts=facts()).commands == []


KEYS_CHANGED = ["Write the keys' hashes", "Merge them with the keys pushed since", "Load the keys into every worker"]


def test_other_keys_are_loaded_without_a_reload() -> None:
    played = play(gateway, settings=SETTINGS, facts=facts(**{"keys.applied": "old\n"}))
    assert played.changed == KEYS_CHANGED


@pytest.mark.parametrize(("fact", "changed"), [(KeysMerged, KEYS_CHANGED[1:]), (KeysLoaded, KEYS_CHANGED[2:])])
def test_keys_that_are_not_as_they_should_be_are_merged_and_loaded(fact: object, changed: list[str]) -> None:
    assert play(gateway, settings=SETTINGS, facts={**facts(), fact: False}).changed == changed


@pytest.mark.parametrize("name", ["haproxy.cfg", "models.json", "models.map", "downtime.lua", "reuse.lua"])
def test_another_configuration_is_reloaded_and_never_restarted(name: str) -> None:
    played = play(gateway, settings=SETTINGS, facts=facts(**{name: "old\n"}))
    assert played.commands[-1] == systemctl("reload", "rackwright-gateway.service")
    assert not any("restart" in command for command in played.commands)


@pytest.mark.parametrize("name", ["haproxy.cfg", "facts.lua", "nesting.lua"])
def test_another_configuration_of_the_reader_is_reloaded_before_the_gateways(name: str) -> None:
    played = play(gateway, settings=SETTINGS, facts=facts(**{name: "old\n"}))
    reloads = [systemctl("reload", unit) for unit in SETTINGS.units]
    assert [command for command in played.commands if command in reloads] == reloads
    assert not any("restart" in command for command in played.commands)


def test_keys_are_written_by_hash_with_version_expiry_and_scope() -> None:
    a, b, c = "a" * 64, "b" * 64, "c" * 64
    settings = SETTINGS.model_copy(update={"revoked": (RevokedKey(sha256=c, about="c of team: revoked"),)})
    assert applied_keys(settings).splitlines() == [
        f"{a} 0 # a key of a run",
        f"{a} 0 {a} a|0|all|0|0",
        f"{b} 7 # b of team: assistant, idle",
        f"{b} 7 {b} b|1893456000|listed|60|2",
        f"{b} 7 {b}/assistant yes",
        f"{b} 7 {b}/idle yes",
        f"{c} revoked # c of team: revoked",
    ]


def test_a_key_without_a_limit_of_its_own_is_written_so() -> None:
    """Then another default needs no change of the keys."""
    assert key_entries(Key(id="a", sha256="a" * 64, concurrency=None)) == (("a" * 64, "a|0|all|0|default"),)


@pytest.mark.parametrize(("queue_timeout", "later"), [(1, 900), (60, 54_000), (3600, 520_000)])
def test_what_a_key_has_beyond_all_slots_waits_for_most_of_the_longest_wait(queue_timeout: int, later: int) -> None:
    """HAProxy compares times within 524 s of now."""
    configuration = haproxy_cfg(SETTINGS.model_copy(update={"queue_timeout_seconds": queue_timeout}))
    assert f"set-priority-offset int({later}) if" in configuration


def test_a_gateway_that_was_told_of_all_keys_has_nothing_to_be_written() -> None:
    known = {KnownKeys: Known(_sha256(applied_keys(SETTINGS).encode()), None)}
    assert play(gateway, settings=SETTINGS, facts={**facts(**{"keys.applied": "old\n"}), **known}).changed == []


def test_a_plan_tells_keys_by_id_and_owner() -> None:
    before = f"{'a' * 64} 0 # leaked of ci: all models\n{'a' * 64} 0 {'a' * 64} leaked|0|all|0|0\n"
    known = {KnownKeys: Known("0" * 64, before)}
    played = play(gateway, settings=SETTINGS, facts={**facts(**{"keys.applied": before}), **known})
    diff = played.diffs["Write the keys' hashes"]
    assert "-leaked of ci: all models" in diff
    assert "+b of team: assistant, idle" in diff
    assert "a" * 64 not in diff


def test_all_served_names_are_listed() -> None:
    assert [entry["id"] for entry in json.loads(models_json(SETTINGS))["data"]] == [
        "assistant",
        "gpt-4o-mini",
        "idle",
    ]


def test_scripts_stay_short() -> None:
    uploads = play(gateway, settings=SETTINGS).uploads
    shared = len(WORKERS.read_text().splitlines())
    assert shared < 110
    assert len(uploads["/etc/rackwright/gateway/proxy.rackwright-new"].splitlines()) < 90 + shared


def test_a_line_is_read_as_it_was_meant() -> None:
    access = parse_access(json.dumps(LINE))
    assert access.time == datetime(2026, 11, 25, 4, 28, 12, 656000, tzinfo=UTC)
    assert (access.total_ms, access.queued_ms, access.completion_tokens) == (None, 0, None)
    assert parse_access(json.dumps(LINE | {"later": 1})) == access


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Proxy clients stopped.", "not an access/1 line: line: Invalid JSON"),
        (json.dumps(LINE | {"format": "access/2"}), "not an access/1 line: format: Input should be 'access/1'"),
        (json.dumps(LINE | {"end": "well"}), "not an access/1 line: end: "),
    ],
)
def test_another_line_is_an_error(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_access(line)


def test_every_field_is_written_in_both_kinds_of_line() -> None:
    for written in (log_format("/x"), error_log_format()):
        assert all(f'"{name}":' in written for name in Access.model_fields)
