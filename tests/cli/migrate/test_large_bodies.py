"""A body that is larger than the gateways take: imported, named by the assessment, and not replayed."""

from __future__ import annotations

import json

from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.migrate.desk_ends import DeskEnds


def migrate(made: DeskEnds, *words: object) -> Ran:
    return rackwright("-f", made.desk.path, "migrate", *words)


def test_two_mebibytes_are_counted_waivable_and_left_out(made: DeskEnds) -> None:
    texts = ["Is it good?", "Is it bad?", "word " * (2 * 2**20 // 5)]
    bodies = [
        {"model": "gpt-4o-mini", "max_tokens": 9, "messages": [{"role": "user", "content": text}]} for text in texts
    ]
    log = made.desk.folder / "log.jsonl"
    log.write_text("".join(json.dumps(body) + "\n" for body in bodies))
    assert migrate(made, "import", "support", log).stdout.startswith("3 requests added")
    made.desk.path.write_text(made.desk.path.read_text().replace("{on: [gate1]", "{max_request: 1MiB, on: [gate1]"))
    made.desk.edit("currency: EUR", "waivers: {context: short prompts only}\ncurrency: EUR")
    found = migrate(made, "assess", "support", "--offline")
    assert found.exit_code == 12
    blocks = "requests larger than gateway.max_request, 1048576 bytes: 1 (waiver: max_request)"
    assert f"blocks: gpt-4o-mini → assistant: {blocks}" in found.stdout
    made.desk.edit("short prompts only", "short prompts only, max_request: a batch job that ends")
    waived = migrate(made, "assess", "support", "--offline").stdout
    assert "more than 1048576 bytes" in waived
    assert "waiver: max_request" not in waived
    replayed = migrate(made, "replay", "support", "--yes")
    assert replayed.exit_code == 0
    assert "left out: 1 (its body is larger than gateway.max_request)" in replayed.stdout + replayed.stderr
    asked = [len(one.body) for one in (*made.ends.cloud.completions(), *made.ends.fleet.completions())]
    assert len(asked) == 6
    assert max(asked) < 1000
