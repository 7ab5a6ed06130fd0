"""What a simulated host runs besides engines: its packages, its kernels, apt's timers, and what patch runs did to it.

Its scripts are those of roles/patch and roles/boot, in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from rackwright.roles.patch.packages import Step

STEP_SECONDS = 3.0
"""An installation, and its revert."""
STAGE_SECONDS = 1.0
"""A download. The other steps end at once."""


class Trouble(StrEnum):
    """What goes wrong on a host with the packages of one run."""

    NO_WAY_BACK = "the version before can't be had"
    FAILS = "the installation fails"
    WORSE = "a unit fails with the new packages"
    WORSE_BOOTED = "a unit fails once the host has booted with the new packages"
    HANGS = "the new kernel doesn't boot"
    STUCK = "the version before can't be installed again, and a unit fails with the new one"


class Refused(Exception):
    """A script fails. The text is its output."""


@dataclass
class Coming:
    """What the packages of the next run are like on a host."""

    trouble: Trouble | None = None
    asks: bool = False
    """They ask for a reboot."""
    boots: bool = False
    """A host that was finished has booted with them."""


@dataclass
class PatchFolder:
    """The folder of one patch run on a host, and what the run did there."""

    run: str
    before: str
    after: str
    kernel: str
    """The kernel that ran before."""
    brings: bool
    """Whether the new packages bring a kernel."""
    coming: Coming
    begun: bool = False
    reverted: bool = False
    held_off: bool = False
    results: dict[Step, str] = field(default_factory=dict)
    """A step that was cut off, or is under way, has none."""
    started: dict[Step, float] = field(default_factory=dict)
    installs: int = 0
    """How often the packages came from before to after."""
    reboots: int = 0
    """How often the run rebooted the host forward."""
    disarmed: int = 0
    """How often an abort that didn't end took back the kernel that it had booted, or was to boot."""
    back: int = 0
    """How often it did so on the way back."""
    given_up: bool = False
    """An operator has aborted the run: hosts may serve as they run."""
    worse: bool = False
    """A unit had failed before: an earlier run was aborted."""

    @property
    def finished(self) -> bool:
        return self.results.get(Step.FINISH) == "complete"


