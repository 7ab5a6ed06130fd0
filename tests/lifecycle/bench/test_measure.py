"""A stand-in for the tool's Python records its input; the tool itself runs in tests/heavy/test_bench.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rackwright.errors import ProofError, RackwrightError
from rackwright.lifecycle.bench.load import PROBES, Load
from rackwright.lifecycle.bench.measure import DRIVER, Recorded, measure, words_of
from rackwright.lifecycle.bench.tool import Tool
from rackwright.lifecycle.bench.way import Way
from rackwright.values.secrets import Secret
from tests.waiting import wait_until

KEY = "rw-bench-not-to-be-seen"
LOAD = Load(4, 70, 42, 4)
ANSWERED = Path(__file__).parent / "written" / "answered.json"


def stand_in(folder: Path, then: str) -> Tool:
    """A Python that saves its arguments, environment and input, then runs `then`; $report is the report's path."""
    program = folder / "python"
    program.write_text(
        f"""#!/bin/sh
echo "$@" >{folder}/words
env >{folder}/environment
cat >{folder}/told
report=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["report"])' {folder}/told)
{then}
"""
    )
    program.chmod(0o755)
    return Tool(program)


def way() -> Way:
    return Way("gateway gate1", "https://llm.acme.internal", str, Secret(KEY), "10.0.0.9", "PEM")


def test_the_report_is_read_and_the_key_goes_by_standard_input_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("OPENAI_API_KEY", "somebody's")
    step = measure(stand_in(tmp_path, f'cat {ANSWERED} >"$report"'), way(), "assistant", LOAD, 30)
    assert (step.answered, step.rate) == (70, 4)
    assert (tmp_path / "words").read_text().split() == ["-I", str(DRIVER)]
    environment = (tmp_path / "environment").read_text()
    assert KEY in (tmp_path / "told").read_text()
    assert KEY not in environment
    assert not {"HTTPS_PROXY", "PYTHONPATH", "OPENAI_API_KEY"} & {
        line.split("=")[0] for line in environment.split("\n")
    }
    assert "HF_HUB_OFFLINE=1" in environment


def test_the_tool_is_told_the_load_and_whom_to_trust(tmp_path):
    measure(stand_in(tmp_path, f'cat {ANSWERED} >"$report"'), way(), "assistant", LOAD, 30)
    told = json.loads((tmp_path / "told").read_text())
    spec, rows = told["spec"], told["spec"]["data"][0]["data"]
    assert told["way"] == {"address": "10.0.0.9", "ca": "PEM", "socket": ""}
    assert spec["profile"] == {"kind": "constant", "rate": [4]}
    assert spec["constraints"][0] == {"kind": "max_requests", "count": 70}
    assert (spec["backend"]["target"], spec["backend"]["model"]) == ("https://llm.acme.internal", "assistant")
    assert spec["backend"]["verify"] is True
    assert rows["output_tokens_count"] == [4] * 70
    assert {len(prompt.split()) for prompt in rows["prompt"]} == {30}
    assert len(set(rows["prompt"])) == 70


def test_a_tool_that_fails_is_named_with_its_last_words_and_no_key(tmp_path):
    tool = stand_in(tmp_path, f"echo 'No module named guidellm' >&2; echo 'Bearer {KEY}' >&2; exit 1")
    with pytest.raises(RackwrightError) as error:
        measure(tool, way(), "assistant", LOAD, 30)
    assert str(error.value) == "guidellm 0.8.1: failed:\n    No module named guidellm\n    Bearer ***"


def test_nothing_of_the_tool_goes_on_after_it(tmp_path):
    tool = stand_in(tmp_path, f'sleep 1000 & echo $! >{tmp_path}/worker; cat {ANSWERED} >"$report"')
    measure(tool, way(), "assistant", LOAD, 30)
    worker = Path("/proc", (tmp_path / "worker").read_text().strip(), "stat")
    wait_until(lambda: _ended(worker))


