"""`driver`: the GPU driver and the kernel as one set of packages: their source, the branch, the hosts."""

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
    # In YAML 1.2, yes and no are text; in YAML 1.1, they are booleans.
    return ("yes" if value else "no") if isinstance(value, bool) else value


class Driver(Frozen):
    """The NVIDIA driver of some hosts."""

    on: Hosts | None = None
    """Groups or hosts; if absent, every host with a replica on GPUs."""
    manage: Annotated[Literal["yes", "adopt", "replace", "no"], BeforeValidator(_word)] = "yes"
    """yes: install it, and refuse a host with another driver; adopt: keep the existing driver, put it on hold and
    monitor it; replace: remove the existing driver first; no: leave the driver alone."""
    source: Literal["nvidia", "distribution", "path"] = "nvidia"
    """NVIDIA's repository, Debian's contrib and non-free (Ubuntu's restricted), or a folder on the host."""
    mirror: Url | None = None
    """For source nvidia: your mirror of the repository for the hosts' release; the folder that contains Packages."""
    path: HostPath | None = None
    """For source path: a folder on the host with .deb files and their Packages file."""
    key: ControllerPath | None = None
    """The keyring that signs mirror or path. If absent: NVIDIA's key, by its fingerprint; for a path, none."""
    branch: Branch | None = None
    """The branch or release of the driver; required unless `manage` is adopt or no."""
    modules: Literal["open", "proprietary"] | None = None
    """The kernel modules. If absent: what the GPUs' generation needs, open if both work."""
    kernel: PackageName | None = None
    """The kernel package of the set; if absent, the package that the hosts' kernel comes from."""
    cuda: CudaVersion | None = None
    """The CUDA toolkit for your own programs; runtimes include theirs. None if absent."""

    @property
    def installs(self) -> bool:
        """Whether rackwright chooses and installs its packages."""
        return self.manage in ("yes", "replace")

    @property
    def question(self) -> str:
        """The settings that the lock resolves, on one line."""
        asked = self.model_dump(mode="json", exclude_none=True, exclude={"on", "manage"})
        return " ".join(f"{key}={value}" for key, value in sorted(asked.items()))

    @model_validator(mode="after")
    def _whole(self) -> Driver:
        if self.installs and self.branch is None:
            raise ValueError('has no branch; write branch: "580", or manage: adopt to keep existing drivers')
        if self.cuda and not self.installs:
            raise ValueError("cuda comes with an installed driver; should have manage: yes or replace")
        if (self.source == "path") != (self.path is not None):
            raise ValueError("source: path and path: FOLDER belong together")
        if self.mirror and self.source != "nvidia":
            raise ValueError("mirror needs source: nvidia; for the hosts' own apt sources, use downloads.apt_mirror")
        if self.key and not (self.mirror or self.path):
            raise ValueError("key needs mirror or path")
        return self
