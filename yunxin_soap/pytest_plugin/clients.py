"""The clients that the fixtures open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.sandbox import Sandbox

SETTINGS: dict[str, Any] = {"channel": "37", "signature": "签名", "timeout": 10.0, "retries": 0}
"""The settings of the fixtures' clients, besides the account demo / demo."""


async def open_async_client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    """Yield an `AsyncClient` of the sandbox that belongs to the running event loop."""
    from yunxin_soap.async_client import AsyncClient

    async with AsyncClient("demo", "demo", endpoint=sandbox.url, **SETTINGS) as client:
        yield client
