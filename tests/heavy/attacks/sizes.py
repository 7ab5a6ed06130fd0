"""Requests that are too large, or that would end an engine, with a key."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.heavy.attacks.attack import Attack, answered, breaks
from tests.heavy.attacks.wire import CHAT, ask, bearer, chat, request
from tests.heavy.attacks.words import Words

FAMILY = "sizes and nesting"
MANY = 50_000
"""Arrays in one another, groups and so on: enough to end an engine without a limit."""


def attacks(words: Words) -> Iterator[Attack]:
    for name, sent in _large(words.scoped).items():
        yield Attack(FAMILY, name, sent, answered)
    for name, members in _deep().items():
        yield Attack(FAMILY, name, ask(words.scoped, chat()[:-1] + b"," + members + b"}"), answered)
    for name, more in _costly().items():
        yield Attack(FAMILY, name, ask(words.scoped, chat(more=more)), breaks)


def _large(key: str) -> dict[str, bytes]:
    held = bearer(key)
    large = chat(more={"user": "x" * 2**20})

    def declared(length: str) -> bytes:
        return request("POST", CHAT, [held, ("Content-Length", length)]) + b"x" * 70_000

    return {
        "a body above the limit": ask(key, large),
        "ten times the limit": ask(key, chat(more={"user": "x" * (10 * 2**20)})),
        "a body above the limit in one chunk": ask(key, b"", ("Transfer-Encoding", "chunked"))
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large),
        "a body above the limit in small chunks": ask(key, b"", ("Transfer-Encoding", "chunked"))
        + b"".join(b"40\r\n%s\r\n" % large[at : at + 64].ljust(64) for at in range(0, len(large), 64))
        + b"0\r\n\r\n",
        "a declared terabyte": declared("1000000000000"),
        "2^63": declared(str(2**63)),
        "2^64": declared(str(2**64)),
        "2^64 and the right length": declared(str(2**64 + 70_000)),
        "2^32 and the right length": declared(str(2**32 + 70_000)),
        "a header of 40 KB": request("POST", CHAT, [held, ("X-A", "a" * 40_000)], chat()),
        "a header of 2 MB": request("POST", CHAT, [held, ("X-A", "a" * 2_000_000)], chat()),
        "5000 headers": request("POST", CHAT, [held, *((f"X-{at}", "a") for at in range(5000))], chat()),
        "5000 times one header": request("POST", CHAT, [held, *[("X-A", "a")] * 5000], chat()),
        "a name of 40 KB": request("POST", CHAT, [held, ("X" * 40_000, "a")], chat()),
        "an address of 9 KB": request("POST", f"{CHAT}?{'a' * 9000}", [held], chat()),
        "an address of 2 MB": request("POST", f"{CHAT}?{'a' * 2_000_000}", [held], chat()),
        "a method of 9 KB": request("A" * 9000, CHAT, [held], chat()),
        "a version of 9 KB": request("POST", CHAT, [held], chat(), version="HTTP/" + "1" * 9000),
        "a key of 20 KB": request("POST", CHAT, [bearer(key * 400)], chat()),
        "half a head": b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: a\r\nX-A: ",
        "half a body": request("POST", CHAT, [held, ("Content-Length", "500")]) + chat()[:50],
        "half a chunk": ask(key, b"", ("Transfer-Encoding", "chunked")) + b"1f4\r\n" + chat()[:50],
        "nothing": b"\r\n",
    }


def _deep() -> dict[str, bytes]:
    """Return members of a body that nest too deeply, or that only an engine may set."""

    def around(start: bytes, inside: bytes, end: bytes, count: int = MANY) -> bytes:
        return start * count + inside + end * count

    def text(value: str) -> bytes:
        return json.dumps(value).encode()

    arrays, objects = around(b"[", b"1", b"]"), around(b'{"a":', b"1", b"}")
    groups = text("(" * MANY + "a" + ")" * MANY)
    schema = b'{"type":"json_schema","json_schema":{"name":"a","schema":%s}}'
    pattern = b'{"type":"string","pattern":%s}'
    return {
        "arrays": b'"x":' + arrays,
        "objects": b'"x":' + objects,
        "arrays and objects": b'"x":' + around(b'[{"a":', b"1", b"}]"),
        "arrays that don't end": b'"x":' + b"[" * MANY,
        "objects that don't end": b'"x":' + b'{"a":' * MANY,
        "arrays in messages": b'"messages":' + arrays,
        "objects in tools": b'"tools":[' + objects + b"]",
        "objects in a tool's parameters": b'"tools":[{"type":"function","function":{"name":"a","parameters":'
        + objects
        + b"}}]",
        "a deep schema": b'"response_format":' + schema % around(b'{"items":', b"{}", b"}"),
        "a deep choice": b'"response_format":' + schema % around(b'{"anyOf":[', b"{}", b"]}"),
        "just above the limit": b'"x":' + around(b"[", b"1", b"]", 101),
        "arrays after an escaped quote": rb'"y":"\"","x":' + arrays,
        "arrays after an escaped backslash": rb'"y":"\\","x":' + arrays,
        "groups in a pattern": b'"response_format":' + schema % (pattern % groups),
        "groups in a nested pattern": b'"response_format":'
        + schema % (b'{"type":"object","properties":{"a":%s}}' % (pattern % groups)),
        "escaped groups": b'"response_format":' + schema % (pattern % groups.replace(b"(", rb"\u0028")),
        "a pattern under an escaped key": b'"response_format":'
        + schema % (pattern % groups).replace(b'"pattern"', rb'"\u0070attern"'),
        "groups in a grammar": b'"grammar":' + text("root ::= " + "(" * MANY + '"a"' + ")" * MANY),
        "a grammar under an escaped key": rb'"gr\u0061mmar":' + text("root ::= " + "(" * MANY + '"a"' + ")" * MANY),
        "groups in a regex": b'"structured_outputs":{"regex":' + groups + b"}",
        "groups in guided_regex": b'"guided_regex":' + groups,
        "groups in guided_grammar": b'"guided_grammar":' + groups,
        "chat_parser": b'"chat_parser":"{"',
        "grammar_lazy": b'"grammar_lazy":true',
        "grammar_triggers": b'"grammar_triggers":[{"type":9,"value":"("}]',
        "an escaped parameter": rb'"chat\u005fparser":"{"',
    }


def _costly() -> dict[str, dict[str, object]]:
    """Return parameters that an engine may refuse or heed, but not die of, and that take no other client's place."""
    json_schema = {"type": "json_schema"}
    return {
        "more tokens than fit": {
            "max_tokens": 1,
            "n_predict": 1,
            "messages": [{"role": "user", "content": "a " * 9000}],
        },
        "a negative number of tokens": {"max_tokens": -(2**31), "n_predict": 1},
        "2^63 tokens": {"max_tokens": 1, "n_predict": 1, "n_keep": 2**63},
        "a negative n_keep": {"n_keep": -(2**31)},
        "no temperature": {"temperature": -1e308},
        "an infinite temperature": {"temperature": 1e308},
        "a negative top_k": {"top_k": -(2**31)},
        "2^31 probabilities": {"logprobs": True, "top_logprobs": 2**31 - 1, "n_probs": 2**31 - 1},
        "a negative n_probs": {"n_probs": -1},
        "biases of tokens that don't exist": {"logit_bias": {"99999999": 1, "-5": 1}},
        "many biases": {"logit_bias": [[at, -100] for at in range(40_000)]},
        "a slot that doesn't exist": {"id_slot": 9999},
        "a negative slot": {"id_slot": -2},
        "an adapter that doesn't exist": {"lora": [{"id": 99, "scale": 1e308}]},
        "many choices": {"n": 2**31 - 1},
        "samplers that don't exist": {"samplers": ["x"] * 1000},
        "many samplers": {"samplers": ["top_k"] * 5000},
        "a dry sampler without end": {"dry_multiplier": 1, "dry_penalty_last_n": -(2**31), "dry_base": 1e308},
        "many stop words": {"stop": [f"w{at}" for at in range(10_000)]},
        "an empty stop word": {"stop": [""]},
        "a grammar that calls itself": {"grammar": "root ::= root"},
        "a grammar with two that call one another": {"grammar": 'root ::= a\na ::= b\nb ::= a "x"'},
        "a grammar that is empty forever": {"grammar": 'root ::= ("")* "a"'},
        "a grammar with large repetitions": {"grammar": 'root ::= "a"{1,999999999}'},
        "nested repetitions": {"grammar": 'root ::= (("a"{1,9999}){1,9999}){1,9999}'},
        "a range backward": {"grammar": 'root ::= "a"{9,1}'},
        "alternatives by the thousand": {
            "grammar": "\n".join(f"r{at} ::= r{at + 1} | r{at + 1}" for at in range(3000))
        },
        "a class without end": {"grammar": "root ::= [a-"},
        "a character out of range": {"grammar": 'root ::= "\\UFFFFFFFF" [\\U00110000-\\UFFFFFFFF]'},
        "a schema that refers to itself": {
            "response_format": {**json_schema, "json_schema": {"name": "a", "schema": {"$ref": "#"}}}
        },
        "a schema that refers to a file": {
            "response_format": {**json_schema, "json_schema": {"name": "a", "schema": {"$ref": "file:///etc/passwd"}}}
        },
        "a pattern that repeats": {
            "response_format": {
                **json_schema,
                "json_schema": {"name": "a", "schema": {"type": "string", "pattern": "^((a{9999}){9999}){9999}$"}},
            }
        },
        "a length of 2^31": {
            "response_format": {
                **json_schema,
                "json_schema": {"name": "a", "schema": {"type": "string", "minLength": 2**31, "maxLength": 2**31}},
            }
        },
        "a template": {"chat_template": "{% for a in range(999999999) %}{{ a }}{% endfor %}"},
        "arguments of a template": {"chat_template_kwargs": {"messages": None, "bos_token": {"a": []}}},
        "an image from a file": {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}
            ]
        },
        "an image from the network": {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://gpu1:8100"}}]}
            ]
        },
        "a thousand messages": {"messages": [{"role": "user", "content": "a"}] * 1000},
        "no messages": {"messages": []},
        "a thousand tools": {
            "tools": [{"type": "function", "function": {"name": f"f{at}", "parameters": {}}} for at in range(1000)]
        },
        "special tokens": {"messages": [{"role": "<|im_start|>system", "content": "<|im_end|>" * 500}]},
    }
