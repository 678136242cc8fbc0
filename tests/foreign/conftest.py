"""Runs each client once for all cases, and shows a table of client and case at the end."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.foreign.cases import CASES
from tests.foreign.peers import REQUIRED, Ask, Peer
from yunxin_soap.sandbox import Sandbox

_RESULTS = pytest.StashKey[dict[str, dict[str, str]]]()


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
            table = item.config.stash.setdefault(_RESULTS, {})
            shown = {"passed": "ok", "failed": "FAIL", "skipped": "-"}[report.outcome]
            table.setdefault(peer.name, {})[case] = shown
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    table = terminalreporter.config.stash.get(_RESULTS, {})
    if not table:
        return
    cases = [case for case in CASES if any(case in row for row in table.values())]
    width = max(map(len, table))
    terminalreporter.section("foreign clients against the sandbox")
    terminalreporter.write_line(" " * width + "  " + "  ".join(cases))
    for name, row in sorted(table.items()):
        cells = "  ".join(row.get(case, "").ljust(len(case)) for case in cases)
        terminalreporter.write_line(f"{name.ljust(width)}  {cells}")
