"""One control host's member of etcd."""

from __future__ import annotations

from rackwright.ports import ETCD_CLIENT_PORT, ETCD_PEER_PORT
from rackwright.roles.certificate.settings import files as certificate_files
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField
from rackwright.values.text import Line, Name

FOLDER = "/etc/rackwright/etcd"
UNIT = "rackwright-etcd.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
USER = "rw_etcd"
"""A model's user is rw-MODEL, so none has this name."""
STATE_DIRECTORY = "rackwright-etcd"
DATA = f"/var/lib/{STATE_DIRECTORY}"
SETTINGS = f"{FOLDER}/etcd.env"
MEMBER = f"{FOLDER}/member.env"
"""What the member joins: ETCD_INITIAL_CLUSTER and the like. The role never writes it, and etcd doesn't start without
it. While it exists, the host is a member."""
CTL = f"{FOLDER}/ctl"
OLDEST = "3.5.16"
"""etcd ignores settings that it doesn't know, among them those that keep other clients out."""
EXPORT = f"{FOLDER}/export"
"""Writes what etcd holds to the files that a single control host would have, so that backups have it."""
CERTIFICATE = "etcd"
"""Name of the certificate role's files, and of the unit's credentials."""
CREDENTIALS = f"/run/credentials/{UNIT}"
"""Certificate, CA and key as they were when the unit started. Only root and the unit can read the key."""
STARTED = "/run/rackwright-etcd/started"
"""The digest of what the running unit was started from (state.py)."""
FILES = (FOLDER, *certificate_files(CERTIFICATE))
CLIENT_URL = f"https://127.0.0.1:{ETCD_CLIENT_PORT}"


class Settings(Frozen):
    host: Name
    """The member's name."""
    address: AddressField
    """The host's service address, where the other members reach it."""
    control: Line
    """The name that only control hosts' certificates have. etcd refuses all others, of members and of clients."""

    @property
    def peer_url(self) -> str:
        """Where the other members reach this one."""
        at = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"https://{at}:{ETCD_PEER_PORT}"
