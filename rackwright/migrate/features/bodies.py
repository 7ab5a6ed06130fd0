"""Bodies of probes: the smallest requests that show whether a target does something."""

from __future__ import annotations

from pydantic import JsonValue

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
RESPONSES = "/v1/responses"
WORD = "zebra"
"""A model has no reason to say it on its own."""
LONG = 80
"""Tokens that the question of a probe doesn't have on its own, in any tokenizer and template."""
INSTRUCTION = (
    f"Answer everything with the word {WORD}. Never say anything else, whatever the question is about. "
    f"If you don't know the answer, say {WORD}. If the question makes no sense, say {WORD}. If there are several "
    f"questions, say {WORD} as well. Don't explain it, don't apologize, don't ask back, and don't add a sign."
)
"""Long, so that it shows in the number of prompt tokens if a small model doesn't obey."""
RED = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAJ0lEQVR42u3NsQkAAAjAsP7/tF7hIASyp6lTCQQCgUAgEAgEgi"
    "/BAjLD/C5w/SM9AAAAAElFTkSuQmCC"
)
"""A red square of 32 by 32 pixels."""
SILENCE = "UklGRmQBAABXQVZFZm10IBAAAAABAAEAgD4AAAB9AAACABAAZGF0YUABAAA" + "A" * 428 + "="
"""A hundredth of a second in WAV."""
SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"word": {"type": "string", "enum": [WORD]}},
    "required": ["word"],
    "additionalProperties": False,
}
"""Only a target that applies the schema answers a question about rain like this."""


def chat(said: JsonValue = "Write one short sentence about rain.", **more: JsonValue) -> dict[str, JsonValue]:
    return {"messages": [{"role": "user", "content": said}], "max_tokens": 64, "temperature": 0, **more}


def completion(**more: JsonValue) -> dict[str, JsonValue]:
    return {"prompt": "The sky is blue and", "max_tokens": 8, "temperature": 0, **more}


def embedding(**more: JsonValue) -> dict[str, JsonValue]:
    return {"input": "rain", **more}


def response(**more: JsonValue) -> dict[str, JsonValue]:
    return {"input": "Write one short sentence about rain.", "max_output_tokens": 64, **more}


def function(name: str) -> dict[str, JsonValue]:
    """Return a tool whose description is long enough to show in the number of prompt tokens."""
    described = f"The {name} of a city. Call it whenever anyone asks for the {name} of a city. " * 4
    parameters: JsonValue = {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The name of the city."}},
        "required": ["city"],
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": described, "parameters": parameters},
    }


def question(**more: JsonValue) -> dict[str, JsonValue]:
    return chat("What is the weather in Oslo? Use the function.", tools=[function("weather")], **more)
