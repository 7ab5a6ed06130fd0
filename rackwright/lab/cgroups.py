"""Gives podman a pure cgroup2 on machines with hybrid cgroups, which crun refuses.

The private mount namespace is made once and kept. With a new one for each call, podman's hosts would run, but
removing them would fail in netavark's setns.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lab import paths

_ROOT = "/sys/fs/cgroup"
_FOLDER = Path("/run/rackwright-lab")
_NAMESPACE = _FOLDER / "mnt"


def file_system_at(mountinfo: str, path: str) -> str | None:
    """Given the text of /proc/self/mountinfo, return the type of the last mount on `path`, or None."""
    found = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) > 4 and fields[4] == path and after:
            found = after.split()[0]
    return found


def is_hybrid(mountinfo: str) -> bool:
    """Return whether /sys/fs/cgroup is anything other than one cgroup2 tree."""
    return file_system_at(mountinfo, _ROOT) != "cgroup2"


def prefix() -> list[str]:
    """Return the prefix of every podman call on this machine: nothing, or the command that enters the namespace."""
    if not is_hybrid(_mountinfo()):
        return []
    if file_system_at(_mountinfo(), str(_NAMESPACE)) != "nsfs":
        with paths.locked("cgroups"):
            if file_system_at(_mountinfo(), str(_NAMESPACE)) != "nsfs":
                _make_namespace()
    return ["nsenter", f"--mount={_NAMESPACE}"]


def _mountinfo() -> str:
    return Path("/proc/self/mountinfo").read_text()


def _make_namespace() -> None:
    _FOLDER.mkdir(mode=0o700, exist_ok=True)
    _NAMESPACE.touch()
    if file_system_at(_mountinfo(), str(_FOLDER)) is None:
        # A namespace can only be kept in a mount that doesn't propagate.
        _run("mount", "--bind", str(_FOLDER), str(_FOLDER))
    _run("mount", "--make-private", str(_FOLDER))
    inside = f"umount -R {_ROOT} && mount -t cgroup2 none {_ROOT}"
    _run("unshare", f"--mount={_NAMESPACE}", "--propagation", "private", "sh", "-c", inside)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RackwrightError(
            f"a mount namespace with cgroup2 can't be made: {done.stderr.strip()}",
            where="lab",
            should="podman needs cgroup2: boot with systemd.unified_cgroup_hierarchy=1",
        )


def remove() -> None:
    """Remove the private namespace. The caller must ensure that no container runs in it."""
    for place, kind in ((_NAMESPACE, "nsfs"), (_FOLDER, None)):
        found = file_system_at(_mountinfo(), str(place))
        if found is not None and kind in (None, found):
            _run("umount", str(place))
    _NAMESPACE.unlink(missing_ok=True)
    if _FOLDER.exists():
        _FOLDER.rmdir()
