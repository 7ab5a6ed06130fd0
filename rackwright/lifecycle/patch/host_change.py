"""The change of a host that is patched: gates, packages, reboot, proof, and the way back to what it was before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rackwright.errors import ProofError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import driver_of
from rackwright.lifecycle.patch.as_before import worse
from rackwright.lifecycle.patch.document import PatchPlan
from rackwright.lifecycle.patch.gate_state import refuse_closed
from rackwright.lifecycle.patch.gates import gates, look
from rackwright.lifecycle.patch.host_journal import HostJournal
from rackwright.lifecycle.patch.next_drivers import installed, under
from rackwright.lifecycle.patch.packages import HostPackages
from rackwright.lifecycle.patch.prometheus import Prometheus
from rackwright.lifecycle.patch.well_hosts import services_replaced, well
from rackwright.lifecycle.reboot.boot_identity import boot_now
from rackwright.lifecycle.reboot.host_engines import ANSWERS, HostEngines
from rackwright.lifecycle.reboot.new_driver import install_driver, installed_set
from rackwright.lifecycle.reboot.new_kernel import (
    armed,
    asked_for,
    committed,
    disarmed,
    fell_back,
    held,
    newest,
    untried,
)
from rackwright.lifecycle.reboot.pending import pending
from rackwright.lifecycle.rollout.change import Change, Paused, Revert, nothing
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.update.next_lock import remove_next
from rackwright.lifecycle.update.promote import promote
from rackwright.report.words import counted, some
from rackwright.run import Run
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import HostPart, HostRollout
from rackwright.stopping import Stopping

_INSTALL_SECONDS = 900
"""For a host's packages, there and back."""
_BUILD_SECONDS = 1200
"""For a driver's modules, there and back, each for two kernels."""
_BOOT_SECONDS = 600


