from __future__ import annotations

import json
from typing import Any

import pytest

from rackwright.roles.replica.answer import Answer, By, Compared, Token, body, compare, parse_answer

# The format of llama-server b10434 and vLLM 0.32 (vllm/entrypoints/openai/completion/protocol.py), shortened.
LLAMA_CPP = {
    "choices": [
        {
            "text": " orange,",
            "index": 0,
            "logprobs": {
                "content": [
                    {
                        "id": 10245,
                        "token": " orange",
                        "bytes": [32],
                        "logprob": -0.33,
                        "top_logprobs": [
                            {"id": 10245, "token": " orange", "logprob": -0.33},
                            {"id": 4461, "token": " blue", "logprob": -2.32},
                        ],
                    },
                    {"id": 28, "token": ",", "logprob": -0.01, "top_logprobs": [{"token": ",", "logprob": -0.01}]},
                ]
            },
            "finish_reason": "length",
        }
    ]
}
VLLM = {
    "choices": [
        {
            "text": " orange,",
            "logprobs": {
                "text_offset": [0, 7],
                "token_logprobs": [-0.33, -0.01],
                "tokens": [" orange", ","],
                "top_logprobs": [{" orange": -0.33, " blue": -2.32}, {",": -0.01}],
            },
        }
    ]
}
PLAIN = {"choices": [{"text": " orange, and", "logprobs": None}]}


def answer(*tokens: str, **likeliest: float) -> Answer:
    """An answer whose last token has these candidates."""
    told = tuple(Token(text=text) for text in tokens[:-1])
    return Answer(
        text="".join(tokens), by=By.TOKENS, tokens=(*told, Token(text=tokens[-1], candidates=likeliest or {}))
    )


@pytest.mark.parametrize("told", [LLAMA_CPP, VLLM])
def test_both_engines_tell_the_same_tokens(told: Any) -> None:
    assert parse_answer(json.dumps(told)) == Answer(
        text=" orange,",
        by=By.TOKENS,
        tokens=(
            Token(text=" orange", candidates={" orange": -0.33, " blue": -2.32}),
            Token(text=",", candidates={",": -0.01}),
        ),
    )


@pytest.mark.parametrize("told", [PLAIN, {"choices": [{"message": {"content": "orange, and"}}]}])
def test_of_an_engine_without_tokens_the_words_count(told: Any) -> None:
    found = parse_answer(json.dumps(told))
    assert found is not None
    assert (found.by, [token.text for token in found.tokens]) == (By.WORDS, ["orange,", "and"])


def test_of_two_tokens_with_one_text_the_likelier_counts_and_what_has_no_figure_does_not() -> None:
    top = [{"token": "a", "logprob": -1}, {"token": "a", "logprob": -3}, {"token": "b", "logprob": None}]
    told = {"choices": [{"text": "a", "logprobs": {"content": [{"token": "a", "top_logprobs": top}]}}]}
    found = parse_answer(json.dumps(told))
    assert found is not None
    assert found.tokens[0].candidates == {"a": -1}


@pytest.mark.parametrize(
    "output",
    [
        *("", "no", "[]", "{}", "null", '{"choices": []}', '{"choices": [null]}', '{"choices": [{"text": " "}]}'),
        '{"choices": [{"text": 3}]}',
        '{"error": {"code": 503, "message": "Loading model"}}',
        '{"choices": [{"text": "a", "logprobs": {"tokens": ["a"]}}]}',
        '{"choices": [{"message": {"content": null}}]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_answer_is_none(output: str) -> None:
    assert parse_answer(output) is None


def test_the_request_is_greedy_and_asks_for_likeliest_tokens() -> None:
    asked = json.loads(body("it's"))
    assert (asked["model"], asked["temperature"], asked["logprobs"]) == ("it's", 0, 5)


def test_the_same_tokens_are_the_same_whatever_their_chances() -> None:
    assert compare(answer("a", "b", b=-0.1), answer("a", "b", b=-0.9)) == Compared(same=True)


@pytest.mark.parametrize(
    ("likeliest", "compared"),
    [
        ({"c": -0.5, "b": -0.75}, Compared(True, "differs from token 2 on: a near tie (0.25 nats)")),
        ({"c": -0.5, "b": -0.81}, Compared(False, "differs from token 2 on: 'c' is 0.31 nats likelier than 'b'")),
        ({"c": -0.9, "b": -0.5}, Compared(False, "differs from token 2 on: 'c' is -0.40 nats likelier than 'b'")),
        ({"c": -0.5}, Compared(False, "differs from token 2 on: 'c', but 'b' is not among the likeliest")),
    ],
)
def test_another_token_is_the_same_only_in_a_near_tie(likeliest: dict[str, float], compared: Compared) -> None:
    found = compare(answer("a", "b", "x"), answer("a", "c", **likeliest))
    assert (found.same, found.said) == (compared.same, compared.said)


def test_what_follows_a_near_tie_does_not_count() -> None:
    first = Token(text="c", candidates={"c": -0.5, "b": -0.5})
    found = Answer(text="c...", by=By.TOKENS, tokens=(first, Token(text="q"), Token(text="r")))
    assert compare(answer("b", "x"), found).same


def test_a_shorter_answer_is_another_one() -> None:
    assert compare(answer("a", "b"), answer("a")) == Compared(False, "2 tokens before, 1 now")


def test_words_are_compared_as_tokens_are_and_have_no_near_ties() -> None:
    def words(text: str) -> Answer:
        return Answer(text=text, by=By.WORDS, tokens=tuple(Token(text=word) for word in text.split()))

    assert compare(words("a b"), words("a b")).same
    said = "differs from word 2 on: 'c', but 'b' is not among the likeliest"
    assert compare(words("a b"), words("a c")) == Compared(False, said)
    assert compare(words("a b"), answer("a", " b")).same
    assert compare(words("a b"), answer("a", " c")).same is False


def test_an_engine_that_can_not_tell_tokens_is_not_asked_for_them():
    assert "logprobs" in json.loads(body("assistant"))
    assert "logprobs" not in json.loads(body("assistant", tokens=False))
