"""The requests that prove a service at its gateways, and what counts as an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from rackwright.launch import Task
from rackwright.lifecycle.client.request import Request, Response
from rackwright.lifecycle.session.session import Session
from rackwright.roles.replica.embedding import embedding_body, parse_embedding
from rackwright.values.secrets import Secret

_QUESTION = "Name three colors."
_PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Case:
    what: str
    request: Request
    judge: Callable[[Response], tuple[bool, str]]
    """Returns whether it passed, and what was found."""
    answer: bool = False
    """Whether the response, if it passed, is the service's answer to a client. A refusal isn't."""


def cases(session: Session, address: str, name: str, key: Secret) -> tuple[Case, ...]:
    """Return the cases at a gateway's address that prove this served name: what clients ask its model for."""
    if _task(session, name) is Task.EMBED:
        return (_embedding(session, address, name, key),)
    return (_completion(session, address, name, key), _stream(session, address, name, key))


def _task(session: Session, name: str) -> Task:
    return next(model.task for model in session.fleet.file.models.values() if name in model.served)


def _embedding(session: Session, address: str, name: str, key: Secret) -> Case:
    body = embedding_body(name)
    request = Request(address, session.fleet.file.gateway.domain, "/v1/embeddings", body, key)
    return Case(f"{name}: an embedding", request, _embedded, answer=True)


def _completion(session: Session, address: str, name: str, key: Secret) -> Case:
    request = Request(address, session.fleet.file.gateway.domain, _PATH, _body(name), key)
    return Case(f"{name}: a completion", request, _answered, answer=True)


def _stream(session: Session, address: str, name: str, key: Secret) -> Case:
    request = Request(address, session.fleet.file.gateway.domain, _PATH, _body(name, stream=True), key)
    return Case(f"{name}: a stream", request, _streamed, answer=True)


def unexpected(response: Response) -> str:
    """Describe an unexpected answer in a few words."""
    return f"HTTP {response.status} {response.problem} {' '.join(response.body.split())[:200]}".strip()


def _body(name: str, *, stream: bool = False) -> str:
    message = {"role": "user", "content": _QUESTION}
    return json.dumps({"model": name, "messages": [message], "max_tokens": 16, "temperature": 0, "stream": stream})


def _answered(response: Response) -> tuple[bool, str]:
    text = " ".join(response.text.split())
    if response.status == 200 and text:
        return True, f"{text[:60]!r} in {response.seconds:.2f} s"
    return False, unexpected(response)


def _embedded(response: Response) -> tuple[bool, str]:
    found = parse_embedding(response.body) if response.status == 200 else None
    return (True, f"{found.short} in {response.seconds:.2f} s") if found else (False, unexpected(response))


def _streamed(response: Response) -> tuple[bool, str]:
    if response.status == 200 and response.text and response.whole_stream:
        return True, f"{response.body.count('data: {')} chunks in {response.seconds:.2f} s"
    return False, unexpected(response)
