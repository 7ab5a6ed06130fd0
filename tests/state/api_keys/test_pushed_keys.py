"""The keys that were pushed to the gateways, compared with a keys file that may be older."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rackwright.errors import UsageError
from rackwright.fleet.keys_file import ApiKey, KeysFile, RevokedKey, as_gateway_keys
from rackwright.roles.gateway.configuration import key_lines, revoked_line
from rackwright.roles.gateway.settings import FOLDER as GATEWAY
from rackwright.roles.gateway.settings import RevokedKey as GoneAtGateway
from rackwright.state.api_keys.pushed_keys import NEWS_COMMAND, PushedKey, parse_pushed, unknown_to, with_pushed
from rackwright.state.shell import FOLDER

THEN = datetime(2026, 11, 1, 10, 0, tzinfo=UTC)
LATER = THEN + timedelta(days=1)


def key(id: str, *, changed: datetime | None = None, sha: str | None = None, **terms: object) -> ApiKey:
    digest = hashlib.sha256((sha or id).encode()).hexdigest()
    return ApiKey.model_validate(
        {"id": id, "owner": "team", "sha256": digest, "created": THEN, "changed": changed, **terms}
    )


def told(one: ApiKey, *, revoked: bool = False, when: datetime = LATER) -> PushedKey:
    return PushedKey(key=one, who="ben@desk", when=when, revoked=revoked)


def revoked(one: ApiKey) -> RevokedKey:
    return RevokedKey(id=one.id, owner=one.owner, sha256=one.sha256, revoked=LATER)


CI, EDITED = key("ci"), key("ci", changed=LATER, concurrency=4)


@pytest.mark.parametrize(
    ("file", "news", "said"),
    [
        (KeysFile(), told(CI), "ci of team was added by ben@desk at 2026-11-02T10:00:00Z"),
        (KeysFile(keys=(CI,)), told(EDITED), "ci of team was changed by ben@desk at 2026-11-02T10:00:00Z"),
        (KeysFile(keys=(CI,)), told(CI, revoked=True), "ci of team was revoked by ben@desk at 2026-11-02T10:00:00Z"),
        (KeysFile(keys=(EDITED,)), told(EDITED), None),
        (KeysFile(keys=(EDITED,)), told(CI), None),
        (KeysFile(revoked=(revoked(CI),)), told(CI), None),
        (KeysFile(revoked=(revoked(CI),)), told(CI, revoked=True), None),
        (KeysFile(), told(CI, revoked=True), "ci of team was revoked by ben@desk at 2026-11-02T10:00:00Z"),
    ],
    ids="added changed revoked same newer-here revoked-here both never-had".split(),
)
def test_what_a_keys_file_does_not_know_is_told_with_who_and_when(
    file: KeysFile, news: PushedKey, said: str | None
) -> None:
    assert [str(one) for one in unknown_to(file, [news])] == ([said] if said else [])
    after = with_pushed(file, unknown_to(file, [news]))
    assert unknown_to(after, [news]) == ()


def test_of_what_several_gateways_say_the_newest_counts() -> None:
    assert unknown_to(KeysFile(), [told(EDITED), told(CI)]) == (told(EDITED),)
    assert unknown_to(KeysFile(keys=(CI,)), [told(CI, revoked=True), told(EDITED)]) == (told(CI, revoked=True),)


def test_pulled_a_keys_file_has_it_all() -> None:
    gone = key("gone")
    news = [told(EDITED), told(gone, revoked=True), told(key("new"))]
    after = with_pushed(KeysFile(keys=(CI, gone)), news)
    assert {one.id: one.concurrency for one in after.keys} == {"ci": 4, "new": None}
    assert after.revoked == (revoked(gone),)


def test_two_keys_of_one_id_are_the_operators_to_sort_out() -> None:
    with pytest.raises(UsageError, match="ci: another operator has given this id to another key"):
        with_pushed(KeysFile(keys=(CI,)), [told(key("ci", sha="another"))])


def news_of(folder: Path, applied: str | None, told: str | None) -> tuple[PushedKey, ...]:
    for name, text in (("keys.applied", applied), ("keys.pushed", told)):
        if text is not None:
            (folder / name).write_text(text)
    done = subprocess.run(
        ["sh", "-c", NEWS_COMMAND.replace(GATEWAY, str(folder)).replace(FOLDER, str(folder / "kept"))],
        capture_output=True,
        text=True,
        check=True,
    )
    return parse_pushed(done.stdout, "gate1")


def lines(one: ApiKey, *, gone: bool = False) -> str:
    (entry,) = as_gateway_keys((one,), {})
    return revoked_line(GoneAtGateway(sha256=entry.sha256, about=entry.about)) if gone else key_lines(entry)


def noted(one: ApiKey, *, gone: bool = False) -> str:
    note = PushedKey(key=one, who="ben@desk", when=LATER, revoked=gone).line
    return f"{lines(one, gone=gone)}{one.sha256} {'revoked' if gone else one.version} @ {note}\n"


@pytest.mark.parametrize(
    ("applied", "said", "expected"),
    [
        ("", noted(CI), (told(CI),)),
        (lines(CI), noted(EDITED), (told(EDITED),)),
        (lines(CI), noted(CI, gone=True), (told(CI, revoked=True),)),
        (lines(EDITED), noted(EDITED), ()),
        (lines(EDITED), noted(CI), ()),
        (lines(CI, gone=True), noted(CI, gone=True), ()),
        (lines(CI, gone=True), noted(EDITED), ()),
        (None, noted(CI), ()),
        (lines(CI), None, ()),
    ],
    ids="added changed revoked applied newer-applied gone-applied gone-since never-applied never-told".split(),
)
def test_a_gateway_says_what_it_was_told_since_the_last_apply(
    tmp_path: Path, applied: str | None, said: str | None, expected: tuple[PushedKey, ...]
) -> None:
    assert news_of(tmp_path, applied, said) == expected


def test_a_gateway_that_no_apply_has_reached_says_nothing(tmp_path: Path) -> None:
    assert news_of(tmp_path / "nowhere", None, None) == ()
