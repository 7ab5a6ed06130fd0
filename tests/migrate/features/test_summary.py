"""What traffic adds up to, and the map that follows from it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_core import to_json

from rackwright.migrate.features import summary as summaries
from rackwright.migrate.features.bodies import CHAT
from rackwright.migrate.features.mapping import mapping
from rackwright.migrate.features.summary import summary
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.redact import Redactor
from rackwright.migrate.request_size import body_size

NOON = 1796040000.0
"""2026-11-30 12:00 UTC."""


def request(number: int = 1, model: str = "gpt-4o", text: str = "x" * 400, **more: Any) -> RecordedRequest:
    known = {name: more.pop(name) for name in ("arrived", "prompt_tokens", "completion_tokens") if name in more}
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return RecordedRequest(id=f"r{number}", path=CHAT, model=model, body=body, origin="capture", **known)


def test_counts_by_model_and_known_tokens_are_kept_apart_from_estimated_ones() -> None:
    found = summary(
        [
            request(1, prompt_tokens=100, completion_tokens=20, stream=True),
            request(2, prompt_tokens=50, n=2),
            request(3, text="x" * 4000, stream=True),
            request(4, model="gpt-4o-mini"),
        ]
    )
    assert found.requests == 4
    traffic = found.models["gpt-4o"]
    assert (traffic.requests, traffic.features) == (3, {"endpoint.chat": 3, "stream": 2, "n": 1})
    assert traffic.tokens.model_dump() == {
        "known_requests": 2,
        "prompt": 150,
        "completion": 20,
        "estimated_requests": 1,
        "estimated_prompt": 1001,
    }
    assert found.models["gpt-4o-mini"].requests == 1


def test_arrivals_are_counted_by_hour_with_the_busiest_minute() -> None:
    times = [NOON, NOON + 1, NOON + 59, NOON + 60, NOON + 3600, None, 1e18]
    found = summary(request(number, arrived=arrived) for number, arrived in enumerate(times))
    assert found.hours == {"2026-11-30T12": 4, "2026-11-30T13": 1}
    assert (found.busiest_hour, found.busiest_minute, found.per_minute) == ("2026-11-30T12", "2026-11-30T12:00", 3)
    assert (found.first, found.last, found.undated) == (NOON, NOON + 3600, 2)


def test_the_largest_bodies_and_contexts_are_named() -> None:
    sizes = [10, 5000, 20, 3000, 4000, 30, 2000]
    found = summary(request(size, text="x" * size, prompt_tokens=10_000 - size) for size in sizes)
    assert [one.id for one in found.largest_bodies] == ["r5000", "r4000", "r3000", "r2000", "r30"]
    assert [one.id for one in found.largest_contexts] == ["r10", "r20", "r30", "r2000", "r3000"]
    assert not found.largest_contexts[0].estimated


def test_nothing_is_no_traffic() -> None:
    found = summary([])
    assert (found.requests, found.models, found.busiest_hour, found.first) == (0, {}, None, None)


def test_models_features_and_hours_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST_MODELS", "MOST_FEATURES", "MOST_HOURS", "MOST_MINUTES"):
        monkeypatch.setattr(summaries, name, 3)
    found = summary(
        request(n, model=f"m{n}" if n < 5 else "m0", arrived=NOON + 3600 * n, **{f"field{n}": 1}) for n in range(20)
    )
    assert set(found.models) == {"m0", "m1", "m2", "others"}
    assert sum(one.requests for one in found.models.values()) == 20
    assert len(found.models["m0"].features) <= 4
    assert (len(found.hours), found.undated) == (3, 17)


def test_the_map_says_what_changes_and_what_blocks() -> None:
    traffic = summary(
        [
            request(1, functions=[{"name": "a"}], store=True, stream=True, logit_bias={"1": 1}),
            request(2, n=2, frob=1, stop="x"),
        ]
    ).models["gpt-4o"]
    statuses: Any = {"endpoint.chat": "ok", "stream": "ok", "functions": "ignored", "store": "ignored"}
    statuses |= {"n": "rejected", "logit_bias": "rejected", "unknown.frob": "ignored"}
    found = mapping(traffic, statuses, waivers={"store": "we keep them ourselves"})
    assert {one.feature: one.kind for one in found.changes} == {
        "functions": "rewritten",
        "store": "ignored",
        "logit_bias": "refused",
        "n": "rewritten",
        "unknown.frob": "ignored",
        "stop": "unknown",
    }
    waived = {one.feature for one in found.changes if one.waiver}
    assert waived == {"store"}
    assert next(one.instead for one in found.changes if one.feature == "functions") == "use `tools` and `tool_choice`"


def test_prompts_that_need_a_change_are_named_apart() -> None:
    messages = [{"role": "developer", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]
    one = RecordedRequest(id="1", path=CHAT, model="m", body={"messages": messages}, origin="jsonl")  # type: ignore[arg-type]
    traffic = summary([one]).models["m"]
    found = mapping(traffic, {"role.developer": "rejected", "images": "rejected", "endpoint.chat": "ok"})
    assert {one.feature: one.kind for one in found.prompts} == {"role.developer": "rewritten", "images": "refused"}
    assert found.changes == ()


@pytest.mark.parametrize(
    ("context", "too_long"), [(4096, 2), (5120, 1), (8192, 1), (16384, 1), (32768, 0), (None, 0)]
)
def test_requests_that_may_not_fit_into_the_context_are_counted(context: int | None, too_long: int) -> None:
    traffic = summary(
        [
            request(1, prompt_tokens=100),
            request(2, prompt_tokens=4000, max_tokens=1000),
            request(3, prompt_tokens=30_000),
        ]
    ).models["gpt-4o"]
    assert mapping(traffic, {}, context=context).too_long == too_long


def test_bodies_that_the_gateways_refuse_are_counted_with_the_images_that_were_replaced() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * 1000}}
    large = request(1, messages=[{"role": "user", "content": [image]}])
    redacted = large.model_copy(update={"body": Redactor().body(large.body)})
    size = len(to_json(large.body))
    assert len(to_json(redacted.body)) < 1000
    assert abs(body_size(redacted.body) - size) < 200
    for one in (large, redacted):
        assert summary([one, request(2)], max_request=10_000).models["gpt-4o"].too_large == 1
        assert summary([one, request(2)], max_request=12_000).models["gpt-4o"].too_large == 0
    assert summary([large]).models["gpt-4o"].too_large == 0
    traffic = summary([large, request(2)], max_request=10_000).models["gpt-4o"]
    assert mapping(traffic, {}).too_large == 1