@dataclass(frozen=True)
class Patches:
    """The changes that a patch run makes to hosts under one lease."""

    session: Session
    lease_session: LeaseSession
    rollout: HostRollout
    plan: PatchPlan
    prometheus: Prometheus | None
    console: Console
    stopping: Stopping
    ran: Callable[[Run], None] = lambda _: None
    """Gets what was done to a host's driver."""
    unattended: Agreements | None = None
    """None: a person is at work."""

    def changed(self, part: HostPart, *, rebooted: bool) -> Change:
        """Return the change that brings the host to the plan. What is done already isn't done again."""
        return self._engines.change(
            part,
            partial(self._patch, part),
            partial(self._proven, part),
            doing="patching",
            proves=f"units, disks, packet filter, clock, GPUs, {ANSWERS}",
            # Once it has started, the host must be finished, whatever the gates say.
            check=nothing if part.name in self._journal.started() else partial(self._refuse_closed, part),
            commit=partial(self._commit, part),
            back=Revert(
                partial(self._back, part),
                prove=partial(self._as_before, part),
                serves=partial(self._engines.serve, part),
                what="the packages and the kernel that it had before",
            ),
        )

    def left(self, part: HostPart) -> Change:
        """Return the change of a host that stays as it is: its engines only have to answer, and it is undrained."""

        def let_go() -> None:
            self.lease_session.check()
            disarmed(self.session, part.name)
            if part.name in self._journal.acted():
                packages = self._packages(part)
                packages.settle()
                packages.let_go()

        return self._engines.left(part, let_go)

    def done(self, part: HostPart, *, rebooted: bool) -> bool:
        """Return whether the host was patched and proven."""
        return self._packages(part).finished()

    def settled(self, part: HostPart) -> bool:
        """Return whether the host was proven after everything that was done to it, on its way back, too."""
        return self._journal.settled(part.name)

    # The gates.

    def _refuse_closed(self, part: HostPart) -> None:
        fleet, seen = self.session.fleet, look(self.session, self.prometheus)
        judged = gates(
            fleet,
            part.name,
            seen,
            seconds=seconds_of(fleet, driver=bool(part.driver)),
            changing=self._journal.changing(),
        )
        refuse_closed(part.name, judged, Paused)

    # The act.

    def _patch(self, part: HostPart) -> None:
        if (why := self._journal.reverting(part.name)) is not None:
            raise RackwrightError(f"is on its way back: {why}", where=part.name)
        packages = self._packages(part)
        # A run that was killed may have left a step under way.
        packages.settle()
        if not packages.finished():
            self._bring(part, packages)

    def _bring(self, part: HostPart, packages: HostPackages) -> None:
        due = not packages.installed()
        if due:
            self._install(part, packages)
        boot = boot_now(self.session, part.name)
        if part.driver and (boot == part.boot or self._lacks_driver(part)):
            self._install_driver(part)
            due = True
        # A host that crashed in between has booted, but not for what was installed afterwards, nor its new kernel.
        if due or boot == part.boot or (part.reboots and untried(self.session, part.name, self._kernel(part))):
            self._run_what_is_installed(part, boot)

    def _run_what_is_installed(self, part: HostPart, boot: str) -> None:
        if why := self._reboots(part):
            self._reboot(part, why, boot)
        else:
            self._restart_services(part)

    def _lacks_driver(self, part: HostPart) -> bool:
        wanted = driver_of(self.session.lock, part.name)
        return wanted is not None and installed_set(self.session, part.name) != wanted.set.name

    def _kernel(self, part: HostPart) -> str | None:
        """Return the kernel that it should boot next."""
        # The driver's modules are built for the lock's kernel, which may not be the newest one.
        driver = self.session.hosts[part.name].driver
        return driver.kernel if driver else newest(self.session, part.name)

    def _restart_services(self, part: HostPart) -> None:
        """Let services run on the libraries that are installed now. A reboot does the same."""
        self.lease_session.check()
        found = services_replaced(self.session, part.name)
        if found.restarted:
            what = f"restart services on replaced libraries: {', '.join(found.restarted)}"
            note_leased_act(self.session, self.lease_session, (part.name,), what)
            self.console.say(f"{part.name}  restarted services on replaced libraries: {some(found.restarted)}")
        if found.stays:
            self.console.say(f"{part.name}  run on replaced libraries until a reboot: {some(found.stays)}")

    def _install(self, part: HostPart, packages: HostPackages) -> None:
        packages.stage()
        self._refuse_no_way_back(part, packages)
        packages.hold_off()
        self.lease_session.check()
        held(self.session, part.name)
        installing = f"install {counted(len(packages.changes), 'package')}"
        note_leased_act(self.session, self.lease_session, (part.name,), installing)
        packages.install()

    def _install_driver(self, part: HostPart) -> None:
        """Install driver and kernel of the lock that the run leads to. It builds the modules first."""
        self.lease_session.check()
        held(self.session, part.name)
        note_leased_act(self.session, self.lease_session, (part.name,), f"install the driver: {part.why}")
        self.console.say(f"{part.name}  installs driver and kernel, and builds the modules")
        install_driver(self.session, self.lease_session, part.name, self._lost, self.ran)

    def _refuse_no_way_back(self, part: HostPart, packages: HostPackages) -> None:
        if lost := packages.keep().none:
            raise RackwrightError(
                "these packages could not be reverted, because their versions before can't be had",
                where=part.name,
                should="keep a way back",
                next="apt-mark hold PACKAGE on the host, then rackwright patch run",
                listed=lost,
            )

    def _reboots(self, part: HostPart) -> str | None:
        """Return why the host reboots, None if it doesn't. Only an installed package says whether it asks for one."""
        if part.reboots:
            return part.why
        asks = part.may_reboot and asked_for(self.session, part.name)
        return "installed packages ask for it" if asks else None

    def _reboot(self, part: HostPart, why: str, boot: str) -> None:
        kernel = self._kernel(part)
        # The packages may have taken so long that the lease has ended.
        self.lease_session.check()
        for hand in armed(self.session, part.name, kernel):
            self.console.say(f"{part.name}  if the new kernel doesn't boot, a person is needed: {hand}")
        self._boot(part.name, why, boot)

    def _boot(self, name: str, why: str, boot: str, *, back: bool = False) -> None:
        """Reboot the host, unless it is in another boot than this one already. `back`: on its way back."""
        self._journal.boots(name, why, boot, back=back)
        note_leased_act(self.session, self.lease_session, (name,), f"reboot: {why}")
        self.console.say(f"{name}  reboots: {why}")
        self._engines.boot(name, boot)

    # The proof.

    def _proven(self, part: HostPart) -> str | None:
        if kernel := fell_back(self.session, part.name):
            where = part.name
            raise ProofError(f"didn't boot {kernel} and fell back", where=where, next=f"journalctl -b -1 on {where}")
        return self._other_driver(part) or self._as_before(part)

    def _other_driver(self, part: HostPart) -> str | None:
        """Return why the host doesn't run the driver that it was given; None: it does, or it kept its own."""
        found = pending(self.session, (part.name,) if part.driver else ())
        return found.waiting.get(part.name) or found.unreachable.get(part.name)

    def _as_before(self, part: HostPart) -> str | None:
        rebooted = boot_now(self.session, part.name) != part.boot
        facts = well(self.session, part.name).facts
        found = worse(part.before, facts, rebooted=rebooted)
        reason = "; ".join(found[:4]) or self._engines.answer(part)
        if reason is None:
            self._journal.proven(part.name, facts)
        return reason

    def _commit(self, part: HostPart) -> None:
        committed(self.session, part.name)
        self._packages(part).finish()

    # The way back.

    def _back(self, part: HostPart) -> None:
        """Bring the host back to its packages of before and the kernel that ran before."""
        name, packages = part.name, self._packages(part)
        boot = boot_now(self.session, name)
        booted = (
            boot == part.boot or self._journal.booted_back(name, boot) or fell_back(self.session, name) is not None
        )
        self.lease_session.check()
        if disarmed(self.session, name):
            self._boot(name, "to go back to the previous kernel", boot, back=True)
            booted = True
        packages.revert()
        if self._waits_for_old_driver(part) or not booted:
            why = "programs and libraries of before run only after a boot"
            self._boot(name, why, boot_now(self.session, name), back=True)
        elif packages.changes:
            self._restart_services(part)
        packages.let_go()

    def _waits_for_old_driver(self, part: HostPart) -> bool:
        """Ensure that the host has its driver of before; return whether that becomes active only with a boot."""
        before = self.rollout.before
        had = driver_of(before, part.name) if before and part.driver else None
        if before is None or had is None:
            return False
        session = under(self.session, before)
        if installed_set(session, part.name) != had.set.name:
            self.console.say(f"{part.name}  installs the driver of before, and builds its modules")
            install_driver(session, self.lease_session, part.name, self._lost, self.ran)
        return part.name in pending(session, (part.name,)).waiting

    # The end.

    def closing(self) -> None:
        """Make the lock say which driver and kernel the hosts have now. Raise as `promote` does."""
        before, after = self.rollout.before, self.rollout.after
        if before is None or after is None:
            return
        changed = [part.name for part in self.rollout.hosts if part.driver]
        lock = installed(self.session, before, after, changed)
        if lock == before:
            remove_next(self.session.fleet)
        else:
            promote(under(self.session, lock), self.lease_session, self.console, self.unattended)

    # Shared.

    def _packages(self, part: HostPart) -> HostPackages:
        connection = self.session.remote.connection(part.name)
        changes, check = self.plan.changes(part.name), self.lease_session.check
        return HostPackages(connection, self.rollout.id, changes, stopping=self._lost, check=check)

    def _lost(self) -> bool:
        # A step on a host is followed to its end, even after Ctrl-C: the host must be proven or reverted.
        return not self.lease_session.holds()

    @property
    def _journal(self) -> HostJournal:
        return HostJournal(self.lease_session, self.rollout.id)

    @property
    def _engines(self) -> HostEngines:
        return HostEngines(self.session, self.lease_session, self.console)


def seconds_of(fleet: Fleet, *, driver: bool) -> float:
    """Return how many seconds the window must be open: those that a change may take, and the way back.

    `driver`: whether the host gets another driver.
    """
    rollout = fleet.file.rollout
    installed = _INSTALL_SECONDS + (_BUILD_SECONDS if driver else 0)
    return installed + 2 * (_BOOT_SECONDS + rollout.start_timeout) + rollout.soak
