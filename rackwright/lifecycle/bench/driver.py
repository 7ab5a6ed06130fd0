"""One measurement by guidellm. Runs as a program in guidellm's own environment; no module of rackwright imports it.

Standard input is one JSON object (`Order` of `measure.py`). It contains the API key, which is therefore in no
argument, environment variable or file. guidellm's own report is written to the path in the order.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import types
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

WAY = "RACKWRIGHT_BENCH_WAY"
"""Environment variable that passes the way to worker processes; it contains no secret."""
LOADER = "guidellm.data.loaders.torch"
CONNECT_SECONDS = 5
KINDS = ("successful", "errored", "incomplete")
FIGURES = ("input_metrics", "output_metrics", "time_to_first_token_ms", "inter_token_latency_ms", "request_latency")


class PlainLoader:
    """Returns the rows one after another. guidellm's own loader uses torch for this, which needs gigabytes."""

    def __init__(self, config: Any, datasets: Any, preprocessors: Any, finalizer: Any, **_: Any) -> None:
        self._datasets, self._preprocessors, self._finalizer = datasets, preprocessors, finalizer
        for preprocessor in preprocessors:
            if hasattr(preprocessor, "setup_data"):
                preprocessor.setup_data(datasets=datasets)
        self.info = config.model_dump(mode="json")

    def __iter__(self) -> Iterator[Any]:
        for rows in zip(*self._datasets, strict=True):
            row: Any = [{"dataset": item} for item in rows]
            for preprocessor in self._preprocessors:
                row = preprocessor(row)
            yield self._finalizer(row)


def fit_in() -> None:
    """Make guidellm work without torch, and send its requests by the way in the environment variable, which worker
    processes find there."""
    stand_in = types.ModuleType(LOADER)
    vars(stand_in)["TorchDataLoader"] = PlainLoader
    sys.modules[LOADER] = stand_in
    import_module("guidellm.data.loaders").DataLoaderRegistry.register("pytorch")(PlainLoader)
    backend = import_module("guidellm.backends.openai.http").OpenAIHTTPBackend
    original = backend.process_startup

    async def process_startup(self: Any) -> None:
        await original(self)
        await self._async_client.aclose()
        self._async_client = client(json.loads(os.environ[WAY]))

    backend.process_startup = process_startup
    if json.loads(os.environ.get(WAY, "{}")).get("recorded"):
        send_as_recorded()


def send_as_recorded() -> None:
    """Make guidellm send each prompt as the whole body of a chat completion: it is one, in JSON."""
    handler = import_module("guidellm.backends.openai.request_handlers").ChatCompletionsRequestHandler
    original = handler.format

    def format(self: Any, data: Any, history: Any = None, **words: Any) -> Any:
        arguments = original(self, data, history=history, **words)
        arguments.body = json.loads(data.columns["text_column"][0])
        return arguments

    handler.format = format


def recorded_report(report: dict[str, Any], last: float) -> dict[str, Any]:
    """Return of a report what `report.py` reads of the requests up to the moment `last`.

    Neither a request nor an answer is in it, because these are clients' own. A request after `last` is there because
    guidellm sometimes ends before it has counted the last one.
    """
    return {"benchmarks": [_recorded(benchmark, last) for benchmark in report["benchmarks"]]}


def _recorded(benchmark: dict[str, Any], last: float) -> dict[str, Any]:
    requests = {kind: [one for one in benchmark["requests"][kind] or () if _at(one) <= last] for kind in KINDS}
    return {
        "duration": _duration([one["info"]["timings"] for found in requests.values() for one in found]),
        "warnings": benchmark["warnings"],
        "requests": {kind: [_figures(one) for one in found] for kind, found in requests.items()},
    }


def _at(request: dict[str, Any]) -> float:
    return float(request["info"]["settings"]["relative_timestamp"])


def _duration(timings: list[dict[str, Any]]) -> float:
    starts = [found["targeted_start"] for found in timings if found["targeted_start"]]
    ends = [end for found in timings if (end := found["request_end"] or found["resolve_end"])]
    return max(ends) - min(starts) if starts and ends else 0.0


def _figures(request: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: request.get(name) for name in FIGURES}
    return {**kept, "info": {"error": request["info"].get("error")}}


def client(way: dict[str, str]) -> Any:
    """Return an HTTP client for a Unix socket, or for a gateway's address, which it calls by the gateway's name.

    It trusts only the given CA and never uses a proxy.
    """
    httpx = import_module("httpx")

    async def lead(request: Any) -> None:
        # The Host header is set already, so name and certificate are the gateway's, whatever its address is.
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host=way["address"])

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
    if way.get("socket"):
        transport = httpx.AsyncHTTPTransport(uds=way["socket"], limits=limits)
        return httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False)
    trusted = ssl.create_default_context(cadata=way["ca"])
    return httpx.AsyncClient(
        verify=trusted, timeout=timeout, limits=limits, trust_env=False, event_hooks={"request": [lead]}
    )


def main() -> None:
    order = json.load(sys.stdin)
    os.environ[WAY] = json.dumps(order["way"])
    if order["way"].get("recorded"):
        send_as_recorded()
    scenario = import_module("guidellm.schemas.benchmark").BenchmarkScenario(spec=order["spec"])
    measure = import_module("guidellm.benchmark.entrypoints").benchmark_generative_text
    report, _ = asyncio.run(measure(scenario, progress=False, console=None))
    text = report.model_dump_json()
    if order["way"].get("recorded"):
        text = json.dumps(recorded_report(json.loads(text), order["last"]))
    Path(order["report"]).write_text(text, encoding="utf-8")


if __name__ in ("__main__", "__mp_main__"):
    fit_in()
if __name__ == "__main__":
    main()
