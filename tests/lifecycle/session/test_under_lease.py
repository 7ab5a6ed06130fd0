"""Changes are made only while the lease is valid: no operation follows its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rackwright.errors import LeasedError
from rackwright.lifecycle.session import remember
from rackwright.lifecycle.session.under_lease import apply_leased
from rackwright.run import Outcome, Run, Step


class Desk:
    """A site, its engine and its lease; `ends_after`: how many operations run before the lease is lost."""

    def __init__(self, ends_after: int) -> None:
        self.left = ends_after
        self.runner, self.hosts = self, {"gpu1": "one", "gpu2": "two"}
        self.audited: list[str] = []

    def holds(self) -> bool:
        return self.left > 0

    def check(self) -> None:
        if not self.holds():
            raise LeasedError("this run's lease has ended")

    def apply(
        self, deploy: Any, hosts: dict[str, object], *, only: tuple[str, ...], stopping: Callable[[], bool]
    ) -> Run:
        assert (deploy, hosts, only) == (nothing, {"gpu1": "one"}, ("sshd",))
        steps = []
        for number in range(5):
            if stopping():
                return Run(tuple(steps), interrupted=True)
            self.left -= 1
            steps.append(Step("gpu1", "sshd", f"operation {number}", Outcome.CHANGED))
        return Run(tuple(steps))


def nothing() -> None:
    """A deploy that does nothing."""


@pytest.fixture
def apply(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    def audit(desk: Desk, lease_session: object, run: Run, models: object, end: str) -> None:
        desk.audited.append(f"{len(run.steps)}{end}")

    monkeypatch.setattr(remember, "note_changes", audit)

    def applied(desk: Any, **options: Any) -> Run:
        return apply_leased(desk, desk, nothing, ["gpu1"], only=("sshd",), **options)

    return applied


def test_all_operations_run_while_the_lease_holds(apply: Callable[..., Run]) -> None:
    desk = Desk(ends_after=6)
    assert len(apply(desk).steps) == 5
    assert desk.audited == []


def test_without_the_lease_no_operation_begins(apply: Callable[..., Run]) -> None:
    desk = Desk(ends_after=0)
    with pytest.raises(LeasedError):
        apply(desk)
    assert desk.audited == []


def test_a_lease_that_is_lost_ends_it_before_the_next_operation_and_the_audit_says_so(
    apply: Callable[..., Run],
) -> None:
    desk = Desk(ends_after=2)
    with pytest.raises(LeasedError):
        apply(desk)
    assert desk.audited == ["2; then failed: this run's lease has ended"]


def test_a_request_to_stop_interrupts_it_and_the_lease_is_not_lost(apply: Callable[..., Run]) -> None:
    desk = Desk(ends_after=6)
    run = apply(desk, stopping=lambda: desk.left < 6)
    assert (len(run.steps), run.interrupted, desk.audited) == (1, True, [])
