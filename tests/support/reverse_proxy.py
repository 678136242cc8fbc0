"""A reverse proxy with TLS in front of a sandbox, as nginx or an ingress is one."""

from __future__ import annotations

import asyncio
import queue
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
from aiohttp import web
from yarl import URL

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


@contextmanager
def reverse_proxy(
    target: str, prefix: str, tls: ssl.SSLContext, *, keeps_prefix: bool
) -> Iterator[str]:
    """Serve a path over TLS by passing its requests on; yield the origin of the proxy.

    Args:
        target: the origin behind the proxy.
        prefix: the path that the proxy serves.
        tls: the TLS context of the proxy.
        keeps_prefix: whether the requests that it passes on still have the path.
    """
    ready: queue.SimpleQueue[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]]
    ready = queue.SimpleQueue()

    async def main() -> None:
        async with aiohttp.ClientSession(auto_decompress=False) as session:

            async def handle(request: web.BaseRequest) -> web.StreamResponse:
                if not request.raw_path.startswith(prefix):
                    return web.Response(status=404)
                path = request.raw_path if keeps_prefix else request.raw_path[len(prefix) :] or "/"
                headers = _end_to_end(request.headers) | {"X-Forwarded-Proto": "https"}
                async with session.request(
                    request.method,
                    URL(target + path, encoded=True),
                    headers=headers,
                    data=await request.read(),
                    allow_redirects=False,
                ) as answer:
                    response = web.StreamResponse(
                        status=answer.status, headers=_end_to_end(answer.headers)
                    )
                    await response.prepare(request)
                    async for chunk in answer.content.iter_any():
                        await response.write(chunk)
                    await response.write_eof()
                    return response

            server = web.Server(handle, handler_cancellation=True)
            runner = web.ServerRunner(server, shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            stop = asyncio.Event()
            origin = f"https://127.0.0.1:{runner.addresses[0][1]}"
            ready.put((origin, asyncio.get_running_loop(), stop))
            await stop.wait()
            # A TLS connection that is closed in order waits for its client, which may be idle.
            for each in server.connections:
                if each.transport is not None:
                    each.transport.abort()
            await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    origin, loop, stop = ready.get(timeout=20)
    try:
        yield origin
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that a proxy passes on."""
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}
