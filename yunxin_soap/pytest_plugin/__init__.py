"""Fixtures for tests of code that sends SMS: a sandbox gateway, and clients of it.

pytest finds this plugin once the package is installed. The fixtures need the extra ``sandbox``,
and `yunxin_async_client` the extra ``async`` as well. Nothing heavy is imported before a test uses
a fixture, so the plugin costs other test runs nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from yunxin_soap.pytest_plugin.clients import SETTINGS, open_async_client

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.client import Client
    from yunxin_soap.sandbox import Sandbox


@pytest.fixture(scope="session")
def _yunxin_server() -> Iterator[Sandbox]:
    from yunxin_soap.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def yunxin_sandbox(_yunxin_server: Sandbox) -> Iterator[Sandbox]:
    """A sandbox gateway on a free TCP port of this machine, empty at the start of each test.

    ``.url`` is its endpoint, ``.inbox`` holds the accepted arrivals and ``.arrivals`` all of them.
    ``.inject_fault()`` makes submissions fail, and ``.assert_sent()`` checks what was accepted.
    """
    _yunxin_server.clear()
    accounts = _yunxin_server.gateway.accounts
    yield _yunxin_server
    _yunxin_server.gateway.accounts = accounts


@pytest.fixture
def yunxin_client(yunxin_sandbox: Sandbox) -> Iterator[Client]:
    """A `Client` of the sandbox: account demo / demo, channel 37, signature 签名."""
    from yunxin_soap.client import Client

    with Client("demo", "demo", endpoint=yunxin_sandbox.url, **SETTINGS) as client:
        yield client


@pytest.fixture
async def _yunxin_anyio_client(
    yunxin_sandbox: Sandbox, anyio_backend_name: str
) -> AsyncIterator[AsyncClient]:
    if anyio_backend_name != "asyncio":
        pytest.fail(
            "yunxin_async_client supports asyncio only: make the fixture anyio_backend return"
            " 'asyncio'.",
            pytrace=False,
        )
    async for client in open_async_client(yunxin_sandbox):
        yield client


@pytest.fixture
def yunxin_async_client(request: pytest.FixtureRequest) -> AsyncClient:
    """An `AsyncClient` of the sandbox, for pytest-asyncio and for anyio on asyncio.

    It belongs to the event loop of the test, whatever that loop's scope.
    """
    uses_anyio = "anyio_backend" in request.fixturenames
    if not uses_anyio and not _has_pytest_asyncio(request.config):
        raise pytest.UsageError(
            "yunxin_async_client needs pytest-asyncio, or anyio and a test with its marker."
        )
    if uses_anyio:
        name = "_yunxin_anyio_client"
    else:
        from yunxin_soap.pytest_plugin.asyncio_fixtures import fixture_name

        name = fixture_name(request)
    client: AsyncClient = request.getfixturevalue(name)
    return client


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures for pytest-asyncio if it is active."""
    if _has_pytest_asyncio(config):
        config.pluginmanager.import_plugin("yunxin_soap.pytest_plugin.asyncio_fixtures")


def _has_pytest_asyncio(config: pytest.Config) -> bool:
    # It is registered by its entry point, or under its module name by -p pytest_asyncio.plugin.
    return any(map(config.pluginmanager.hasplugin, ("asyncio", "pytest_asyncio.plugin")))
