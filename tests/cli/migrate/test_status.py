"""`migrate status`: on one migration, and on all."""

from __future__ import annotations

from rackwright.migrate.assessment import Assessed
from rackwright.migrate.features.summary import TrafficSummary
from tests.cli.command_line import rackwright
from tests.lifecycle.migrate.desks import Desk


def test_it_shows_what_was_done_what_is_stale_and_what_comes_next(desk: Desk) -> None:
    place = desk.open()
    place.folder.write("requests", ['{"id": 1}', '{"id": 2}'])
    place.note("import", "2 requests")
    place.note("assess", "all ok", Assessed(probed=True, traffic=TrafficSummary(requests=2)))
    desk.edit("gpt-4o-mini: assistant", "gpt-4o-mini: assistant, gpt-4o: assistant")
    desk.edit("prices:\n", "prices:\n  gpt-4o: {input: 1, output: 2}\n")
    text = desk.path.read_text()
    desk.path.write_text(text.replace("names: [gpt-4o-mini]", "names: [gpt-4o-mini, gpt-4o]"))
    ran = rackwright("-f", desk.path, "migrate", "status", "support")
    assert ran.exit_code == 0
    lines = ran.stdout.splitlines()
    assert lines[0] == "support: The contract with the provider ends in March."
    assert lines[1] == f"plan:   {desk.plan}, openai: gpt-4o-mini → assistant, gpt-4o → assistant"
    assert lines[2] == f"folder: {desk.records}: 1 file, 2 requests; as in the log"
    assert "stale: models changed in the plan" in next(line for line in lines if line.startswith("assess"))
    assert next(line for line in lines if line.startswith("replay")).split() == ["replay", "never", "-"]
    assert [line.split()[0] for line in lines if "anna@laptop" in line] == ["1", "2", "3"]
    assert lines[-1] == "next: rackwright migrate assess support"
    document = rackwright("-f", desk.path, "migrate", "status", "support", "--json").document["migration"]
    assert document["stale"] == [
        {"step": "import", "entry": 2, "why": ["models changed in the plan"]},
        {"step": "assess", "entry": 3, "why": ["models changed in the plan"]},
    ]
    assert document["folder"]["requests"] == 2
    assert document["folder"]["sha256"] == document["log"][-1]["manifest"]
    assert [entry["step"] for entry in document["log"]] == ["init", "import", "assess"]
    assert document["next"] == "rackwright migrate assess support"


def test_status_and_report_write_nothing(desk: Desk) -> None:
    place = desk.open()
    place.folder.write("requests", ['{"id": 1}'])
    place.note("import", "1 request")
    # Else there would be nothing to write.
    (desk.records / "known.json").unlink()
    desk.records.chmod(0o500)
    before = {path.name: path.read_bytes() for path in desk.records.iterdir()}
    for words in (["status"], ["status", "support"], ["report", "support"]):
        ran = rackwright("-f", desk.path, "migrate", *words)
        assert ran.stdout
        assert "problem" not in ran.stdout + ran.stderr
        assert {path.name: path.read_bytes() for path in desk.records.iterdir()} == before
    desk.records.chmod(0o700)
    desk.open()
    assert {path.name for path in desk.records.iterdir()} == {*before, "known.json"}


def test_without_a_name_it_lists_all(desk: Desk) -> None:
    desk.open().note("capture", "started")
    desk.plan.with_name("site.migrate-batch.yml").write_text("a: 1\n")
    ran = rackwright("-f", desk.path, "migrate", "status")
    assert ran.exit_code == 0
    head, batch, support, *problems = ran.stdout.splitlines()
    assert head.split() == ["migration", "last", "step", "when", "who", "next"]
    assert batch.startswith("batch ")
    assert support.startswith("support    capture")
    assert problems[0].startswith("problem: ")
    document = rackwright("-f", desk.path, "migrate", "status", "--json").document
    assert [one["migration"] for one in document["migrations"]] == ["batch", "support"]


def test_without_any_migration_it_says_how_to_begin(desk: Desk) -> None:
    desk.plan.unlink()
    ran = rackwright("-f", desk.path, "migrate", "status")
    assert (ran.exit_code, ran.stdout) == (0, "no migration yet\nnext: rackwright migrate init NAME\n")
    ran = rackwright("-f", desk.path, "migrate", "status", "support")
    assert ran.exit_code == 2
    assert "next: rackwright migrate init support" in ran.stderr


def test_a_log_that_was_changed_is_refused(desk: Desk) -> None:
    place = desk.open()
    place.note("capture", "started")
    path = place.entries()[0].path
    desk.store.put(path, str(desk.store.read(path)).replace("anna", "anne"))
    ran = rackwright("-f", desk.path, "migrate", "status", "support")
    assert ran.exit_code == 1
    assert "entry 1 was changed: entry 2 follows another; nothing goes on from a log that was changed" in ran.stderr


def test_problems_of_the_plan_are_all_shown(desk: Desk) -> None:
    desk.edit("budget: 50", "budget: none")
    desk.edit("currency: EUR", "currency: euro")
    ran = rackwright("-f", desk.path, "migrate", "status", "support")
    assert ran.exit_code == 10
    assert "replay.budget: should be a number" in ran.stderr
    assert "currency: should be a currency code like EUR" in ran.stderr


def test_what_a_hostile_control_host_says_does_not_steer_the_terminal(desk: Desk) -> None:
    place = desk.open()
    place.note("capture", "started")
    (desk.folder.parent / "hosts/gate1/migrations/heads/evil\x1b[2J.json").write_text("{}")
    ran = rackwright("-f", desk.path, "migrate", "status")
    assert ran.exit_code == 0
    assert "\x1b" not in ran.stdout + ran.stderr
    assert "evil" not in ran.stdout
    assert "support" in ran.stdout


def test_a_changed_file_is_not_as_in_the_log(desk: Desk) -> None:
    place = desk.open()
    place.folder.write("requests", ['{"id": 1}'])
    place.note("import", "1 request")
    with (desk.records / "requests-000001.jsonl.age").open("ab") as file:
        file.write(b"x")
    said = rackwright("-f", desk.path, "migrate", "status", "support").stdout
    assert "1 file, 1 request; its list of files is as in the log" in said
    assert "requests-000001.jsonl.age: was changed; restore it from a copy, or erase the folder" in said
    assert "from a copy; without a copy, rackwright migrate erase support --folder, and record again" in said
