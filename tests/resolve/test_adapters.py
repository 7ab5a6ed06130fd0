"""LoRA adapters, from the fleet file through the lock to hosts and gateways."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest
from pydantic import ValidationError

from rackwright.errors import FleetError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.backup import backup_of
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock, model_digest
from rackwright.fleet.lock_file import mismatches, read_lock, write_lock
from rackwright.fleet.source import FileSource, HubSource, parse_source
from rackwright.launch import Adapter, Engine, Member
from rackwright.resolve.adapters import CONFIG_LIMIT, choose_adapter, fitting_rank, rank_of
from rackwright.resolve.lock import resolve_lock
from rackwright.resolve.model_files import UnfitFiles
from rackwright.roles.vllm.settings import Settings as Vllm
from tests.fleet.fleets import make_fleet
from tests.stand_in_hub import COMMIT, StandInHub

MODEL = {"config.json": b"{}", "model.safetensors": b"w" * 1000}
WEIGHTS = b"a" * 300
CONFIG = json.dumps({"peft_type": "LORA", "r": 8}).encode()
ADAPTER = {"README.md": b"read", "adapter_config.json": CONFIG, "adapter_model.safetensors": WEIGHTS}
FILES = ["adapter_config.json", "adapter_model.safetensors"]
LORA = ("--enable-lora", "--max-lora-rank", "16", "--max-loras", "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a fleet file, with a wheelhouse, a model, and the adapter of a file: source next to it."""
    write(tmp_path / "wheels", {"vllm-1.0-py3-none-any.whl": b"wheel"})
    write(tmp_path / "model", MODEL)
    write(tmp_path / "support", ADAPTER)
    return tmp_path


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def fleet_of(folder: Path, adapters: dict[str, str] | None = None, rank: int = 16, **sections: object) -> Fleet:
    adapters = {"support": "file:support"} if adapters is None else adapters
    runtime = {"kind": "vllm", "version": "1.0", "build": "file:wheels", "adapters": adapters, "max_lora_rank": rank}
    return make_fleet(folder / "site.yml", source="file:model", runtime=runtime, **sections)


def refused(fleet: Fleet, previous: Lock | None = None) -> list[str]:
    with pytest.raises(FleetError) as caught:
        resolve_lock(fleet, previous)
    return [str(problem) for problem in caught.value.problems]


def hosts(fleet: Fleet) -> dict[str, HostSpec]:
    return host_specs(fleet, resolve_lock(fleet, None))


def test_an_adapter_of_a_folder_is_locked_to_its_two_files_and_its_rank(folder: Path) -> None:
    fleet = fleet_of(folder)
    lock = resolve_lock(fleet, None)
    adapter = lock.models["assistant"].adapters["support"]
    assert [file.path for file in adapter.files] == FILES
    assert adapter.files[1].url == f"file:support/{FILES[1]}"
    assert (adapter.source, adapter.revision, adapter.rank) == ("file:support", None, 8)
    assert adapter.digest == model_digest(adapter.files)
    assert mismatches(fleet, lock) == ()
    write_lock(folder / "site.lock", lock)
    assert read_lock(folder / "site.lock") == lock


def test_an_adapter_of_a_hub_is_locked_to_a_commit(folder: Path) -> None:
    with StandInHub({"acme/support": ADAPTER}, token="hf_x") as hub:
        (folder / "token").write_text("hf_x")
        site = {**hub.site, "hub_token": "file:token"}
        fleet = fleet_of(folder, {"support": "hf:acme/support"}, downloads=site)
        lock = resolve_lock(fleet, None)
        adapter = lock.models["assistant"].adapters["support"]
        assert (adapter.revision, adapter.rank) == (COMMIT, 8)
        assert [file.url for file in adapter.files] == [
            f"{hub.url}/acme/support/resolve/{COMMIT}/{name}" for name in FILES
        ]
        hub.commits["main"] = "2" * 40
        hub.repositories["acme/support"] = {**ADAPTER, "adapter_config.json": b'{"r": 4}'}
        hub.asked.clear()
        assert resolve_lock(fleet, lock) == lock
        assert hub.asked == []
        upgraded = resolve_lock(fleet, lock, upgrade=True).models["assistant"].adapters["support"]
        assert (upgraded.revision, upgraded.rank) == ("2" * 40, 4)
        moved = fleet_of(folder, {"support": "hf:acme/support"}, downloads={**site, "hub": "https://10.9.9.9"})
        (problem,) = mismatches(moved, lock)
        assert "models.assistant.adapters.support.files: are not from https://10.9.9.9" in str(problem)
        rebased = resolve_lock(moved, lock)
        assert mismatches(moved, rebased) == ()
        assert rebased.models["assistant"].adapters["support"].digest == adapter.digest


