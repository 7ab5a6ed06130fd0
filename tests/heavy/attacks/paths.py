"""Other paths and methods than clients need, with a key: the gateway's, the proxies' and the engines'."""

from __future__ import annotations

from collections.abc import Iterator

from tests.heavy.attacks.attack import Attack, answered
from tests.heavy.attacks.wire import CHAT, bearer, chat, request
from tests.heavy.attacks.words import Words

FAMILY = "paths and methods"
LLAMA = """
/ /health /metrics /slots /slots/0?action=erase /props /tokenize /detokenize /apply-template /infill /completion
/completions /embedding /embeddings /rerank /reranking /lora-adapters /models /models/load /api/chat /api/show
/api/tags /v1/health /v1/rerank /v1/messages /v1/responses /v1/audio/transcriptions /chat/completions
/cors-proxy?url=http://gpu1
""".split()
VLLM = """
/load /ping /version /server_info /sleep /wake_up /is_sleeping /reset_prefix_cache /reset_mm_cache /collective_rpc
/start_profile /stop_profile /v1/load_lora_adapter /v1/unload_lora_adapter /invocations /pooling /score /classify
/scale_elastic_ep /docs /openapi.json /redoc /inference/v1/generate /pause /resume /abort_requests
""".split()
OURS = """
/ready /stats /haproxy?stats /admin /admin.sock /api-keys /keys.map /.well-known/security.txt /favicon.ico
/server-status
/v1 /v1/ /v1/models/ /v1/models/assistant/files /v1/chat /v1/files /v1/fine_tuning/jobs /v1/batches /v1/assistants
/debug/pprof /.git/config /etc/passwd
""".split()
TRICKS = (
    "/v1/../metrics",
    "/v1/models/../../metrics",
    "/v1/chat/completions/../../../slots",
    "/v1/chat/completions/..",
    "/v1/chat/completions/",
    "/v1/chat/completions/.",
    "/v1/./chat/completions",
    "//v1/chat/completions",
    "/v1//chat/completions",
    "/v1/chat//completions",
    "/v1/%2e%2e/metrics",
    "/v1/%2E%2E%2Fmetrics",
    "/v1%2fmodels",
    "/v1%2Fchat%2Fcompletions",
    "/%76%31/chat/completions",
    "/v1/chat/completion%73",
    "/v1/chat/completions%00",
    "/v1/chat/completions%00.json",
    "/v1/chat/completions%20",
    "/v1/chat/completions%0d%0aX-A:%20b",
    "/v1/chat/completions%3f",
    "/v1/chat/completions%23",
    "/v1/chat/completions;/../../metrics",
    "/v1/chat/completions;a=b",
    "/v1/models;.css",
    "/v1/models%3bjsessionid=1",
    "/v1\\chat\\completions",
    "/v1\\..\\metrics",
    "\\v1\\models",
    "/V1/CHAT/COMPLETIONS",
    "/v1/Models",
    "/v1/chat/completions.json",
    "/metrics?/v1/chat/completions",
    "/metrics;/v1/models",
    "/metrics%3f/v1/models",
    "/v1/%252e%252e/metrics",
    "/v1/..%252fmetrics",
    "/v1/..%c0%afmetrics",
    "/v1/..%ef%bc%8fmetrics",
    "/..;/metrics",
    "/v1/..;/metrics",
    "*",
    "v1/models",
    "?/v1/models",
    "http://gpu1:8100/metrics",
    "https://gpu1:8101/v1/models/..",
    "http://127.0.0.1:18100/",
    "unix:/run/rackwright-gateway/sockets/admin.sock",
    "file:///etc/passwd",
    "gpu1:8100",
    "/v1/models\t/metrics",
    "/\u00ff/../metrics",
)
METHODS = """
HEAD PUT DELETE PATCH OPTIONS TRACE CONNECT PRI PROPFIND MKCOL COPY LOCK SEARCH PURGE TRACK DEBUG QUERY post Post
POSTX GETPOST LINK
""".split()


def attacks(words: Words) -> Iterator[Attack]:
    key = bearer(words.scoped)
    for path in (*LLAMA, *VLLM, *OURS, *TRICKS):
        yield Attack(FAMILY, f"GET {path!r}", request("GET", path, [key]), answered)
    for path in (*LLAMA[1:], *VLLM, *TRICKS):
        yield Attack(FAMILY, f"POST {path!r}", request("POST", path, [key], chat()), answered)
    for method in METHODS:
        yield Attack(FAMILY, f"{method} {CHAT}", request(method, CHAT, [key], chat()), answered)
        yield Attack(FAMILY, f"{method} /v1/models", request(method, "/v1/models", [key]), answered)
    yield Attack(FAMILY, "CONNECT to an engine", request("CONNECT", "gpu1:8100", [key]), answered)
    yield Attack(FAMILY, "CONNECT to a shell", request("CONNECT", "127.0.0.1:22", [key]), answered)
    yield Attack(FAMILY, "GET for a completion", request("GET", CHAT, [key], chat()), answered)
    yield Attack(FAMILY, "POST for the list", request("POST", "/v1/models", [key], chat()), answered)
