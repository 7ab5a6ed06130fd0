"""A backup server that keeps hosts apart, as docs/backup.md says: sftp, and append-only rest behind a proxy."""

from __future__ import annotations

import base64
import hashlib
import shlex
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from rackwright.values.secrets import Secret
from tests.cheap_key import cheap_key, empty_repository
from tests.lab.deployed import LabHost

REST = "systemd-run --quiet --unit=rest --uid=restic-rest-server restic-rest-server --path /srv/rest --append-only \
--htpasswd-file /srv/users --listen :8000 --tls --tls-cert /srv/vault.crt --tls-key /srv/vault.key"
CHROOTS = "/srv/backup"
_SSHD = f"""\
Match Group backup-hosts
    AuthorizedKeysFile /etc/ssh/backup-keys/%u
    ChrootDirectory {CHROOTS}/%u
    ForceCommand internal-sftp
    DisableForwarding yes
"""


def serve(vault: LabHost, folder: Path, hosts: tuple[str, ...]) -> None:
    """Install the server with a login for each host; leave in `folder` the key HOST, HOST.login and vault.crt."""
    vault.lab.exec(
        vault.name,
        f"""set -e
apt-get -qq update
export DEBIAN_FRONTEND=noninteractive
apt-get -qq install --no-install-recommends restic-rest-server openssl tinyproxy-bin >/dev/null
groupadd backup-hosts
printf %s {shlex.quote(_SSHD)} >/etc/ssh/sshd_config.d/backup.conf
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=vault \
  -addext 'subjectAltName=IP:{vault.address}' -keyout /srv/vault.key -out /srv/vault.crt 2>/dev/null
install -d -o restic-rest-server /srv/rest; chown restic-rest-server /srv/vault.key
""",
        timeout=300,
    )
    for host in hosts:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / host)], check=True)
        login = f"l0gin/with@signs/{host}"
        (folder / f"{host}.login").write_text(login)
        vault.tell(
            f"""set -e
useradd --gid backup-hosts --home-dir / --no-create-home --shell /usr/sbin/nologin {host}
install -d -m 0755 {CHROOTS}/{host}; install -d -m 0700 -o {host} {CHROOTS}/{host}/acme
echo '{(folder / f"{host}.pub").read_text().strip()}' | install -D -m 0644 /dev/stdin /etc/ssh/backup-keys/{host}
printf '{host}:{{SHA}}%s\\n' "$(printf %s '{login}' | openssl dgst -sha1 -binary | base64)" >>/srv/users"""
        )
    vault.tell(
        f"""set -e
systemctl restart ssh
{REST} --private-repos
printf 'Port 8888\nTimeout 60\nMaxClients 20\nLogFile "/run/tinyproxy.log"\nConnectPort 8000\n' >/etc/tinyproxy.conf
systemd-run --quiet --unit=proxy tinyproxy -d -c /etc/tinyproxy.conf"""
    )
    (folder / "vault.crt").write_text(vault.tell("cat /srv/vault.crt") + "\n")


def leave_empty(host: LabHost, folder: str, owner: str, password: Secret) -> None:
    """Leave an empty repository there, whose key costs no time."""
    with TemporaryDirectory() as here:
        empty_repository(Path(here, "made"), password.reveal())
        packed = subprocess.run(["tar", "-cz", "-C", f"{here}/made", "."], capture_output=True, check=True).stdout
    host.lab.exec(
        host.name,
        f"install -d -m 0700 {folder}; base64 -d | tar -xz -C {folder} && chown -R {owner} {folder}",
        input=base64.b64encode(packed).decode(),
    )


def make_cheap(host: LabHost, folder: str, password: Secret) -> None:
    """Replace the key of the repository there by one that costs no time."""
    key = cheap_key(host.tell(f"cat {folder}/keys/*").encode(), password.reveal())
    new = hashlib.sha256(key).hexdigest()
    host.lab.exec(
        host.name,
        f"cd {folder}/keys; old=$(ls); cp -p $old {new}; cat >{new}; rm -f $old",
        input=key.decode(),
    )


def repositories(vault: LabHost) -> list[dict[str, str]]:
    """Return the fleet file's repositories: over sftp, over rest, and a folder on each host's own disk."""
    host_key = vault.tell("cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub")
    ssh = {"name": "ssh", "url": f"sftp:{{host}}@{vault.address}:/acme", "key": "file:{host}", "host_key": host_key}
    web = {"name": "web", "url": f"rest:https://{vault.address}:8000", "user": "{host}", "login": "file:{host}.login"}
    web |= {"append_only": "yes", "ca": "vault.crt"}
    disk = {"name": "disk", "url": "/srv/disk"}
    return [one | {"password": "file:password"} for one in (ssh, web, disk)]
