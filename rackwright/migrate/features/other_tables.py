"""The features of completions, embeddings and responses."""

from __future__ import annotations

from pydantic import JsonValue

from rackwright.migrate.features.bodies import (
    COMPLETIONS,
    EMBEDDINGS,
    INSTRUCTION,
    LONG,
    RESPONSES,
    SCHEMA,
    WORD,
    completion,
    embedding,
    response,
)
from rackwright.migrate.features.chat_table import IGNORED_BY_BOTH, OTHER_TOKENS
from rackwright.migrate.features.from_answer import (
    Check,
    accepted,
    at,
    count,
    has,
    judge,
    listed,
    number,
    output_has,
    parsed,
    text,
)
from rackwright.migrate.features.kinds import Feature, Probe
from rackwright.migrate.features.known_versions import of_llama, of_vllm


def _completed(body: dict[str, JsonValue], check: Check) -> Probe:
    return Probe(COMPLETIONS, body, judge(check))


def _embedded(body: dict[str, JsonValue], check: Check) -> Probe:
    return Probe(EMBEDDINGS, body, judge(check))


def _responded(body: dict[str, JsonValue], check: Check) -> Probe:
    return Probe(RESPONSES, body, judge(check))


def _any_output(answer: JsonValue) -> bool:
    return bool(listed(at(answer, "output")))


