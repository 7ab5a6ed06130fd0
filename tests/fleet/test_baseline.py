from __future__ import annotations

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.explain import explain
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.sections.baseline import Baseline
from tests.fleet.test_load import GOOD

ITEMS = tuple(name for name in Baseline.model_fields if name != "manage")


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def loaded(text: str) -> Fleet:
        path = tmp_path / "fleet.yml"
        path.write_text(text + GOOD)
        return load_fleet(path.relative_to(tmp_path))

    return loaded


def baseline(fleet: Fleet, host: str) -> Baseline:
    return fleet.file.hosts[host].baseline


def test_every_item_is_looked_after_unless_it_is_said_otherwise(load):
    fleet = load("")
    assert {getattr(baseline(fleet, "gpu1").decided(), item).manage for item in ITEMS} == {"yes"}


def test_manage_no_turns_all_of_it_off_whatever_the_items_say(load):
    fleet = load("defaults: {baseline: {manage: no, journald: {manage: yes, max_retention: 7d}}}\n")
    decided = baseline(fleet, "gpu1").decided()
    assert {getattr(decided, item).manage for item in ITEMS} == {"no"}
    assert decided.journald.max_retention == 7 * 86400


def test_an_item_is_turned_off_alone(load):
    fleet = load("defaults: {baseline: {journald: {manage: no}}}\n")
    off = [item for item in ITEMS if getattr(baseline(fleet, "gpu1").decided(), item).manage == "no"]
    assert off == ["journald"]


@pytest.mark.parametrize(("written", "read"), [("true", "yes"), ("false", "no"), ("yes", "yes"), ("no", "no")])
def test_yes_and_no_may_be_written_as_true_and_false(load, written, read):
    assert baseline(load(f"defaults: {{baseline: {{manage: {written}}}}}\n"), "gpu1").manage == read


def test_a_group_and_a_host_change_what_they_name_and_nothing_beside_it(load):
    fleet = load(
        "defaults: {baseline: {journald: {system_max_use: 1GiB, max_retention: 7d}}}\n"
        "groups: {gpus: {hosts: [gpu1], baseline: {journald: {system_max_use: 2GiB}}}}\n"
    )
    settings = [baseline(fleet, host).journald for host in ("gpu1", "gpu2")]
    assert [(one.system_max_use, one.max_retention, one.manage) for one in settings] == [
        (2 * 2**30, 7 * 86400, "yes"),
        (2**30, 7 * 86400, "yes"),
    ]
    shown = {row.setting: row.origin for row in explain(fleet, "gpu1") if row.setting.startswith("baseline.journald")}
    assert shown == {
        "baseline.journald.manage": "built in",
        "baseline.journald.system_max_use": "group gpus, fleet.yml:2",
        "baseline.journald.max_retention": "defaults, fleet.yml:1",
        "baseline.journald.forward_to": "built in",
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "defaults: {baseline: {jurnald: {}}}\n",
            "fleet.yml:1 defaults.baseline.jurnald: unknown key; did you mean 'journald'?",
        ),
        (
            "defaults: {baseline: {manage: maybe}}\n",
            "fleet.yml:1 defaults.baseline.manage: should be 'yes' or 'no'",
        ),
        (
            "defaults: {baseline: {journald: {system_max_use: 1M}}}\n",
            "fleet.yml:1 defaults.baseline.journald.system_max_use: should be at least 67108864 bytes",
        ),
        (
            "defaults: {baseline: {journald: {system_max_use: lots}}}\n",
            "fleet.yml:1 defaults.baseline.journald.system_max_use: should be a size like 500M, 80GiB or 2TB",
        ),
        (
            "defaults: {baseline: {journald: {forward_to: logs}}}\n",
            "fleet.yml:1 defaults.baseline.journald.forward_to: should be HOST:PORT, like logs.acme.internal:514 "
            "or [fd00::9]:514",
        ),
        (
            "defaults: {baseline: {updates: {exclude: ['A B']}}}\n",
            "fleet.yml:1 defaults.baseline.updates.exclude[0]: should be the name of a package, or its beginning "
            "and a *",
        ),
        (
            "defaults: {baseline: {sysctl: {values: {somaxconn: 1}}}}\n",
            "fleet.yml:1 defaults.baseline.sysctl.values.somaxconn: should be a kernel setting like "
            "net.core.somaxconn, as sysctl.d(5) writes it",
        ),
        (
            "defaults: {baseline: {sysctl: {values: {net.core.somaxconn: [1]}}}}\n",
            "fleet.yml:1 defaults.baseline.sysctl.values.'net.core.somaxconn': should be a whole number or text",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(load, text, problem):
    with pytest.raises(FleetError) as raised:
        load(text)
    assert problem in [str(one) for one in raised.value.problems]
