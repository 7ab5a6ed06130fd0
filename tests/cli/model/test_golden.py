from __future__ import annotations

import hashlib

from tests.cli.command_line import rackwright

GOOD = '{"id": "a", "messages": [{"role": "user", "content": "?"}], "check": {"exact": "b"}}\n'
SHAPED = '{"id": "c", "messages": [{"role": "user", "content": "?"}], "check": {"json_schema": {"type": "object"}}}\n'


MORE = "".join(GOOD.replace('"a"', f'"a{number}"') for number in range(18))
ALL_SHAPED = "".join(SHAPED.replace('"c"', f'"c{number}"') for number in range(20))


def test_a_golden_set_is_told_without_a_fleet(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(GOOD + SHAPED + MORE)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    ran = rackwright("model", "golden", path)
    assert ran.exit_code == 0
    assert ran.stdout == (
        f"{path}: 20 prompts (19 exact, 1 json_schema), 1 with a format; sha256 {digest}\n"
        "valid formats are not compared: 1 of the 20 prompts that are needed\n"
    )
    assert rackwright("model", "golden", path, "--json").document == {
        "file": str(path),
        "digest": digest,
        "prompts": 20,
        "checks": {"exact": 19, "json_schema": 1},
        "with_format": 1,
    }


def test_of_twenty_formats_nothing_is_missing(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(ALL_SHAPED)
    assert rackwright("model", "golden", path).stdout.count("\n") == 1


def test_a_set_that_is_too_small_is_refused(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(GOOD + SHAPED)
    ran = rackwright("model", "golden", path)
    assert ran.exit_code == 10
    assert f"error: {path}: has 2 prompts; a golden set has at least 20" in ran.stderr


def test_every_problem_is_told_and_the_command_ends_with_10(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(GOOD + GOOD + "[]\n")
    ran = rackwright("model", "golden", path)
    assert ran.exit_code == 10
    assert f"error: {path}:2 id: is also the id of line 1" in ran.stderr
    assert f"error: {path}:3: is not an object" in ran.stderr
