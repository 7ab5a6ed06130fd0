"""`driver`: what makes GPUs work, as one set with the kernel: where it comes from, which branch, for which hosts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, model_validator

from rackwright.fleet.sections.forms import Hosts
from rackwright.package_set import PackageName
from rackwright.values.base import Frozen
from rackwright.values.paths import ControllerPath, HostPath
from rackwright.values.text import Shape, Url

Branch = Annotated[
    str, Shape(r"[1-9][0-9]{2}(\.[0-9]{1,3}){0,2}", 'should be a branch like "580", or a release like "580.95.05"')
]
CudaVersion = Annotated[str, Shape(r"[1-9][0-9]\.[0-9]{1,2}", 'should be a version like "12.8"')]


def _word(value: object) -> object:
    # YAML 1.2 reads yes and no as text, YAML 1.1 as booleans.
    return ("yes" if value else "no") if isinstance(value, bool) else value


class Driver(Frozen):
    """The NVIDIA driver of some hosts."""

    on: Hosts | None = None
    """Groups or hosts; when absent every host where a replica has GPUs."""
    manage: Annotated[Literal["yes", "adopt", "replace", "no"], BeforeValidator(_word)] = "yes"
    """yes: install it, and refuse a host that has another; adopt: keep what is there, hold and watch it; replace:
    take out what is there; no: leave it alone."""
    source: Literal["nvidia", "distribution", "path"] = "nvidia"
    """NVIDIA's repository, Debian's contrib and non-free (Ubuntu's restricted), or a folder on the host."""
    mirror: Url | None = None
    """Of source nvidia: your copy of the repository for the hosts' release, the folder with Packages in it."""
    path: HostPath | None = None
    """Of source path: folder on the host with .deb files and Packages in it."""
    key: ControllerPath | None = None
    """Keyring of who signs mirror or path; NVIDIA's own, by its fingerprint, or for a path none, when absent."""
    branch: Branch | None = None
    """Which driver; needed unless it is adopted or left alone."""
    modules: Literal["open", "proprietary"] | None = None
    """Kernel modules; what the GPUs' generation needs when absent, open where both do."""
    kernel: PackageName | None = None
    """The kernel that belongs to the set; when absent the package that brings the hosts theirs."""
    cuda: CudaVersion | None = None
    """CUDA toolkit for your own programs; runtimes bring theirs. None when absent."""

    @property
    def installs(self) -> bool:
        """Whether its packages are ours to choose."""
        return self.manage in ("yes", "replace")

    @property
    def question(self) -> str:
        """What the lock must answer, as one line."""
        asked = self.model_dump(mode="json", exclude_none=True, exclude={"on", "manage"})
        return " ".join(f"{key}={value}" for key, value in sorted(asked.items()))

    @model_validator(mode="after")
    def _whole(self) -> Driver:
        if self.installs and self.branch is None:
            raise ValueError('which driver? write branch: "580", or manage: adopt to keep what the hosts have')
        if self.cuda and not self.installs:
            raise ValueError("cuda comes with a driver that is installed: not with manage: adopt or no")
        if (self.source == "path") != (self.path is not None):
            raise ValueError("source: path and path: FOLDER belong together")
        if self.mirror and self.source != "nvidia":
            raise ValueError("a mirror belongs to source: nvidia; hosts' own sources are in downloads.apt_mirror")
        if self.key and not (self.mirror or self.path):
            raise ValueError("a key belongs to mirror or path")
        return self
