"""Have a host make a snapshot every day, and check its snapshots every week."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra.api.deploy import deploy

from rackwright.operations.credential import Credential, credentials
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.packages import installed
from rackwright.operations.unit import UNITS, running, systemd_unit
from rackwright.roles.backup import scripts, units
from rackwright.roles.backup.settings import FOLDER, OLDEST_RESTIC, STATE, Access, Repository, Settings


@deploy("backup")
def backup(*, settings: Settings, access: Mapping[str, Access]) -> None:
    """Ensure that timers back the host up to each repository and check it; `access` has the secrets by repository.

    This doesn't make a snapshot. An installed restic is used if it isn't too old.
    """
    # Without tzdata, systemd accepts only UTC as a time zone.
    installed(name="Install restic", packages=("restic", "openssh-client", "tzdata", "ca-certificates"))
    folder(name="Make the folder for backups", path=FOLDER)
    folder(name="Make the folder for their state", path=STATE, mode="0700")
    for path, text in scripts.FIXED.items():
        checked_file(
            name=f"Write {path}",
            path=path,
            content=text,
            mode="0755" if path.endswith("restic.sh") else "0644",
            check=f"sh -n {{path}} && {scripts.new_enough(OLDEST_RESTIC)}",
        )
    for repository in settings.repositories:
        _repository(settings, repository, access[repository.name])


def _repository(settings: Settings, repository: Repository, access: Access) -> None:
    name = repository.name
    credentials(
        name=f"Keep the secrets of {name}",
        wanted=tuple(
            Credential(f"{repository.stem}.{secret}.cred", secret, access.secret(secret, repository))
            for secret in repository.credentials
        ),
    )
    public = {f"{repository.stem}.values": scripts.values(settings, repository)}
    if repository.known_hosts:
        public[f"{repository.stem}.known_hosts"] = f"{repository.known_hosts}\n"
    if access.ca_pem:
        public[f"{repository.stem}.ca.crt"] = access.ca_pem
    for path, content in public.items():
        checked_file(name=f"Write {path}", path=path, content=content)
    if settings.snapshots:
        _timers(settings, repository)


def _timers(settings: Settings, repository: Repository) -> None:
    for verb, unit in (("run", repository.run_unit), ("check", repository.check_unit)):
        systemd_unit(
            name=f"Write {unit}.service",
            unit=f"{unit}.service",
            content=units.service(repository, verb),
            enabled=None,
            verify=True,
        )
        written = systemd_unit(
            name=f"Write {unit}.timer",
            unit=f"{unit}.timer",
            content=units.timer(settings, repository, verb),
            verify=True,
        )
        running(
            name=f"Start {unit}.timer",
            unit=f"{unit}.timer",
            restart_if=[written],
            restart_files=(f"{UNITS}/{unit}.timer",),
        )