@dataclass
class Software:
    version: str = "1"
    """Of its packages."""
    half: bool = False
    """dpkg hasn't finished them."""
    loaded: str = "1"
    """The version with which it booted last."""
    running: str = "6.1"
    """Its kernel."""
    kernels: list[str] = field(default_factory=lambda: ["6.1"])
    """The newest is the last."""
    good: set[str] = field(default_factory=lambda: {"6.1"})
    """Kernels that were proven."""
    kept: str | None = None
    """The kernel that boots by default; None: the newest."""
    armed: str | None = None
    armed_in: int = -1
    """The boot in which it was armed."""
    once: bool = False
    """The armed kernel boots next."""
    timers: bool = True
    coming: Coming = field(default_factory=Coming)
    folders: dict[str, PatchFolder] = field(default_factory=dict)
    last: PatchFolder | None = None
    """Of the last run that changes its packages."""
    step: Step | None = None
    """The step that is under way."""
    until: float = 0.0

    def mend(self) -> None:
        self.coming.trouble = None
        if self.last:
            self.last.coming.trouble = None

    def give_up(self, run: str) -> None:
        """Let the host serve as it runs."""
        self.good.add(self.running)
        if run in self.folders:
            self.folders[run].given_up = True

    def excuse(self) -> None:
        """Accept that the last run has left the host as it is."""
        self.timers = True
        if self.last and self.unproven:
            self.give_up(self.last.run)

    # What it is like.

    @property
    def as_before(self) -> bool:
        """Whether packages and kernel are those that it had before the last run."""
        last = self.last
        return last is None or (self.version, self.half, self.running) == (last.before, False, last.kernel)

    @property
    def unproven(self) -> bool:
        """Whether the last run has changed it, has not proven it, and has not been given up."""
        last = self.last
        return bool(last and last.begun and not last.given_up and not last.finished and not self.as_before)

    @property
    def facts(self) -> tuple[str, ...]:
        """What roles/patch/well.py would say."""
        return f"kernel {self.running}", f"unit small.service {'failed' if self._worse else 'running'}"

    @property
    def _worse(self) -> bool:
        new = bool(self.last and self.last.begun and self.version == self.last.after)
        booted = new and self.loaded == self.version
        at_once = self.trouble in (Trouble.WORSE, Trouble.STUCK)
        already = bool(self.last and self.last.worse and self.version == self.last.before)
        return already or (new and at_once) or (booted and self.trouble is Trouble.WORSE_BOOTED)

    @property
    def wants_reboot(self) -> bool:
        last = self.last
        return bool(last and last.coming.asks and self.version == last.after != self.loaded)

    @property
    def trouble(self) -> Trouble | None:
        """What goes wrong with the packages of the last run."""
        return self.last.coming.trouble if self.last else None

    # Boots.

    def crash(self) -> None:
        """A step that was under way is cut off."""
        self.half = self.half or self.step in (Step.INSTALL, Step.REVERT)
        self.step = None

    def boot(self) -> None:
        """Boot as GRUB would."""
        default = self.kept or self.kernels[-1]
        tried, self.once = self.armed if self.once else None, False
        if tried and not (self.trouble is Trouble.HANGS and tried not in self.good):
            self.running = tried
        else:
            assert default in self.good, f"boots {default} by default, which is not proven"
            self.running = default
        self.timers, self.loaded = True, self.version

    # roles/boot's script.

    def one_boot(self, words: list[str], boots: int) -> str:
        match words:
            case ["look"]:
                return self._told(boots)
            case ["hold"]:
                self._hold(boots)
            case ["arm", kernel]:
                self._arm(kernel, boots)
            case ["disarm"]:
                if self.last and self.armed and not self.last.reverted:
                    self.last.disarmed += 1
                self.armed, self.once = None, False
            case ["commit"]:
                if self.armed not in (None, self.running):
                    raise Refused(f"kernel {self.armed} is armed, but {self.running} runs")
                self.armed, self.once = None, False
                self.good.add(self.running)
                self.kept = None if self.kernels[-1] == self.running else self.running
        return ""

    def _told(self, boots: int) -> str:
        state, armed = "none", "-"
        if self.armed and self.armed_in != boots:
            state, armed = "booted" if self.armed == self.running else "fell-back", self.armed
        elif self.armed and self.once:
            state, armed = "armed", self.armed
        default = self.kept or self.kernels[-1]
        return f"state {state}\narmed {armed}\nrunning {self.running}\ndefault {default}\n"

    def _hold(self, boots: int) -> None:
        if self.armed and self.armed_in != boots:
            raise Refused(f"kernel {self.armed} was armed before this boot")
        self.kept = self.running

    def _arm(self, kernel: str, boots: int) -> None:
        if kernel not in self.kernels:
            raise Refused(f"GRUB's menu has no kernel {kernel}")
        self._hold(boots)
        if kernel == self.running:
            self.armed, self.once = None, False
        else:
            self.armed, self.armed_in, self.once = kernel, boots, True

    # roles/patch's scripts.

    def prepare(self, run: str, listing: str) -> None:
        name, _, before, after, *_ = listing.split()
        brings = name.startswith("linux-image")
        folder = PatchFolder(run, before, after, self.running, brings, self.coming, worse=self._worse)
        self.last = self.folders.setdefault(run, folder)

    def start(self, run: str, step: Step, now: float) -> None:
        """Start the step, unless it is under way."""
        folder = self.folders[run]
        if self.step:
            if (self.last, self.step) == (folder, step):
                return
            raise Refused(f"{self.step} is under way")
        if step is Step.INSTALL:
            asked_again = folder.results.get(step) == "complete" and self.version == folder.after
            assert not asked_again, f"run {run} installs again what it has installed"
        folder.results.pop(step, None)
        folder.started[step] = now
        self.step, self.until = step, now + (STAGE_SECONDS if step is Step.STAGE else 0.0)
        if self._works(folder):
            folder.begun, self.half, self.until = True, True, now + STEP_SECONDS
        if step is Step.REVERT and folder.begun:
            folder.reverted = True
            folder.results.pop(Step.INSTALL, None)
            folder.results.pop(Step.FINISH, None)
        self.tick(now)

    def _works(self, folder: PatchFolder) -> bool:
        """Return whether the step changes packages."""
        if self.step is Step.INSTALL:
            return not folder.reverted and (self.half or self.version != folder.after)
        return self.step is Step.REVERT and folder.begun and (self.half or self.version != folder.before)

    @property
    def busy(self) -> bool:
        """Whether packages are being changed."""
        return self.step in (Step.INSTALL, Step.REVERT)

    def tick(self, now: float) -> None:
        if self.step and self.last and now >= self.until:
            step, self.step = self.step, None
            self.last.results[step] = "complete" if self._ended(step, self.last) else "failed 1"

    def _ended(self, step: Step, folder: PatchFolder) -> bool:
        match step:
            case Step.STAGE:
                return folder.begun or (not self.half and self.version == folder.before)
            case Step.HOLD_OFF:
                folder.held_off, self.timers = True, False
            case Step.INSTALL:
                return self._installed(folder)
            case Step.REVERT:
                return self._reverted(folder)
            case Step.LET_GO | Step.FINISH:
                assert step is Step.LET_GO or folder.worse or not self._worse, (
                    "a host that isn't as before is finished"
                )
                self.timers = self.timers or folder.held_off
                folder.held_off = False
        return True

    def _installed(self, folder: PatchFolder) -> bool:
        if folder.reverted:
            return False
        folder.installs += self.version != folder.after
        self.version = folder.after
        if folder.brings and self._kernel(folder) not in self.kernels:
            self.kernels.append(self._kernel(folder))
        self.half = self.trouble is Trouble.FAILS
        return not self.half

    def _reverted(self, folder: PatchFolder) -> bool:
        if not folder.begun:
            return True
        self.half = self.trouble is Trouble.STUCK
        if not self.half:
            self.version = folder.before
            self.kernels = [one for one in self.kernels if one != self._kernel(folder) or not folder.brings]
        return not self.half

    def _kernel(self, folder: PatchFolder) -> str:
        return f"6.{folder.after}"

    def look(self, run: str, step: Step, now: float) -> str | None:
        """Return what a look at the step prints; None: the run has no folder."""
        folder = self.folders.get(run)
        if folder is None:
            return None
        state = "active" if self.step and self.last is folder else "inactive"
        started = f" {folder.started[step]:.2f}" if step in folder.started else ""
        lines = [f"state {state}", f"result {folder.results.get(step, '')}", f"uptime {now:.2f}{started}"]
        if step is Step.KEEP and self.trouble is Trouble.NO_WAY_BACK and not folder.begun:
            lines.append(f"found kept\tsmall:all\t{folder.before}\tnone")
        return "".join(f"{line}\n" for line in lines)
