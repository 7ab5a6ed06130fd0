"""Faults of the host, of its programs and of the network during a restore."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping

from benchmarks.restore_faults.trial import Fault, Trial
from rackwright.errors import LeasedError
from tests.lifecycle.restore.test_faults import running
from tests.rest_server import start

_REAL = shutil.which("restic")
_PATIENCE = 6
"""Seconds, in place of the 15 minutes for which restic tries to reach a server."""


def sabotaged(does: str) -> Callable[[Trial], object]:
    """Have restic restore like this; $target is the folder, REAL the real command."""

    def inject(trial: Trial) -> None:
        hit = "".join(f'*"/{name}/"*|' for name in trial.repositories()).removesuffix("|")
        if trial.host.server:
            # The first repository's URL is in a file.
            hit = '""|*"/two/"*' if "two" in hit else '""'
        which = trial.random.randrange(1000)
        trial.bench.machine.program(
            "restic",
            f"""#!/bin/sh
[ "$1" = --cacert ] && verb=$3 || verb=$1
[ "$verb" = restore ] || exec {_REAL} "$@"
case "${{RESTIC_REPOSITORY-}}" in {hit}) ;; *) exec {_REAL} "$@" ;; esac
target=$(echo "$*" | sed 's/.*--target \\([^ ]*\\).*/\\1/')
file() {{ find "$target" -type f -size +0 | sort | awk '{{ all[NR] = $0 }} END {{ print all[{which} % NR + 1] }}'; }}
{does.replace("REAL", f'{_REAL} "$@"')}
""",
        )

    return inject


def _program(name: str, text: str) -> Callable[[Trial], object]:
    return lambda trial: trial.bench.machine.program(name, f"#!/bin/sh\n{text}\n")


def _later(does: Callable[[Trial], object]) -> Callable[[Trial], object]:
    def inject(trial: Trial) -> None:
        trial.agreed = lambda: does(trial)

    return inject


def _full(trial: Trial) -> None:
    """Restore to a disk of a random size that is full, and says that it isn't."""
    restores = trial.bench.machine.restores
    restores.mkdir()
    size = f"size={trial.random.randrange(8, 500)}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(restores)], check=True)
    trial.cleanup.append(lambda: subprocess.run(["umount", "-q", str(restores)], check=True))
    _program("df", "echo 9999999999 /")(trial)


def _little_space(trial: Trial) -> None:
    _program("df", f"echo {trial.random.randrange(256 * 2**20)} /")(trial)


def _lost_lease(trial: Trial) -> None:
    checks = iter([True] * trial.random.randrange(2))

    def check() -> None:
        if not next(checks, False):
            raise LeasedError("this run's lease has ended")

    trial.bench.check = check


def _wrong_password(trial: Trial) -> None:
    (trial.bench.machine.run_folder / "password").write_text("x")


def _other_restore(trial: Trial) -> None:
    running(trial.random.choice(("two-abcd", "OURS")), "other")(trial.bench)


HOSTS: Mapping[str, Fault] = {
    "restic is killed": Fault(sabotaged("kill -9 $$"), "not restored completely"),
    "restic isn't installed": Fault(sabotaged("exec /nowhere/restic"), "not restored completely|not found"),
    "restic fails with an unknown error": Fault(sabotaged("REAL; echo Fatal: boo >&2; exit 1"), "boo"),
    "the unit is killed": Fault(_program("systemd-run", "exit 0"), "ended without a result"),
    "the unit can't start": Fault(_program("systemd-run", "echo no such unit >&2; exit 1"), "no such unit"),
    "too little space": Fault(_little_space, "bytes free, should have"),
    "a full disk during the restore": Fault(_later(_full), "no space left|No space left|No such file"),
    "a full disk for the next state": Fault(_program("cp", "echo No space left >&2; exit 1"), "No space left"),
    "a lost lease": Fault(_lost_lease, "lease has ended"),
    "a wrong password on the host": Fault(_wrong_password, "wrong password"),
    "another restore runs": Fault(_later(_other_restore), "another restore is running"),
}
"""The host is named, or the repository that this host can't read."""

SABOTAGES: Mapping[str, Fault] = {
    "restic restores nothing and returns 0": Fault(
        sabotaged("exit 0"), "not as the snapshot lists|what the lock says"
    ),
    "a pattern matches nothing": Fault(
        sabotaged("REAL --include /none; exit 0"), "not as the snapshot lists|what the lock says"
    ),
    "a file is missing, exit status 0": Fault(
        sabotaged('REAL; rm "$(file)"; exit 0'), "is missing|what the lock says"
    ),
    "a file is cut, exit status 0": Fault(
        sabotaged('REAL; truncate -s -1 "$(file)"; exit 0'), "should have|what the lock says"
    ),
    "a file too many, exit status 0": Fault(
        sabotaged('REAL; cp "$(file)" "$(file).more"; exit 0'), "isn't in the snapshot|wrong files"
    ),
    "weights differ, exit status 0": Fault(
        sabotaged('REAL; f=$(find "$target" -name a.gguf); [ -z "$f" ] || printf x | dd of=$f conv=notrunc; exit 0'),
        "what the lock says",
    ),
}
"""restic, or a disk, that says all is well."""


def _impatient(trial: Trial) -> None:
    trial.bench.machine.program("restic", f'#!/bin/sh\nexec timeout {_PATIENCE} {_REAL} "$@"\n')


def _stop(trial: Trial) -> None:
    server = trial.host.server
    assert server is not None
    server.stop()

    def again() -> None:
        server.process = start(server.folder, server.port).process

    trial.cleanup.append(again)


def _cut(trial: Trial) -> None:
    _impatient(trial)
    trial.now_or_later(lambda: _stop(trial))


def _cut_for_a_moment(trial: Trial) -> None:
    """Let the server go during the restore, and come back."""

    def gone() -> None:
        timer = threading.Timer(trial.random.uniform(0, 0.7), moment)
        timer.start()
        trial.cleanup.insert(0, timer.join)

    def moment() -> None:
        _stop(trial)
        trial.cleanup.pop()()

    trial.agreed = gone


def _other_login(trial: Trial) -> None:
    path = trial.bench.machine.run_folder / "repository"
    path.write_text(path.read_text().replace("l0gin", "other"))


def _other_ca(trial: Trial) -> None:
    (trial.bench.machine.backup / "one.ca.crt").write_text(_OTHER_CA)


_OTHER_CA = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
_UNREACHED = (
    "doesn't answer in time|can't be reached|not restored completely|no answer|timed out|longer|can't be read"
)
NETWORK: Mapping[str, Fault] = {
    "the network is cut": Fault(_cut, _UNREACHED),
    "the network is cut for a moment": Fault(_cut_for_a_moment, _UNREACHED),
    "a wrong login on the host": Fault(_other_login, "not restored completely"),
    "a wrong CA on the host": Fault(_other_ca, "not restored completely"),
}
"""Only of a repository on a server."""
