from __future__ import annotations

import hashlib

import pytest
from pydantic import ValidationError

from rackwright.operations.facts.path_state import Found, PathState
from rackwright.roles.modules.role import blocked, modules
from rackwright.roles.modules.settings import MODPROBE, Settings
from tests.fakes import play

_BUILT_IN = ["dccp", "sctp", "rds", "tipc", "firewire_core", "firewire_ohci"]


def never_loaded(settings: Settings) -> list[str]:
    lines = blocked(settings).splitlines()[1:]
    assert all(line.startswith("install ") and line.endswith(" /bin/false") for line in lines)
    return [line.split()[1] for line in lines]


def test_rare_protocols_and_firewire_are_never_loaded() -> None:
    assert never_loaded(Settings()) == _BUILT_IN
    played = play(modules, settings=Settings(), facts={PathState: None})
    assert played.uploads == {f"{MODPROBE}.rackwright-new": blocked(Settings())}


def test_an_operator_adds_and_takes_away() -> None:
    settings = Settings(block=("usb_storage", "tipc"), allow=("rds",))
    assert never_loaded(settings) == [*(name for name in _BUILT_IN if name != "rds"), "usb_storage"]


@pytest.mark.parametrize(
    "given", [{"block": ["a b"]}, {"block": ["a\nb"]}, {"block": ["-a"]}, {"allow": ["usb_storage"]}]
)
def test_only_names_of_modules_are_taken(given: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(given)


@pytest.mark.parametrize("module", ["nvidia", "nvidia_uvm", "nf_tables", "nft_ct", "nfnetlink", "overlay"])
def test_what_the_hosts_need_is_not_blocked(module: str) -> None:
    with pytest.raises(ValidationError, match=f"{module} is needed on the hosts"):
        Settings(block=(module,))


def test_a_second_run_changes_nothing() -> None:
    digest = hashlib.sha256(blocked(Settings()).encode()).hexdigest()
    facts = {PathState: Found("regular file", 0o644, "root", "root", digest)}
    assert play(modules, settings=Settings(), facts=facts).commands == []


def test_what_is_not_managed_is_not_even_looked_at() -> None:
    assert play(modules, settings=Settings(manage="no"), facts={}).operations == []
