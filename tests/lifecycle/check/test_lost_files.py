from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.fleet.lock import DriverLock, Lock, ModelLock, RuntimeLock
from rackwright.lifecycle.check.lost_files import Sources, ask_sources, judge_sources, parse, script
from rackwright.lifecycle.check.procedure import check_files
from rackwright.lifecycle.check.result import Condition, State
from rackwright.package_set import Package
from rackwright.resolve import answering
from rackwright.resolve.answering import Answer
from rackwright.values.file import File
from tests.fleet.fleets import make_fleet
from tests.loopback_tls import bundle
from tests.stand_in_hub import COMMIT, StandInHub

DISK = {"name": "disk", "url": "/srv/backup", "password": "env:RESTIC_PASSWORD"}
NOWHERE = "https://127.0.0.1:1"


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub({"acme/tiny": {"tiny.gguf": b"weights"}}) as one:
        one.plain = {"llama.tar.gz": b"archive"}
        yield one


def file(url: str, body: bytes = b"") -> File:
    return File(
        path=url.rpartition("/")[2].removeprefix("file:"),
        size=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        url=url,
    )


def site(
    folder: Path,
    hub: StandInHub,
    *,
    build: str = "",
    backup: Mapping[str, Any] | None = None,
    package: str = "",
) -> tuple[Fleet, Lock]:
    """A fleet with one model from the hub, a runtime with this build, and a driver with one package."""
    build = build or f"{hub.url}/plain/llama.tar.gz"
    runtime = {"kind": "llama_cpp", "version": "b1", "build": f"{build}#sha256={'0' * 64}"}
    if build.startswith("file:"):
        runtime["build"] = build
    sections: dict[str, Any] = {"downloads": hub.site, "runtime": runtime}
    sections |= {"backup": {"to": [DISK], **backup}} if backup is not None else {}
    sections |= {"driver": {"branch": "580", "on": "gpu1"}} if package else {}
    fleet = make_fleet(folder / "acme.yml", **sections)
    weights = file(f"{hub.url}/acme/tiny/resolve/{COMMIT}/tiny.gguf", b"weights")
    model = ModelLock(source="hf:acme/tiny", revision=COMMIT, digest="1" * 64, files=(weights,))
    archive = file(build, b"archive")
    locked = RuntimeLock(kind="llama_cpp", version="b1", build=runtime["build"], files=(archive,))
    lock = Lock(
        fleet="acme",
        models={"assistant": model},
        runtimes={"llama_cpp-b1": locked},
        drivers={one.name: one for one in [_driver(package)] if package},
        ports={"gpu1": {"assistant@1": 8100}},
    )
    return fleet, lock


def _driver(url: str) -> DriverLock:
    deb = Package(name="nvidia", version="1", architecture="amd64", size=1, sha256="2" * 64, url=url)
    return DriverLock(
        question="branch=580 source=nvidia",
        system="debian 13",
        architecture="x86_64",
        modules="open",
        hosts=("gpu1",),
        version="580",
        kernel="6.12",
        kernel_package="linux-image",
        install=("nvidia",),
        packages=(deb,),
    )


def judged(fleet: Fleet, lock: Lock, *reached: str) -> list[Condition]:
    """The conditions, with the script for hosts run on this machine."""
    found = ask_sources(fleet, lock, ("gate1", "gpu1"))
    specs = host_specs(fleet, lock)
    return list(
        judge_sources(fleet, found, {host: on_this(specs[host], urls) for host, urls in found.left(reached).items()})
    )


def on_this(spec: HostSpec, urls: tuple[str, ...]) -> dict[str, Answer]:
    spec = with_bundle(spec)
    text = script(spec, urls)
    subprocess.run(
        ["shellcheck", "-s", "sh", "-e", "SC2016", "-"], input=f"#!/bin/sh\n{text}\n", text=True, check=True
    )
    done = subprocess.run(
        ["sh", "-c", text], input=Path(bundle()).read_text(), capture_output=True, text=True, check=True
    )
    return parse(done.stdout, urls)


