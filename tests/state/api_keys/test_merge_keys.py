"""Copies of a fleet's API keys that were kept in different places become one."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.errors import RackwrightError
from rackwright.fleet.keys_file import ApiKey, KeysFile, RevokedKey, read_keys_file, write_keys
from rackwright.state.api_keys.merge_keys import merge_keys, new_ids, parse_kept_keys
from rackwright.state.api_keys.pushed_keys import PushedKey
from tests.state.api_keys.test_pushed_keys import CI, EDITED, LATER, THEN, key, lines, noted, revoked, told

# Few, so that they meet. The longest id has no room for a suffix.
IDS = st.sampled_from(("ci", "ci-2", "x", "abcdefghijklmnopqrstuvwx", "abcdefghijklmno-pqrstuvw"))
DIGESTS = st.sampled_from([hashlib.sha256(bytes([number])).hexdigest() for number in range(6)])
TIMES = st.integers(0, 4).map(lambda hours: THEN + timedelta(hours=hours))
KEYS = st.builds(
    ApiKey,
    id=IDS,
    owner=st.sampled_from(("anna", "ben")),
    sha256=DIGESTS,
    created=TIMES,
    changed=st.none() | TIMES,
    concurrency=st.none() | st.integers(1, 2),
)
REVOKED = st.builds(RevokedKey, id=IDS, owner=st.sampled_from(("anna", "ben")), sha256=DIGESTS, revoked=TIMES)
PUSHED = st.builds(PushedKey, key=KEYS, who=st.just("ben@desk"), when=TIMES, revoked=st.booleans())
FILES = st.builds(
    KeysFile, keys=st.lists(KEYS, max_size=5).map(tuple), revoked=st.lists(REVOKED, max_size=2).map(tuple)
)
SOURCES = st.tuples(st.lists(FILES, max_size=4), st.lists(PUSHED, max_size=4))
Sources = tuple[list[KeysFile], list[PushedKey]]


def all_keys(sources: Sources) -> list[ApiKey]:
    files, pushed = sources
    return [one for file in files for one in file.keys] + [one.key for one in pushed if not one.revoked]


def all_revoked(sources: Sources) -> set[str]:
    files, pushed = sources
    gone = {one.sha256 for file in files for one in file.revoked}
    return gone | {one.key.sha256 for one in pushed if one.revoked}


@given(SOURCES, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(sources: Sources, random: object) -> None:
    merged = merge_keys(*sources)
    for one in sources:
        random.shuffle(one)  # type: ignore[attr-defined]
    assert merge_keys(*sources) == merged


@given(SOURCES)
def test_merged_again_it_stays_the_same(sources: Sources) -> None:
    merged = merge_keys(*sources)
    assert merge_keys((merged,), ()) == merged
    assert merge_keys((merged, *sources[0]), sources[1]) == merged


@given(SOURCES)
def test_no_revoked_key_is_admitted_and_nothing_is_lost(sources: Sources) -> None:
    merged = merge_keys(*sources)
    gone, live = all_revoked(sources), {one.sha256 for one in all_keys(sources)}
    assert {one.sha256 for one in merged.revoked} == gone
    assert {one.sha256 for one in merged.keys} == live - gone
    for one in merged.keys:
        assert one.version == max(other.version for other in all_keys(sources) if other.sha256 == one.sha256)
        assert any(
            one.model_copy(update={"id": other.id}) == other
            for other in all_keys(sources)
            if other.sha256 == one.sha256
        )


@settings(max_examples=40)
@given(SOURCES)
def test_it_is_a_keys_file_that_can_be_read(sources: Sources) -> None:
    import tempfile
    from pathlib import Path

    merged = merge_keys(*sources)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "site.keys.yml")
        write_keys(path, merged.keys, merged.revoked)
        assert read_keys_file(path).keys == merged.keys


def test_a_revocation_made_before_an_edit_elsewhere_counts() -> None:
    merged = merge_keys([KeysFile(keys=(EDITED,))], [told(CI, revoked=True)])
    assert (merged.keys, merged.revoked) == ((), (revoked(CI),))


def test_of_two_revocations_the_first_is_kept() -> None:
    late = told(CI, revoked=True, when=LATER + timedelta(hours=1))
    assert merge_keys([KeysFile(revoked=(revoked(CI),))], [late]).revoked == (revoked(CI),)


@pytest.mark.parametrize("text", ["another", "9"])
def test_of_two_keys_with_one_id_the_older_keeps_it_and_both_stay_valid(text: str) -> None:
    other = key("ci", sha=text, created=LATER)
    assert (other.sha256 < CI.sha256) == (text == "9")
    merged = merge_keys([KeysFile(keys=(other,)), KeysFile(keys=(CI,))], ())
    renamed = next(one for one in merged.keys if one.sha256 == other.sha256)
    assert [one.id for one in merged.keys] == ["ci", renamed.id]
    assert next(one for one in merged.keys if one.id == "ci") == CI
    assert renamed == other.model_copy(update={"id": renamed.id})
    assert new_ids((CI, other), merged) == {renamed.id: "ci"}
    taken = key(renamed.id, sha="a third")
    again = merge_keys([KeysFile(keys=(other, CI, taken))], ())
    assert {one.sha256 for one in again.keys} == {other.sha256, CI.sha256, taken.sha256}
    assert len({one.id for one in again.keys}) == 3
    assert next(one for one in again.keys if one.id == renamed.id) == taken


def test_a_revoked_key_takes_no_id() -> None:
    other = key("ci", sha="another", created=LATER)
    merged = merge_keys([KeysFile(keys=(other,), revoked=(revoked(CI),))], ())
    assert merged.keys == (other,)


def test_a_gateways_file_has_its_pushed_keys_and_its_tombstones() -> None:
    gone, by_apply = key("gone"), key("by-apply")
    text = (
        noted(EDITED) + noted(gone, gone=True) + f"{by_apply.sha256} revoked # by-apply of team: revoked 2026-11-02\n"
    )
    assert lines(gone, gone=True) in text
    first, second, third = parse_kept_keys(text, "gate1")
    assert (first, second) == (told(EDITED), told(gone, revoked=True))
    assert (third.key.id, third.key.owner, third.key.sha256) == ("by-apply", "team", by_apply.sha256)
    assert third.revoked
    # The exact time, where it is known, is earlier than the end of that day.
    assert merge_keys([KeysFile(revoked=(revoked(by_apply),))], (third,)).revoked == (revoked(by_apply),)


@pytest.mark.parametrize(
    "line",
    [
        "a revoked # ci of team: revoked 2026-11-02",
        f"{'a' * 64} revoked # ci of team: revoked 2026-13-02",
        f"{'a' * 64} revoked # \x1b[2J",
        f"{'a' * 64} revoked",
        f"{'a' * 64} 7 @ {{}}",
        # As a flipped bit would leave a tombstone: it must not be taken for something else, and left out.
        f"{'a' * 64} rewoked # ci of team: revoked 2026-11-02",
        f"{'a' * 63} revoked # ci of team: revoked 2026-11-02",
    ],
)
def test_a_damaged_line_is_an_error(line: str) -> None:
    with pytest.raises(RackwrightError, match=r"gate1: keys.pushed.*is damaged"):
        parse_kept_keys(line, "gate1")
