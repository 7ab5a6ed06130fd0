from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.lock_file import write_lock
from rackwright.lifecycle.check.procedure import (
    _ask,
    _restic,
    auditors_cut_off,
    check_hosts,
    people_ending,
    tool_without_times,
)
from rackwright.lifecycle.check.result import Condition, State
from tests.fleet.fleets import make_fleet
from tests.fleet.test_backup import DISK, SSH, fleet
from tests.fleet.test_load import GOOD
from tests.fleet.test_unattended import WHOLE
from tests.lifecycle.schedule.world import PATCH_ONLY, TEXT
from tests.lifecycle.schedule.world import fleet as scheduled
from tests.loopback_tls import bundle
from tests.stand_in_hub import StandInHub
from tests.wheel_plan import FLEET, SHA256, lock

PASSWORD = "sudo: {password: 'env:RACKWRIGHT_TEST_UNSET'}"


def test_a_password_that_does_not_resolve_fails_its_hosts_and_hides_nothing(tmp_path: Path):
    path = tmp_path / "wheel.yml"
    path.write_text((FLEET % SHA256).replace("{address: 10.0.0.1}", f"{{address: 10.0.0.1, {PASSWORD}}}"))
    fleet = load_fleet(path)
    write_lock(fleet.sibling("lock"), lock(fleet))
    checked = check_hosts(fleet, ("gate1",))
    failed = {(condition.where, condition.what): condition.found for condition in checked.failed}
    assert set(failed) == {("controller", "secret"), ("gate1", "reach")}
    assert failed["gate1", "reach"].startswith("not tried: ")
    assert ("controller", "name", State.WARNING) in {(c.where, c.what, c.state) for c in checked.conditions}


def test_the_sources_of_the_lock_are_asked_even_if_no_host_answers(tmp_path: Path):
    with StandInHub({}) as hub:
        hub.plain = {"tiny.gguf": b"x"}
        path = tmp_path / "wheel.yml"
        text = (FLEET % SHA256).replace("{address: 10.0.0.2}", f"{{address: 10.0.0.2, {PASSWORD}}}")
        text += f"downloads: {{ca_bundle: {bundle()}}}\n"
        path.write_text(text.replace("https://models.example", f"{hub.url}/plain"))
        fleet = load_fleet(path)
        locked = lock(fleet)
        model, runtime = locked.models["tiny"], locked.runtimes["llama_cpp-b1"]
        files = (model.files[0].model_copy(update={"url": f"{hub.url}/plain/tiny.gguf"}),)
        models = {"tiny": model.model_copy(update={"files": files})}
        build = f"{hub.url}/plain/llama.tar.gz"
        archive = runtime.files[0].model_copy(update={"url": build})
        checked = list(
            sources_only(
                fleet,
                locked.model_copy(
                    update={
                        "models": models,
                        "runtimes": {"llama_cpp-b1": runtime.model_copy(update={"files": (archive,)})},
                    }
                ),
            )
        )
        assert [condition.found for condition in checked] == [
            f"runtimes.llama_cpp-b1 (gpu1): {build} answers 404, and no backup saves it"
        ]


def sources_only(fleet: Fleet, locked: Lock) -> Iterator[Condition]:
    specs = host_specs(fleet, locked)
    yield from (one for one in _ask(fleet, locked, specs, ("gpu1",)) if one.what == "sources")


@pytest.mark.parametrize(
    ("until", "found"),
    [
        (None, None),
        ("2026-12-10", None),
        ("2026-12-09", "anna's last day is 2026-12-09, in 14 days"),
        ("2026-11-25", "anna's last day is 2026-11-25, today"),
        ("2026-11-24", "anna's access ended on 2026-11-24; the next apply removes it"),
    ],
)
def test_a_persons_end_is_told_two_weeks_ahead(tmp_path: Path, until: str | None, found: str | None):
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d"
    fleet = make_fleet(tmp_path / "site.yml", people={"anna": {"role": "operator", "keys": [key], "until": until}})
    warned = list(people_ending(fleet, date(2026, 11, 25)))
    assert [condition.found for condition in warned] == ([found] if found else [])
    assert all(condition.state is State.WARNING for condition in warned)


@pytest.mark.parametrize(
    ("jump", "person", "manage", "cut"),
    [
        ("gate1", {"role": "auditor"}, "yes", True),
        ({"address": "10.0.0.9"}, {"role": "auditor"}, "yes", True),
        ("bastion.acme.internal", {"role": "auditor"}, "yes", False),
        ("gate1", {"role": "operator"}, "yes", False),
        ("gate1", {"role": "auditor", "on": "gate1"}, "yes", False),
        ("gate1", {"role": "auditor", "until": "2026-11-24"}, "yes", False),
        ("gate1", {"role": "auditor"}, "no", False),
    ],
)
def test_a_jump_host_that_does_not_forward_for_auditors_is_told(
    tmp_path: Path, jump: object, person: dict[str, str], manage: str, cut: bool
):
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d"
    hosts = {
        "gate1": {"address": "10.0.0.9", "baseline": {"sshd": {"manage": manage}}},
        "gpu1": {"address": "10.0.0.1", "ssh": {"jump": jump}},
    }
    fleet = make_fleet(tmp_path / "site.yml", hosts=hosts, people={"ben": {"keys": [key], **person}})
    found = [condition.found for condition in auditors_cut_off(fleet, date(2026, 11, 25))]
    told = "gate1 doesn't forward for auditors: ben can't reach gpu1 through it"
    assert found == ([told] if cut else [])


def test_restic_must_be_on_this_machine_if_a_repository_has_a_kit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(_restic(fleet(tmp_path, DISK))) == []
    (found,) = _restic(fleet(tmp_path, DISK, SSH))
    assert (found.where, found.state, found.found) == ("controller", State.OK, "saves the kit to ssh")
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = _restic(fleet(tmp_path, DISK, SSH))
    assert (found.state, found.next) == (State.FAILED, "apt-get install restic")
    assert found.found == "restic isn't installed on this machine; should be 0.17.0 or newer; it saves the kit to ssh"


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        (WHOLE, True),
        (PATCH_ONLY, False),
        (TEXT.replace("patch: {window: sun 02:00-05:00}\n", ""), False),
        (WHOLE + "patch: {max_unavailable: 1}\n", True),
        (GOOD, False),
    ],
)
def test_a_tool_that_never_runs_anything_is_named(tmp_path: Path, text: str, *, warned: bool) -> None:
    found = [one.found for one in tool_without_times(scheduled(tmp_path, text))]
    assert found == ["unattended.on: the tool on ctl1 never runs anything"] * warned
