"""fetch.sh, run for real; only curl is a stand-in, which delivers what a test sets."""

from __future__ import annotations

import fcntl
import subprocess
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from rackwright.operations.filesystem.fetch import FETCH

CONTENT = b"0123456789"
URL = "https://hub.lab/m.gguf?signed=1"

# Each line of `plan` is one answer: how many bytes the file has afterwards, and curl's exit status.
CURL = """#!/bin/sh
cat >>headers
printf '%s\\n' "$*" >>asked
while [ "$1" != --output ]; do shift; done
set -- "$2" $(sed -n "$(wc -l <asked)p" plan)
[ "$2" = keep ] || head -c "$2" content >"$1"
exit "$3"
"""


@dataclass
class Fetch:
    folder: Path
    size: int = len(CONTENT)
    digest: str = sha256(CONTENT).hexdigest()
    url: str = URL
    plan: list[str] = field(default_factory=list)

    def __call__(self) -> tuple[int, str]:
        """Return the exit status and the output."""
        (self.folder / "plan").write_text("".join(f"{line}\n" for line in self.plan))
        words = ("a model", self.url, "into", str(self.size), self.digest, "--proxy", "http://proxy.lab")
        done = subprocess.run(
            ["/bin/sh", "-c", FETCH, "fetch", *words],
            cwd=self.folder,
            env={"PATH": f"{self.folder}:/usr/bin:/bin"},
            input="Authorization: Bearer secret",
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr.strip()

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def stands(self, name: str) -> bytes | None:
        path = self.folder / name
        return path.read_bytes() if path.exists() else None


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    (tmp_path / "content").write_bytes(CONTENT)
    for name, script in (("curl", CURL), ("sleep", "#!/bin/sh\necho slept >>naps\n")):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    return Fetch(tmp_path)


def test_a_file_is_in_place_once_it_was_hashed(fetch: Fetch) -> None:
    fetch.plan = ["10 0"]
    assert fetch() == (0, "")
    assert (fetch.stands("into"), fetch.stands("into.verified")) == (None, CONTENT)
    assert (fetch.folder / "into.verified").stat().st_mode & 0o777 == 0o444
    (asked,) = fetch.asked
    assert asked.endswith(
        f"--max-filesize 10 --continue-at - --header @- --output into --proxy http://proxy.lab -- {URL}"
    )
    assert "secret" not in asked
    assert fetch.stands("headers") == b"Authorization: Bearer secret\n"


def test_what_breaks_off_goes_on_as_long_as_something_arrives(fetch: Fetch) -> None:
    fetch.plan = [f"{arrived} 18" for arrived in range(1, 10)] + ["10 0"]
    assert fetch() == (0, "")
    assert len(fetch.asked) == 10
    assert fetch.stands("naps") is None


def test_after_five_tries_in_which_nothing_arrives_it_ends_and_keeps_what_there_is(fetch: Fetch) -> None:
    fetch.plan = ["4 18"] + ["keep 7"] * 9
    assert fetch() == (
        1,
        "a model: 4 of 10 bytes arrived (curl exit 7); they are kept, and the next apply resumes the download",
    )
    assert len(fetch.asked) == 6
    assert len((fetch.stands("naps") or b"").splitlines()) == 4
    assert (fetch.stands("into"), fetch.stands("into.verified")) == (b"0123", None)


@pytest.mark.parametrize("status", [22, 60, 63])
def test_what_no_further_try_would_change_is_tried_once(fetch: Fetch, status: int) -> None:
    fetch.plan = [f"keep {status}"] * 2
    assert fetch()[1].startswith(f"a model: 0 of 10 bytes arrived (curl exit {status});")
    assert len(fetch.asked) == 1


def test_a_server_that_cannot_go_on_sends_it_from_the_beginning(fetch: Fetch) -> None:
    (fetch.folder / "into").write_bytes(b"01")
    fetch.plan = ["keep 33", "10 0"]
    assert fetch() == (0, "")
    assert fetch.stands("into.verified") == CONTENT


def test_a_full_disk_is_said_at_once(fetch: Fetch) -> None:
    fetch.plan = ["2 23"] * 2
    status, said = fetch()
    assert status == 1
    assert said.startswith("a model: can't be written to .: ")
    assert said.endswith(" free")
    assert len(fetch.asked) == 1


def test_other_bytes_are_removed_and_both_digests_named(fetch: Fetch) -> None:
    fetch.plan = ["10 0"]
    fetch.digest = "f" * 64
    assert fetch() == (1, f"a model: sha256 is {sha256(CONTENT).hexdigest()}, should be {'f' * 64}; removed")
    assert (fetch.stands("into"), fetch.stands("into.verified")) == (None, None)


def test_two_runs_do_not_fetch_one_file(fetch: Fetch) -> None:
    with (fetch.folder / "into.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert fetch() == (1, "a model: another run is fetching it; wait until that run has ended")
    assert fetch.asked == []


def test_more_than_it_should_have_is_fetched_from_the_beginning(fetch: Fetch) -> None:
    (fetch.folder / "into").write_bytes(CONTENT + b"more")
    fetch.plan = ["10 0"]
    assert fetch() == (0, "")


@pytest.mark.parametrize(("content", "status"), [(CONTENT, 0), (b"9876543210", 1)])
def test_what_was_verified_by_an_earlier_run_is_hashed_again_and_not_fetched(
    fetch: Fetch, content: bytes, status: int
) -> None:
    (fetch.folder / "into.verified").write_bytes(content)
    assert fetch()[0] == status
    assert fetch.asked == []
    assert fetch.stands("into.verified") == (None if status else content)


def test_an_empty_file_needs_no_request(fetch: Fetch) -> None:
    fetch.size, fetch.digest = 0, sha256(b"").hexdigest()
    assert fetch() == (0, "")
    assert (fetch.asked, fetch.stands("into.verified")) == ([], b"")


def test_what_was_sent_is_checked_and_never_requested(fetch: Fetch) -> None:
    fetch.url = ""
    assert fetch()[0] == 1
    (fetch.folder / "into").write_bytes(CONTENT)
    assert fetch() == (0, "")
    assert fetch.asked == []
