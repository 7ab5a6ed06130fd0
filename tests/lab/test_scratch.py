"""Scratch hosts of a drill on real hosts: told apart from the fleet, isolated, wiped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from rackwright.errors import ProofError
from rackwright.fleet.fleet import Fleet
from rackwright.lab.hosts import Lab
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.scratch_hosts import isolation_scripts as scripts
from rackwright.lifecycle.drill.scratch_hosts.destinations import Destination
from rackwright.lifecycle.drill.scratch_hosts.isolation import Closed, Isolation, close_off, lift, still_closed
from rackwright.lifecycle.drill.scratch_hosts.marker import Marker, claim
from rackwright.lifecycle.drill.scratch_hosts.not_production import Production, prove_not_production
from rackwright.lifecycle.drill.scratch_hosts.reach_probes import Place, probe_here, probe_inside, probe_outside
from rackwright.lifecycle.drill.scratch_hosts.ruleset import Allowed, ruleset
from rackwright.lifecycle.drill.scratch_hosts.scratch import FOLDER, MARKER
from rackwright.lifecycle.drill.scratch_hosts.wipe import Brought, Restored, require_wiped, wipe
from rackwright.remote import Remote
from rackwright.remote.connection import Connection
from rackwright.roles.firewall.settings import Opening, Settings
from rackwright.roles.layout.settings import Settings as Layout
from rackwright.state.formats import utc_now
from rackwright.state.shell import command
from rackwright.values.network import Address
from tests.fleet.fleets import make_fleet
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

SCRATCH = ("scratch1", "scratch2")
MARK = Marker(fleet="acme", drill="d1", who="ada", time=utc_now())
TEXT = "a text of the drill 5c1d"
_SERVER = 'import socket, time; s = socket.create_server(("", {0})); time.sleep(3600)'
LISTENER = f"""systemd-run --quiet --collect --unit=listener-{{0}} python3 -c '{_SERVER}'
timeout 20 sh -c 'until ss -Hltn | grep -q ":{{0}} "; do sleep 0.1; done'"""


class Site:
    """One host of a fleet, which is also the server of its backup repository, and two scratch hosts."""

    def __init__(self, lab: Lab, remote: Remote) -> None:
        self.lab, self.remote, self.addresses = lab, remote, lab.fleet().hosts
        self.scratch = {name: remote.connection(name) for name in SCRATCH}
        self.production = {"prod1": remote.connection("prod1")}

    def host(self, name: str) -> LabHost:
        return LabHost(self.lab, self.lab.fleet(), name)

    def address(self, name: str) -> Address:
        return ip_address(self.addresses[name])

    def fleet(self) -> Fleet:
        return make_fleet(Path("/nowhere/site.yml"), hosts={"prod1": {"address": self.addresses["prod1"]}})

    def known(self) -> Production:
        return Production(
            "acme",
            self.production,
            {self.address("prod1"): "prod1's address"},
            frozenset({443, 8100}),
            drills=lambda drill: frozenset(SCRATCH if drill == MARK.drill else ()),
        )

    def close(self) -> dict[str, Closed]:
        wanted = Destination(self.addresses["prod1"], 8000, "the repository vault", repository=True)
        return close_off(
            self.scratch,
            Isolation(
                fleet=self.fleet(),
                wanted=(wanted,),
                scratch={name: frozenset({self.address(name)}) for name in SCRATCH},
                production=(self.address("prod1"),),
                reach=(self.lab.fleet().subnet,),
            ),
        )

    def places(self, name: str, *ports: int) -> tuple[Place, ...]:
        return tuple(Place(self.address(name), port, f"{name}'s port {port}") for port in ports)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with fresh_lab("scratch", *SCRATCH, "prod1") as lab:
        fleet = lab.fleet()
        with Remote([LabHost(lab, fleet, name).target() for name in fleet.hosts]) as remote:
            site = Site(lab, remote)
            for name in SCRATCH:
                # The lab has no DNS server: answer at once that there is none, for the archives in apt's sources.
                site.host(name).tell("echo nameserver 127.0.0.1 >/etc/resolv.conf")
            for name, ports in {"prod1": (443, 8000), "scratch1": (443, 8100)}.items():
                for port in ports:
                    site.host(name).tell(LISTENER.format(port))
            yield site


def outcomes(checks: tuple[Check, ...]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for check in checks:
        found.setdefault(check.outcome, set()).add(f"{check.host}: {check.found}")
    return found


def test_a_host_of_the_fleet_is_refused_and_nothing_is_changed(site: Site) -> None:
    as_scratch = {"again": site.remote.connection("prod1"), "scratch1": site.scratch["scratch1"]}
    with pytest.raises(ProofError) as refused:
        prove_not_production(as_scratch, site.known())
    said = str(refused.value)
    for part in ("machine ID of prod1", "SSH host key of prod1", "prod1's address", "scratch1: something listens"):
        assert part in said
    assert not site.host("prod1").holds(f"test -e {FOLDER}")


def test_machines_of_their_own_are_scratch_hosts(site: Site) -> None:
    site.host("scratch1").tell("systemctl stop listener-443 listener-8100")
    proven = prove_not_production(site.scratch, site.known())
    assert [check.outcome for check in proven.checks] == ["passed", "passed"]
    assert proven.leftovers == ()
    for connection in site.scratch.values():
        claim(connection, MARK)
    with pytest.raises(ProofError, match="the drill d1 of ada uses this scratch host"):
        prove_not_production(site.scratch, site.known())
    assert prove_not_production(site.scratch, site.known(), take_over=True).leftovers == SCRATCH


def test_an_isolation_that_is_not_confirmed_is_taken_back_by_itself(site: Site) -> None:
    connection, host = site.scratch["scratch2"], site.host("scratch2")
    connection.run(command(scripts.INSTALL)).check("installing")
    rules = ruleset(Allowed(ip_address(site.lab.fleet().controller)))
    connection.run(command(scripts.CLOSE, 3), stdin=rules).check("closing")
    assert connection.run(command(scripts.LOOK)).stdout == "closed\n"
    host.tell("timeout 20 sh -c 'while nft list table inet rackwright_drill; do sleep 0.1; done'")
    connection.close()
    assert connection.run(command(scripts.LOOK)).stdout == "open\n"
    kept = connection.run(command(scripts.KEEP), stdin=scripts.UNIT_TEXT)
    assert (kept.exit_status, kept.stderr) == (75, "the isolation was taken back\n")


def test_only_what_a_drill_needs_passes_in_and_out(site: Site) -> None:
    for port in (443, 8100):
        site.host("scratch1").tell(LISTENER.format(port))
    closed = site.close()
    inside = outcomes(probe_inside(site.scratch, closed, site.places("prod1", 22, 443)))
    assert set(inside) == {"passed"}, inside
    ports = {"scratch1": site.places("scratch1", 22, 443, 8100), "scratch2": site.places("scratch2", 22)}
    outside = outcomes(probe_outside(ports, site.production))
    assert set(outside) == {"passed"}, outside
    here = probe_here({"scratch1": ports["scratch1"]}, expected={"scratch1": (22, 443)})
    assert [(check.outcome, check.found.rpartition(" ")[2]) for check in here] == [
        ("passed", "open"),
        ("passed", "open"),
        ("passed", "silent"),
    ]
    assert site.host("scratch2").holds(f"timeout 5 bash -c '</dev/tcp/{site.addresses['scratch1']}/8100'")


def test_the_isolation_outlives_the_fleets_packet_filter_and_a_reboot(site: Site) -> None:
    host = site.host("scratch1")
    opened = (Opening(port=22, why="ssh from anywhere"), Opening(port=8100, why="everyone"))

    def walled() -> None:
        from rackwright.roles.firewall.role import firewall
        from rackwright.roles.layout.role import layout

        layout(settings=Layout(fleet="acme", host="scratch1", serves=False))
        firewall(settings=Settings(openings=opened, existing="replace"))

    def confirmed() -> None:
        from rackwright.roles.firewall.role import confirm_firewall
        from rackwright.roles.layout.role import retire

        confirm_firewall(settings=Settings(openings=opened, existing="replace"))
        retire(
            settings=Layout(fleet="acme", host="scratch1", serves=False, keep_units=("rackwright-firewall.service",))
        )

    host.applied(walled)
    host.applied(confirmed)
    assert {check.outcome for check in still_closed(site.scratch)} == {"passed"}
    host.tell("systemctl restart nftables")
    # systemd starts the isolation again in a job of its own, which systemctl doesn't await.
    wait_until(lambda: {check.outcome for check in still_closed(site.scratch)} == {"passed"}, seconds=10)
    site.lab.reboot("scratch1")
    assert {check.outcome for check in still_closed(site.scratch)} == {"passed"}
    host.tell(LISTENER.format(8100))
    outside = probe_outside({"scratch1": site.places("scratch1", 8100)}, site.production)
    assert set(outcomes(outside)) == {"passed"}, outside
    host.tell("nft delete table inet rackwright_drill")
    assert [check.outcome for check in still_closed(site.scratch)] == ["failed", "passed"]
    site.close()


def test_a_wipe_leaves_nothing_and_proves_it(site: Site) -> None:
    host = site.host("scratch1")
    host.tell(f"""mkdir -p /srv/models/tiny /opt/rackwright /var/cache/rackwright /etc/rackwright/certificates
