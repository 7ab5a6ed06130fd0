"""The features of chat completions."""

from __future__ import annotations

from pydantic import JsonValue

from rackwright.migrate.features.bodies import (
    CHAT,
    INSTRUCTION,
    LONG,
    RED,
    SCHEMA,
    SILENCE,
    WORD,
    chat,
    function,
    question,
)
from rackwright.migrate.features.from_answer import (
    Check,
    accepted,
    any_chunk,
    at,
    calls,
    chunks,
    count,
    fits,
    has,
    judge,
    listed,
    number,
    parsed,
    says,
    text,
)
from rackwright.migrate.features.kinds import Feature, Known, Probe
from rackwright.migrate.features.known_versions import of_llama, of_vllm

IGNORED_BY_BOTH = {"vllm": of_vllm("ignored"), "llama_cpp": of_llama("ignored")}
OK_IN_BOTH = {"vllm": of_vllm("ok"), "llama_cpp": of_llama("ok")}
OTHER_TOKENS: dict[str, Known] = {
    one: Known("ignored", "the ids are of the provider's tokenizer; another model has others")
    for one in ("vllm", "llama_cpp")
}


def _probe(body: dict[str, JsonValue], check: Check) -> Probe:
    return Probe(CHAT, body, judge(check))


def _tools_seen(answer: JsonValue) -> bool | None:
    """The model called the tool, or the prompt has more tokens than the question alone can have."""
    if calls(answer):
        return True
    tokens = number(at(answer, "usage", "prompt_tokens"))
    return None if tokens is None else tokens > LONG


def _instructed(answer: JsonValue) -> bool | None:
    tokens = number(at(answer, "usage", "prompt_tokens"))
    return True if WORD in text(answer).lower() else None if tokens is None else tokens > LONG


def _arguments(answer: JsonValue) -> str:
    return calls(answer)[0][1] if calls(answer) else ""


def _stopped(answer: JsonValue) -> bool | None:
    said = text(answer)
    return False if "5" in said else True if "4" in said else None


def _short(answer: JsonValue) -> bool | None:
    tokens = number(at(answer, "usage", "completion_tokens"))
    return None if tokens is None else tokens <= 4


def _streamed(answer: JsonValue) -> bool:
    return sum(one.get("object") == "chat.completion.chunk" for one in chunks(answer)) >= 2


_OTHER: JsonValue = [function("weather"), function("population")]
_NAMED: JsonValue = {"type": "function", "function": {"name": "population"}}
_STRICT: JsonValue = {
    "type": "function",
    "function": {"name": "answer", "description": "Gives the answer.", "parameters": SCHEMA, "strict": True},
}
_TOOLS = (
    Feature("tools", "The model may call functions that the client describes.", _probe(question(), _tools_seen)),
    Feature(
        "tools.strict",
        "Arguments of tool calls always match the function's schema.",
        _probe(
            chat(tools=[_STRICT], tool_choice={"type": "function", "function": {"name": "answer"}}),
            fits(SCHEMA, _arguments),
        ),
        instead="check the arguments in the client, or put the schema in response_format",
    ),
    Feature("tools.custom", "Tools whose input is free text instead of JSON.", None, {"vllm": of_vllm("rejected")}),
    Feature(
        "tool_choice.required",
        "The model must call a tool.",
        _probe(chat(tools=_OTHER, tool_choice="required"), lambda answer: bool(calls(answer))),
        instead="name the function, or ask for the call in the prompt",
    ),
    Feature(
        "tool_choice.function",
        "The model must call this tool.",
        _probe(
            chat(tools=_OTHER, tool_choice=_NAMED),
            lambda answer: any(name == "population" for name, _ in calls(answer)),
        ),
        instead="send only this tool, with tool_choice required",
    ),
    Feature(
        "tool_choice.none",
        "The model must not call a tool.",
        _probe(question(tool_choice="none"), lambda answer: not calls(answer)),
        instead="leave out `tools`",
    ),
    Feature(
        "tool_choice.allowed_tools",
        "The model may call only some of the tools.",
        _probe(
            chat(
                tools=_OTHER,
                tool_choice={
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": "required",
                        "tools": [{"type": "function", "function": {"name": "population"}}],
                    },
                },
            ),
            lambda answer: bool(calls(answer)) and all(name == "population" for name, _ in calls(answer)),
        ),
        instead="send only the allowed tools",
    ),
    Feature(
        "parallel_tool_calls",
        "Several tool calls in one answer are allowed, or forbidden.",
        _probe(
            chat(
                "What is the weather in Oslo, and what is it in Rome? Use the function for both.",
                tools=[function("weather")],
                tool_choice="required",
                parallel_tool_calls=False,
            ),
            lambda answer: len(calls(answer)) < 2 if calls(answer) else None,
        ),
        instead="handle one call at a time in the client",
    ),
    Feature(
        "functions",
        "Function calls in the form before `tools`.",
        _probe(
            chat(
                "What is the weather in Oslo? Use the function.",
                functions=[function("weather")["function"]],
                function_call={"name": "weather"},
            ),
            has("choices", 0, "message", "function_call"),
        ),
        IGNORED_BY_BOTH,
        instead="use `tools` and `tool_choice`",
    ),
)
_FORMATS = (
    Feature(
        "response_format.json_object",
        "The answer is a JSON object.",
        _probe(
            chat(response_format={"type": "json_object"}),
            lambda answer: isinstance(parsed(text(answer)), dict) or (None if _cut(answer) else False),
        ),
        instead="use a JSON schema",
    ),
    Feature(
        "response_format.json_schema",
        "The answer is JSON that is valid against the client's schema.",
        _probe(
            chat(
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
                }
            ),
            fits(SCHEMA, text),
        ),
    ),
)


