"""What the end of a migration needs, all of it at once, before anything is touched."""

from __future__ import annotations

import pytest

from rackwright.errors import HostError, ProofError, RackwrightError
from rackwright.lifecycle.migrate.cutover.rollback import pause, rollback
from rackwright.roles.ledger.program.book import Book
from tests.lifecycle.migrate.finish.leaving import DAY, HOUR, Leaving
from tests.stand_in_cloud import ADMIN_KEY, KEY, Fault


def untouched(at: Leaving) -> bool:
    return not [one for one in at.cloud.received if one.method == "DELETE"] and not at.typed


def test_everything_that_is_in_the_way_is_said_at_once(at: Leaving) -> None:
    at.world.gateways["gate1"].share = 50
    at.asked_cloud(1)
    (at.desk.folder / "admin-key").write_text("sk-wrong")
    with pytest.raises(ProofError, match="the migration can't end yet") as error:
        at.finish()
    said = str(error.value)
    assert "gate1: gives the fleet 50 % of new conversations" in said
    assert "support finish.quiet: the cloud had a request until" in said
    assert "provider.admin_key: the provider refuses it: HTTP 401" in said
    assert "support export: there is none" in said
    assert untouched(at)
    assert len(at.open().entries()) == 2


def test_without_the_whole_share_nothing_ends(at: Leaving) -> None:
    at.export()
    at.has_share(50)
    assert "support cutover: the fleet gets 50 % of new conversations" in at.problems
    rollback(at.desk.session, "support", at.world)
    assert "support cutover: the fleet gets 0 % of new conversations" in at.problems
    assert "gate1: anna@laptop has rolled back there" in at.problems


def test_a_pause_a_panic_file_and_a_gateway_that_is_down(at: Leaving) -> None:
    at.export()
    pause(at.desk.session, "support", "an incident")
    assert at.problems == ["support cutover: anna@laptop paused it"]
    at.world.gateways["gate1"].panic = True
    assert "gate1: has a panic file: all requests go to the cloud" in at.problems
    at.world.gateways["gate1"].down = True
    assert "gate1: can't be reached" in at.problems


def test_a_fallback_must_be_ended_first(at: Leaving) -> None:
    at.export()
    fallback = "fallback: {cost_per_hour: 3}, "
    at.desk.edit("cutover: {", f"cutover: {{{fallback}")
    at.world.gateways["gate1"].falls = {"gpt-4o-mini": 9}
    of_plan, of_gateway = at.look().problems
    assert str(of_plan.where) == "support cutover.fallback"
    assert of_gateway.what == "lets the cloud answer up to 9 requests an hour that no replica takes"
    assert of_plan.next == of_gateway.next
    assert of_plan.next
    assert of_plan.next.endswith("then rackwright migrate cutover support --execute --fallback-only")
    with pytest.raises(ProofError, match="the migration can't end yet"):
        at.finish()
    assert untouched(at)
    # The plan alone isn't what gateways do.
    at.desk.edit(fallback, "")
    assert at.problems == ["gate1: lets the cloud answer up to 9 requests an hour that no replica takes"]
    at.world.gateways["gate1"].falls = {}
    assert at.problems == []


@pytest.mark.parametrize("side", ["cloud", "fallback"])
def test_a_request_that_the_fleet_didnt_answer_counts_until_it_is_long_ago(at: Leaving, side: str) -> None:
    at.export()
    at.asked_cloud(13 * DAY, side)
    (found,) = at.look().problems
    assert found.what.startswith("the cloud had a request until")
    assert found.should == "the cloud should have had no request for 14 days"
    assert found.next
    assert found.next.startswith("wait until")
    at.desk.edit("replay:", "finish: {quiet: 11d}\nreplay:")
    assert at.problems == []


def test_the_fleets_own_requests_dont_count(at: Leaving) -> None:
    at.export()
    at.asked_cloud(1, "fleet")
    assert at.problems == []


def test_a_ledger_that_is_too_short_says_nothing(at: Leaving) -> None:
    at.export()
    at.books["gate1"] = Book("gate1", HOUR - 5 * DAY, taken=(HOUR + 1) * 3_600_000)
    assert [one.partition(": the")[2].partition(" at")[0] for one in at.problems] == [" gateways' ledgers begin"]
    at.books["gate1"] = Book("gate1", HOUR - 300 * DAY, taken=(HOUR + 1) * 3_600_000)
    at.books["gate1"].lost = [((HOUR - 30) * 3_600_000, (HOUR - 20) * 3_600_000)]
    assert "the ledger of gate1 lacks requests" in at.problems[0]
    at.books["gate1"] = HostError("timed out", where="gate1")
    assert at.problems == ["gate1: timed out"]


def test_a_share_that_is_new_is_waited_for(at: Leaving) -> None:
    at.export()
    at.has_share(100, hours_ago=24)
    assert "the cloud had a share of new conversations until" in at.problems[0]


def test_what_has_no_copy_is_listed_by_kind(at: Leaving) -> None:
    at.cloud.faults.append(Fault("status", status=400, times=-1, path="/v1/files/file-2/content"))
    at.cloud.faults.append(Fault("status", status=403, times=-1, path="/v1/batches"))
    at.export()
    files, batches = at.look().problems
    assert files.listed == ("files file-2: HTTP 400 for the purpose batch",)
    assert "or add files to finish.waivers" in (files.next or "")
    assert batches.what == "the list of batches isn't known to its end: HTTP 403"
    at.desk.edit("replay:", "finish: {waivers: {files: no copy needed, batches: nobody may list them}}\nreplay:")
    assert at.problems == []
    assert at.look().kinds["files"].uncopied == 1


def test_an_export_that_didnt_end_is_no_export(at: Leaving) -> None:
    at.export()
    place = at.desk.records / "export" / "objects.jsonl"
    lines = place.read_text().splitlines()
    place.write_text("\n".join([*lines, lines[0]]) + "\n")
    assert "the last export didn't come to its end" in at.problems[0]
    place.unlink()
    assert "isn't on this machine" in at.problems[0]


def test_a_key_for_later_is_needed_unless_the_plan_says_why_not(at: Leaving) -> None:
    at.export()
    at.desk.edit('provider: {admin_key: "file:admin-key"}\n', "")
    (found,) = at.look().problems
    assert (found.where.rpartition(" ")[2], found.what) == ("provider.admin_key", "is missing")
    at.desk.edit("replay:", "finish: {no_recheck: the account is closed}\nreplay:")
    assert at.problems == []
    at.finish()
    assert (at.applied().due, at.state.no_recheck) == (None, "the account is closed")


def test_no_key_is_in_what_is_said_or_noted(at: Leaving) -> None:
    at.end()
    entries = [at.desk.store.read(path) for path in at.desk.store.stored]
    said = "".join(filter(None, (*at.desk.said, *at.typed, *entries)))
    files = "".join(path.read_text() for path in (at.desk.records / "export").glob("*.jsonl"))
    assert KEY not in said + files
    assert ADMIN_KEY not in said + files


def test_a_plan_with_a_kind_that_doesnt_exist(at: Leaving) -> None:
    at.desk.edit("replay:", "finish: {waivers: {file: no copy needed}}\nreplay:")
    with pytest.raises(RackwrightError, match="is no kind of objects"):
        at.open()
