"""Fixtures for tests of code that sends SMS: a sandbox gateway, and clients of it.

pytest finds this by itself once the package is installed. Nothing heavy is imported before a test
asks for a fixture; they need the extra ``sandbox``, the asynchronous client ``async`` as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.client import Client
    from yunxin_soap.sandbox import Sandbox

SETTINGS: dict[str, Any] = {"channel": "37", "signature": "签名", "timeout": 10.0, "retries": 0}
"""What the clients of the fixtures are built with, beside the account demo / demo."""


@pytest.fixture(scope="session")
def _yunxin_server() -> Iterator[Sandbox]:
    from yunxin_soap.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def yunxin_sandbox(_yunxin_server: Sandbox) -> Iterator[Sandbox]:
    """A sandbox gateway on a port of this machine, clean for each test.

    ``.url`` is the endpoint, ``.inbox`` what was accepted, ``.record`` all that arrived;
    ``.inject_fault()`` and ``.faults()`` make it fail, ``.assert_sent()`` says what is missing.
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


async def open_client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    """Give an `AsyncClient` of the sandbox, in the event loop of who asks."""
    from yunxin_soap.async_client import AsyncClient

    async with AsyncClient("demo", "demo", endpoint=sandbox.url, **SETTINGS) as client:
        yield client


@pytest.fixture
async def _yunxin_client_of_anyio(
    yunxin_sandbox: Sandbox, anyio_backend_name: str
) -> AsyncIterator[AsyncClient]:
    if anyio_backend_name != "asyncio":
        pytest.fail(
            "yunxin_async_client runs on asyncio alone: have the fixture anyio_backend return"
            " 'asyncio'.",
            pytrace=False,
        )
    async for client in open_client(yunxin_sandbox):
        yield client


@pytest.fixture
def yunxin_async_client(request: pytest.FixtureRequest) -> AsyncClient:
    """An `AsyncClient` of the sandbox, for tests of pytest-asyncio and of anyio on asyncio.

    It belongs to the event loop of the test, whatever that loop's scope.
    """
    by_anyio = "anyio_backend" in request.fixturenames
    if not by_anyio and not _has_pytest_asyncio(request.config):
        raise pytest.UsageError(
            "yunxin_async_client needs pytest-asyncio, or anyio and a test that is marked for it."
        )
    if by_anyio:
        name = "_yunxin_client_of_anyio"
    else:
        from yunxin_soap.pytest_plugin.asyncio_fixtures import fixture_for

        name = fixture_for(request)
    client: AsyncClient = request.getfixturevalue(name)
    return client


def pytest_configure(config: pytest.Config) -> None:
    """Make the fixtures that only pytest-asyncio can run, if it is there."""
    if _has_pytest_asyncio(config):
        config.pluginmanager.import_plugin("yunxin_soap.pytest_plugin.asyncio_fixtures")


def _has_pytest_asyncio(config: pytest.Config) -> bool:
    # By its entry point, or as ``-p pytest_asyncio.plugin``.
    return any(map(config.pluginmanager.hasplugin, ("asyncio", "pytest_asyncio.plugin")))
