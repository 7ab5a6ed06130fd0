"""Weights from host to host on real hosts: in a chain, despite failures, without leftovers. Each builds on the
last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from rackwright.lab.hosts import Lab
from rackwright.roles.p2p.settings import RUN, UNIT
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator, operator
from tests.lab.versions import Versions
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/lifecycle/p2p",
    "rackwright/fleet/hosts/p2p.py",
    "rackwright/operations/filesystem/stored_folder.py",
    "roles/p2p",
    "roles/model_store",
)
HOSTS = ("gpu1", "gpu2", "gpu3")
RATE = "p2p: {rate: 80Mbit}\n"
"""Ten megabytes per second: a model takes ten seconds."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    shared = tmp_path_factory.mktemp("shared")
    # Each engine runs as its own user.
    shared.chmod(0o755)
    with fresh_lab("p2p", "gate1", *HOSTS, volumes=(f"{shared}:/data",)) as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    site = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    site.path.write_text(f"{site.path.read_text()}{RATE}")
    return site


@pytest.fixture(scope="module")
def model(site: Operator) -> Versions:
    versions = Versions(site)
    site("lock")
    return versions


def stored(lab: Lab, host: str, model: Versions) -> bool:
    """Return whether the host has this version, read-only and marked as verified."""
    folder = f"/srv/models/assistant/{model.digest[:16]}"
    look = f"stat -c %U:%a {folder}/{model.file.name} && cat {folder}/.verified"
    return lab.exec(host, look, check=False).out.split() == ["root:444", model.digest]


def left(lab: Lab, host: str) -> str:
    """Return what a peer-to-peer transfer has left on a host; "" for nothing."""
    look = (
        f"systemctl list-units --all --no-legend {UNIT}; ls -d {RUN} /srv/models/.p2p 2>/dev/null; "
        "ss -Hltn 'sport = :8301'; pgrep -u rw_p2p -a; true"
    )
    return lab.exec(host, look).out.strip()


def arriving(lab: Lab, host: str) -> int:
    """Return how many bytes have arrived, according to the unit."""
    look = f"sed 's/.*\"bytes\": \\([0-9]*\\).*/\\1/' {RUN}/status.json 2>/dev/null || true"
    return int(lab.exec(host, look).out.strip() or 0)


def resumed(site: Operator, lab: Lab, host: str, least: int) -> dict[str, Any]:
    """Run the update again and return what was transferred. The host starts with more than `least` bytes."""
    command = site.start("model", "update", "assistant", "--yes", "--json")
    wait_until(lambda: arriving(lab, host) > 0)
    assert arriving(lab, host) > least
    said, _ = command.communicate(timeout=300)
    assert command.returncode == 0, said
    (transferred,) = json.loads(said)["transferred"]
    return cast("dict[str, Any]", transferred)


def next_digest(site: Operator) -> str:
    from ruamel.yaml import YAML

    lock = YAML(typ="safe").load(site.path.with_name("test.lock.next"))
    return str(lock["models"]["assistant"]["digest"])


def test_one_host_gets_them_from_the_controller_and_the_others_from_host_to_host(
    site: Operator, model: Versions, lab: Lab
) -> None:
    (transferred,) = site("apply", "--yes", "--json", timeout=600).json["transferred"]
    assert (transferred["from"], sorted(transferred["seconds"]), transferred["failed"]) == (
        "gpu1",
        ["gpu2", "gpu3"],
        {},
    )
    # The rate limit works: at that rate, a transfer takes about ten seconds.
    assert min(transferred["seconds"].values()) > 8
    for host in HOSTS:
        assert stored(lab, host, model)
        assert left(lab, host) == ""
    assert site("plan", "--json").json["changed"] == 0


def test_the_port_is_open_to_the_fleet_s_serving_hosts_alone(site: Operator, lab: Lab) -> None:
    address = lab.fleet().hosts["gpu1"]
    listen = "systemd-run --unit=test-listener python3 -m http.server 8301"
    lab.exec("gpu1", listen)
    try:
        ask = f"timeout 3 bash -c '</dev/tcp/{address}/8301'"
        wait_until(lambda: lab.exec("gpu2", ask, check=False).code == 0)
        assert lab.exec("gate1", ask, check=False).code != 0
    finally:
        lab.exec("gpu1", "systemctl stop test-listener")


def test_a_host_that_dies_is_named_and_what_it_had_is_kept_for_the_next_time(
    site: Operator, model: Versions, lab: Lab
) -> None:
    model.good("two")
    command = site.start("model", "update", "assistant", "--yes")
    wait_until(lambda: arriving(lab, "gpu2") > 30_000_000)
    lab.kill("gpu2")
    said, _ = command.communicate(timeout=300)
    assert command.returncode == 3, said
    assert "gpu2: assistant" in said
    assert "gpu3: assistant" in said
    digest = next_digest(site)
    assert digest in lab.exec("gpu3", f"cat /srv/models/assistant/{digest[:16]}/.verified").out
    assert left(lab, "gpu3") == ""
    lab.start("gpu2")
    transferred = resumed(site, lab, "gpu2", 20_000_000)
    assert (list(transferred["seconds"]), transferred["failed"]) == (["gpu2"], {})
    assert stored(lab, "gpu2", model)
    assert left(lab, "gpu2") == ""


def test_a_unit_that_is_killed_goes_on_and_so_does_one_whose_controller_died(
    site: Operator, model: Versions, lab: Lab
) -> None:
    model.good("three")
    command = site.start("model", "update", "assistant", "--yes")
    wait_until(lambda: arriving(lab, "gpu3") > 20_000_000)
    lab.exec("gpu3", f"systemctl kill --signal=KILL {UNIT}")
    command.kill()
    command.communicate()
    # The transfer continues without a controller.
    wait_until(lambda: arriving(lab, "gpu3") > 60_000_000)
    site("lease", "break", "--yes", "--reason", "its controller died")
    transferred = resumed(site, lab, "gpu3", 50_000_000)
    assert (sorted(transferred["seconds"]), transferred["failed"]) == (["gpu2", "gpu3"], {})
    for host in HOSTS:
        assert stored(lab, host, model)
        assert left(lab, host) == ""


def test_a_shared_folder_is_written_by_one_host_and_read_through_by_each(
    site: Operator, model: Versions, lab: Lab
) -> None:
    text = site.path.read_text()
    shared = "defaults:\n  models_at: {path: /data/models, shared: yes}\n"
    site.path.write_text(text.replace("defaults:\n", shared).replace(RATE, ""))
    said = site("apply", "--yes", "--json", timeout=600).json
    assert said["transferred"] == []
    puts = {step["host"] for step in said["steps"] if step["operation"].startswith("Put assistant")}
    reads = {step["host"] for step in said["steps"] if step["operation"].startswith("Read assistant")}
    assert (puts, reads) == ({"gpu1"}, {"gpu2", "gpu3"})
    assert site("plan", "--json").json["changed"] == 0
    # Its p2p files were removed, too.
    assert lab.exec("gpu1", "ls /etc/rackwright/p2p", check=False).code != 0
