"""A random history with real members, and histories that the model must refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.etcd_cluster import Cluster
from tests.state.histories import End, History, Operation, lived, wrong

FIRST = (
    Operation("acquire", 0, 1, End.DONE, 5),
    Operation("append", 2, 3, End.DONE, 5, "a"),
    Operation("append", 4, 5, End.UNKNOWN, 5, "b"),
    Operation("keep", 6, 7, End.DONE, 5, "c"),
)
SECOND = (
    Operation("acquire", 10, 11, End.DONE, 9),
    Operation("append", 12, 13, End.DONE, 9, "d"),
    Operation("append", 14, 15, End.DONE, 9, "e"),
    Operation("append", 10, 16, End.REFUSED, 5, "f"),
    Operation("keep", 17, 18, End.DONE, 9, "g"),
)
GOOD = History([*FIRST, *SECOND], ["a", "b", "d", "e"], "g")


def test_what_may_happen_fits() -> None:
    assert wrong(GOOD) == []
    assert wrong(replace(GOOD, journal=["a", "d", "e"])) == []
    unknown = Operation("keep", 7.5, 8, End.UNKNOWN, 9, "h")
    assert wrong(replace(GOOD, operations=[*GOOD.operations, unknown], document="h")) == []


@pytest.mark.parametrize(
    ("journal", "document", "said"),
    [
        (["a", "a", "d", "e"], "g", "an entry is there twice"),
        (["a", "x", "d", "e"], "g", "x was written by nobody"),
        (["a", "d", "e", "f"], "g", "f is there, and was refused"),
        (["a", "b", "d"], "g", "e was acknowledged and is lost"),
        (["a", "d", "b", "e"], "g", "b of an earlier lease follows d"),
        (["a", "b", "e", "d"], "g", "d had ended before e began, and follows it"),
        (["a", "d", "e"], None, "the document was acknowledged and is lost"),
        (["a", "d", "e"], "x", "the document is x, which nobody wrote"),
        (["a", "d", "e"], "c", "the document is c, which was replaced"),
    ],
)
def test_what_must_not_happen_is_named(journal: list[str], document: str | None, said: str) -> None:
    assert said in wrong(replace(GOOD, journal=journal, document=document))


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (Operation("acquire", 20, 21, End.DONE, 9), "token 9 was given twice"),
        (Operation("acquire", 20, 21, End.DONE, 7), "token 7 was given after the greater 9"),
        (Operation("renew", 12, 13, End.DONE, 5), "renew with token 5 succeeded after 9 was given"),
    ],
)
def test_two_holders_are_named(operation: Operation, said: str) -> None:
    assert said in wrong(replace(GOOD, operations=[*GOOD.operations, operation]))


def test_a_refused_document_is_named() -> None:
    refused = Operation("keep", 19, 20, End.REFUSED, 9, "h")
    assert wrong(replace(GOOD, operations=[*GOOD.operations, refused], document="h")) == [
        "the document is h, which was refused"
    ]


def test_a_random_history_fits(cluster: Cluster) -> None:
    history = lived(cluster, 1)
    assert wrong(history) == []
