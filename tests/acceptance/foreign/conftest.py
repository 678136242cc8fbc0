"""Starts each client once for all cases, and records the result of each cell of the table."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.acceptance.foreign.peers import Call, Peer
from tests.support.services import skip_or_fail
from tests.support.summary import note
from yunxin_soap.sandbox import Sandbox


@pytest.fixture(scope="module")
def gateway() -> Iterator[Sandbox]:
    """One sandbox for all clients."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def running_peer(request: pytest.FixtureRequest, gateway: Sandbox) -> Iterator[tuple[Peer, Call]]:
    """A running client, and the function that calls ``sendMesExt`` through it."""
    peer: Peer = request.param
    if reason := peer.missing():
        skip_or_fail(reason)
    with peer.start(gateway.url) as call:
        yield peer, call


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record how each cell of the table ended."""
    report = yield
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if report.when == "call" or report.outcome == "skipped" or report.failed:
        peer, case = parameters.get("running_peer"), parameters.get("case")
        if isinstance(peer, Peer) and isinstance(case, str):
            shown = {"passed": "ok", "failed": "FAIL", "skipped": "-"}[report.outcome]
            note(item.config, "foreign clients against the sandbox", peer.name, case, shown)
    return report
