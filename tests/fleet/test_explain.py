from __future__ import annotations

import pytest

from rackwright.errors import UsageError
from rackwright.fleet.explain import explain
from rackwright.fleet.load import load_fleet
from tests.fleet.test_load import GOOD

TEXT = """\
defaults: {ssh: {user: ops, jump: {address: 10.0.0.9}}}
groups: {gpus: {hosts: [gpu1], models_at: /data/models}}
"""


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "fleet.yml"
    path.write_text(TEXT + GOOD)
    return load_fleet(path.relative_to(tmp_path))


def test_shows_each_setting_and_where_it_came_from(fleet):
    shown = [row for row in explain(fleet, "gpu1") if not row.setting.startswith("baseline.")]
    assert [(row.setting, row.value, row.origin) for row in shown] == [
        ("ssh.user", "ops", "defaults, fleet.yml:1"),
        ("ssh.port", "22", "built in"),
        ("ssh.key", "-", "built in"),
        ("ssh.certificate", "-", "built in"),
        ("ssh.jump.address", "10.0.0.9", "defaults, fleet.yml:1"),
        ("ssh.jump.user", "-", "built in"),
        ("ssh.jump.port", "22", "built in"),
        ("ssh.jump.key", "-", "built in"),
        ("sudo.password", "-", "built in"),
        ("models_at", "/data/models", "group gpus, fleet.yml:2"),
        ("address", "10.0.0.11", "host gpu1, fleet.yml:6"),
        ("service", "-", "built in"),
        ("fabric", "-", "built in"),
        ("bmc", "-", "built in"),
        ("disabled", "-", "built in"),
    ]


def test_an_unknown_host_is_a_usage_error(fleet):
    with pytest.raises(UsageError, match=r"unknown host 'gpu7'; did you mean 'gpu2'\?"):
        explain(fleet, "gpu7")
