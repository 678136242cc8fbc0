"""What several tests share: a sandbox on a real port, clean for each test."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support import summary
from tests.support.postgresql import server
from tests.support.scripted_server import WAYS, Way, server_context
from yunxin_soap.sandbox import Sandbox

__all__ = ["server"]


def pytest_configure(config: pytest.Config) -> None:
    """Let pass what Python 3.10's own asyncio leaves open when a peer ends TLS."""
    if sys.version_info < (3, 11):
        config.addinivalue_line(
            "filterwarnings", "ignore:unclosed transport <asyncio.sslproto:ResourceWarning"
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the tables of a process of pytest-xdist to the one that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tables"] = summary.tables(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take them."""
    for title, table in getattr(node, "workeroutput", {}).get("tables", {}).items():
        for row, cells in table.items():
            for column, text in cells.items():
                summary.note(node.config, title, row, column, text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the run found, in tables."""
    summary.show(terminalreporter)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep the machine's own settings, proxies and WSDL cache out of every test."""
    for name in list(os.environ):
        if name.startswith("YUNXIN_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path_factory.mktemp("wsdl_cache")))


@pytest.fixture(scope="session")
def _running_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_running_sandbox: Sandbox) -> Sandbox:
    """A sandbox with the account demo / demo and an empty inbox."""
    _running_sandbox.clear()
    return _running_sandbox


@pytest.fixture(params=WAYS)
def protocol(request: pytest.FixtureRequest) -> Way:
    """Each of the four ports, for `Client` and for `AsyncClient`."""
    way = request.param
    assert isinstance(way, Way)
    return way


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that nobody trusts unasked."""
    return trustme.CA()


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate, for ``verify``."""
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """What a server on 127.0.0.1 shows."""
    return server_context(authority, "127.0.0.1")
