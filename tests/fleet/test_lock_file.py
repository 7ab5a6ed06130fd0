from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import ExitCode, FleetError, RackwrightError
from rackwright.fleet.lock import Lock, ModelLock, RuntimeLock, ToolLock, model_digest
from rackwright.fleet.lock_file import mismatches, read_lock, require_match, write_lock
from rackwright.fleet.lock_rules import release_url
from rackwright.own_wheel import own_digest, own_version
from rackwright.values.file import File
from tests.fleet.fleets import make_fleet

URL = release_url("b1")
FILE = File(
    path="m.gguf", size=9, sha256="1" * 64, url="https://huggingface.co/acme/tiny/resolve/" + "c" * 40 + "/m.gguf"
)
ARCHIVE = File(path=f"{URL.rpartition('/')[2]}", size=9, sha256="1" * 64, url=URL)


def make_lock(**changes: object) -> Lock:
    model = ModelLock(source="hf:acme/tiny", revision="c" * 40, digest=model_digest([FILE]), files=(FILE,))
    runtime = RuntimeLock(kind="llama_cpp", version="b1", files=(ARCHIVE,))
    lock = Lock(
        fleet="acme",
        models={"assistant": model},
        runtimes={"llama_cpp-b1": runtime},
        ports={"gpu1": {"assistant@1": 8100}},
    )
    return lock.model_copy(update=changes)


def text_of(lock: Lock, path: Path) -> str:
    write_lock(path, lock)
    return path.read_text()


def test_what_was_written_is_read_back(tmp_path):
    path = tmp_path / "site.lock"
    write_lock(path, make_lock())
    assert read_lock(path) == make_lock()
    assert path.stat().st_mode & 0o777 == 0o644
    assert [item.name for item in tmp_path.iterdir()] == ["site.lock"]


def test_a_lock_reads_well_in_a_diff(tmp_path):
    lines = text_of(make_lock(), tmp_path / "site.lock").splitlines()
    assert lines[0].startswith("# Written by `rackwright lock`")
    assert lines[2:5] == ["format: lock/1", "fleet: acme", "models:"]
    assert "    source: hf:acme/tiny" in lines
    assert "    assistant@1: 8100" in lines
    assert not any(len(line.split(": ")) > 2 for line in lines[2:])


def test_a_lock_is_the_same_text_whatever_order_it_was_made_in(tmp_path):
    other = make_lock(ports={"z": {"b@1": 8101, "a@1": 8100}, "a": {}})
    again = make_lock(ports={"a": {}, "z": {"a@1": 8100, "b@1": 8101}})
    assert text_of(other, tmp_path / "a") == text_of(again, tmp_path / "b")


def test_a_missing_lock_says_how_to_get_one(tmp_path):
    with pytest.raises(FleetError) as caught:
        read_lock(tmp_path / "site.lock")
    assert str(caught.value) == f"{tmp_path}/site.lock: no lock yet\n  next: rackwright lock"
    assert caught.value.exit_code == ExitCode.FLEET_INVALID


def test_unknown_keys_of_another_version_are_ignored(tmp_path):
    path = tmp_path / "site.lock"
    path.write_text(text_of(make_lock(), path) + "packages: {driver: [580]}\n")
    assert read_lock(path) == make_lock()


