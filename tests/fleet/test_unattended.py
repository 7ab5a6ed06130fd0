# ruff: noqa: E501  (an exact message is written on one line)
"""`unattended`: which hosts may have the tool, whom it logs in as, and what it may do."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock, ModelLock, RuntimeLock, ToolLock, model_digest
from rackwright.fleet.needs import needs_of
from rackwright.fleet.ports import assign_ports
from rackwright.fleet.references import secret_references
from rackwright.fleet.sections.unattended import Unattended
from rackwright.own_wheel import own_digest, own_version
from rackwright.values.file import File
from tests.fleet.test_load import GOOD, KEY

HOST_KEY = " ".join(KEY.split()[:2])
FILE = File(path="m.gguf", size=1, sha256="1" * 64, url="https://huggingface.co/acme/tiny/resolve/c/m.gguf")
WHEEL = File(path="x-1-py3-none-any.whl", size=1, sha256="2" * 64, url="https://pypi.org/x-1-py3-none-any.whl")
WHOLE = (
    GOOD.replace("  gpu2: {address: 10.0.0.12}\n", "  gpu2: {address: 10.0.0.12}\n  ctl1: {address: 10.0.0.13}\n")
    + f"people: {{nightly: {{role: operator, keys: [{KEY}]}}}}\n"
    + "control: [ctl1]\n"
    + "unattended: {on: [ctl1], person: nightly, key: 'file:nightly'}\n"
)
"""Line 19 is `unattended`."""


def fleet(tmp_path: Path, text: str) -> Fleet:
    path = tmp_path / "fleet.yml"
    path.write_text(text)
    return load_fleet(path)


def section(tmp_path: Path, keys: str) -> Unattended:
    return fleet(tmp_path, WHOLE.replace("key: 'file:nightly'", f"key: 'file:nightly', {keys}")).file.unattended


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(FleetError) as raised:
        fleet(tmp_path, text)
    return [
        line.removeprefix(f"{tmp_path}/").removeprefix("fleet.yml:19 ") for line in str(raised.value).splitlines()
    ]


def test_without_it_nothing_runs_and_nothing_is_allowed(tmp_path: Path) -> None:
    plain = fleet(tmp_path, GOOD)
    assert plain.tool_hosts == ()
    allow = plain.file.unattended.allow
    assert (allow.close_ports, allow.not_stale, allow.drop_names) == (False, False, False)
    assert not allow.allows_outage("assistant")
    assert not allow.allows_downtime("assistant")


def test_those_in_service_have_the_tool(tmp_path: Path) -> None:
    assert fleet(tmp_path, WHOLE).tool_hosts == ("ctl1",)
    two = WHOLE.replace("  ctl1: {", "  ctl2: {disabled: RMA 4711, address: 10.0.0.14}\n  ctl1: {")
    two = two.replace("control: [ctl1]", "control: [ctl1, ctl2, gate1]").replace("on: [ctl1]", "on: [ctl1, ctl2]")
    assert fleet(tmp_path, two).tool_hosts == ("ctl1",)


def test_a_group_and_a_single_host_are_taken(tmp_path: Path) -> None:
    assert fleet(tmp_path, WHOLE.replace("on: [ctl1]", "on: ctl1")).tool_hosts == ("ctl1",)
    group = f"{WHOLE}groups: {{tools: [ctl1]}}\n".replace("on: [ctl1]", "on: tools")
    assert fleet(tmp_path, group).tool_hosts == ("ctl1",)


def test_each_question_has_its_own_setting(tmp_path: Path) -> None:
    allow = section(tmp_path, "allow: {outage: all, downtime: [assistant], close_ports: yes, not_stale: true}").allow
    assert allow.allows_outage("any")
    assert (allow.allows_downtime("assistant"), allow.allows_downtime("other")) == (True, False)
    assert (allow.close_ports, allow.not_stale, allow.drop_names) == (True, True, False)
    assert section(tmp_path, "allow: {close_ports: no, drop_names: false}").allow.close_ports is False


def test_settings_need_no_host_with_the_tool(tmp_path: Path) -> None:
    assert fleet(tmp_path, f"{GOOD}unattended: {{allow: {{outage: all}}}}\n").file.unattended.allow.outage == "all"


def test_its_keys_are_secrets(tmp_path: Path) -> None:
    text = f"repository: {{url: 'ssh://git@git.acme/ops.git', key: 'file:deploy', host_key: {HOST_KEY}}}"
    repository = section(tmp_path, text).repository
    assert repository is not None
    assert repository.branch == "rackwright-lock"
    found = secret_references(load_fleet(tmp_path / "fleet.yml"))
    assert found == {"unattended.key": "file:nightly", "unattended.repository.key": "file:deploy"}


@pytest.mark.parametrize(
    ("part", "other", "problem"),
    [
        ("on: [ctl1]", "on: [gate1]", "unattended.on: gate1 is a gateway, and the tool restarts gateways; name a host that is no gateway"),
        ("on: [ctl1]", "on: [gpu1]", "unattended.on: gpu1 serves, and the tool restarts hosts that serve; name a host without replicas"),
        ("on: [ctl1]", "on: [gpu2]", "unattended.on: gpu2 is no control host; add it to control, or name one of those"),
        ("on: [ctl1]", "on: [ctl7]", "unattended.on[0]: unknown host or group 'ctl7'; did you mean 'ctl1'?"),
        ("control: [ctl1]\n", "\n", "unattended.on: ctl1 is no control host; add it to control, or name one of those"),
        ("ctl1: {address: 10.0.0.13}", "ctl1: {address: ctl1.acme.internal, service: 10.0.0.13}",
         "fleet.yml:6 hosts.ctl1.address: all hosts admit the tool on ctl1 by its address; write its IP address"),
        ("people: {", "downloads: {ca_bundle: /dev/null}\npeople: {",
         "fleet.yml:17 downloads.ca_bundle: the tool on a control host doesn't have this file; write a path relative to the fleet file; then the control hosts keep a copy"),
        ("gpu2: {address: 10.0.0.12}", "gpu2: {address: '@local', service: 10.0.0.12}",
         "fleet.yml:5 hosts.gpu2.address: the tool on a control host would take itself for gpu2; write its IP address"),
        ("person: nightly", "person: nightli", "unattended.person: 'nightli' is not in people; did you mean 'nightly'?"),
        ("person: nightly", "person: zoe", "unattended.person: 'zoe' is not in people; add this person to people, with the tool's public key"),
        ("role: operator", "role: auditor", "unattended.person: nightly is an auditor; name an operator; the tool changes hosts"),
        ("{role: operator", "{on: ctl1, role: operator", "unattended.person: nightly can't log in to gate1; leave out nightly's on:; the tool changes every host"),
        (", key: 'file:nightly'", "", "unattended: missing key key; the tool needs both to log in to the hosts"),
        (", person: nightly, key: 'file:nightly'", "", "unattended: missing key person and key; the tool needs both to log in to the hosts"),
        ("on: [ctl1], ", "", "unattended: person and key are of the tool; name the control hosts that have it with on:"),
        ("on: [ctl1]", "allow: {outage: [assistent]}, on: [ctl1]", "unattended.allow.outage[0]: unknown model 'assistent'; did you mean 'assistant'?"),
        ("on: [ctl1]", "allow: {downtime: [all]}, on: [ctl1]", "unattended.allow.downtime[0]: unknown model 'all'; write downtime: all, without brackets"),
        ("on: [ctl1]", "allow: {outage: assistant}, on: [ctl1]", "unattended.allow.outage: should be 'all'"),
        ("on: [ctl1]", "allow: {close_ports: 1}, on: [ctl1]", "unattended.allow.close_ports: should be true or false"),
        ("people: {", "patch: {window: daily 00:00-24:00}\npeople: {",
         "fleet.yml:17 patch.window: never closes, and the tool starts a patch run when a window opens; should have a break within the week, like daily 00:00-23:00"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, part: str, other: str, problem: str) -> None:
    assert part in WHOLE
    assert problems(tmp_path, WHOLE.replace(part, other, 1)) == [problem]


@pytest.mark.parametrize(
    "url",
    ["https://git.acme/ops.git", "ssh://git.acme/a b", "ssh://-oX=1/a", "git@git:ops"],
)
def test_urls_that_are_refused(tmp_path: Path, url: str) -> None:
    text = WHOLE.replace(
        "{on: [ctl1]", f"{{repository: {{url: '{url}', key: 'file:d', host_key: {HOST_KEY}}}, on: [ctl1]"
    )
    (problem,) = problems(tmp_path, text)
    assert problem == "unattended.repository.url: should be like ssh://git@git.acme.internal/ops/fleet.git"


@pytest.mark.parametrize("branch", ["-f", "a..b", "a/", "a//b", "a.lock", ".a", "a/.b", "a b", "a~1", "@{u}"])
def test_branches_that_are_refused(tmp_path: Path, branch: str) -> None:
    repository = f"{{url: 'ssh://git.acme/o', key: 'file:d', host_key: {HOST_KEY}, branch: '{branch}'}}"
    (problem,) = problems(tmp_path, WHOLE.replace("{on: [ctl1]", f"{{repository: {repository}, on: [ctl1]"))
    assert problem.startswith("unattended.repository.branch: should be the name of a branch")


def locked(of: Fleet, **changes: object) -> Lock:
    tool = ToolLock(version=own_version(), digest=own_digest(), python="3.13", files=(WHEEL,))
    return Lock(
        fleet="acme",
        models=dict.fromkeys(
            of.file.models, ModelLock(source="hf:acme/tiny", digest=model_digest([FILE]), files=(FILE,))
        ),
        runtimes={"llama_cpp-b1": RuntimeLock(kind="llama_cpp", version="b1", files=(FILE,))},
        ports=assign_ports(of, None),
        tool=tool.model_copy(update=changes),
    )


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_only_the_host_that_it_names_has_the_tool_with_its_own_wheel(tmp_path: Path, cached: Path) -> None:
    of = fleet(tmp_path, WHOLE)
    specs = host_specs(of, locked(of))
    assert [name for name, spec in specs.items() if spec.tool] == ["ctl1"]
    tool = specs["ctl1"].tool
    assert tool
    assert tool.settings.version == own_version()
    assert tool.wheels[0] == WHEEL
    (own,) = tool.wheels[1:]
    assert own.local
    assert own.local.is_relative_to(cached)
    assert own.local.stat().st_size == own.size
    assert tool.digest == model_digest([WHEEL, own])
    layout = specs["ctl1"].layout
    assert layout.keep_tool == f"/opt/rackwright/tool-{own_version()}"
    assert "rw_tool" in layout.keep_users
    assert set(layout.keep_files) >= {"/etc/rackwright/tool", "/run/rackwright-tool"}
    other = specs["gate1"].layout
    assert (other.keep_tool, "rw_tool" in other.keep_users) == (None, False)
    assert "/run/rackwright-tool" not in other.keep_files


def test_a_fleet_without_it_makes_no_wheel(tmp_path: Path, cached: Path) -> None:
    of = fleet(tmp_path, GOOD)
    assert not any(spec.tool for spec in host_specs(of, locked(of)).values())
    assert not cached.exists()


def test_a_lock_of_another_rackwright_puts_nothing_there(tmp_path: Path, cached: Path) -> None:
    of = fleet(tmp_path, WHOLE)
    specs = host_specs(of, locked(of, version="0.0.9+1a2b3c4d"))
    assert specs["ctl1"].tool.wheels == ()
    # The one that is there stays.
    assert specs["ctl1"].layout.keep_tool == "/opt/rackwright/tool-0.0.9+1a2b3c4d"
    assert not cached.exists()


def test_its_wheels_are_a_need_of_its_hosts_that_no_backup_saves(tmp_path: Path) -> None:
    of = fleet(tmp_path, WHOLE)
    (need,) = [one for one in needs_of(of, locked(of), of.hosts) if one.kind == "tool"]
    assert (need.hosts, need.files, need.saved) == (("ctl1",), (WHEEL,), False)
    assert not [one for one in needs_of(of, locked(of), ("gate1",)) if one.kind == "tool"]
