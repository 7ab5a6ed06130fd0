from __future__ import annotations

import subprocess
from pathlib import Path

from rackwright.operations.facts.apt_sources import APT, ASIDE, AptSources, Sources


def seen(folder: Path, *files: str) -> Sources:
    """What the fact finds, with a real shell, on a host whose /etc/apt and /var/lib are below `folder`."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    command = AptSources().command().replace(APT, f"{folder}/apt").replace(ASIDE, f"{folder}/aside")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = done.stdout.replace(f"{folder}/apt", APT).splitlines()
    return AptSources().process(found) if found else AptSources.default()


def test_a_hosts_own_sources_are_told_from_ours(tmp_path: Path) -> None:
    found = seen(
        tmp_path,
        *("apt/sources.list", "apt/sources.list.d/debian.sources", "apt/sources.list.d/a b.list"),
        *("apt/sources.list.d/rackwright.sources", "apt/sources.list.d/old.bak", "apt/keyrings/rackwright-1.asc"),
        "apt/keyrings/docker.asc",
    )
    assert found.others == ("sources.list", "sources.list.d/a b.list", "sources.list.d/debian.sources")
    assert found.keyrings == ("/etc/apt/keyrings/rackwright-1.asc",)
    assert found.aside == ()


def test_what_came_back_by_itself_does_not_wait_for_its_return(tmp_path: Path) -> None:
    found = seen(
        tmp_path,
        *("apt/sources.list.d/debian.sources", "aside/sources.list.d/debian.sources", "aside/sources.list"),
    )
    assert found.aside == ("sources.list",)


def test_a_link_into_nowhere_counts(tmp_path: Path) -> None:
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "apt/sources.list.d/x.list").symlink_to("/nowhere")
    assert seen(tmp_path).others == ("sources.list.d/x.list",)


def test_a_host_without_any_is_a_host_without_any(tmp_path: Path) -> None:
    assert seen(tmp_path, "apt/apt.conf") == Sources()
