"""The table in docs/api.md says what the cases expect of real engines."""

from __future__ import annotations

from pathlib import Path

from tests.request_fields import ALL, CHAT, COMPLETIONS, EMBEDDINGS

PAGE = Path(__file__).parents[1] / "docs/api.md"


def test_the_page_has_each_field_with_what_each_runtime_makes_of_it() -> None:
    _, _, table = PAGE.read_text().partition("| request | field | llama.cpp | vLLM |\n|---|---|---|---|\n")
    rows = table.partition("\n\n")[0].splitlines()
    expected = [
        f"| `{path}` | {one.name} | {one.llama_cpp} | {one.vllm} |"
        for path in (CHAT, COMPLETIONS, EMBEDDINGS)
        for one in ALL
        if one.path == path
    ]
    assert rows == expected