useradd --system --no-create-home --comment rackwright rw-tiny
systemd-run --quiet --unit=rackwright-tiny@1 --uid=rw-tiny sh -c 'echo {TEXT}; exec sleep infinity'
printf '[Timer]\\nOnBootSec=1h\\n[Install]\\nWantedBy=timers.target\\n' >/etc/systemd/system/rackwright-x.timer
printf '[Service]\\nExecStart=true\\n' >/etc/systemd/system/rackwright-x.service
systemctl enable --now rackwright-x.timer
echo weights >/srv/models/tiny/w; echo {TEXT} >/etc/rackwright/certificates/c; echo own >/root/kept
echo {TEXT} >/root/stray; journalctl --sync""")
    lost = hashlib.sha256(b"weights\n").hexdigest()
    files = (Restored("/srv/models/tiny/w", lost), Restored("/etc/rackwright/certificates/c", "0" * 64))
    brought = {"scratch1": Brought(files=files, texts=(TEXT,))}
    host.tell("cp /srv/models/tiny/w /root/copy")
    first = wipe(site.scratch, brought)
    failed = [check for check in first if check.outcome == "failed"]
    assert [check.host for check in failed] == ["scratch1"]
    assert failed[0].found == "left: copy of a restored file: /root/copy, known text in /root/stray"
    with pytest.raises(ProofError, match="it stays isolated"):
        require_wiped(first)
    host.tell("rm /root/stray /root/copy")
    second = wipe(site.scratch, brought)
    require_wiped(second)
    assert {check.name: check.outcome for check in second} == {
        "wiped": "passed",
        "disk blocks overwritten": "not run",
    }
    assert host.tell("cat /root/kept; ls -A /srv/models") == "own"
    assert {check.outcome for check in still_closed(site.scratch)} == {"passed"}
    prove_not_production(site.scratch, site.known(), take_over=True)


def test_the_last_act_lifts_the_isolation_and_removes_the_marker(site: Site) -> None:
    for name, connection in site.scratch.items():
        lift(connection)
        host = site.host(name)
        assert not host.holds(f"test -e {FOLDER} -o -e /etc/systemd/system/{scripts.UNIT}")
        assert not host.holds("nft list tables | grep rackwright")
    assert site.host("prod1").holds(f"timeout 5 bash -c '</dev/tcp/{site.addresses['scratch1']}/8100'")


def test_a_host_without_the_marker_is_left_untouched(site: Site) -> None:
    prod: dict[str, Connection] = site.production
    host = site.host("prod1")
    host.tell("mkdir -p /etc/rackwright /srv/models/tiny; echo precious >/srv/models/tiny/w")
    checks = wipe(prod, {})
    assert [check.outcome for check in checks] == ["failed"]
    assert MARKER in checks[0].found
    for script in (scripts.INSTALL, scripts.CLOSE, scripts.KEEP, scripts.LIFT):
        assert not prod["prod1"].run(script).ok
    assert host.tell("cat /srv/models/tiny/w; ls -d /etc/rackwright") == "precious\n/etc/rackwright"
    assert host.holds("systemctl is-active listener-8000")
    assert not host.holds("nft list tables | grep rackwright")