def _cut(answer: JsonValue) -> bool:
    return at(answer, "choices", 0, "finish_reason") == "length"


_SAMPLING = (
    Feature("n", "Several answers to one request.", _probe(chat(n=2), count(2, "choices")), instead="ask n times"),
    Feature(
        "logprobs",
        "The probability of each token of the answer.",
        _probe(chat(logprobs=True), has("choices", 0, "logprobs", "content")),
    ),
    Feature(
        "top_logprobs",
        "The most likely tokens at each place of the answer.",
        _probe(
            chat(logprobs=True, top_logprobs=2),
            lambda answer: len(listed(at(answer, "choices", 0, "logprobs", "content", 0, "top_logprobs"))) == 2,
        ),
    ),
    Feature("seed", "The same seed gives nearly always the same answer.", None, OK_IN_BOTH),
    Feature(
        "stop",
        "The answer ends before a given text.",
        _probe(chat("Count from 1 to 9 in digits, separated by spaces.", stop=["5"]), _stopped),
        instead="cut the answer in the client",
    ),
    Feature("logit_bias", "Some tokens, given by id, are more or less likely.", None, OTHER_TOKENS),
    Feature("presence_penalty", "Tokens that were already used are less likely.", None, OK_IN_BOTH),
    Feature("frequency_penalty", "Tokens that were often used are less likely.", None, OK_IN_BOTH),
    Feature(
        "max_completion_tokens",
        "The most tokens of the answer, including those of reasoning.",
        _probe({"messages": [{"role": "user", "content": "Tell a long story."}], "max_completion_tokens": 3}, _short),
        instead="use `max_tokens`",
    ),
    Feature("reasoning_effort", "How long the model reasons before it answers; depends on its chat template."),
    Feature("verbosity", "How long the answer is.", None, IGNORED_BY_BOTH, "say it in the prompt"),
    Feature("prediction", "Most of the answer is known beforehand, which makes it faster.", None, IGNORED_BY_BOTH),
)
_STREAMS = (
    Feature("stream", "The answer comes in pieces.", _probe(chat(stream=True), _streamed)),
    Feature(
        "stream_options.include_usage",
        "The last piece of a stream has the token counts.",
        _probe(chat(stream=True, stream_options={"include_usage": True}), any_chunk("usage", "prompt_tokens")),
    ),
    Feature(
        "stream_options.include_obfuscation",
        "Random padding hides the lengths of a stream's pieces.",
        None,
        IGNORED_BY_BOTH,
    ),
)
_IMAGE: JsonValue = [
    {"type": "text", "text": "Which color is this? Answer with one word."},
    {"type": "image_url", "image_url": {"url": RED}},
]
_SOUND: JsonValue = [
    {"type": "text", "text": "What do you hear?"},
    {"type": "input_audio", "input_audio": {"data": SILENCE, "format": "wav"}},
]
_FILE: JsonValue = [
    {"type": "text", "text": "Repeat the word in this file."},
    {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,emVicmE="}},
]
_MEDIA = (
    Feature("images", "Images in prompts.", _probe(chat(_IMAGE), says("red")), instead="choose a model with vision"),
    Feature("images.detail", "How closely the model looks at an image.", None, IGNORED_BY_BOTH),
    Feature("audio", "Sound in prompts.", _probe(chat(_SOUND), accepted), instead="transcribe it first"),
    Feature(
        "audio.output",
        "The answer is spoken.",
        _probe(
            chat(modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}),
            has("choices", 0, "message", "audio"),
        ),
        IGNORED_BY_BOTH,
    ),
    Feature(
        "files",
        "Files in prompts, like PDF.",
        _probe(chat(_FILE), says(WORD)),
        instead="put the file's text in the prompt",
    ),
)
_SERVICE = (
    Feature("store", "The provider keeps the answer, to list it later.", None, IGNORED_BY_BOTH, "keep it yourself"),
    Feature("metadata", "Labels on a stored answer.", None, IGNORED_BY_BOTH, "keep them yourself"),
    Feature(
        "service_tier", "Faster or cheaper processing.", _probe(chat(service_tier="flex"), accepted), IGNORED_BY_BOTH
    ),
    Feature("user", "Who the end user is; the provider uses it against abuse.", None, IGNORED_BY_BOTH),
    Feature("safety_identifier", "Who the end user is, as a hash.", None, IGNORED_BY_BOTH),
    Feature("prompt_cache_key", "Requests with the same key share a cache.", None, IGNORED_BY_BOTH),
    Feature("prompt_cache_retention", "How long the provider caches a prompt.", None, IGNORED_BY_BOTH),
    Feature(
        "web_search_options",
        "The provider searches the web for the answer.",
        _probe(chat(web_search_options={}), has("choices", 0, "message", "annotations")),
        IGNORED_BY_BOTH,
    ),
    Feature("moderation", "The provider checks prompt and answer against its rules.", None, IGNORED_BY_BOTH),
    Feature(
        "role.developer",
        "Instructions in the role `developer`.",
        _probe(
            {
                "messages": [
                    {"role": "developer", "content": INSTRUCTION},
                    {"role": "user", "content": "What is rain?"},
                ],
                "max_tokens": 16,
                "temperature": 0,
            },
            _instructed,
        ),
        instead="use the role `system`",
    ),
    Feature("message.name", "The name of who said something in a conversation.", None, IGNORED_BY_BOTH),
    Feature("endpoint.chat", "Chat completions.", _probe(chat(), lambda answer: bool(listed(at(answer, "choices"))))),
)
CHAT_FEATURES = (*_TOOLS, *_FORMATS, *_SAMPLING, *_STREAMS, *_MEDIA, *_SERVICE)
