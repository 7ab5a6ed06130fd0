from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from rackwright.errors import FleetError, UsageError
from rackwright.fleet.keys_file import (
    MOST,
    ApiKey,
    RevokedKey,
    add,
    as_gateway_keys,
    as_revoked,
    new_key,
    read_keys,
    read_keys_file,
    revoke,
    write_keys,
)

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make(id: str, **fields: object) -> ApiKey:
    return ApiKey.model_validate(
        {"id": id, "owner": "Team A", "sha256": hashlib.sha256(id.encode()).hexdigest(), "created": CREATED, **fields}
    )


def test_a_new_key_has_256_random_bits_and_is_known_by_its_sha256():
    key, sha256 = new_key("batch")
    assert re.fullmatch(r"rw-batch-[A-Za-z0-9_-]{43}", key.reveal())
    assert hashlib.sha256(key.reveal().encode()).hexdigest() == sha256
    assert new_key("batch")[0] != key
    assert str(key) == "***"


def test_no_file_means_no_keys(tmp_path):
    assert read_keys(tmp_path / "site.keys.yml") == ()


def test_keys_are_read_back_as_written_and_sorted(tmp_path):
    path = tmp_path / "site.keys.yml"
    keys = (make("z", models=("assistant",), expires=datetime(2027, 1, 1, tzinfo=UTC)), make("a"))
    write_keys(path, keys)
    assert read_keys(path) == (keys[1], keys[0])
    assert "expires: '2027-01-01T00:00:00Z'" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_time_without_quotes_is_utc(tmp_path):
    path = tmp_path / "site.keys.yml"
    write_keys(path, (make("a", expires=datetime(2027, 1, 1, tzinfo=UTC)),))
    path.write_text(path.read_text().replace("'2027-01-01T00:00:00Z'", "2027-01-01T01:00:00+01:00"))
    assert read_keys(path)[0].expires == datetime(2027, 1, 1, tzinfo=UTC)


def test_a_newer_format_is_refused(tmp_path):
    (tmp_path / "k").write_text("format: keys/2\nkeys: []\n")
    with pytest.raises(FleetError, match="has format keys/2, but this rackwright knows only keys/1"):
        read_keys(tmp_path / "k")


def test_a_key_in_plain_text_is_refused_with_its_line_and_not_shown(tmp_path):
    path = tmp_path / "site.keys.yml"
    key, sha256 = new_key("a")
    write_keys(path, (make("a", sha256=sha256),))
    path.write_text(path.read_text().replace(sha256, key.reveal()))
    with pytest.raises(FleetError, match=r":\d+ keys\.0\.sha256: ") as caught:
        read_keys(path)
    assert key.reveal() not in str(caught.value)


def test_two_keys_with_one_id_are_refused(tmp_path):
    path = tmp_path / "site.keys.yml"
    write_keys(path, (make("a"), make("a", sha256="0" * 64)))
    with pytest.raises(FleetError, match="keys: id a appears 2 times"):
        read_keys(path)


def test_a_key_that_is_given_and_revoked_is_refused(tmp_path):
    path = tmp_path / "site.keys.yml"
    gone = RevokedKey(id="a", owner="Team A", sha256=make("a").sha256, revoked=CREATED)
    write_keys(path, (make("a"),), (gone,))
    with pytest.raises(FleetError, match="a is listed as revoked, too; a revoked key can't be restored"):
        read_keys(path)


def test_revoked_keys_are_read_back_in_their_order(tmp_path):
    path = tmp_path / "site.keys.yml"
    late, soon = (
        RevokedKey(id=id, owner="Team A", sha256=make(id).sha256, revoked=CREATED + timedelta(days=days))
        for id, days in (("a", 2), ("b", 1))
    )
    write_keys(path, (), (late, soon))
    assert read_keys_file(path).revoked == (soon, late)
    assert [key.about for key in as_revoked((soon,))] == ["b of Team A: revoked 2026-01-03"]


def test_a_change_counts_more_than_the_one_before_it_whatever_the_clock_says():
    key = make("a")
    assert key.version == int(CREATED.timestamp())
    changed = make("a", changed=key.next_change(CREATED - timedelta(days=1)))
    assert changed.version == key.version + 1
    assert changed.next_change(CREATED + timedelta(days=1)) == CREATED + timedelta(days=1)
    again = make("a", changed=changed.next_change(CREATED))
    assert again.version == changed.version + 1


def test_a_key_is_added_once():
    keys = add((make("b"),), make("a"))
    assert [key.id for key in keys] == ["a", "b"]
    with pytest.raises(UsageError) as caught:
        add(keys, make("a"))
    message = "a: there is a key with this id already; choose another id, or first run rackwright key revoke a"
    assert str(caught.value) == message


def test_a_revoked_key_is_gone():
    assert revoke((make("a"), make("b")), "a") == (make("b"),)


def test_revoking_an_unknown_key_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"batsh: no key with this id; did you mean batch\?"):
        revoke((make("batch"),), "batsh")
    with pytest.raises(UsageError, match="no key with this id\n"):
        revoke((), "batsh")


def test_gateways_get_expired_keys_too_and_never_more_than_the_hash():
    expired = make("old", expires=datetime(2020, 1, 1, tzinfo=UTC), models=("assistant",))
    (key,) = as_gateway_keys((expired,), {})
    assert key.model_dump() == {
        "id": "old",
        "sha256": expired.sha256,
        "models": ("assistant",),
        "expires": expired.expires,
        "requests_per_minute": 0,
        "concurrency": None,
        "server": "",
        "side": "",
        "owner": "Team A",
        "priority": 0,
        "tokens_per_day": 0,
        "tokens_per_month": 0,
        "version": int(CREATED.timestamp()),
        "about": "old of Team A: assistant; until 2020-01-01 00:00 UTC",
    }


def test_concurrency_is_the_default_unless_it_is_a_number_or_unlimited(tmp_path):
    keys = (make("a"), make("b", concurrency="unlimited"), make("c", concurrency=3))
    write_keys(tmp_path / "keys", keys)
    assert read_keys(tmp_path / "keys") == keys
    assert [key.concurrency for key in as_gateway_keys(keys, {})] == [None, 0, 3]
    with pytest.raises(ValidationError):
        make("a", concurrency="any")


@pytest.mark.parametrize("limit", ["requests_per_minute", "concurrency"])
def test_a_limit_is_one_or_more_and_gateways_are_told_it(limit):
    (key,) = as_gateway_keys((make("a", **{limit: 1}),), {})
    assert getattr(key, limit) == 1
    assert (key.requests_per_minute, key.concurrency) in ((1, None), (0, 1))
    for wrong in (0, MOST + 1):
        with pytest.raises(ValidationError):
            make("a", **{limit: wrong})
