"""What --yes doesn't answer."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from rackwright.cli.common.console import Console
from rackwright.errors import RackwrightError
from rackwright.fleet.keys_file import ApiKey, KeysFile, RevokedKey
from rackwright.lifecycle.backup.choose import Chosen
from rackwright.lifecycle.restore.agree import agree
from rackwright.lifecycle.restore.asked import Asked
from rackwright.lifecycle.restore.key_copies import MergedKeys
from rackwright.lifecycle.restore.plan import HostPlan, RestorePlan, parts_of
from rackwright.state.formats import utc_now
from tests.lifecycle.restore.test_plan import BEFORE, MADE, files

KEY = ApiKey(id="ci", owner="eve", sha256="a" * 64, created=utc_now())
GONE = RevokedKey(id="old", owner="ada", sha256="b" * 64, revoked=utc_now())


def planned(*, serving: tuple[str, ...] = (), keys: MergedKeys | None = None) -> RestorePlan:
    chosen = cast(Chosen, SimpleNamespace(doubts=(), snapshot=SimpleNamespace(id="a" * 64)))
    return RestorePlan(
        (HostPlan("gate1", chosen, parts_of(files(BEFORE, "audit.log"), {}, MADE), (), serving),), keys
    )


def merged(
    added: tuple[ApiKey, ...] = (), revoked: tuple[RevokedKey, ...] = (), missed: tuple[str, ...] = ()
) -> MergedKeys:
    return MergedKeys(KeysFile(), added, revoked, {}, ("gate1",), missed)


def yes(plan: RestorePlan, asked: Asked | None = None) -> None:
    agree(plan, asked or Asked(), Console(quiet=False, yes=True))


def test_a_restore_that_lets_in_no_one_and_stops_nothing_needs_only_yes() -> None:
    yes(planned())
    yes(planned(keys=merged(revoked=(GONE,))))


@pytest.mark.parametrize(
    ("keys", "listed"),
    [
        (merged(added=(KEY,)), "adds ci of eve"),
        (merged(missed=("snapshots of gate1 at vault: wrong password",)), "not read: snapshots of gate1 at vault"),
    ],
)
def test_keys_that_this_copy_lacks_or_that_may_be_revoked_elsewhere_need_an_operator(
    keys: MergedKeys, listed: str
) -> None:
    with pytest.raises(RackwrightError, match="need an operator who looks at them") as error:
        yes(planned(keys=keys))
    assert listed in str(error.value)
    assert error.value.problems[0].next == "the same command with --accept-keys"
    yes(planned(keys=keys), Asked(accept_keys=True))


def test_a_host_that_serves_needs_its_name() -> None:
    plan = planned(serving=("rackwright-gateway.service",))
    with pytest.raises(RackwrightError, match="gate1: this host serves now"):
        yes(plan)
    with pytest.raises(RackwrightError, match="gate1: this host serves now"):
        yes(plan, Asked(serving=("gate2",)))
    yes(plan, Asked(serving=("gate1",)))


def test_hosts_that_start_without_their_old_state_need_an_operator() -> None:
    """Otherwise, `--all --yes --at` with a time before the first snapshot would pass for a restore."""
    with pytest.raises(RackwrightError, match="have no snapshot that can be restored") as error:
        yes(replace(planned(), without={"gpu1": "has no snapshot that can be taken"}))
    assert "gpu1: has no snapshot" in str(error.value)
