"""The role `cutover`: the way back without this tool. tests/gateway/test_cutovers.py runs its script."""

from __future__ import annotations

import re

from rackwright.roles.cutover.role import cutover
from rackwright.roles.cutover.settings import PANIC, SCRIPT, UNITS
from tests.fakes import play


def test_it_writes_the_script_and_waits_for_the_panic_file() -> None:
    played = play(cutover)
    written = {path.removesuffix(".rackwright-new") for path in played.uploads}
    assert written == {SCRIPT, *(f"/etc/systemd/system/{unit}" for unit in UNITS)}
    assert played.operations[-1] == "Watch for the panic file"
    assert f"PathExists={PANIC}\n" in played.uploads["/etc/systemd/system/rackwright-panic.path.rackwright-new"]


def test_the_script_is_whole_and_short() -> None:
    (text,) = [text for path, text in play(cutover).uploads.items() if path.startswith(SCRIPT)]
    assert not re.search(r"{[{%]", text)
    assert len(text.splitlines()) < 170
    for name in ("run", "asks_as", "configuration", "cutovers", "records", "panic"):
        assert re.search(rf"\b{name}=\S+", text)
