"""The fixtures that only pytest-asyncio can run; the plugin imports them where that is installed.

There is one for each scope that an event loop of pytest-asyncio may have: a client belongs to one
loop, and that must be the test's.
"""

from __future__ import annotations

import inspect
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
# Before 0.24 a fixture had the loop of its own scope, and no other.
_KNOWS_LOOP_SCOPES = "loop_scope" in inspect.signature(pytest_asyncio.fixture).parameters


def _fixture(scope: _Scope) -> Any:
    options: dict[str, Any] = {"loop_scope": scope} if _KNOWS_LOOP_SCOPES else {}

    @pytest_asyncio.fixture(name=f"_yunxin_client_of_asyncio_{scope}", **options)
    async def client(yunxin_sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
        async for opened in open_client(yunxin_sandbox):
            yield opened

    return client


globals().update({f"_in_{scope}_loop": _fixture(scope) for scope in _SCOPES})


def fixture_for(request: pytest.FixtureRequest) -> str:
    """Return the name of the fixture whose loop is that of the test which asks."""
    marker = request.node.get_closest_marker("asyncio")
    given = {} if marker is None else marker.kwargs
    scope = given.get("loop_scope") or given.get("scope") or _default_scope(request.config)
    return f"_yunxin_client_of_asyncio_{scope}"


def _default_scope(config: pytest.Config) -> str:
    try:
        return str(config.getini("asyncio_default_test_loop_scope"))
    except ValueError:  # before 1.0 there was no such setting
        return "function"
