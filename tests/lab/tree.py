"""The content of a lab host's folders that an apply may change, so that two hosts can be compared."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rackwright.lab.hosts import Lab

IDENTITY = (
    "/etc/machine-id",
    "/etc/ssh/ssh_host_",
    "/etc/rackwright/certificates/",
    "/home/ops/.ssh/authorized_keys",
    "/var/lib/systemd/credential.secret",
)
"""The first parts of the paths of files that no two hosts share."""
HISTORY = ("/var/lib/rackwright/", "/etc/.pwd.lock")
"""What was done to a host, and when: it differs between any two hosts."""
_PROGRAM = """
import hashlib, json, os, re, sys
names = json.loads(sys.argv[1])
found = {}
def note(path):
    stat = os.lstat(path)
    about = f"{stat.st_mode:o} {stat.st_uid}:{stat.st_gid}"
    if os.path.islink(path):
        about += f" -> {os.readlink(path)}"
    elif os.path.isfile(path):
        content = open(path, "rb").read()
        for name, common in names.items():
            content = content.replace(name.encode(), common.encode())
        if path in ("/etc/shadow", "/etc/shadow-"):
            # The day of the last change: one of the hosts may have been set up before midnight.
            content = re.sub(rb"(?m)^([^:]*:[^:]*:)[0-9]+", rb"\\1DAY", content)
        about += f" {hashlib.sha256(content).hexdigest()}"
    found[path] = about
for top in ("/etc", "/home", "/opt", "/root", "/srv", "/usr/local", "/var/lib/rackwright", "/var/lib/systemd"):
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            note(os.path.join(folder, name))
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Tree:
    """Mode, owner and content of each file, by path."""

    same: dict[str, str]
    """What two hosts with the same task in two fleets have in common."""
    own: dict[str, str]
    """What is the host's own."""


def tree(lab: Lab, host: str) -> Tree:
    """Return what the host has, with the lab's name and network replaced by words that all labs share."""
    fleet = lab.fleet()
    network = str(fleet.subnet.network_address).removesuffix("0")
    names = json.dumps({network: "NETWORK.", fleet.name: "LAB", str(lab.folder): "FOLDER"})
    done = lab.exec(host, f"python3 - '{names}'", input=_PROGRAM)
    found: dict[str, str] = json.loads(done.out)
    own = {path: about for path, about in found.items() if path.startswith(IDENTITY)}
    return Tree({path: about for path, about in found.items() if not path.startswith((*IDENTITY, *HISTORY))}, own)
