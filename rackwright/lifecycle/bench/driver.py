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
    """Make guidellm work without torch, and send its requests by the way in the environment variable."""
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
    scenario = import_module("guidellm.schemas.benchmark").BenchmarkScenario(spec=order["spec"])
    measure = import_module("guidellm.benchmark.entrypoints").benchmark_generative_text
    report, _ = asyncio.run(measure(scenario, progress=False, console=None))
    Path(order["report"]).write_text(report.model_dump_json(), encoding="utf-8")


if __name__ in ("__main__", "__mp_main__"):
    fit_in()
if __name__ == "__main__":
    main()
