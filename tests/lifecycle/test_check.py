from __future__ import annotations

from pathlib import Path

from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock_file import write_lock
from rackwright.lifecycle.check import check_hosts
from rackwright.lifecycle.conditions import State
from tests.wheel_plan import FLEET, SHA256, lock

PASSWORD = "sudo: {password: 'env:RACKWRIGHT_TEST_UNSET'}"


def test_a_password_that_does_not_resolve_fails_its_hosts_and_hides_nothing(tmp_path: Path):
    path = tmp_path / "wheel.yml"
    path.write_text((FLEET % SHA256).replace("{address: 10.0.0.1}", f"{{address: 10.0.0.1, {PASSWORD}}}"))
    fleet = load_fleet(path)
    write_lock(fleet.beside("lock"), lock(fleet))
    checked = check_hosts(fleet, ("gate1",))
    failed = {(condition.where, condition.what): condition.found for condition in checked.failed}
    assert set(failed) == {("controller", "secret"), ("gate1", "reach")}
    assert failed["gate1", "reach"].startswith("not tried: ")
    assert ("controller", "name", State.WARNING) in {(c.where, c.what, c.state) for c in checked.conditions}
