"""The fixture that only pytest-asyncio can run; the plugin imports it where that is installed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest_asyncio

from yunxin_soap.pytest_plugin import open_client

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.sandbox import Sandbox


@pytest_asyncio.fixture
async def _yunxin_client_of_asyncio(yunxin_sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    async for client in open_client(yunxin_sandbox):
        yield client