def test_a_lock_without_adapters_has_no_word_of_them(folder: Path) -> None:
    write_lock(folder / "site.lock", resolve_lock(fleet_of(folder, {}), None))
    assert "adapters:" not in (folder / "site.lock").read_text()


def test_a_lock_whose_adapter_was_edited_is_refused(folder: Path) -> None:
    path = folder / "site.lock"
    lock = resolve_lock(fleet_of(folder), None)
    write_lock(path, lock)
    size = lock.models["assistant"].adapters["support"].files[1].size
    path.write_text(path.read_text().replace(f"size: {size}", f"size: {size + 1}"))
    with pytest.raises(FleetError, match=r"models\.assistant\.adapters\.support: digest doesn't match"):
        read_lock(path)


@pytest.mark.parametrize(
    ("adapters", "rank", "what"),
    [
        ({}, 16, "adapters.support: is no longer in the fleet file"),
        ({"support": "file:support", "sql": "file:support"}, 16, "adapters.sql: is in the fleet file only"),
        ({"support": "hf:acme/support"}, 16, "is file:support, but the fleet file asks for hf:acme/support"),
        ({"support": "file:support"}, 1, "adapters.support.rank: is 8, above the fleet file's 1"),
    ],
)
def test_a_changed_question_is_a_mismatch(folder: Path, adapters: dict[str, str], rank: int, what: str) -> None:
    lock = resolve_lock(fleet_of(folder), None)
    (problem,) = mismatches(fleet_of(folder, adapters, rank), lock)
    assert what in str(problem)
    assert problem.next == "rackwright lock"


def test_a_rank_above_what_engines_are_told_is_refused_with_one_that_would_do(folder: Path) -> None:
    write(folder / "sql", {**ADAPTER, "adapter_config.json": b'{"r": 8, "rank_pattern": {"q_proj": 65}}'})
    adapters = {"support": "file:support", "sql": "file:sql"}
    where = f"{folder}/site.yml models.assistant.runtime.adapters"
    assert refused(fleet_of(folder, adapters, rank=1)) == [
        f"{where}.support: has rank 8, but runtime.max_lora_rank is 1; write max_lora_rank: 8",
        f"{where}.sql: has rank 65, but runtime.max_lora_rank is 1; write max_lora_rank: 128",
    ]
    kept = resolve_lock(fleet_of(folder), None)
    (folder / "support" / "adapter_config.json").unlink()
    assert len(refused(fleet_of(folder, rank=1), kept)) == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"adapter_config.json": None}, "has no adapter_config.json"),
        ({"adapter_model.safetensors": None}, "has no adapter_model.safetensors"),
        ({"adapter_config.json": b'{"peft_type": "IA3"}'}, "is not a LoRA adapter"),
        ({"adapter_config.json": b" " * CONFIG_LIMIT + CONFIG}, "has more than 1 MiB"),
    ],
)
def test_what_is_no_adapter_is_refused_wherever_it_is(
    folder: Path, change: dict[str, bytes | None], what: str
) -> None:
    files = {name: content for name, content in {**ADAPTER, **change}.items() if content is not None}
    write(folder / "odd", files)
    with StandInHub({"acme/odd": files}) as hub:
        for source in ("file:odd", "hf:acme/odd"):
            with pytest.raises(RackwrightError, match=what):
                resolve_lock(fleet_of(folder, {"odd": source}, downloads=hub.site), None)


def test_pickled_weights_are_refused_as_such() -> None:
    with pytest.raises(UnfitFiles, match="pickled"):
        choose_adapter({"adapter_config.json": 1, "adapter_model.bin": 1})
    assert choose_adapter(dict.fromkeys((*FILES, "adapter_model.bin", "checkpoint-1/adapter_model.bin"), 1)) == (
        "adapter_config.json",
        "adapter_model.safetensors",
    )