MEASURED = """
import signal, sys
from rackwright.cli.common import outcome
from rackwright.__main__ import main


def run(arguments):
    from rackwright.cli.common.context import hosts_needed
    hosts_needed()
    from pathlib import Path
    from rackwright.lifecycle.bench.load import Load
    from rackwright.lifecycle.bench.measure import measure
    from rackwright.lifecycle.bench.tool import Tool
    from rackwright.lifecycle.bench.way import Way
    from rackwright.remote import Remote
    from rackwright.values.targets import Target
    remote = Remote([Target("gate1", "@local")])
    remote.run_on(["gate1"], "true", sudo=False)
    try:
        measure(Tool(Path(arguments[0])), Way("gateway gate1", "", str), "assistant", Load(1, 1, 1, 1), 1)
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        # As a key is removed.
        remote.run_on(["gate1"], "cat >" + arguments[1], stdin="taken back", sudo=False)
    return 1


outcome.run = run
# Whoever runs the tests may have them ignore a hangup, or Ctrl-C, as nohup does.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
main(sys.argv[1:])
"""
"""The program, with a measurement as its command."""


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_tool_and_the_key_can_still_be_removed(tmp_path, told):
    kept = tmp_path / "kept"
    kept.mkdir()
    tool = stand_in(tmp_path, f"echo $$ >{tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 1000")
    with subprocess.Popen(
        [sys.executable, "-c", MEASURED, str(tool.python), str(tmp_path / "gateway")],
        env={**os.environ, "TMPDIR": str(kept)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        wait_until((tmp_path / "pid").exists)
        assert len(list(kept.iterdir())) == 1
        program.send_signal(told)
        try:
            assert program.communicate(timeout=120) == ("interrupted\n", "")
        finally:
            program.kill()
    assert _ended(Path("/proc", (tmp_path / "pid").read_text().strip(), "stat"))
    assert list(kept.iterdir()) == []
    assert (tmp_path / "gateway").read_text() == "taken back"


def _ended(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_the_engine_itself_says_how_long_a_prompt_is():
    def probe(body: str) -> str:
        asked = json.loads(body)
        assert (asked["model"], asked["max_tokens"]) == ("assistant", 1)
        return json.dumps({"usage": {"prompt_tokens": 30 + 2 * len(asked["messages"][0]["content"].split())}})

    assert words_of(Way("gateway gate1", "", probe), "assistant", Load(1, 1, 130, 1)) == 50
    assert PROBES[0] < 50 < PROBES[1]


@pytest.mark.parametrize("answer", ["", "{}", '{"error": "no"}', '{"usage": null}'])
def test_an_answer_that_counts_nothing_proves_nothing(answer):
    with pytest.raises(ProofError, match="gateway gate1: doesn't answer"):
        words_of(Way("gateway gate1", "", lambda _: answer), "assistant", LOAD)


def test_recorded_requests_are_sent_at_their_times_instead(tmp_path):
    recorded = Recorded((0.0, 0.25, 3.5), ('{"model": "a"}', '{"model": "b"}', '{"model": "c"}'))
    measure(stand_in(tmp_path, f'cat {ANSWERED} >"$report"'), way(), "assistant", Load(1, 3, 42, 4), 1, recorded)
    told = json.loads((tmp_path / "told").read_text())
    spec, rows = told["spec"], told["spec"]["data"][0]["data"]
    assert spec["profile"] == {"kind": "replay", "schedule_turn": "timestamp"}
    assert [limit["kind"] for limit in spec["constraints"]] == ["max_duration"]
    # The last one doesn't count.
    assert rows["prompt"] == [*recorded.bodies, recorded.bodies[-1]]
    assert [at - rows["relative_timestamp"][0] for at in rows["relative_timestamp"]] == [0, 0.25, 3.5, 5.5]
    assert (told["last"], told["way"]["recorded"]) == (rows["relative_timestamp"][2], True)


def test_a_tool_that_fails_over_recorded_requests_is_not_quoted(tmp_path):
    tool = stand_in(tmp_path, "echo 'ValidationError: input was Ada Lovelace' >&2; exit 1")
    with pytest.raises(RackwrightError) as error:
        measure(tool, way(), "assistant", Load(1, 1, 42, 4), 1, Recorded((0.0,), ("{}",)))
    assert str(error.value) == "guidellm 0.8.1: failed:\n    its output isn't shown"
