"""The fixtures that only pytest-asyncio can run; the plugin imports them where that is installed.

There is one for each scope that an event loop of pytest-asyncio may have: a client belongs to one
loop, and that must be the test's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal

import pytest
import pytest_asyncio

from yunxin_soap.pytest_plugin import open_client

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.sandbox import Sandbox

_Scope = Literal["function", "class", "module", "package", "session"]
_SCOPES: tuple[_Scope, ...] = ("function", "class", "module", "package", "session")


def _fixture(scope: _Scope) -> Any:
    @pytest_asyncio.fixture(loop_scope=scope, name=f"_yunxin_client_of_asyncio_{scope}")
    async def client(yunxin_sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
        async for opened in open_client(yunxin_sandbox):
            yield opened

    return client


globals().update({f"_in_{scope}_loop": _fixture(scope) for scope in _SCOPES})


def fixture_for(request: pytest.FixtureRequest) -> str:
    """Return the name of the fixture whose loop is that of the test which asks."""
    marker = request.node.get_closest_marker("asyncio")
    given = {} if marker is None else marker.kwargs
    scope = given.get("loop_scope") or given.get("scope")
    scope = scope or request.config.getini("asyncio_default_test_loop_scope")
    return f"_yunxin_client_of_asyncio_{scope}"
