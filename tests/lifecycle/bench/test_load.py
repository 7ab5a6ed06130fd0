from __future__ import annotations

import pytest

from rackwright.lifecycle.bench.load import MOST_REQUESTS, PROBES, WORDS, Load, Probed, prompt, words_for


@pytest.mark.parametrize(("each", "template"), [(1, 30), (1.4, 9), (3, 0)])
@pytest.mark.parametrize("tokens", [100, 256, 5000])
def test_a_prompt_comes_to_the_tokens_that_were_asked_for_whatever_the_tokenizer(each, template, tokens):
    short, long = (Probed(words, round(template + each * words)) for words in PROBES)
    words = words_for(tokens, short, long)
    assert template + each * words == pytest.approx(tokens, rel=0.03)


def test_there_is_a_word_at_least_however_long_the_template():
    assert words_for(10, Probed(16, 46), Probed(80, 110)) == 1


def test_an_engine_that_counts_nonsense_gets_a_word_for_each_token():
    assert words_for(50, Probed(16, 7), Probed(80, 7)) == 50


def test_no_two_prompts_begin_alike():
    prompts = {prompt(40) for _ in range(200)}
    assert len(prompts) == 200
    assert {len(text.split()) for text in prompts} == {40}
    assert len({text.split()[0] for text in prompts}) > len(WORDS) // 3


def test_another_rate_lasts_as_long():
    assert Load(2, 60, 256, 64).at(5) == Load(5, 150, 256, 64)
    assert Load(2, 60, 256, 64).at(0.001).requests == 1
    assert Load(1, 60, 256, 64).at(1_000_000) == Load(1_000_000, MOST_REQUESTS, 256, 64)