def with_bundle(spec: HostSpec) -> HostSpec:
    downloads = spec.downloads.model_copy(update={"ca_bundle": Path(bundle()).read_text()})
    return replace(spec, downloads=downloads)


def test_a_fleet_whose_sources_all_answer_gets_one_line(tmp_path: Path, hub: StandInHub) -> None:
    hub.plain["driver.deb"] = b"d"
    fleet, lock = site(tmp_path, hub, package=f"{hub.url}/plain/driver.deb")
    assert judged(fleet, lock) == [Condition("controller", "sources", State.OK, "files in the lock: 3 answer")]


def test_what_is_gone_and_in_no_backup_is_named_with_who_needs_it_and_what_to_do(
    tmp_path: Path, hub: StandInHub
) -> None:
    fleet, lock = site(tmp_path, hub, package=f"{hub.url}/plain/driver.deb")
    hub.plain, hub.repositories = {}, {}
    driver = next(iter(lock.drivers))
    model, runtime, packages = judged(fleet, lock, "gpu1")
    assert {one.state for one in (model, runtime, packages)} == {State.WARNING}
    assert model.found == (
        f"models.assistant (gpu1): {hub.url}/acme/tiny/resolve/{COMMIT}/tiny.gguf answers 404, and no backup saves it"
    )
    assert model.next == (
        "copy the weights from gpu1:/srv/models and set source: file:PATH, or choose another source; "
        "then rackwright lock and rackwright apply"
    )
    assert runtime.found.startswith("runtimes.llama_cpp-b1 (gpu1): ")
    assert runtime.next is not None
    assert runtime.next.startswith("set runtime.build to a copy (file:PATH)")
    assert packages.found.startswith(f"drivers.{driver} (gpu1): {hub.url}/plain/driver.deb answers 404")
    assert packages.next is not None
    assert packages.next.startswith("set backup")


def test_what_backups_save_is_not_asked_about(tmp_path: Path, hub: StandInHub) -> None:
    driver = f"{hub.url}/plain/driver.deb"
    fleet, lock = site(tmp_path, hub, build="file:llama.tar.gz", package=driver, backup={})
    assert judged(fleet, lock)[0].found == "files in the lock: 1 answer, 2 saved by backups"
    assert not any("/plain/" in request for request in hub.asked)
    for setting, what in (("packages", driver), ("builds", "file:")):
        fleet, lock = site(tmp_path, hub, build="file:llama.tar.gz", package=driver, backup={setting: "no"})
        (lost,) = judged(fleet, lock)
        assert what in lost.found
        assert lost.next is not None
        assert f"set backup.{setting}: yes, then rackwright apply" in lost.next


def test_a_file_on_this_machine_is_enough_if_it_has_its_size(tmp_path: Path, hub: StandInHub) -> None:
    fleet, lock = site(tmp_path, hub, build="file:llama.tar.gz")
    (tmp_path / "llama.tar.gz").write_bytes(b"archive")
    assert judged(fleet, lock)[0].state is State.OK
    (tmp_path / "llama.tar.gz").write_bytes(b"another archive")
    assert ask_sources(fleet, lock, ("gpu1",)).left(["gpu1"]) == {}, "only this machine may have it"
    (lost,) = judged(fleet, lock, "gpu1")
    assert f"file:{tmp_path}/llama.tar.gz is missing on this machine, or has another size" in lost.found


