"""What a snapshot contains, asked of real restic."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import HostError, UsageError
from rackwright.lifecycle.backup import contents as listing
from rackwright.lifecycle.backup.contents import Folder, NotInSnapshot, clean, contents, entry_at, summary, total
from tests.lifecycle.backup.saved import Saved


@pytest.fixture
def full(saved: Saved) -> Saved:
    fleet = saved.var / "fleet"
    fleet.mkdir()
    (fleet / "acme.lock").write_text("locked")
    (fleet / "acme.yml").write_text("fleet: acme")
    (saved.etc / "link").symlink_to("gateway.cfg")
    (saved.etc / "a\x1b[2Jb").write_text("")
    saved.save("one")
    return saved


def test_a_folder_is_listed_with_all_that_is_below_it(full: Saved) -> None:
    with full.ways() as ways:
        chosen = full.of(ways)
        found = contents(chosen, str(full.var))
        assert [(Path(one.path).name, one.type, one.size) for one in found.entries] == [
            ("rackwright", "dir", 0),
            ("audit.log", "file", 500),
            ("fleet", "dir", 0),
            ("acme.lock", "file", 6),
            ("acme.yml", "file", 11),
            ("record.json", "file", (full.var / "record.json").stat().st_size),
        ]
        assert not found.cut
        assert entry_at(chosen, str(full.etc / "link")).type == "symlink"
        assert entry_at(chosen, str(full.etc / "a\x1b[2Jb")).type == "file"
        assert total(chosen, str(full.var / "fleet")) == (3, 17)


def test_a_long_list_is_cut_and_says_so(full: Saved) -> None:
    with full.ways() as ways:
        found = contents(full.of(ways), str(full.var), most=2)
    assert (len(found.entries), found.cut) == (2, True)


def test_a_summary_has_the_sums_of_what_was_saved(full: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    record = (full.var / "record.json").stat().st_size
    with full.ways() as ways:
        chosen = full.of(ways)
        found = summary(chosen)
        assert found.folders == (
            Folder(str(full.etc), 2, 7),
            Folder(str(full.var), 4, 517 + record),
            Folder(str(full.var / "fleet"), 2, 17),
        )
        assert not found.cut
        monkeypatch.setattr(listing, "MOST_FOLDERS", 2)
        assert summary(chosen).cut
        monkeypatch.setattr(listing, "MOST_COUNTED", 3)
        assert summary(chosen).cut
        with pytest.raises(HostError, match="more than 3 entries"):
            total(chosen, str(full.var))


def test_a_path_that_is_not_there_is_no_success_and_what_is_near_is_named(full: Saved) -> None:
    with full.ways() as ways:
        chosen = full.of(ways)
        for ask in (contents, entry_at):
            with pytest.raises(NotInSnapshot) as raised:
                ask(chosen, str(full.var / "fleet/acme.lok"))
            assert raised.value.exit_code == 1
            assert raised.value.problems[0].listed[0] == str(full.var / "fleet/acme.lock")
        with pytest.raises(NotInSnapshot) as raised:
            entry_at(chosen, str(full.var / "nothing/at/all"))
        assert set(raised.value.problems[0].listed) == {
            str(full.var / name) for name in ("audit.log", "fleet", "record.json")
        }
        with pytest.raises(NotInSnapshot):
            entry_at(chosen, str(full.var / "*"))
        with pytest.raises(NotInSnapshot):
            entry_at(chosen, "/a" * 50)


def test_a_path_is_absolute_and_in_its_shortest_form() -> None:
    assert clean("//etc/./rackwright/../rackwright/") == "/etc/rackwright"
    assert clean("/") == "/"
    for path in ("etc", "", "/a\0b"):
        with pytest.raises(UsageError, match="isn't an absolute path"):
            clean(path)
