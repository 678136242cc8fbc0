"""Fixtures for all tests: a sandbox on a real port, the client matrix, TLS certificates."""

from __future__ import annotations

import logging
import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import trustme

from tests.support import summary
from tests.support.client_matrix import CLIENT_VARIANTS, ClientVariant
from tests.support.mariadb import mariadb_server
from tests.support.postgresql import postgresql_server
from tests.support.tls import server_context
from yunxin_soap.sandbox import Sandbox

__all__ = ["mariadb_server", "postgresql_server"]

# On a busy machine a single example may take any time.
hypothesis.settings.register_profile("without deadline", deadline=None)
# For a second Python: ``pytest --hypothesis-profile="few examples"``.
hypothesis.settings.register_profile("few examples", deadline=None, max_examples=20)
# For tests.mutation, which asks only whether a test fails.
hypothesis.settings.register_profile(
    "first failure",
    deadline=None,
    max_examples=20,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
)
hypothesis.settings.load_profile("without deadline")


def pytest_configure(config: pytest.Config) -> None:
    """Ignore a transport that the asyncio of Python 3.10 leaves open when a peer ends TLS."""
    if sys.version_info < (3, 11):
        config.addinivalue_line(
            "filterwarnings", "ignore:unclosed transport <asyncio.sslproto:ResourceWarning"
        )


def pytest_runtest_setup() -> None:
    """Begin each test with the log level that Python has, whatever another test has left.

    At DEBUG, pytest keeps every record of a test, which looks like a leak.
    """
    logging.getLogger().setLevel(logging.WARNING)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the tables of a pytest-xdist worker to the process that prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tables"] = summary.tables(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Merge the tables of a worker."""
    for title, table in getattr(node, "workeroutput", {}).get("tables", {}).items():
        for row, cells in table.items():
            for column, text in cells.items():
                summary.note(node.config, title, row, column, text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables that the tests filled."""
    summary.show(terminalreporter)


@pytest.fixture(autouse=True)
def _isolated_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Hide the machine's settings, proxies and WSDL cache from every test."""
    for name in list(os.environ):
        is_setting = name.startswith("YUNXIN_") and not name.startswith("YUNXIN_TEST_")
        if is_setting or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path_factory.mktemp("wsdl_cache")))


@pytest.fixture(autouse=True)
def _isolated_logging() -> Iterator[None]:
    """Take away what a test, or Celery in it, adds to the root logger."""
    root = logging.getLogger()
    before = root.handlers[:]
    yield
    for each in [each for each in root.handlers if each not in before]:
        root.removeHandler(each)


@pytest.fixture(scope="session")
def _running_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_running_sandbox: Sandbox) -> Sandbox:
    """A sandbox with the account demo / demo and an empty inbox."""
    _running_sandbox.clear()
    return _running_sandbox


@pytest.fixture(params=CLIENT_VARIANTS)
def protocol(request: pytest.FixtureRequest) -> ClientVariant:
    """Each of the four protocols, for `Client` and for `AsyncClient`."""
    variant = request.param
    assert isinstance(variant, ClientVariant)
    return variant


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that the system does not trust."""
    return trustme.CA()


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PEM file with the certificate of `authority`, for ``verify``."""
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """The TLS context of a server on 127.0.0.1 with a certificate of `authority`."""
    return server_context(authority, "127.0.0.1")
