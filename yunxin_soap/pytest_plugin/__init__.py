"""Fixtures for tests of code that sends SMS: a sandbox gateway, and clients of it.

pytest finds this plugin once the package is installed. The fixtures need the extra ``sandbox``.
Nothing heavy is imported before a test uses a fixture, so the plugin costs other test runs nothing.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from yunxin_soap.pytest_plugin import options, sockets
from yunxin_soap.pytest_plugin.options import YunxinOptions

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.client import Client
    from yunxin_soap.sandbox import Sandbox
    from yunxin_soap.settings import Settings

__all__ = ["YunxinOptions"]


@pytest.fixture(scope="session")
def _yunxin_server() -> Iterator[Sandbox]:
    from yunxin_soap.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def yunxin_sandbox(_yunxin_server: Sandbox) -> Iterator[Sandbox]:
    """A sandbox gateway on a free TCP port of this machine, empty at the start of each test.

    ``.url`` is its endpoint, ``.inbox`` holds the accepted arrivals and ``.arrivals`` all of them.
    ``.inject_fault()`` makes submissions fail. ``.assert_sent()``, ``.assert_not_sent()`` and
    ``.assert_nothing_sent()`` check what was accepted.
    """
    _yunxin_server.clear()
    accounts = _yunxin_server.gateway.accounts
    yield _yunxin_server
    _yunxin_server.gateway.accounts = accounts


@pytest.fixture
def yunxin_options() -> YunxinOptions:
    """The options of the fixtures' clients that differ from the defaults. Override it.

    The marker ``yunxin`` takes precedence over it, and it over the ini options ``yunxin_...``.
    """
    return {}


@pytest.fixture
def _yunxin_settings(
    request: pytest.FixtureRequest, yunxin_sandbox: Sandbox, yunxin_options: YunxinOptions
) -> Settings:
    return options.make_settings(request, yunxin_options, yunxin_sandbox)


@pytest.fixture
def yunxin_env(yunxin_sandbox: Sandbox, _yunxin_settings: Settings) -> Iterator[Sandbox]:
    """The sandbox, with `Client.from_env` sending to it: the ``YUNXIN_*`` variables name it.

    If Django is in use, ``settings.YUNXIN`` does, too. All is as before after the test.
    """
    with pytest.MonkeyPatch.context() as patch, options.override_django(_yunxin_settings):
        options.set_variables(_yunxin_settings, patch)
        yield yunxin_sandbox


@pytest.fixture
def yunxin_client(_yunxin_settings: Settings) -> Iterator[Client]:
    """A `Client` of the sandbox: account demo / demo, channel 37, signature 签名, by default."""
    from yunxin_soap.client import Client

    with Client.from_settings(_yunxin_settings) as client:
        yield client


@pytest.fixture
async def _yunxin_anyio_client(
    _yunxin_settings: Settings, anyio_backend_name: str
) -> AsyncIterator[AsyncClient]:
    from yunxin_soap.async_client import AsyncClient

    if anyio_backend_name != "asyncio":
        pytest.fail(
            "yunxin_async_client supports asyncio only: make the fixture anyio_backend return"
            " 'asyncio'.",
            pytrace=False,
        )
    async with AsyncClient.from_settings(_yunxin_settings) as client:
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


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini options."""
    options.add_ini_options(parser)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let a test of the sandbox reach it where pytest-socket blocks the network."""
    sockets.allow_loopback(item)


def pytest_runtest_setup() -> None:
    """Empty the outbox of a Django project, as pytest-django empties that of mail."""
    testing = sys.modules.get("yunxin_soap.django.testing")
    if testing is not None:
        testing.outbox.clear()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the fixtures for pytest-asyncio if it is active."""
    config.addinivalue_line(
        "markers",
        "yunxin(signature=..., protocol=..., ...): the options of the yunxin fixtures in this test",
    )
    if _has_pytest_asyncio(config):
        config.pluginmanager.import_plugin("yunxin_soap.pytest_plugin.asyncio_fixtures")


def _has_pytest_asyncio(config: pytest.Config) -> bool:
    # It is registered by its entry point, or under its module name by -p pytest_asyncio.plugin.
    return any(map(config.pluginmanager.hasplugin, ("asyncio", "pytest_asyncio.plugin")))
