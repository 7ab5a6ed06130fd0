"""The weights that one host keeps."""

from __future__ import annotations

from rackwright.values import File, Frozen, HostPath, Line, Name, Sha256


class StoredModel(Frozen):
    """One model's files, under ROOT/NAME/<first 16 digits of digest>/."""

    name: Name
    digest: Sha256
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class Settings(Frozen):
    root: HostPath = "/srv/models"
    models: tuple[StoredModel, ...]
    proxy: Line | None = None
    """HTTP proxy of downloads, http://host:port."""
    ca_bundle: HostPath | None = None
    """CA file on the host that downloads are verified with; None: the system's."""
