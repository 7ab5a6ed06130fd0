"""The scripts that change a host's packages, without a host: their text, their commands, what is read from them."""

from __future__ import annotations

import fcntl
import shlex
import subprocess
from pathlib import Path

import pytest

from rackwright.package_set import Package, PackageChange
from rackwright.roles.patch import packages
from rackwright.roles.patch.packages import Finding, Kind, Step, by_hand, listing, parse_look, prepare_command

RUN = "20261130T000000Z-0001"
NEW = Package(name="tool", version="1:2~a+b", architecture="all", size=9, sha256="a" * 64, url="http://a/b.deb")
LOOK = "state inactive\nresult failed 1\nuptime 1790.15 1700.90\nfound space\t/boot\t9000\t12\nlog E: it failed\n"


@pytest.mark.parametrize("name", packages.SCRIPTS)
def test_scripts_stay_under_sixty_lines_and_shellcheck_finds_nothing(name: str) -> None:
    text = packages.SCRIPTS[name]
    assert len(text.splitlines()) < 60
    assert max(map(len, text.splitlines())) <= 120
    # SC2317, SC2329: `listed` calls functions by their names.
    command = ["shellcheck", "-s", "sh", "-e", "SC1090,SC1091,SC2034,SC2154,SC2317,SC2329", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("text", [packages._PREPARE, packages._START, packages._LOOK])
def test_shellcheck_finds_nothing_in_commands(text: str) -> None:
    done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_step_has_its_script_and_every_script_is_sent() -> None:
    files = {path.name for path in packages._TEMPLATES.glob("*.sh")}
    assert {f"{step}.sh" for step in Step} < set(packages.SCRIPTS)
    assert set(packages.SCRIPTS) <= files


def test_a_command_fits_into_one_argument_of_sudo() -> None:
    assert len(shlex.quote(prepare_command(RUN))) < 128 * 1024


@pytest.mark.parametrize("run", ["", "..", "../x", f"{RUN}/..", f"{RUN}\n", "20261130T000000Z-0001 x", "x; reboot"])
def test_only_a_runs_id_becomes_a_path(run: str) -> None:
    with pytest.raises(ValueError, match="no run's id"):
        packages.start_command(run, Step.STAGE, 1)


def test_the_list_has_a_line_for_each_package() -> None:
    new = PackageChange(package=NEW.model_copy(update={"name": "base"}))
    text = listing([PackageChange(package=NEW, before="1:1"), new])
    assert text == f"base all - 1:2~a+b {'a' * 64} 9\ntool all 1:1 1:2~a+b {'a' * 64} 9\n"


def test_a_run_keeps_its_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "RUNS", str(tmp_path / "patch"))
    monkeypatch.setattr(packages, "_PREPARE", packages._PREPARE.replace("/var/lib/rackwright", str(tmp_path)))

    def prepared(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-c", prepare_command(RUN)], input=text, capture_output=True, text=True)

    assert prepared("one\n").returncode == prepared("one\n").returncode == 0
    refused = prepared("two\n")
    assert refused.returncode == 1
    assert "this run changes other packages here" in refused.stderr
    folder = tmp_path / "patch" / RUN
    assert (folder / "wanted").read_text() == "one\n"
    assert {path.name for path in folder.iterdir()} == {"wanted", *packages.SCRIPTS}
    assert (tmp_path / "patch").stat().st_mode & 0o777 == folder.stat().st_mode & 0o777 == 0o700


def test_what_a_step_printed_is_read() -> None:
    look = parse_look(LOOK)
    assert (look.busy, look.result, look.seconds, look.log) == (False, "failed 1", 90, ("E: it failed",))
    assert look.findings == (Finding(Kind.SPACE, "/boot", "9000", "12"),)
    assert parse_look("state active\nresult \nuptime 5.00 \n").busy


@pytest.mark.parametrize(
    "wrong",
    ["result failed 1\nuptime 1 1\n", LOOK.replace("failed 1", "fine"), LOOK.replace("failed 1", "failed 1234"),
     LOOK.replace("1790.15", "²"),
     LOOK.replace("space", "spice"), LOOK.replace("\t12", "")],
)  # fmt: skip
def test_another_answer_is_refused(wrong: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        parse_look(wrong)


def test_what_a_host_says_can_be_shown() -> None:
    look = parse_look(LOOK.replace("it failed", "\x1b[2J" + "x" * 999).replace("/boot", "/b\x9bot"))
    assert look.log[0].startswith("E: ?[2J")
    assert len(look.log[0]) <= 400
    assert look.findings[0].what == "/b?ot"


def test_a_person_can_run_a_step() -> None:
    assert by_hand(RUN, Step.REVERT, 300) == f"sh /var/lib/rackwright/patch/{RUN}/run.sh revert 300"


def run_step(folder: Path, step: str, *arguments: str) -> str:
    """Run this text as the step `demo`, and return how it ended. The file `printed` has what the journal gets."""
    (folder / "run.sh").write_text(packages.SCRIPTS["run.sh"])
    (folder / "demo.sh").write_text(step)
    command = ["sh", str(folder / "run.sh"), "demo", *arguments]
    with (folder / "printed").open("w") as printed:
        subprocess.run(command, check=True, timeout=60, stdout=printed)
    return (folder / "demo.result").read_text()


def test_a_step_leaves_its_result_and_its_output_without_passwords(tmp_path: Path) -> None:
    said = "Err: http://me:secret@mirror/a http://me:sec@ret@mirror/b"
    assert run_step(tmp_path, f"echo '{said}'; exit 7") == "failed 7\n"
    assert (tmp_path / "demo.log").read_text() == "Err: http://mirror/a http://mirror/b\n"
    assert run_step(tmp_path, "exit 0") == "complete\n"


def test_a_step_gets_its_arguments_and_the_journal_its_output(tmp_path: Path) -> None:
    assert run_step(tmp_path, 'echo "$#" "$@"', "a b", "c") == "complete\n"
    assert (tmp_path / "printed").read_text() == (tmp_path / "demo.log").read_text() == "2 a b c\n"


def test_a_log_is_bounded_and_has_the_end(tmp_path: Path) -> None:
    run_step(tmp_path, "seq 600000; head -c 9000 /dev/zero | tr '\\0' x; echo; echo last")
    assert sum(path.stat().st_size for path in tmp_path.glob("demo.log*")) < 2_100_000
    lines = (tmp_path / "demo.log").read_text().splitlines()
    assert lines[-1] == "last"
    assert max(map(len, lines)) == 2000


def test_a_step_ends_even_if_a_process_keeps_its_output_open(tmp_path: Path) -> None:
    assert run_step(tmp_path, f"sleep 30 & echo $! >{tmp_path}/pid; echo done") == "complete\n"
    assert (tmp_path / "demo.log").read_text() == "done\n"
    subprocess.run(["kill", (tmp_path / "pid").read_text().strip()], check=True)


def test_the_folder_of_downloads_is_roots_again_before_anything_is_copied(tmp_path: Path) -> None:
    text = packages.SCRIPTS["download.sh"].replace("/var/cache/apt", str(tmp_path))
    for name, status in {"chown": 0, "apt-get": 100}.items():
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@"\nexit {status}\n')
        (tmp_path / name).chmod(0o755)
    command = ["sh", "-euc", f"PATH={tmp_path}:$PATH\n{text}\ndownload a:all=1 || echo $?"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    did = [line.split(" -- ")[0] for line in done.stdout.splitlines()]
    assert did == ["chown _apt", "apt-get -q download", "chown root", "100"]


def test_only_one_step_runs_at_a_time(tmp_path: Path) -> None:
    with (tmp_path / "busy").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(subprocess.CalledProcessError):
            run_step(tmp_path, "true")
    assert not (tmp_path / "demo.result").exists()
