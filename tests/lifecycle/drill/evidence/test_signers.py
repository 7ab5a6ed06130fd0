from __future__ import annotations

import os
import subprocess
from datetime import UTC, date, datetime, timedelta

import pytest

from rackwright.errors import FleetError, RackwrightError, UsageError
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.drill.evidence.signature import REPORT, REVIEW
from rackwright.lifecycle.drill.evidence.signers import (
    add_signer,
    keep_signers,
    lines_of,
    signers_in,
    signers_of,
    signers_path,
)
from tests.cli.conftest import EXAMPLE

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=30)


@pytest.fixture
def public(keys):
    return {name: (keys / f"{name}.pub").read_text().strip() for name in ("anna", "ben", "mallory")}


@pytest.fixture
def fleet_with(tmp_path):
    """Return a function that loads the example with these people: name → (role, keys, until)."""

    def load(**people: tuple[str, list[str], date | None]):
        lines = ["people:"] if people else []
        for name, (role, keys, until) in people.items():
            lines += [f"  {name}:", f"    role: {role}", "    keys:", *(f"      - {key}" for key in keys)]
            lines += [f"    until: {until}"] if until else []
        path = tmp_path / "acme.yml"
        path.write_text(EXAMPLE.read_text() + "\n".join(lines) + "\n")
        return load_fleet(path)

    return load


def test_operators_sign_reports_and_reviews_and_auditors_only_reviews(fleet_with, public):
    fleet = fleet_with(anna=("operator", [public["anna"]], None), ben=("auditor", [public["ben"]], date(2026, 12, 1)))
    anna, ben = keep_signers(fleet, NOW)
    assert (anna.name, anna.may(REPORT, NOW), anna.may(REVIEW, NOW)) == ("anna", True, True)
    assert (ben.name, ben.may(REPORT, NOW), ben.may(REVIEW, NOW)) == ("ben", False, True)
    # The last day counts whole, and nothing can be dated before the key was known.
    assert ben.may(REVIEW, datetime(2026, 12, 1, 23, 59, 59, tzinfo=UTC))
    assert not ben.may(REVIEW, datetime(2026, 12, 2, tzinfo=UTC))
    assert not anna.may(REPORT, NOW - timedelta(seconds=1))


def test_the_file_is_read_as_it_was_written_and_ssh_keygen_reads_it_too(fleet_with, public, keys, tmp_path):
    fleet = fleet_with(anna=("operator", [public["anna"]], date(2027, 3, 31)))
    signers = keep_signers(fleet, NOW)
    path = signers_path(fleet.path)
    assert path.name == "acme.signers"
    assert signers_in(path) == signers
    (tmp_path / "text").write_text("text")
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", REPORT, "-f", keys / "anna", tmp_path / "text"],
        check=True,
        capture_output=True,
    )
    words = ["-f", path, "-s", tmp_path / "text.sig", "-Overify-time=20261201Z"]
    found = subprocess.run(["ssh-keygen", "-Y", "find-principals", *words], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "anna\n"), found.stderr
    late = [*words[:-1], "-Overify-time=20270402Z"]
    assert subprocess.run(["ssh-keygen", "-Y", "find-principals", *late], capture_output=True).returncode


def test_a_person_who_left_is_ended_and_stays_in_the_file(fleet_with, public):
    keep_signers(fleet_with(anna=("operator", [public["anna"]], None)), NOW)
    (anna,) = keep_signers(fleet_with(), LATER)
    assert (anna.after, anna.before) == (NOW, LATER)
    # Whoever comes back signs from then on, not in between.
    again = LATER + timedelta(days=1)
    old, new = keep_signers(fleet_with(anna=("operator", [public["anna"]], None)), again)
    assert (old.before, new.after, new.before) == (LATER, again, None)
    assert keep_signers(fleet_with(anna=("operator", [public["anna"]], None)), LATER) == (old, new)


def test_another_role_ends_the_right_to_sign_reports(fleet_with, public):
    keep_signers(fleet_with(anna=("operator", [public["anna"]], None)), NOW)
    signers = keep_signers(fleet_with(anna=("auditor", [public["anna"]], None)), LATER)
    assert [one.may(REPORT, LATER) for one in signers] == [False, False]
    assert [one.may(REVIEW, LATER) for one in signers] == [False, True]


def test_an_added_signer_stays_whatever_people_says(fleet_with, public):
    fleet = fleet_with(anna=("operator", [public["anna"]], None))
    add_signer(fleet, "auditor@example.org", public["ben"], NOW)
    names = [one.name for one in keep_signers(fleet, LATER) if one.before is None]
    assert sorted(names) == ["anna", "auditor@example.org"]
    with pytest.raises(UsageError, match="may sign already"):
        add_signer(fleet, "other", public["ben"], NOW)


@pytest.mark.parametrize(
    ("name", "key"),
    [("-f", "ok"), ("a b", "ok"), ("*", "ok"), ("a,b", "ok"), ("ada", "nonsense"), ("ada", "ok\nx ssh-rsa AAAA")],
)
def test_a_signer_that_could_be_read_as_something_else_is_refused(fleet_with, public, name, key):
    fleet = fleet_with()
    with pytest.raises(UsageError):
        add_signer(fleet, name, key.replace("ok", public["ben"]), NOW)
    assert not signers_path(fleet.path).exists()


def test_every_line_that_is_not_valid_is_named(tmp_path, public):
    key = public["anna"]
    path = tmp_path / "acme.signers"
    bad = (
        f"* {key}",
        f"anna,ben {key}",
        f"anna cert-authority {key}",
        f'anna namespaces="file" {key}',
        f'anna valid-after="soon" {key}',
        f'anna valid-after="20261301Z" {key}',
        f'anna valid-before="20261201Z",valid-before="20291201Z" {key}',
        "anna ssh-ed25519 AAAA",
        "anna",
    )
    path.write_text("# comment\n\n" + "\n".join(bad) + f"\nanna {key}\n")
    with pytest.raises(FleetError) as error:
        signers_in(path)
    assert [one.where for one in error.value.problems] == [f"{path}:{number}" for number in range(3, 3 + len(bad))]


def test_lines_of_signers_have_no_second_line(fleet_with, public):
    text = lines_of(signers_of(fleet_with(anna=("operator", [public["anna"]], None)), NOW))
    assert len(text.splitlines()) == 1


def test_a_file_of_signers_that_is_a_link_a_device_or_huge_is_refused(tmp_path, fleet_with):
    path = tmp_path / "acme.signers"
    path.symlink_to("/etc/passwd")
    with pytest.raises(RackwrightError, match="symbolic link"):
        signers_of(fleet_with(), NOW)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RackwrightError, match="not a plain file"):
        signers_in(path)
    path.unlink()
    path.write_bytes(b"\xff")
    with pytest.raises(FleetError, match="UTF-8"):
        signers_in(path)
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(RackwrightError, match="larger than 1 MiB"):
        signers_in(path)
    with pytest.raises(RackwrightError, match="can't be read"):
        signers_in(tmp_path / "none")