@pytest.mark.parametrize(
    "config", [b"", b"[]", b'{"r": 0}', b'{"r": 8, "rank_pattern": {"a": "x"}}', b"\xff", b"[" * 9999]
)
def test_a_configuration_without_a_rank_is_none(config: bytes) -> None:
    with pytest.raises(UnfitFiles, match="has no rank"):
        rank_of(config)


def test_the_rank_is_the_greatest_of_all_layers() -> None:
    assert rank_of(b'{"r": 8, "rank_pattern": {"a": 4, "b": 32}, "lora_alpha": 16}') == 32
    assert rank_of(b'{"r": 8, "rank_pattern": null}') == 8
    assert [fitting_rank(rank) for rank in (1, 2, 16, 17, 257, 512, 513)] == [1, 8, 16, 32, 320, 512, None]


def test_a_host_stores_the_adapter_beside_its_model_and_serves_it_by_its_name(folder: Path) -> None:
    fleet = fleet_of(folder, {"support": "file:support", "acme/again": "file:support"}, rank=32)
    lock = resolve_lock(fleet, None)
    model = lock.models["assistant"]
    host = hosts(fleet)["gpu1"]
    path = f"/srv/models/assistant/{model.adapters['support'].digest[:16]}"
    assert host.model_store is not None
    assert [(stored.name, stored.digest) for stored in host.model_store.models] == [
        ("assistant", model.digest),
        ("assistant", model.adapters["support"].digest),
    ]
    (unit,) = host.replicas
    assert unit.readable[-2:] == (f"/srv/models/assistant/{model.digest[:16]}", path)
    line = " ".join(unit.command)
    lora = "--enable-lora --max-lora-rank 32 --max-loras 2 --lora-modules"
    assert f" {lora} support={path} acme/again={path} --" in line
    assert "--served-model-name assistant --" in line
    (probe,) = host.probes
    assert probe.served_name == "assistant"


def test_without_adapters_an_engine_is_told_nothing_of_them(folder: Path) -> None:
    (unit,) = hosts(fleet_of(folder, {}))["gpu1"].replicas
    assert "lora" not in " ".join(unit.command)


def test_a_gateway_routes_an_adapters_name_to_its_model(folder: Path) -> None:
    gateway = hosts(fleet_of(folder))["gate1"].gateway
    assert gateway is not None
    (routed,) = gateway.models
    assert (routed.name, routed.names, routed.adapters) == ("assistant", ("assistant",), ("support",))


def test_an_adapter_that_no_hub_gives_back_is_saved(folder: Path) -> None:
    disk = {"name": "disk", "url": "/srv/backup", "mount": "/srv/backup", "password": "env:PASSWORD"}
    fleet = fleet_of(folder, backup={"to": [disk]})
    lock = resolve_lock(fleet, None)
    settings = backup_of(fleet, lock, "gpu1")
    assert settings is not None
    model = lock.models["assistant"]
    assert settings.sources[-2:] == tuple(
        f"/srv/models/assistant/{digest[:16]}" for digest in (model.digest, model.adapters["support"].digest)
    )
    from_hub = {"assistant": model.model_copy(update={"source": "hf:acme/tiny"})}
    settings = backup_of(fleet, lock.model_copy(update={"models": from_hub}), "gpu1")
    assert settings is not None
    assert [source for source in settings.sources if source.startswith("/srv/models")] == [
        f"/srv/models/assistant/{model.adapters['support'].digest[:16]}"
    ]


def test_a_member_that_does_not_answer_reads_adapters_but_names_none() -> None:
    adapters = (Adapter("support", "/srv/models/assistant/a"),)
    settings = Vllm(kind="vllm", version="1.0")
    addresses = (ip_address("10.0.0.1"), ip_address("10.0.0.2"))
    lines = [
        settings.launch(
            Engine("/m", "/run/e.sock", ("a",), 512, 1, 60, Member(rank, addresses, 9000), adapters)
        ).command
        for rank in (0, 1)
    ]
    assert all(line[line.index("--enable-lora") :][:5] == LORA for line in lines)
    assert ["support=/srv/models/assistant/a" in line for line in lines] == [True, False]
    assert ["--lora-modules" in line for line in lines] == [True, False]