def test_a_server_that_only_hosts_reach_is_asked_from_a_host(tmp_path: Path, hub: StandInHub) -> None:
    hub.plain["gone.deb"] = b""
    fleet, lock = site(tmp_path, hub)
    urls = [one.url for one in (*lock.models["assistant"].files, *lock.runtimes["llama_cpp-b1"].files)]
    unreached = Sources(ask_sources(fleet, lock, ("gpu1",)).needs, {
        url: Answer(answering.State.UNREACHED, "can't be asked (can't be reached)") for url in urls
    })  # fmt: skip
    assert unreached.left(["gate1"]) == {}, "gate1 needs neither"
    assert unreached.left(["gate1", "gpu1"]) == {"gpu1": tuple(urls)}
    many = tuple(file(f"{NOWHERE}/{number}.whl") for number in range(400))
    assert len(Sources((replace(unreached.needs[0], files=many),), {}).left(["gpu1"])["gpu1"]) == 300
    spec = host_specs(fleet, lock)["gpu1"]
    hub.plain = {}
    by_hosts = {"gpu1": on_this(spec, tuple(urls))}
    (lost,) = judge_sources(fleet, unreached, by_hosts)
    assert lost.found == (
        f"runtimes.llama_cpp-b1 (gpu1): {urls[1]} answers 404, asked from gpu1, and no backup saves it"
    )
    alone = [one.found for one in judge_sources(fleet, unreached, {})]
    assert len(alone) == 2
    assert all("can't be asked (can't be reached), and no backup" in found for found in alone)


def test_a_host_that_reaches_it_neither_says_so(tmp_path: Path, hub: StandInHub) -> None:
    fleet, lock = site(tmp_path, hub, build=f"{NOWHERE}/llama.tar.gz")
    (lost,) = judged(fleet, lock, "gpu1")
    assert "can't be reached (curl exit 7), asked from gpu1, and no backup saves it" in lost.found


def test_a_drivers_folder_on_the_host_is_looked_at_there(tmp_path: Path, hub: StandInHub) -> None:
    deb = tmp_path / "driver 1.deb"
    fleet, lock = site(tmp_path, hub, package=deb.as_uri())
    deb.write_bytes(b"d")
    assert judged(fleet, lock, "gpu1")[0].found == "files in the lock: 3 answer"
    deb.unlink()
    (lost,) = judged(fleet, lock, "gpu1")
    assert "is not there, asked from gpu1" in lost.found


def test_files_that_are_lost_for_the_same_reason_are_named_together(tmp_path: Path, hub: StandInHub) -> None:
    fleet, lock = site(tmp_path, hub)
    wheels = tuple(file(f"{hub.url}/plain/{name}.whl") for name in "abc")
    runtime = lock.runtimes["llama_cpp-b1"].model_copy(update={"files": wheels})
    (lost,) = judged(fleet, lock.model_copy(update={"runtimes": {"llama_cpp-b1": runtime}}))
    assert lost.found == (
        "runtimes.llama_cpp-b1 (gpu1): 3 files, each answers 404, and no backup saves them: "
        f"{hub.url}/plain/a.whl, b.whl, c.whl"
    )


def test_only_what_the_named_hosts_need_is_asked_about(tmp_path: Path, hub: StandInHub) -> None:
    fleet, lock = site(tmp_path, hub)
    assert list(judge_sources(fleet, ask_sources(fleet, lock, ("gate1",)), {})) == []
    assert hub.asked == []


def test_a_rollback_needs_the_version_before_unless_it_came_from_here(tmp_path: Path, hub: StandInHub) -> None:
    fleet, lock = site(tmp_path, hub)
    model = lock.models["assistant"]
    before = model.model_copy(
        update={"digest": "3" * 64, "files": (file(f"{hub.url}/acme/tiny/resolve/{'4' * 40}/old.gguf"),)}
    )
    for previous, places in (
        (before, ["models.assistant.previous"]),
        (before.model_copy(update={"source": "file:old.gguf"}), []),
    ):
        models = {"assistant": model.model_copy(update={"previous": previous})}
        found = judged(fleet, lock.model_copy(update={"models": models}))
        assert [one.found.split(" ")[0] for one in found if one.state is State.WARNING] == places


@pytest.mark.parametrize(
    ("output", "states"),
    [
        ("nocurl\n", ["UNKNOWN", "UNKNOWN"]),
        ("0 0 200\n1 22 404\n", ["THERE", "GONE"]),
        ("0 0 200\n", ["THERE", "UNKNOWN"]),
        ("7 0 200\n0 0 200 extra\n1 6 000\n", ["UNKNOWN", "UNREACHED"]),
    ],
)
def test_what_a_host_says(output: str, states: list[str]) -> None:
    urls = ("https://a.lab/a", "https://a.lab/b")
    assert [answer.state.name for answer in parse(output, urls).values()] == states


