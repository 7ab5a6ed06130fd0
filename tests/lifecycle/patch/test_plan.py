"""`patch plan`: hosts that answer, and others; its text, document and exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from rackwright.cli import rackwright
from rackwright.cli.render.patch_document import patch_document
from rackwright.cli.render.patch_text import patch_text
from rackwright.errors import FleetError, HostError
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.targets import targets
from rackwright.lifecycle.patch import coming_drivers, plan
from rackwright.lifecycle.patch.findings import SetChange
from rackwright.lifecycle.patch.try_build import Tried
from rackwright.lifecycle.session.session import Session
from rackwright.remote import Completed, Remote
from tests.cli.conftest import unpatched as unpatched  # commands run in this process, too
from tests.fleet.fleets import make_fleet
from tests.lifecycle.patch.states import STATE
from tests.lifecycle.patch.test_findings import COMING, NOW
from tests.wheel_plan import lock

NOTHING = "".join(
    f"{line}\n"
    for line in STATE.splitlines()
    if line.split()[0] not in ("Inst", "reboot", "broken", "locked", "kept")
)
SUNDAY = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)


@dataclass
class Answering:
    """A connection to a host that says this, or doesn't answer."""

    text: str | None
    is_root: bool = True
    login_key: str | None = None

    def execute(self, command: str, stdin: Iterable[bytes], *, timeout: float | None, limit: int) -> Completed:
        list(stdin)
        if self.text is None:
            raise HostError("no route to host")
        if self.text.startswith("E: "):
            return Completed(1, b"", self.text.encode())
        return Completed(0, self.text.encode())

    def alive(self) -> bool:
        return True

    def close(self) -> None: ...


def session(folder: Path, said: Mapping[str, str | None], **sections: Any) -> Session:
    placed = {host: ["tiny@1"] for host in said if host != "gate1"}
    fleet = make_fleet(folder / "site.yml", replicas=placed, **{"patch": {}, **sections})
    locked = lock(fleet).model_copy(update={"ports": {host: {"tiny@1": 8100} for host in placed}})
    specs = {name: spec for name, spec in host_specs(fleet, locked).items() if name in said}
    # The control host has no journal yet.
    remote = Remote(
        targets(fleet),
        transport=lambda target: cast(Any, Answering(said.get(target.name, ""))),
    )
    return Session(fleet, locked, specs, remote, cast(Any, SimpleNamespace()))


def coming(monkeypatch: pytest.MonkeyPatch, tried: Tried, **sets: SetChange) -> None:
    """The next lock has these sets, and their trial build ends like this."""
    monkeypatch.setattr(plan, "coming_drivers", lambda *_: coming_drivers.Coming(sets))
    monkeypatch.setattr(coming_drivers, "try_build", lambda connection, *_: replace(tried, host=connection.name))


def text(planned: plan.Plan) -> str:
    return "\n".join(patch_text(planned, UTC))


def test_hosts_are_in_the_order_of_the_run_and_those_without_changes_are_not_touched(tmp_path: Path) -> None:
    found = plan.patch_plan(session(tmp_path, {"gate1": STATE, "gpu1": STATE, "gpu2": NOTHING}), now=SUNDAY)
    assert [(host.host, host.empty) for host in found.hosts] == [("gpu1", False), ("gpu2", True), ("gate1", False)]
    assert found.schedule.order == ("gpu1", "gate1")
    assert [kind.hosts for kind in found.document.kinds] == [("gpu1", "gate1")]
    assert "order: gpu1 (canary), gate1" in text(found)
    assert "gpu2:\n  nothing to change: isn't touched" in text(found)


def test_a_host_without_an_answer_is_named_and_the_others_have_a_plan(tmp_path: Path) -> None:
    said = {"gpu1": STATE, "gpu2": None, "gpu3": "system debian 13 amd64\n"}
    said |= {"gpu4": f"Remv bash [5]\n{STATE}", "gpu5": "E: Failed to fetch http://ops:secret@mirror/x"}
    found = plan.patch_plan(session(tmp_path, said))
    assert [host.host for host in found.hosts] == ["gpu1"]
    assert set(found.failed) == {"gpu2", "gpu3", "gpu4", "gpu5"}
    assert "E: Failed to fetch http://mirror/x" in found.failed["gpu5"]
    assert "no route to host" in found.failed["gpu2"]


def test_a_driver_that_does_not_build_is_named_with_the_compilers_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "nvidia.c:2:35: error: too few arguments to function 'pci_resize_resource'"
    tried = Tried("", COMING.version, COMING.kernel, "fails", (line,))
    sets = {host: SetChange(NOW, COMING) for host in ("gpu1", "gpu2")}
    coming(monkeypatch, tried, **sets)
    found = plan.patch_plan(session(tmp_path, {"gpu1": STATE, "gpu2": STATE}))
    # Tried on one host of the kind.
    assert [one.host for one in found.builds] == ["gpu1"]
    assert f"driver 580.2 doesn't build for kernel {COMING.kernel} (tried on gpu1):\n    {line}" in text(found)
    assert found.unproven == found.builds


