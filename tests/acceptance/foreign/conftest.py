"""Runs each client once for all cases, and notes each cell of the table of client and case."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.acceptance.foreign.peers import REQUIRED, Ask, Peer
from tests.support.summary import note
from yunxin_soap.sandbox import Sandbox


@pytest.fixture(scope="module")
def gateway() -> Iterator[Sandbox]:
    """One sandbox for all clients."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def asking(request: pytest.FixtureRequest, gateway: Sandbox) -> Iterator[tuple[Peer, Ask]]:
    """A client, running, and how to have it submit."""
    peer: Peer = request.param
    if reason := peer.missing():
        if REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    with peer.start(gateway.url) as ask:
        yield peer, ask


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note how each cell of the table ended."""
    report = yield
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if report.when == "call" or report.outcome == "skipped" or report.failed:
        peer, case = parameters.get("asking"), parameters.get("case")
        if isinstance(peer, Peer) and isinstance(case, str):
            shown = {"passed": "ok", "failed": "FAIL", "skipped": "-"}[report.outcome]
            note(item.config, "foreign clients against the sandbox", peer.name, case, shown)
    return report
