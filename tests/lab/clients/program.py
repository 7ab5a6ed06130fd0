"""What real clients do with the gateway of a lab, and the tokens that they count.

It runs with the packages of requirements.txt, which rackwright itself doesn't have. It prints a JSON list.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

DOMAIN, MODEL = os.environ["DOMAIN"], os.environ["MODEL"]
ADDRESSES = itertools.cycle(os.environ["ADDRESSES"].split())
KEY = sys.stdin.readline().strip()
ROOT = f"https://{DOMAIN}"
COLORS = {
    "type": "object",
    "properties": {"color": {"type": "string", "enum": ["red", "blue"]}},
    "required": ["color"],
    "additionalProperties": False,
}
GREEDY: dict[str, Any] = {"max_tokens": 60, "temperature": 0}
"""The model calls a tool only if it says what is most likely."""
QUESTION = "Paint the wall. Which color?"
PAINT = "Paints the wall in a color."
FUNCTION = {"type": "function", "function": {"name": "paint", "description": PAINT, "parameters": COLORS}}
TOOL = {"name": "paint", "description": PAINT, "input_schema": COLORS}
RESPONSES_TOOL = {"type": "function", "name": "paint", "description": PAINT, "parameters": COLORS, "strict": True}
SAID = [{"role": "user", "content": QUESTION}]
Counted = tuple[str, int, int]
"""What the client got, and the tokens of prompt and answer that it counts."""


def at_a_gateway(*given: Any, **more: Any) -> Any:
    """Resolve the fleet's name to each gateway in turn, as a DNS server would."""
    host, *rest = given
    return resolve(next(ADDRESSES) if host in {DOMAIN, DOMAIN.encode()} else host, *rest, **more)


resolve, socket.getaddrinfo = socket.getaddrinfo, at_a_gateway


def openai_client() -> Iterator[tuple[str, Callable[[], Counted]]]:
    """The client of OpenAI: chat and responses, each with streams, tools and a JSON schema."""
    from openai import OpenAI

    client = OpenAI(base_url=f"{ROOT}/v1", api_key=KEY)
    chat, responses = client.chat.completions, client.responses

    def plain() -> Counted:
        found = chat.create(model=MODEL, messages=SAID, max_tokens=8)
        return found.choices[0].message.content, found.usage.prompt_tokens, found.usage.completion_tokens

    def stream() -> Counted:
        events = list(
            chat.create(model=MODEL, messages=SAID, max_tokens=8, stream=True, stream_options={"include_usage": True})
        )
        usage = events[-1].usage
        text = "".join(event.choices[0].delta.content or "" for event in events if event.choices)
        return text, usage.prompt_tokens, usage.completion_tokens

    def tools() -> Counted:
        found = chat.create(model=MODEL, messages=SAID, tools=[FUNCTION], tool_choice="required", **GREEDY)
        call = found.choices[0].message.tool_calls[0].function
        return f"{call.name}({call.arguments})", found.usage.prompt_tokens, found.usage.completion_tokens

    def schema() -> Counted:
        form = {"type": "json_schema", "json_schema": {"name": "color", "schema": COLORS, "strict": True}}
        found = chat.create(model=MODEL, messages=SAID, response_format=form, max_tokens=40)
        return found.choices[0].message.content, found.usage.prompt_tokens, found.usage.completion_tokens

    def response() -> Counted:
        found = responses.create(model=MODEL, input=QUESTION, max_output_tokens=8, store=False)
        return found.output_text, found.usage.input_tokens, found.usage.output_tokens

    def response_stream() -> Counted:
        events = list(responses.create(model=MODEL, input=QUESTION, max_output_tokens=8, stream=True))
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        usage = events[-1].response.usage
        return text, usage.input_tokens, usage.output_tokens

    def response_tools() -> Counted:
        found = responses.create(
            model=MODEL, input=QUESTION, tools=[RESPONSES_TOOL], tool_choice="required", temperature=0
        )
        call = next(one for one in found.output if one.type == "function_call")
        return f"{call.name}({call.arguments})", found.usage.input_tokens, found.usage.output_tokens

    yield from {
        "chat": plain,
        "chat, a stream": stream,
        "chat with tools": tools,
        "chat with a JSON schema": schema,
        "responses": response,
        "responses, a stream": response_stream,
        "responses with tools": response_tools,
    }.items()


