"""The client fixtures for pytest-asyncio, imported only where it is installed.

A client belongs to one event loop, and that must be the test's. So each scope that a loop of
pytest-asyncio may have gets a fixture of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.settings import Settings

_Scope = Literal["function", "class", "module", "package", "session"]
_SCOPES: tuple[_Scope, ...] = ("function", "class", "module", "package", "session")
# Before pytest-asyncio 0.24, a fixture's loop always had the scope of the fixture.
_HAS_LOOP_SCOPES = "loop_scope" in inspect.signature(pytest_asyncio.fixture).parameters


def _client_fixture(scope: _Scope) -> Any:
    options: dict[str, Any] = {"loop_scope": scope} if _HAS_LOOP_SCOPES else {}

    @pytest_asyncio.fixture(name=f"_yunxin_asyncio_client_{scope}", **options)
    async def client(_yunxin_settings: Settings) -> AsyncIterator[AsyncClient]:
        from yunxin_soap.async_client import AsyncClient

        async with AsyncClient.from_settings(_yunxin_settings) as opened:
            yield opened

    return client


globals().update({f"_client_{scope}": _client_fixture(scope) for scope in _SCOPES})


def fixture_name(request: pytest.FixtureRequest) -> str:
    """Return the name of the fixture that runs in the loop of the requesting test."""
    marker = request.node.get_closest_marker("asyncio")
    arguments = {} if marker is None else marker.kwargs
    scope = (
        arguments.get("loop_scope") or arguments.get("scope") or _default_loop_scope(request.config)
    )
    return f"_yunxin_asyncio_client_{scope}"


def _default_loop_scope(config: pytest.Config) -> str:
    try:
        return str(config.getini("asyncio_default_test_loop_scope"))
    except ValueError:  # the setting came with pytest-asyncio 1.0
        return "function"