def test_a_url_reaches_curl_as_a_url_whatever_it_contains(tmp_path: Path, hub: StandInHub) -> None:
    fleet, lock = site(tmp_path, hub)
    trap = tmp_path / "trap"
    urls = (f"{hub.url}/plain/$(touch${{IFS}}{trap})'`", f"{hub.url}/plain/[1-9]", f'{hub.url}/plain/a"b')
    said = on_this(host_specs(fleet, lock)["gpu1"], urls)
    assert [answer.why for answer in said.values()] == ["answers 404"] * 3
    assert sum("/plain/" in request for request in hub.asked) == 3, "curl expands no pattern"
    assert not trap.exists()


def test_a_golden_set_that_control_hosts_do_not_have_is_named(tmp_path: Path) -> None:
    fleet = make_fleet(tmp_path / "acme.yml")
    models = fleet.file.model_dump(mode="json", exclude_unset=True, by_alias=True)["models"]
    models["assistant"]["canary"] = {"golden": "golden.jsonl"}
    fleet = make_fleet(tmp_path / "acme.yml", models=models)
    (condition,) = (one for one in check_files(fleet).conditions if one.state is State.WARNING and one.what != "lock")
    assert condition.state is State.WARNING
    assert condition.found == (
        f"models.assistant.canary.golden: {tmp_path}/golden.jsonl can't be read: No such file or directory; "
        "control hosts and their backups don't have it"
    )
    (tmp_path / "golden.jsonl").touch()
    assert [one.what for one in check_files(fleet).conditions if one.state is State.WARNING] == ["lock"]


def test_a_host_asks_through_its_proxy_and_follows_redirections(tmp_path: Path, hub: StandInHub) -> None:
    fleet, lock = site(tmp_path, hub)
    hub.plain["a.deb"] = b"a"
    spec = host_specs(fleet, lock)["gpu1"]
    (answer,) = on_this(spec, (f"{hub.url}/moved/a.deb",)).values()
    assert answer.state is answering.State.THERE
    route = spec.downloads.route.model_copy(update={"proxy": "http://proxy.lab:3128"})
    proxied = replace(spec, downloads=spec.downloads.model_copy(update={"route": route}))
    assert "--proxy http://proxy.lab:3128" in script(proxied, ())


def test_a_token_that_does_not_resolve_hides_nothing(tmp_path: Path, hub: StandInHub) -> None:
    fleet, lock = site(tmp_path, hub)
    downloads = fleet.file.downloads.model_copy(update={"hub_token": "env:RACKWRIGHT_TEST_UNSET"})
    fleet = replace(fleet, file=fleet.file.model_copy(update={"downloads": downloads}))
    assert judged(fleet, lock)[0].found == "files in the lock: 2 answer"


def test_a_driver_needs_its_toolkit_and_an_adopted_one_needs_nothing(tmp_path: Path, hub: StandInHub) -> None:
    hub.plain |= {"driver.deb": b"d", "cuda.deb": b"c"}
    fleet, lock = site(tmp_path, hub, package=f"{hub.url}/plain/driver.deb")
    (driver,) = lock.drivers.values()
    toolkit = driver.packages[0].model_copy(update={"name": "toolkit", "url": f"{hub.url}/plain/cuda.deb"})
    driver = driver.model_copy(update={"cuda": (toolkit,)})
    lock = lock.model_copy(update={"drivers": {driver.name: driver}})
    assert judged(fleet, lock)[0].found == "files in the lock: 4 answer"
    adopted = fleet.file.drivers[0].model_copy(update={"manage": "adopt"})
    fleet = replace(fleet, file=fleet.file.model_copy(update={"driver": adopted}))
    assert judged(fleet, lock)[0].found == "files in the lock: 2 answer"
