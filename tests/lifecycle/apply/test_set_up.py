"""The stage of the base system: what runs on which fleets, and in which order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.deploys.control import control
from rackwright.deploys.site import site
from rackwright.lifecycle.apply import carry_out
from rackwright.lifecycle.apply.stages import Options
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.run import Run
from tests.fakes import play
from tests.fleet.test_control import THREE, specs
from tests.fleet.test_load import GOOD


@pytest.mark.parametrize(("text", "deploys"), [(THREE, ["baseline", "control"]), (GOOD, ["baseline"])])
def test_etcd_comes_after_the_base_system_where_control_hosts_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, deploys: list[str]
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(carry_out, "begin", lambda *_: None)
    monkeypatch.setattr(carry_out, "_entered", lambda work, run: run)
    monkeypatch.setattr(carry_out, "then", lambda work, run, deploy: ran.append(deploy.__name__) or run)
    session = cast("Any", SimpleNamespace(hosts=specs(tmp_path, text)))
    work = carry_out.Work(session, cast("Any", None), Options(), cast("Any", None), lambda: False)
    carry_out.set_up(work, cast("Any", SimpleNamespace(run=Run())))
    assert ran == deploys


def test_a_control_host_gets_its_certificate_before_etcd(tmp_path: Path) -> None:
    found = specs(tmp_path, f"{GOOD}control: [gate1, gpu1, gpu2]\n")
    played = play(control, model=found["gate1"], facts={InstalledPackages: frozenset({"openssl"})})
    assert played.operations[:3] == ["Install openssl", "Keep the certificate etcd current", "Install etcd"]
    assert "Write rackwright-etcd.service" in played.operations
    alone = specs(tmp_path, GOOD)["gate1"]
    assert play(control, model=alone).operations == []


def test_the_whole_setup_has_it_too(tmp_path: Path) -> None:
    operations = play(site, model=specs(tmp_path)["gate1"]).operations
    assert operations.index("Write rackwright-etcd.service") < operations.index("Install HAProxy, socat and curl")
