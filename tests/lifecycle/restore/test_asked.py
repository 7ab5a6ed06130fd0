from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import UsageError
from rackwright.lifecycle.restore.asked import asked_for, refuse_mixed
from tests.fleet.fleets import make_fleet

PLAIN: dict[str, Any] = {
    "everything": False,
    "undo": False,
    "source": None,
    "only_url": {"--into": None, "--password": None},
    "not_undo": {"--at": None, "--serving": ()},
}
URL = "rest:https://10.0.0.1:8000"


@pytest.mark.parametrize(
    ("hosts", "given"),
    [
        (("gate1",), {}),
        (("gate1",), {"undo": True}),
        (("gate1",), {"source": "vault"}),
        ((), {"everything": True}),
        ((), {"everything": True, "source": URL, "only_url": {"--into": Path("acme"), "--password": "file:x"}}),
    ],
)
def test_options_that_fit(hosts: tuple[str, ...], given: dict[str, Any]) -> None:
    refuse_mixed(hosts, **(PLAIN | given))


@pytest.mark.parametrize(
    ("hosts", "given", "wrong"),
    [
        ((), {}, "no host"),
        (("gate1",), {"everything": True}, "--all: restores all hosts"),
        ((), {"everything": True, "undo": True}, "--undo: needs hosts"),
        (("gate1",), {"undo": True, "not_undo": {"--at": "12h"}}, "--at: means nothing with --undo"),
        (("gate1",), {"source": URL}, "--from: a URL needs --all and --into"),
        ((), {"everything": True, "source": URL}, "--from: a URL needs --all and --into"),
        ((), {"everything": True, "only_url": {"--into": Path("acme")}}, "--into: is only for --from URL"),
        (("gate1",), {"source": "vault", "only_url": {"--password": "file:x"}}, "--password: is only for"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_read(
    hosts: tuple[str, ...], given: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(UsageError, match=wrong):
        refuse_mixed(hosts, **(PLAIN | given))


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"what": "state,weights"}, "--what weights: no such part; should be some of state, keys, models"),
        ({"what": ""}, "--what: is empty"),
        ({"serving": ("gate2",)}, "gate2: no host of that name"),
        ({"at": "yesterday"}, "--at"),
        ({"at": "3d0a1252", "everything": True}, "--at 3d0a1252: is a snapshot of one host"),
    ],
)
def test_what_is_asked_for_must_exist(tmp_path: Path, given: dict[str, Any], wrong: str) -> None:
    plain: dict[str, Any] = {"at": None, "repository": None, "what": "state", "serving": ()}
    with pytest.raises(UsageError, match=wrong):
        asked_for(make_fleet(tmp_path / "acme.yml"), **(plain | given))