@pytest.mark.parametrize(
    "name", ["lora-modules", "enable-lora", "no-enable-lora", "max-lora-rank", "max-loras", "lora-mod"]
)
def test_arguments_that_adapters_are_told_by_are_not_for_args(name: str) -> None:
    with pytest.raises(ValidationError, match="set by rackwright itself"):
        Vllm.model_validate({"kind": "vllm", "version": "1.0", "args": {name: "x"}})


@pytest.mark.parametrize(
    "source",
    [
        "https://a.b/c#sha256=" + "0" * 64,
        "hf:a",
        "hf:a/b#*.gguf",
        "hf:../b",
        "hf:a/..",
        "hf:a/b@x/../y",
        "file:",
        "a/b",
    ],
)
def test_a_source_that_is_no_repository_or_folder_is_refused(source: str) -> None:
    with pytest.raises(ValidationError, match="should be hf:OWNER/REPO"):
        Vllm.model_validate({"kind": "vllm", "version": "1.0", "adapters": {"a": source}})


@pytest.mark.parametrize("source", ["hf:acme/a.b-c", "hf:acme/a@v1.0", "hf:acme/a@refs/pr/1", "file:a b", "file:/a"])
def test_a_source_that_settings_take_is_one_that_the_lock_knows(source: str) -> None:
    settings = Vllm.model_validate({"kind": "vllm", "version": "1.0", "adapters": {"a": source}})
    assert isinstance(parse_source(settings.adapters["a"]), HubSource | FileSource)


def loaded(folder: Path, adapters: str, names: str = "[assistant]", kind: str = "vllm") -> list[str]:
    """Return the problems of a fleet file in that folder."""
    path = folder / "site.yml"
    path.write_text(
        "fleet: acme\n"
        "hosts: {gate1: {address: 10.0.0.9}, gpu1: {address: 10.0.0.10}}\n"
        "models:\n"
        "  assistant:\n"
        "    source: hf:acme/tiny\n"
        f"    runtime: {{kind: {kind}, version: '1.0', adapters: {adapters}}}\n"
        "    place: [{on: gpu1}]\n"
        f"    names: {names}\n"
        "    context: 4096\n"
        "gateway: {on: [gate1], domain: llm.acme.internal}\n"
        "firewall: {admin_from: [10.0.0.0/24], clients_from: [10.0.0.0/8]}\n"
    )
    try:
        load_fleet(path)
    except FleetError as error:
        return [str(problem).replace(str(folder), "") for problem in error.problems]
    return []


WHERE = "/site.yml:6 models.assistant.runtime.adapters"


@pytest.mark.parametrize(
    ("adapters", "names", "message"),
    [
        ("{support: file:support, x-note: mine}", "[assistant]", []),
        (
            "{assistant: file:support}",
            "[assistant]",
            [f"{WHERE}.assistant: the name 'assistant' appears twice; remove one of them"],
        ),
        (
            "{assistant: file:support}",
            "[a]",
            [f"{WHERE}.assistant: has the name of its model; an engine knows its model by that name"],
        ),
        (
            "{support: file:nowhere}",
            "[a]",
            [f"{WHERE}.support: no such file: /nowhere; a relative path starts at the fleet file's folder"],
        ),
        (
            "{support: file:model/config.json}",
            "[a]",
            [f"{WHERE}.support: is a file; should be a folder with an adapter as saved by PEFT"],
        ),
        ("{support: https://a.b/c}", "[a]", [f"{WHERE}.support: should be hf:OWNER/REPO[@REVISION] or file:FOLDER"]),
        (
            "{a b: file:support}",
            "[a]",
            [f"{WHERE}.'a b': should be a letter or digit, then letters, digits and . _ : / -, 96 at most"],
        ),
        (
            "{support: file:support}, max_lora_rank: 24",
            "[a]",
            ["/site.yml:6 models.assistant.runtime.max_lora_rank: should be 1, 8, 16, 32, 64, 128, 256, 320 or 512"],
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(folder: Path, adapters: str, names: str, message: list[str]) -> None:
    assert loaded(folder, adapters, names) == message


def test_llama_cpp_has_none(folder: Path) -> None:
    assert "adapters" in loaded(folder, "{support: file:support}", kind="llama_cpp")[0]
