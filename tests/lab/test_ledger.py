"""The units of ledger and usage on a real lab host: HAProxy and the journal, by programs in sandboxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address

import pytest

from rackwright.errors import HostError
from rackwright.fleet.ca import CertificateAuthority
from rackwright.gateway.ledger import Ledgers
from rackwright.gateway.usage import Usages
from rackwright.operations.log_program.ending import REJECTED
from rackwright.remote import Remote
from rackwright.roles.certificate.settings import Settings as Certificate
from rackwright.roles.cloud.settings import Access
from rackwright.roles.cloud.settings import Settings as Clouds
from rackwright.roles.gateway.settings import Cloud, Key, RoutedModel
from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.ledger.program.book import Book, parse_book
from rackwright.roles.ledger.settings import DOCUMENT, SERVICE, TIMER, Settings
from rackwright.roles.usage.program.day import Day, Row
from rackwright.roles.usage.settings import SERVICE as USAGE_SERVICE
from rackwright.roles.usage.settings import STATE as USAGE_STATE
from rackwright.roles.usage.settings import TIMER as USAGE_TIMER
from rackwright.roles.usage.settings import Settings as Usage
from rackwright.values.secrets import Secret
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

KEY = f"rw-good-{'g' * 43}"
ACME = Cloud(name="acme", host="cloud.invalid", path="/v1")


@dataclass
class Counting:
    host: LabHost
    ca: CertificateAuthority

    def deploy(self) -> None:
        from rackwright.roles.certificate.role import certificate
        from rackwright.roles.cloud.role import cloud
        from rackwright.roles.gateway.role import gateway
        from rackwright.roles.ledger.role import ledger
        from rackwright.roles.usage.role import usage

        name, address = self.host.name, ip_address(self.host.address)
        for settings in (
            Certificate(name="gateway", names=("llm.lab", str(address))),
            Certificate(name="gateway-client", names=(name,), client=True),
        ):
            certificate(settings=settings, issuer=self.ca)
        cloud(settings=Clouds(clouds=(ACME,)), access=lambda: {"acme": Access(Secret("sk-" + "c" * 40))})
        gateway(
            settings=Gateway(
                name=name,
                domain="llm.lab",
                address=address,
                certificate="gateway",
                client_certificate="gateway-client",
                models=(RoutedModel(name="chat", digest=None, names=("chat",), servers=(), cloud="acme"),),
                clouds=(ACME,),
                keys=(Key(id="good", sha256=sha256(KEY.encode()).hexdigest()),),
            )
        )
        ledger(settings=Settings(gateway=name))
        usage(settings=Usage(gateway=name))

    def ask(self, times: int = 1) -> None:
        """Ask the model; its cloud has no address, so that the answer is 503."""
        said = self.host.tell(
            f"for one in $(seq {times}); do curl -s -o /dev/null -w '%{{http_code}}\\n' --resolve "
            f"llm.lab:443:{self.host.address} --cacert /etc/rackwright/certificates/gateway.ca.crt "
            f"-H 'x-api-key: {KEY}' -d '{{\"model\":\"chat\"}}' https://llm.lab/v1/chat/completions; done"
        )
        assert said.split() == ["503"] * times

    def look(self) -> Book:
        self.host.tell(f"systemctl start {SERVICE}")
        return self.book()

    def asked(self) -> Book | HostError:
        """Return what the tool gets."""
        with Remote([self.host.target()]) as remote:
            return Ledgers(remote, (self.host.name,)).look()[self.host.name]

    def used(self) -> tuple[Day, ...] | HostError:
        """Return the usage that the tool gets."""
        with Remote([self.host.target()]) as remote:
            since = (datetime.now(UTC) - timedelta(days=1)).date()
            return Usages(remote, (self.host.name,)).read(since)[self.host.name]

    def requests(self) -> int:
        """Return how many requests of the key are in the usage; all were rejected."""
        days = self.used()
        assert not isinstance(days, HostError), days
        assert {row for day in days for row in day.rows} <= {Row("good", "", "chat")}
        assert not any(day.lost or day.gaps for day in days)
        return sum(counts[REJECTED] for day in days for counts in day.rows.values())

    def book(self) -> Book:
        return parse_book(self.host.tell(f"cat {DOCUMENT}"))


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counting]:
    folder = tmp_path_factory.mktemp("ca")
    ca = CertificateAuthority("lab", folder / "ca.crt", folder)
    with fresh_lab("ledger", "gate1") as lab:
        counting = Counting(LabHost(lab, lab.fleet(), "gate1"), ca)
        counting.host.applied(counting.deploy)
        # From here on the test says when.
        counting.host.tell(f"systemctl stop {TIMER} {USAGE_TIMER}")
        yield counting


def sums(book: Book) -> tuple[int, int, int]:
    """Return how many were accepted, rejected, and had another outcome."""
    accepted = sum(book.own(row) for row in book.rows())
    outcomes = [sum(one) for one in zip(*book.outcomes.values(), strict=True)] or [0] * 4
    return accepted, outcomes[REJECTED], sum(outcomes) - outcomes[REJECTED]


def test_what_it_accepted_and_what_became_of_it_are_the_same_across_reload_and_restart(counting: Counting) -> None:
    host = counting.host
    assert sums(counting.look()) == (0, 0, 0)
    counting.ask(3)
    assert sums(counting.look()) == (3, 3, 0)
    host.tell("systemctl reload rackwright-gateway")
    counting.ask(2)
    assert sums(counting.look()) == (5, 5, 0)
    # HAProxy's memory is gone, and what the last look saw isn't.
    host.tell("systemctl restart rackwright-gateway")
    wait_until(lambda: host.holds("systemctl is-active -q rackwright-gateway"))
    counting.ask()
    book = counting.asked()
    assert isinstance(book, Book)
    assert sums(book) == (6, 6, 0)
    assert (book.residuals, book.lost, book.dropped) == ({}, [], 0)


def test_lines_that_the_journal_removed_before_they_were_read_are_a_residual(
    counting: Counting,
) -> None:
    before = counting.look()
    counting.ask(4)
    counting.host.tell("journalctl --rotate && journalctl --vacuum-size=1 -q")
    counting.ask()
    book = counting.look()
    assert len(book.lost) == 1
    assert sum(low for low, _ in book.residuals.values()) == 4
    assert sums(book) == (sums(before)[0] + 5, sums(before)[1] + 1, 0)
    assert counting.look().lost == book.lost


def test_a_second_apply_changes_nothing(counting: Counting) -> None:
    counting.host.tell(f"systemctl start {TIMER} {USAGE_TIMER}")
    assert counting.host.applied(counting.deploy).changes == 0


def test_a_document_that_can_t_be_read_is_left_as_it_is_and_the_unit_fails(counting: Counting) -> None:
    host = counting.host
    host.tell(f'systemctl stop {TIMER}; cp {DOCUMENT} /root/kept; echo \'{{"format":"ledger/9"}}\' >{DOCUMENT}')
    assert not host.holds(f"systemctl start {SERVICE}")
    assert "reads ledger/1" in str(counting.asked())
    assert host.tell(f"cat {DOCUMENT}") == '{"format":"ledger/9"}'
    said = host.tell(f"journalctl -u {SERVICE} -o cat -n 20")
    assert 'it is "ledger/9", and this rackwright reads ledger/1' in said
    host.tell(f"cp /root/kept {DOCUMENT}")
    counting.look()


def test_the_unit_is_sandboxed_and_does_nothing_while_the_gateway_is_stopped(counting: Counting) -> None:
    host = counting.host
    assert host.holds(f"systemd-analyze security --threshold=20 {SERVICE}")
    assert host.holds(f"systemd-analyze security --threshold=20 {USAGE_SERVICE}")
    before = host.tell(f"cat {DOCUMENT}")
    host.tell("systemctl stop rackwright-gateway")
    try:
        host.tell(f"systemctl start {SERVICE}")
        assert host.tell(f"cat {DOCUMENT}") == before
        assert "HAProxy doesn't run" in str(counting.asked())
    finally:
        host.tell("systemctl start rackwright-gateway")


def test_usage_counts_each_request_once_whoever_is_killed(counting: Counting) -> None:
    host, before = counting.host, counting.requests()
    counting.ask(3)
    # The program is killed at any moment, many times, while lines arrive.
    host.tell(
        f"for one in $(seq 12); do systemctl start --no-block {USAGE_SERVICE}; logger -t other line; "
        f"systemctl kill -s KILL {USAGE_SERVICE} 2>/dev/null || :; done"
    )
    assert counting.requests() == before + 3
    host.tell("systemctl kill -s KILL rackwright-gateway")
    wait_until(lambda: host.holds("systemctl is-active -q rackwright-gateway"))
    wait_until(lambda: host.holds("ss -ltn | grep -q :443"))
    counting.ask(2)
    assert counting.requests() == before + 5
    # It is as complete while HAProxy is stopped.
    host.tell("systemctl stop rackwright-gateway")
    try:
        assert counting.requests() == before + 5
    finally:
        host.tell("systemctl start rackwright-gateway")
    assert host.tell(f"stat -c '%a %U' {USAGE_STATE} {USAGE_STATE}/state.json").split() == [
        "700",
        "root",
        "600",
        "root",
    ]
