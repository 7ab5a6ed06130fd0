from __future__ import annotations

import json
import math

import pytest

from rackwright.launch import Task
from rackwright.roles.replica.answer import Answer, By, Token
from rackwright.roles.replica.embedding import KEPT, Embedding, parse_embedding
from rackwright.roles.replica.question import compare_golden, parse_golden, question


def answered(*numbers: float) -> str:
    return json.dumps({"object": "list", "data": [{"index": 0, "embedding": numbers}], "usage": {"prompt_tokens": 9}})


def turned(degrees: float) -> Embedding:
    angle = math.radians(degrees)
    return Embedding(size=2, numbers=(math.cos(angle), math.sin(angle)))


def test_each_task_has_its_own_question() -> None:
    embed, generate = question(Task.EMBED, "it's"), question(Task.GENERATE, "it's", tokens=False)
    assert (embed.path, generate.path) == ("/v1/embeddings", "/v1/completions")
    assert json.loads(embed.body)["model"] == json.loads(generate.body)["model"] == "it's"
    assert "logprobs" not in json.loads(generate.body)


def test_only_the_first_numbers_of_a_long_vector_are_kept() -> None:
    numbers = [float(number) for number in range(1, 577)]
    found = parse_golden(answered(*numbers))
    assert found == Embedding(size=576, numbers=tuple(numbers[:KEPT]))
    assert found.short == "an embedding of 576 numbers"


@pytest.mark.parametrize(
    "output",
    [
        "",
        "{}",
        '{"data": []}',
        '{"data": [{"embedding": []}]}',
        '{"data": [{"embedding": [0.0, 0.0]}]}',
        '{"data": [{"embedding": [0.5, NaN]}]}',
        '{"data": [{"embedding": [1e999]}]}',
        '{"data": [{"embedding": [[0.5], [0.5]]}]}',
        '{"data": [{"embedding": "VS8="}]}',
        '{"error": {"message": "Pooling type none is not OAI compatible."}}',
    ],
)
def test_anything_else_is_no_embedding(output: str) -> None:
    assert parse_embedding(output) is None


def test_rounding_is_no_difference_and_another_direction_is() -> None:
    assert compare_golden(turned(0), turned(2)).same
    compared = compare_golden(turned(0), turned(3))
    assert (compared.same, compared.said) == (
        False,
        "their cosine is 0.9986, and the same weights give at least 0.999",
    )


def test_the_length_of_a_vector_does_not_count_and_its_size_does() -> None:
    doubled = Embedding(size=2, numbers=tuple(2 * number for number in turned(30).numbers))
    assert compare_golden(turned(30), doubled).same
    assert compare_golden(turned(30), Embedding(size=3, numbers=turned(30).numbers)).said == "2 numbers before, 3 now"


def test_a_text_is_never_the_same_as_an_embedding() -> None:
    text = Answer(text="Red", by=By.WORDS, tokens=(Token(text="Red"),))
    assert not compare_golden(text, turned(0)).same
    assert not compare_golden(turned(0), text).same
    assert compare_golden(text, text).same
