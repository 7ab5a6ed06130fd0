"""Attacks on the etcd of several control hosts: from the network, with other certificates, and by users of its host.

They run in the lab of test_control.py, which has three control hosts and a serving host that is none.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import partial

from rackwright.roles.certificate.settings import FOLDER as CERTIFICATES
from rackwright.roles.etcd.settings import CREDENTIALS, CTL, DATA, EXPORT, MEMBER, SETTINGS, STARTED, UNIT
from tests.heavy.attacks.attack import Attempt
from tests.heavy.attacks.site import Site

FAMILY = "etcd"
OUTSIDER = "gpu3"
"""A serving host that is no control host, in the lab of test_control.py."""
TARGET, NEIGHBOR = "gpu1", "gate1"
"""The control host that is attacked over the network, and one that its packet filter lets in."""
PORTS = (2379, 2380)
_ENGINE = "rw-assistant"
USERS = ("nobody", "haproxy", _ENGINE)
"""Users without a login; the last one runs an engine."""
_MAIN = f"$(systemctl show -p MainPID --value {UNIT})"
AS_USER = {
    "read the key": f"cat {CREDENTIALS}/etcd.key",
    "read the encrypted key": f"cat {CERTIFICATES}/etcd.key.cred",
    "list the data": f"ls {DATA}/member",
    "read the data": f"test -r {DATA}/member/snap/db && echo yes",
    "run root's etcdctl": f"{CTL} get --prefix /rackwright/ --keys-only",
    "write the data": f"test -w {DATA} && echo yes",
    "write the settings": f"test -w {SETTINGS} && echo yes",
    "write what it joins": f"test -w {MEMBER} && echo yes",
    "write what it was started from": f"test -w {STARTED} && echo yes",
    "run the program for backups": f"test -x {EXPORT} && echo yes",
    "signal it": f"kill -0 {_MAIN} && echo yes",
    "read its environment": f"tr '\\0' '\\n' </proc/{_MAIN}/environ",
    "read its memory": f"test -r /proc/{_MAIN}/mem && echo yes",
    "restart it": f"systemctl --no-ask-password restart {UNIT} && echo yes",
    "read its health": "curl -skf -m 5 https://127.0.0.1:2379/health",
}
"""Attempt → a command that prints something if it was a success. Root's must print something, too."""
NOT_BY_ROOT = ("restart it", "read its health")
"""What root isn't asked to do: it would stop the member, or needs a certificate from everybody."""


def attempts(site: Site) -> Iterator[Attempt]:
    """Yield what nobody but root of a control host and other members may do."""
    for port in PORTS:
        yield Attempt(FAMILY, f"reach {port} from a serving host", partial(_reached, site, OUTSIDER, port))
    for name in other_certificates(site):
        for where, port in (("127.0.0.1", 2379), (site.fleet.hosts[TARGET], 2380)):
            yield Attempt(FAMILY, f"show {name} to {port}", partial(shown, site, name, f"{where}:{port}"))
    for user in USERS:
        for what, command in AS_USER.items():
            yield Attempt(FAMILY, f"{what} as {user}", partial(got, site, command, user))


def controls(site: Site) -> dict[str, str]:
    """Return what the same attempts get where nothing stops them: by other members, and by root."""
    found = {what: got(site, command) for what, command in AS_USER.items() if what not in NOT_BY_ROOT}
    found["reach 2380"] = _reached(site, NEIGHBOR, 2380)
    own = f"{CREDENTIALS}/etcd"
    for where in ("127.0.0.1:2379", f"{site.fleet.hosts[TARGET]}:2380"):
        found[f"show its own to {where}"] = _asked(site, f"--cert {own}.crt --key {own}.key", where)
    return found


def other_certificates(site: Site) -> dict[str, str]:
    """Return what an attacker could show: name → certificate and key (PEM), "" for nothing."""
    strange = site.operator.path.parent / "strange"
    strange.mkdir(exist_ok=True)
    other = type(site.authority)(site.fleet.name, strange / "ca.crt", strange)
    control, address = f"etcd.{site.fleet.name}.rackwright.internal", site.fleet.hosts[NEIGHBOR]
    issued = {
        "a serving host's certificate": site.authority.issue(
            (OUTSIDER, site.fleet.hosts[OUTSIDER]), client=False, days=1
        ),
        "a gateway's certificate": site.authority.issue((NEIGHBOR,), client=True, days=1),
        "one with a longer name": site.authority.issue((f"x.{control}", address, "127.0.0.1"), client=True, days=1),
        "one of another CA": other.issue((control, address, "127.0.0.1"), client=True, days=1),
        "one that is not for clients": site.authority.issue((control, address, "127.0.0.1"), client=False, days=1),
    }
    return {"none": "", **{name: one.certificate_pem + one.key.reveal() for name, one in issued.items()}}


def shown(site: Site, name: str, where: str) -> str:
    """Show this certificate from a control host, which the packet filter lets in; return the answer, "" if none."""
    pem = other_certificates(site)[name]
    file = f"/run/shown-{abs(hash((name, where)))}.pem"
    site.tell(NEIGHBOR, f"umask 077; cat >{file}", input=pem)
    answer = _asked(site, f"--cert {file}" if pem else "", where)
    site.tell(NEIGHBOR, f"rm {file}")
    return answer


def got(site: Site, command: str, user: str = "root") -> str:
    """Return what this user of a control host gets by this command."""
    as_user = "" if user == "root" else f"setpriv --reuid {user} --regid $(id -g {user}) --init-groups "
    return site.tell(TARGET, f"{as_user}sh -c {shlex.quote(command)} 2>/dev/null; true")[:200]


def _asked(site: Site, certificate: str, where: str) -> str:
    path = "health" if where.endswith(":2379") else "version"
    return site.tell(NEIGHBOR, f"curl -skf -m 5 --http1.1 {certificate} https://{where}/{path} || true")


def _reached(site: Site, host: str, port: int) -> str:
    program = (
        f"import socket; print(socket.create_connection(({site.fleet.hosts[TARGET]!r}, {port}), 3).getpeername())"
    )
    return site.tell(host, f"python3 -c {shlex.quote(program)} 2>/dev/null || true")