def test_the_set_that_a_host_has_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coming(monkeypatch, Tried("", "", "", "fails"), gpu1=SetChange(NOW, NOW))
    found = plan.patch_plan(session(tmp_path, {"gpu1": NOTHING}))
    assert (found.builds, found.empty) == ((), True)


def test_only_security_leaves_driver_and_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coming(monkeypatch, Tried("", "", "", "fails"), gpu1=SetChange(NOW, COMING))
    found = plan.patch_plan(session(tmp_path, {"gpu1": STATE}), only_security=True)
    assert (found.builds, found.document.only_security) == ((), True)


def test_whether_the_run_fits_is_known_once_it_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = {"window": "sun 02:00-03:00"}
    site = session(tmp_path, {"gpu1": STATE, "gpu2": STATE}, patch=patch)
    window = "window: opens Sun 2026-11-29 02:00 UTC, closes Sun 2026-11-29 03:00 UTC"
    for measured, said in (
        ({}, "whether the run fits isn't known yet"),
        ({"gpu1": 1800.0, "gpu2": 1800.0}, "the run fits"),
        ({"gpu1": 1800.0, "gpu2": 1801.0}, "the run doesn't fit"),
    ):
        monkeypatch.setattr(plan, "measured_seconds", lambda _, found=measured: found)
        shown = text(plan.patch_plan(site, now=SUNDAY))
        assert f"{window}: {said}" in shown.splitlines()


def test_a_control_host_without_an_answer_only_leaves_the_time_unknown(tmp_path: Path) -> None:
    planned = plan.patch_plan(session(tmp_path, {"gate1": None, "gpu1": STATE}))
    assert (planned.schedule.seconds, [one.host for one in planned.hosts]) == (None, ["gpu1"])


def test_a_text_names_what_is_in_the_way_and_what_cannot_go_back(tmp_path: Path) -> None:
    shown = [
        " ".join(line.split()) for line in text(plan.patch_plan(session(tmp_path, {"gpu1": STATE}))).splitlines()
    ]
    for line in (
        "in the way: dpkg is locked by apt-get (4711)",
        "no way back: tzdata 2025b-4+deb13u1",
        "run on replaced libraries: ssh.service",
        "run on replaced libraries, restarted only by a rollout: rackwright-assistant@1.service",
        "libssl3t64 3.5.1-1 3.5.1-1+deb13u1 yes CVE-2026-0001 archive",
    ):
        assert line in shown


def test_a_text_stays_short_whatever_a_host_says(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(400)]
    many = "".join(f"broken {name} half-installed\nkept {name}\nNEEDRESTART-SVC: {name}.service\n" for name in names)
    shown = text(plan.patch_plan(session(tmp_path, {"gpu1": STATE.replace("end\n", f"{many}end\n")}))).splitlines()
    assert len(shown) < 100
    assert max(map(len, shown)) < 1000
    assert "  in the way: and 373 more, all in --json" in shown
    assert "  stays: and 372 more, all in --json" in shown


@pytest.mark.parametrize(
    ("said", "build", "words", "code"),
    [
        (STATE, "builds", (), 0),
        (STATE, "builds", ("--check",), 4),
        (NOTHING, None, ("--check",), 0),
        (STATE, "fails", ("--check",), 12),
        (STATE, "unknown", (), 12),
        (None, None, (), 3),
    ],
)
def test_the_exit_code_says_how_it_ended(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: str | None,
    build: Any,
    words: tuple[str, ...],
    code: int,
) -> None:
    site = session(tmp_path, {"gpu1": said})
    if build:
        coming(monkeypatch, Tried("", "580.2", COMING.kernel, build, ("why",)), gpu1=SetChange(NOW, COMING))

    @contextmanager
    def opened(*_: object, **__: object) -> Any:
        yield site

    monkeypatch.setattr("rackwright.lifecycle.session.session.open_session", opened)
    monkeypatch.setattr("rackwright.fleet.load.load_fleet", lambda _: site.fleet)
    done = CliRunner().invoke(rackwright, ["patch", "plan", "--json", *words], standalone_mode=False)
    assert done.return_value == code, done.output
    document = json.loads(done.stdout)
    assert document["plan"]["format"] == "patch-plan/1"
    assert [one["state"] for one in document["builds"]] == ([build] if build else [])


def test_a_fleet_file_without_the_section_has_no_plan(tmp_path: Path) -> None:
    with pytest.raises(FleetError) as caught:
        plan.patch_plan(session(tmp_path, {"gpu1": STATE}, patch=None))
    (problem,) = caught.value.problems
    assert problem.line() == (
        "is missing; add `patch: {}`, so that hosts get the programs that are asked; next: rackwright apply"
    )


def test_the_document_has_everything_for_a_script(tmp_path: Path) -> None:
    document = patch_document(plan.patch_plan(session(tmp_path, {"gpu1": STATE}), now=SUNDAY))
    (host,) = cast(Any, document["hosts"])
    assert (host["cves_closed"], host["cves_left"]) == (["CVE-2026-0001"], ["CVE-2026-0002", "TEMP-0841856-B18BAF"])
    assert host["no_way_back"] == ["tzdata"]
    assert json.loads(json.dumps(document)) == document
