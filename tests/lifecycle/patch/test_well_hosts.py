"""One host is asked whether it is well."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.patch.well_hosts import well
from rackwright.lifecycle.session.session import Session
from rackwright.remote import Completed
from rackwright.roles.patch.well import MOST_BYTES, SECONDS, script
from tests.hardware.outputs import printed

ANSWER = f"unit ssh.service running\nhardware\n{printed(facts='')}end\n"


class Host:
    def __init__(self, code: int, text: str) -> None:
        self.answer = Completed(code, text.encode(), b"said \x1b[2J", "gpu1")
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.name = "gpu1"

    def run(self, command: str, **words: object) -> Completed:
        self.asked.append((command, words))
        return self.answer

    def session(self) -> Session:
        return cast(Session, SimpleNamespace(remote=SimpleNamespace(connection=lambda _: self)))


def test_a_host_is_asked_once_within_limits_of_time_and_size() -> None:
    host = Host(0, ANSWER)
    assert well(host.session(), "gpu1").facts == ("unit ssh.service running",)
    assert host.asked == [("sh -s", {"stdin": script(), "timeout": SECONDS, "limit": MOST_BYTES})]


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (1, ANSWER, "gpu1: asking whether the host is well failed"),
        (0, "", "gpu1: answered something that rackwright"),
    ],
)
def test_a_host_that_can_not_say_it_is_an_error_of_that_host(code: int, text: str, said: str) -> None:
    with pytest.raises(HostError) as error:
        well(Host(code, text).session(), "gpu1")
    assert str(error.value).startswith(said)
