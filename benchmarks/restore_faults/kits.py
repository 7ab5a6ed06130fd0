"""Faults of kits: the newest whole kit is fetched, each newer one is named, or nothing is put in place."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import cast

from benchmarks.restore_faults.judge import Outcome, Verdict, tree
from benchmarks.restore_faults.repositories import cut, flip, large, newest_snapshot, zero
from rackwright.errors import RackwrightError
from rackwright.fleet.x509 import new_key
from rackwright.lifecycle.backup.kit_content import CA_KEY, REFERENCES
from rackwright.lifecycle.restore.fetch_kit import fetch_kit, kit_at
from rackwright.lifecycle.session.console import Console
from rackwright.values.secrets import Secret
from tests.lifecycle.restore.kit_vault import PASSWORD, Vault, new_vault


@dataclass
class KitTrial:
    vault: Vault
    random: Random
    kits: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    """Each good kit's ID → its files; the newest is the last."""
    newest: str = ""
    """The newest kit, good or not."""
    password: str = PASSWORD

    def save(
        self, *words: str, good: bool = True, change: Callable[[Path], object] = lambda _: None, **about: object
    ) -> str:
        """Save a kit; `change` gets its folder."""
        key = about.pop("key", "")
        more = {"fleet/README": self.random.randbytes(3000).hex()}
        folder = self.vault.staged(more, key=key, **about)  # type: ignore[arg-type]
        change(folder)
        made = self.vault.save(*words, key=(folder / CA_KEY).exists())
        if good:
            self.kits[made] = tree(folder)
        self.newest = made
        return made


@dataclass(frozen=True)
class KitFault:
    inject: Callable[[KitTrial], object]
    says: str


def _damaged(does: Callable[[Random, Path], object]) -> Callable[[KitTrial], object]:
    return lambda trial: does(trial.random, trial.vault.folder)


def _bad(**about: object) -> Callable[[KitTrial], object]:
    return lambda trial: trial.save(good=False, **about)  # type: ignore[arg-type]


def _incomplete(trial: KitTrial) -> None:
    """Leave one of the kit's files out; what is missing may be the fleet file or the key."""
    name = trial.random.choice(("fleet/README", "fleet/acme.yml", CA_KEY))
    trial.save(good=False, change=lambda folder: (folder / name).unlink())


def _link(trial: KitTrial) -> None:
    def linked(folder: Path) -> None:
        path = folder / trial.random.choice((REFERENCES, CA_KEY, "fleet/acme.yml"))
        path.unlink()
        path.symlink_to("/etc/passwd")

    trial.save(good=False, change=linked)


def _cut_references(trial: KitTrial) -> None:
    def shorter(folder: Path) -> None:
        path = folder / REFERENCES
        path.write_text(path.read_text()[: trial.random.randrange(path.stat().st_size)])

    trial.save(good=False, change=shorter)


def _newer_format(trial: KitTrial) -> None:
    def newer(folder: Path) -> None:
        path = folder / REFERENCES
        path.write_text(json.dumps(json.loads(path.read_text()) | {"format": "kit/99"}))

    trial.save(good=False, change=newer)


def _false_date(trial: KitTrial) -> None:
    trial.save("--time", f"{trial.random.choice((2000, 2020, 2050, 2099))}-01-01 00:00:00", good=False)


def _wrong_password(trial: KitTrial) -> None:
    trial.password = trial.random.randbytes(8).hex()


def _gone(trial: KitTrial) -> None:
    trial.vault.folder.rename(trial.vault.folder.with_name("away"))


_PASSED = "passed over|can't be read|whole kit"
FAULTS: Mapping[str, KitFault] = {
    "kit: a flipped bit in a pack": KitFault(_damaged(lambda random, one: flip(random, large(random, one))), _PASSED),
    "kit: a zeroed pack": KitFault(_damaged(lambda random, one: zero(random, large(random, one), 2**30)), _PASSED),
    "kit: a missing pack": KitFault(_damaged(lambda random, one: large(random, one).unlink()), _PASSED),
    "kit: a cut snapshot": KitFault(_damaged(lambda random, one: cut(random, newest_snapshot(one))), _PASSED),
    "kit: no CA key": KitFault(lambda trial: trial.save(key=None), "it has no CA key"),
    "kit: the key of another CA": KitFault(
        lambda trial: trial.save(good=False, key=new_key().reveal()), "another CA"
    ),
    "kit: a key that is none": KitFault(_bad(key="root:x:0:0"), "is no CA key"),
    "kit: a file is missing": KitFault(_incomplete, "passed over"),
    "kit: a link in a file's place": KitFault(_link, "is a link|passed over"),
    "kit: a description that is cut": KitFault(_cut_references, "passed over"),
    "kit: of a newer rackwright": KitFault(_newer_format, "newer"),
    "kit: a false date": KitFault(_false_date, "date is false|the future"),
    "kit: a wrong password": KitFault(_wrong_password, "wrong password"),
    "kit: a repository that is gone": KitFault(_gone, "there is no repository"),
}


@contextmanager
def vaults(folder: Path) -> Iterator[Callable[[Random], KitTrial]]:
    """Yield what makes a trial with two good kits."""
    folder.mkdir()
    new_vault(folder)
    (folder / "rest").rename(folder / "kept")

    def made(random: Random) -> KitTrial:
        shutil.rmtree(folder / "rest", ignore_errors=True)
        shutil.copytree(folder / "kept", folder / "rest")
        trial = KitTrial(Vault(folder / "rest" / "kit", folder / "staged"), random)
        trial.save()
        trial.save()
        return trial

    yield made


def judged(trial: KitTrial, fault: KitFault) -> Verdict:
    """Inject the fault, fetch the kit, and return how it ended."""
    fault.inject(trial)
    into, console = trial.vault.folder.parents[1] / "into", trial.vault.console
    shutil.rmtree(into, ignore_errors=True)
    try:
        kit = fetch_kit(kit_at(str(trial.vault.folder), Secret(trial.password)), into, cast(Console, console))
    except RackwrightError as error:
        said = "\n".join((str(error), *console.said))
        if into.exists():
            return Verdict(Outcome.FALSE, f"refused, but there is a folder: {said}")
        return Verdict(Outcome.REFUSED if re.search(fault.says, said) else Outcome.UNNAMED, said)
    said = "\n".join(console.said)
    wanted = dict(trial.kits.get(kit.snapshot.id, {}))
    if kit.key_of and CA_KEY not in wanted:
        wanted[CA_KEY] = trial.vault.ca_key.reveal().encode()
    if tree(kit.folder) != wanted:
        return Verdict(Outcome.FALSE, f"other files than the kit {kit.snapshot.id[:8]} has: {said}")
    if kit.snapshot.id != trial.newest and trial.newest[:8] not in said:
        return Verdict(Outcome.FALSE, f"an older kit was fetched, and nothing names the newer one: {said}")
    if kit.snapshot.id == trial.newest and kit.key_of is kit.snapshot:
        return Verdict(Outcome.RESTORED, said)
    return Verdict(Outcome.ELSEWHERE if re.search(fault.says, said) else Outcome.UNNAMED, said)
