from __future__ import annotations

import io

from rackwright.report.live import Live
from rackwright.report.terminal_progress import Bars
from rackwright.report.words import duration, size
from rackwright.run import Outcome, Step
from rackwright.runner.progress import Progress
from rackwright.terminal import Styled


def news(outcome: Outcome | None = None, sent: int = 0, of: int = 0) -> Progress:
    step = outcome and Step("gpu1", "model_store", "Fetch [assistant]", outcome)
    return Progress("gpu1", "model_store", "Fetch [assistant]", 3, 9, step, sent, of)


def test_plain_lines_tell_stages_changes_and_failures_only():
    stream = io.StringIO()
    with Live(stream=stream) as live:
        live.stage("firewall and sshd", ("firewall and sshd", "the rest", "the end"))
        for outcome in (None, Outcome.UNCHANGED, Outcome.CHANGED, Outcome.FAILED):
            live.on_step(news(outcome))
        live.pause()
        live.stage("the rest", ("firewall and sshd", "the rest", "the end"))
        live.say("done\x1b[2J")
    assert stream.getvalue() == (
        "[1/3] firewall and sshd\n"
        "+ gpu1 model_store: Fetch [assistant]\n"
        "! gpu1 model_store: Fetch [assistant] FAILED\n"
        "[2/3] the rest\n"
        "done\\x1b[2J\n"
    )


def test_an_upload_leaves_a_line_a_minute_with_the_time_left():
    stream = io.StringIO()
    now = 0.0
    live = Live(stream=stream, clock=lambda: now)
    for percent in range(0, 101, 2):
        now = percent * 6.0
        live.on_step(news(sent=percent * 10**8, of=10**10))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "  gpu1 model_store: Fetch [assistant]: 1.0 GB of 10.0 GB, 9 min 0 s left"


def test_a_short_upload_leaves_no_line():
    stream = io.StringIO()
    now = 0.0
    live = Live(stream=stream, clock=lambda: now)
    for percent in range(0, 101, 2):
        now = percent * 0.59
        live.on_step(news(sent=percent * 10**8, of=10**10))
    assert stream.getvalue() == ""


def test_quiet_shows_nothing(capsys):
    with Live(quiet=True) as live:
        live.stage("a", ("a",))
        live.on_step(news(Outcome.CHANGED))
        live.say("x")
    assert capsys.readouterr() == ("", "")


def test_bars_show_host_count_and_operation_as_they_are_written():
    stream = io.StringIO()
    bars = Bars(stream, force_terminal=True)
    bars.host(news(), "1 MB of 2 MB")
    bars.host(news(Outcome.CHANGED), "")
    bars.line(Styled("+ gpu1 [bold]changed [link=https://evil]\x1b]8;;x\x07", "green", bold=True))
    bars.close()
    bars.host(news(), "")
    bars.close()
    shown = stream.getvalue()
    assert "gpu1" in shown
    assert "3/9" in shown
    assert "model_store: Fetch [assistant]" in shown
    assert "[bold]changed [link=https://evil]\\x1b]8;;x\\x07" in shown
    assert "\x1b[1;32m+ gpu1" in shown


def test_there_are_lines_where_there_is_no_terminal():
    assert type(Live(stream=io.StringIO())._display).__name__ == "_Lines"


def test_sizes_and_durations_read_well():
    assert [size(count) for count in (0, 999, 1500, 3.2e9, 4e12)] == ["0 B", "999 B", "1.5 kB", "3.2 GB", "4.0 TB"]
    assert [duration(seconds) for seconds in (8.2, 200, 7500)] == ["8 s", "3 min 20 s", "2 h 5 min"]


def test_what_arrives_from_another_host_tells_bytes_rate_and_the_time_left() -> None:
    stream = io.StringIO()
    now = 0.0
    with Live(stream=stream, clock=lambda: now) as live:
        for done in (0, 4_000_000, 4_100_000, 10_000_000):
            now += 35
            live.arriving("gpu2", "assistant dd", done, 10_000_000, 500_000)
    assert stream.getvalue().splitlines() == [
        "  gpu2 p2p: assistant dd: 4.1 MB of 10.0 MB, 500.0 kB/s, 12 s left",
    ]