BAD = {
    "a newer format": ("format: lock/2\n", ":1: has format lock/2, but this rackwright knows only lock/1"),
    "another file": ("format: keys/1\n", ":1: has no `format: lock/1`; is it another file?"),
    "a list": ("- 1\n", ":1: is not a file that rackwright wrote"),
    "an empty file": ("", ":1: is not a file that rackwright wrote"),
    "aliases": ("format: lock/1\na: &a [1]\nb: [*a, *a]\n", ":1: is not a file that rackwright wrote"),
    "a merge conflict": ("format: lock/1\n<<<<<<< HEAD\nfleet: a\n=======\n", "is not valid YAML"),
    "a duplicate key": ("format: lock/1\nfleet: a\nfleet: b\n", "is not valid YAML"),
    "a Python tag": ("format: lock/1\nfleet: !!python/object/apply:os.system [id]\n", ":2: is not valid YAML"),
    "nested brackets": ("format: lock/1\na: " + "[" * 20_000, ":1: is not a file that rackwright wrote"),
    "a wrong type": ("format: lock/1\nfleet: a\nmodels: {}\nruntimes: 5\nports: {}\n", ":4 runtimes: "),
    "a bad port": (
        "format: lock/1\nfleet: a\nmodels: {}\nruntimes: {}\nports:\n  gpu1:\n    a@1: 99999\n",
        ":7 ports.gpu1.a@1: Input should be less than or equal to 65535",
    ),
    "missing keys": ("format: lock/1\nfleet: a\nmodels: {}\nports: {}\n", " runtimes: Field required"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_bad_lock_is_refused_with_its_line(tmp_path, text, message):
    path = tmp_path / "site.lock"
    path.write_text(text)
    with pytest.raises(FleetError) as caught:
        read_lock(path)
    assert f"{path}" in str(caught.value)
    assert message in str(caught.value)


def test_another_encoding_is_refused_with_its_line(tmp_path):
    path = tmp_path / "site.lock"
    path.write_bytes(b"format: lock/1\nfleet: \xff\n")
    with pytest.raises(FleetError, match=":2: is not UTF-8 text"):
        read_lock(path)


def test_an_edited_digest_is_noticed(tmp_path):
    path = tmp_path / "site.lock"
    path.write_text(text_of(make_lock(), path).replace("size: 9", "size: 8"))
    with pytest.raises(FleetError, match=r"models\.assistant: digest doesn't match its files"):
        read_lock(path)


def with_previous(previous: ModelLock) -> Lock:
    model = make_lock().models["assistant"].model_copy(update={"previous": previous})
    return make_lock(models={"assistant": model})


def test_an_edited_digest_of_what_was_before_is_noticed(tmp_path):
    before = FILE.model_copy(update={"size": 7})
    previous = ModelLock(source="hf:acme/tiny", revision="c" * 40, digest=model_digest([before]), files=(before,))
    path = tmp_path / "site.lock"
    text = text_of(with_previous(previous), path)
    assert read_lock(path) == with_previous(previous)
    path.write_text(text.replace("size: 7", "size: 8"))
    with pytest.raises(FleetError, match=r"models\.assistant\.previous: digest doesn't match its files"):
        read_lock(path)


def test_what_was_before_has_nothing_before_it(tmp_path):
    twice = with_previous(with_previous(make_lock().models["assistant"]).models["assistant"])
    write_lock(tmp_path / "site.lock", twice)
    with pytest.raises(FleetError, match=r"models\.assistant\.previous: has a previous entry of its own"):
        read_lock(tmp_path / "site.lock")


def test_a_folder_that_is_not_there_is_a_clear_error_and_leaves_nothing(tmp_path):
    with pytest.raises(RackwrightError, match="can't be written: No such file or directory"):
        write_lock(tmp_path / "none" / "site.lock", make_lock())


def test_a_lock_answers_its_own_fleet(tmp_path):
    assert mismatches(make_fleet(tmp_path / "site.yml"), make_lock()) == ()
    require_match(make_fleet(tmp_path / "site.yml"), make_lock())


CHANGED = {
    "source": ({"source": "hf:acme/other"}, "models.assistant.source: is hf:acme/tiny, but the fleet file asks for"),
    "model": ({"replicas": {"gpu1": ["coder@1"]}}, "models.coder: is in the fleet file only"),
    "gone": ({"replicas": {"gpu1": ["coder@1"]}}, "models.assistant: is no longer in the fleet file"),
    "version": (
        {"runtime": {"kind": "llama_cpp", "version": "b2"}},
        "runtimes.llama_cpp-b2: is in the fleet file only",
    ),
    "build": (
        {"runtime": {"kind": "llama_cpp", "version": "b1", "build": "file:x.tgz"}},
        "runtimes.llama_cpp-b1.build: is the project's own, but the fleet file asks for file:x.tgz",
    ),
    "port": (
        {"replicas": {"gpu1": ["assistant@1", "assistant@2"]}},
        "ports.gpu1.assistant@2: is in the fleet file only",
    ),
    "host": ({"replicas": {"gpu2": ["assistant@1"]}}, "ports.gpu2.assistant@1: is in the fleet file only"),
    "fleet": ({"fleet": "other"}, "is of fleet acme, not other"),
    "hub": ({"downloads": {"hub": "https://mirror.lan"}}, "models.assistant.files: are not from https://mirror.lan"),
}


@pytest.mark.parametrize(("changes", "message"), CHANGED.values(), ids=CHANGED)
def test_a_changed_question_is_named(tmp_path, changes, message):
    fleet = make_fleet(tmp_path / "site.yml", **changes)
    with pytest.raises(FleetError) as caught:
        require_match(fleet, make_lock())
    assert message in str(caught.value)
    assert all(problem.next == "rackwright lock" for problem in caught.value.problems)
    assert caught.value.exit_code == ExitCode.FLEET_INVALID


OLD = """\
format: lock/1
fleet: acme
models: {}
runtimes:
  llama_cpp-b1:
    build: null
    files:
    - path: llama-b1-bin-ubuntu-x64.tar.gz
      sha256: '%s'
      size: 9
      url: https://github.com/ggml-org/llama.cpp/releases/download/b1/llama-b1-bin-ubuntu-x64.tar.gz
    kind: llama_cpp
    version: b1
ports:
  gpu1:
    assistant@1: 8100
""" % ("1" * 64)  # fmt: skip


def test_a_lock_from_before_other_runtimes_answers_and_says_the_same(tmp_path):
    path = tmp_path / "site.lock"
    path.write_text(OLD)
    lock = read_lock(path)
    runtime = lock.runtimes["llama_cpp-b1"]
    assert (runtime.python, runtime.index) == (None, None)
    assert not any("runtimes" in str(problem) for problem in mismatches(make_fleet(tmp_path / "site.yml"), lock))
    written = text_of(lock, tmp_path / "again").split("\n", 3)[-1]
    assert "python" not in written
    assert "index" not in written


VLLM = {"kind": "vllm", "version": "0.32.0"}
MOVED = {
    "build": ({"build": "file:wheels"}, {}, "build: is the project's own, but the fleet file asks for file:wheels"),
    "python": ({"python": "/usr/bin/python3.12"}, {}, "python: is 3.13, but the fleet file asks for 3.12"),
    "index": (
        {},
        {"package_index": "https://b.lan"},
        "index: is None, but downloads.package_index in the fleet file is https://b",
    ),
}


@pytest.mark.parametrize(("runtime", "site", "message"), MOVED.values(), ids=MOVED)
def test_what_wheels_were_chosen_for_is_part_of_the_question(tmp_path, runtime, site, message):
    locked = RuntimeLock(kind="vllm", version="0.32.0", python="3.13", files=(FILE,))
    lock = make_lock(runtimes={"vllm-0.32.0": locked})
    assert mismatches(make_fleet(tmp_path / "site.yml", runtime=VLLM), lock) == ()
    (problem,) = mismatches(make_fleet(tmp_path / "site.yml", runtime={**VLLM, **runtime}, downloads=site), lock)
    assert f"runtimes.vllm-0.32.0.{message}" in str(problem)


UNATTENDED = {"on": ["ctl1"], "person": "nightly", "key": "file:nightly"}


def of_tool(**changes: object) -> ToolLock:
    return ToolLock(version=own_version(), digest=own_digest(), python="3.13", files=()).model_copy(update=changes)


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        (None, "site.lock tool: is in the fleet file only"),
        (
            of_tool(version="0.0.9+1a2b3c4d", digest="1a2b3c4d" * 8),
            f"site.lock tool.version: is 0.0.9+1a2b3c4d, but this rackwright is {own_version()}",
        ),
        (of_tool(python="3.12"), "site.lock tool.python: is 3.12, but this rackwright needs 3.13"),
        (
            of_tool(index="https://a.lan"),
            "site.lock tool.index: is https://a.lan, but downloads.package_index in the fleet file is None",
        ),
    ],
)
def test_a_lock_of_another_rackwright_does_not_answer_where_a_host_has_the_tool(tmp_path, tool, message):
    lock = make_lock(tool=tool)
    assert mismatches(make_fleet(tmp_path / "site.yml"), lock) == ()
    (problem,) = mismatches(make_fleet(tmp_path / "site.yml", unattended=UNATTENDED), lock)
    assert message in str(problem)
    assert problem.next == "rackwright lock"


def test_the_tool_is_in_the_lock_only_if_a_host_has_it(tmp_path):
    path = tmp_path / "site.lock"
    assert "tool" not in text_of(make_lock(), path)
    text_of(make_lock(tool=of_tool()), path)
    assert read_lock(path).tool == of_tool()
    assert mismatches(make_fleet(tmp_path / "site.yml", unattended=UNATTENDED), read_lock(path)) == ()
