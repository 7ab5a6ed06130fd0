"""Which hosts can record requests for a migration."""

from __future__ import annotations

from pathlib import Path

from rackwright.fleet.hosts.compose import host_specs
from rackwright.roles.capture.settings import FOLDER, SOCKET, UNITS, USER
from tests.fleet.test_clouds import loaded, lock


def test_a_gateway_in_front_of_a_cloud_records_and_no_other_host(tmp_path: Path) -> None:
    specs = host_specs(fleet := loaded(tmp_path), lock(fleet))
    for name, spec in specs.items():
        is_gateway = name.startswith("gate")
        assert spec.records is is_gateway
        assert (spec.gateway is not None and spec.gateway.captures == SOCKET) is is_gateway
        kept = spec.layout
        found = {*UNITS} <= {*kept.keep_units}, FOLDER in kept.keep_files, USER in kept.keep_users
        assert found == (is_gateway,) * 3