COMPLETION_FEATURES = (
    Feature(
        "endpoint.completions",
        "Completions without a chat.",
        _completed(completion(), lambda answer: bool(listed(at(answer, "choices")))),
    ),
    Feature("best_of", "The provider writes several answers and returns the best.", None, IGNORED_BY_BOTH),
    Feature(
        "echo",
        "The answer repeats the prompt.",
        _completed(completion(echo=True), lambda answer: text(answer).startswith("The sky is blue")),
        instead="put the prompt before the answer in the client",
    ),
    Feature(
        "suffix",
        "The model writes what belongs before a given text.",
        _completed(completion(suffix="."), accepted),
        # The answer at temperature 0 is the same with and without it.
        {"llama_cpp": of_llama("ignored")},
    ),
    Feature(
        "completions.logprobs",
        "The probability of each token of a completion.",
        _completed(completion(logprobs=1), has("choices", 0, "logprobs")),
    ),
    Feature(
        "prompt.batch",
        "Several prompts in one request.",
        _completed(completion(prompt=["The sky is", "The sea is"]), count(2, "choices")),
        instead="send one request for each prompt",
    ),
    Feature("prompt.tokens", "The prompt as ids of tokens.", None, OTHER_TOKENS, "send text"),
)
EMBEDDING_FEATURES = (
    Feature(
        "endpoint.embeddings",
        "Embeddings. Vectors of another model can't be compared with the provider's: embed everything again.",
        _embedded(embedding(), lambda answer: bool(listed(at(answer, "data")))),
    ),
    Feature(
        "dimensions",
        "Shorter vectors than the model's own.",
        _embedded(embedding(dimensions=8), lambda answer: len(listed(at(answer, "data", 0, "embedding"))) == 8),
        instead="only models trained for it can shorten vectors",
    ),
    Feature(
        "encoding_format.base64",
        "Vectors as base64 instead of numbers.",
        _embedded(
            embedding(encoding_format="base64"), lambda answer: isinstance(at(answer, "data", 0, "embedding"), str)
        ),
        instead="ask for numbers",
    ),
    Feature(
        "input.batch",
        "Several texts in one request.",
        _embedded(embedding(input=["rain", "snow"]), count(2, "data")),
        instead="send one request for each text",
    ),
    Feature("input.tokens", "The text as ids of tokens.", None, OTHER_TOKENS, "send text"),
)
_FORGETS = {"vllm": of_vllm("rejected"), "llama_cpp": of_llama("rejected")}
_FORMAT: JsonValue = {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": SCHEMA}}


def _hosted(name: str, means: str, tool: dict[str, JsonValue], output: str) -> Feature:
    """Return a tool that the provider runs; a target that accepts it doesn't run it."""
    probe = _responded(response(tools=[tool]), output_has(output))
    return Feature(f"tools.{name}", means, probe, IGNORED_BY_BOTH, "run it in the client, as a function")


def _instructed(answer: JsonValue) -> bool | None:
    """The model obeys, or the prompt has more tokens than the question alone can have."""
    tokens = number(at(answer, "usage", "input_tokens"))
    return True if WORD in text(answer).lower() else None if tokens is None else tokens > LONG


def _idle(_: JsonValue) -> bool:
    """A made-up id was accepted, so the target doesn't look it up."""
    return False


RESPONSE_FEATURES = (
    Feature(
        "endpoint.responses",
        "Responses.",
        _responded(response(), _any_output),
        instead="use chat completions",
    ),
    Feature(
        "previous_response_id",
        "The provider remembers the conversation.",
        _responded(response(previous_response_id="resp_" + "0" * 48), _idle),
        _FORGETS,
        "send the whole conversation each time",
    ),
    Feature(
        "conversation",
        "The provider keeps the conversation as an object.",
        _responded(response(conversation="conv_" + "0" * 48), _idle),
        IGNORED_BY_BOTH,
        "send the whole conversation each time",
    ),
    Feature(
        "prompt.stored",
        "A prompt that is stored at the provider.",
        _responded(response(prompt={"id": "pmpt_" + "0" * 48}), _idle),
        IGNORED_BY_BOTH,
        "keep the prompt in the application",
    ),
    Feature(
        "instructions",
        "Instructions apart from the conversation.",
        _responded(response(instructions=INSTRUCTION), _instructed),
        instead="send a message in the role `system`",
    ),
    Feature(
        "text.format.json_schema",
        "The answer is JSON that is valid against the client's schema.",
        _responded(response(text=_FORMAT), lambda answer: parsed(text(answer)) == {"word": WORD}),
        instead="use response_format of chat completions",
    ),
    Feature(
        "text.format.json_object",
        "The answer is a JSON object.",
        _responded(
            response(text={"format": {"type": "json_object"}}), lambda answer: isinstance(parsed(text(answer)), dict)
        ),
        instead="use response_format of chat completions",
    ),
    _hosted("web_search", "The provider searches the web.", {"type": "web_search"}, "web_search_call"),
    _hosted(
        "file_search",
        "The provider searches files that are stored there.",
        {"type": "file_search", "vector_store_ids": ["vs_" + "0" * 24]},
        "file_search_call",
    ),
    _hosted(
        "code_interpreter",
        "The provider runs programs that the model writes.",
        {"type": "code_interpreter", "container": {"type": "auto"}},
        "code_interpreter_call",
    ),
    _hosted("image_generation", "The provider makes images.", {"type": "image_generation"}, "image_generation_call"),
    _hosted(
        "mcp",
        "The provider calls tools on other servers.",
        {"type": "mcp", "server_label": "none", "server_url": "https://mcp.invalid/", "require_approval": "never"},
        "mcp_list_tools",
    ),
    _hosted(
        "computer_use",
        "The model uses a computer.",
        {"type": "computer_use_preview", "display_width": 800, "display_height": 600, "environment": "browser"},
        "computer_call",
    ),
    Feature(
        "background",
        "The client fetches the answer later.",
        _responded(response(background=True), lambda answer: at(answer, "status") in ("queued", "in_progress")),
        instead="wait for the answer",
    ),
    Feature("truncation", "A conversation that is too long loses its middle.", None, IGNORED_BY_BOTH, "shorten it"),
    Feature("include", "More details in the answer.", None, IGNORED_BY_BOTH),
    Feature("max_tool_calls", "The most calls of the provider's tools.", None, IGNORED_BY_BOTH),
    Feature("context_management", "The provider shortens long conversations.", None, IGNORED_BY_BOTH),
)
