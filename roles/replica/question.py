"""The question to an engine whose answer is recorded and compared, by the model's task."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.launch import Task
from rackwright.roles.replica.answer import Answer, Compared, body, compare, parse_answer
from rackwright.roles.replica.embedding import Embedding, compare_embeddings, embedding_body, parse_embedding

GoldenAnswer = Answer | Embedding


@dataclass(frozen=True)
class Question:
    path: str
    body: str
    """JSON."""


def question(task: Task, served_name: str, *, tokens: bool = True) -> Question:
    """Return the question for engines of vLLM and llama-server; `tokens`: ask for the probabilities of tokens."""
    if task is Task.EMBED:
        return Question("/v1/embeddings", embedding_body(served_name))
    return Question("/v1/completions", body(served_name, tokens=tokens))


def parse_golden(output: str) -> GoldenAnswer | None:
    """Given the engine's output, return its answer to either question, or None if there is none."""
    return parse_answer(output) or parse_embedding(output)


def compare_golden(recorded: GoldenAnswer, found: GoldenAnswer) -> Compared:
    """Return whether the answer is the recorded one, up to rounding."""
    if isinstance(recorded, Embedding) and isinstance(found, Embedding):
        return compare_embeddings(recorded, found)
    if isinstance(recorded, Answer) and isinstance(found, Answer):
        return compare(recorded, found)
    return Compared(False, "one of them is an embedding")