def anthropic_client() -> Iterator[tuple[str, Callable[[], Counted]]]:
    """The client of Anthropic, as coding agents use it: streams, tools, and the result of a tool."""
    from anthropic import Anthropic

    messages = Anthropic(base_url=ROOT, api_key=KEY).messages
    # The client has no parameter for the temperature.
    greedy = {"max_tokens": 60, "extra_body": {"temperature": 0}}
    asked: dict[str, Any] = {"model": MODEL, "messages": SAID, **greedy}
    with_tools = {"tools": [TOOL], "tool_choice": {"type": "any"}}

    def counted(usage: Any) -> tuple[int, int]:
        return usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens

    def plain() -> Counted:
        found = messages.create(**asked)
        return found.content[0].text, *counted(found.usage)

    def stream() -> Counted:
        with messages.stream(**asked, system="You are a painter.") as events:
            text = "".join(events.text_stream)
            usage = events.get_final_message().usage
        return text, *counted(usage)

    def agent() -> Counted:
        with messages.stream(**asked, **with_tools) as events:
            first = events.get_final_message()
        call = next(block for block in first.content if block.type == "tool_use")
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "The wall has its color."}
        said = [*SAID, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        with messages.stream(**asked | {"messages": said}, tools=[TOOL]) as events:
            last = events.get_final_message()
        both = zip(counted(first.usage), counted(last.usage), strict=True)
        return f"{call.name}({json.dumps(call.input)})", *map(sum, both)

    def count() -> Counted:
        return str(messages.count_tokens(model=MODEL, messages=SAID).input_tokens), 0, 0

    yield from {"messages": plain, "messages, a stream": stream, "an agent's tool": agent, "tokens": count}.items()


def langchain_client() -> Iterator[tuple[str, Callable[[], Counted]]]:
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(base_url=f"{ROOT}/v1", api_key=KEY, model=MODEL, **GREEDY)

    def counted(text: str, usage: Any) -> Counted:
        return text, usage["input_tokens"], usage["output_tokens"]

    def plain() -> Counted:
        found = chat.invoke(QUESTION)
        return counted(found.content, found.usage_metadata)

    def stream() -> Counted:
        pieces = list(chat.stream(QUESTION, stream_usage=True))
        whole = sum(pieces[1:], pieces[0])
        return counted(whole.content, whole.usage_metadata)

    def tools() -> Counted:
        found = chat.bind_tools([FUNCTION], tool_choice="required").invoke(QUESTION)
        call = found.tool_calls[0]
        return counted(f"{call['name']}({json.dumps(call['args'])})", found.usage_metadata)

    def schema() -> Counted:
        bound = chat.with_structured_output({"title": "color", **COLORS}, method="json_schema", include_raw=True)
        found = bound.invoke(QUESTION)
        return counted(json.dumps(found["parsed"]), found["raw"].usage_metadata)

    yield from {
        "chat": plain,
        "chat, a stream": stream,
        "chat with tools": tools,
        "chat with a JSON schema": schema,
    }.items()


def litellm_client() -> Iterator[tuple[str, Callable[[], Counted]]]:
    # It would ask GitHub for prices.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    at = {"api_base": f"{ROOT}/v1", "api_key": KEY}

    def plain() -> Counted:
        found = litellm.completion(model=f"openai/{MODEL}", messages=SAID, max_tokens=8, **at)
        return found.choices[0].message.content, found.usage.prompt_tokens, found.usage.completion_tokens

    def stream() -> Counted:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        pieces = list(litellm.completion(model=f"openai/{MODEL}", messages=SAID, max_tokens=8, **options, **at))
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        usage = next(piece.usage for piece in pieces if getattr(piece, "usage", None))
        return text, usage.prompt_tokens, usage.completion_tokens

    def response() -> Counted:
        found = litellm.responses(model=f"openai/{MODEL}", input=QUESTION, max_output_tokens=8, **at)
        return found.output[0].content[0].text, found.usage.input_tokens, found.usage.output_tokens

    def message() -> Counted:
        found = litellm.completion(
            model=f"anthropic/{MODEL}", messages=SAID, max_tokens=8, api_base=ROOT, api_key=KEY
        )
        return found.choices[0].message.content, found.usage.prompt_tokens, found.usage.completion_tokens

    yield from {"chat": plain, "chat, a stream": stream, "responses": response, "messages": message}.items()


CLIENTS = {
    "openai": openai_client,
    "anthropic": anthropic_client,
    "langchain-openai": langchain_client,
    "litellm": litellm_client,
}


def main() -> None:
    found = []
    for client, tasks in CLIENTS.items():
        for task, ask in tasks():
            try:
                text, prompt, answer = ask()
                one = {"text": text, "prompt_tokens": prompt, "completion_tokens": answer}
            except Exception as error:
                one = {"error": f"{type(error).__name__}: {error}"[:500]}
            found.append({"client": client, "task": task, **one})
    print(json.dumps(found))


main()
