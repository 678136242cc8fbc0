"""The same bytes end in the same way, over both clients and all four protocols.

`AsyncClient` runs on asyncio's event loop and on uvloop's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.client_matrix import ClientVariant, variants
from tests.support.exchange_lane import After, Lanes, Observed, Reply
from tests.support.mutated_responses import ENDED_BY_CLOSE, WHOLE, mutated_responses, places
from tests.support.outcome_table import IMPATIENT_SECONDS, TABLE
from yunxin_soap.operation import PROTOCOLS
from yunxin_soap.transport.http11 import Exchange


def clients() -> list[ClientVariant]:
    """Return every client over every protocol."""
    chosen = [*variants(is_async=False), *variants(is_async=True)]
    if sys.platform != "win32":
        chosen += variants(is_async=True, on_uvloop=True)
    return chosen


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lanes]:
    """Lanes whose timeout no response reaches."""
    yield from _lanes(20.0, tmp_path_factory.mktemp("wsdl_cache"))


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lanes]:
    """Lanes whose timeout is reached soon."""
    yield from _lanes(IMPATIENT_SECONDS, tmp_path_factory.mktemp("wsdl_cache"))


def _lanes(timeout: float, cache: Path) -> Iterator[Lanes]:
    # They outlive the test that makes them, whose environment does not.
    with pytest.MonkeyPatch.context() as environment, Lanes(clients(), timeout) as lanes:
        environment.setenv("YUNXIN_WSDL_CACHE", str(cache))
        yield lanes


def agreed(observed: dict[str, dict[str, Observed]]) -> dict[str, Observed]:
    """Return what all clients observed, by protocol. Fail if they differ."""
    for protocol, by_client in observed.items():
        if len(set(by_client.values())) > 1:
            lines = [f"{client}: {ended}" for client, ended in by_client.items()]
            pytest.fail("\n".join(["The clients differ", protocol, *lines]), pytrace=False)
    return {protocol: by_client["sync"] for protocol, by_client in observed.items()}


@pytest.mark.parametrize("name", TABLE)
def test_response_ends_as_the_table_says(name: str, patient: Lanes, impatient: Lanes) -> None:
    """All clients end alike on all protocols, and as the table says."""
    row = TABLE[name]
    lanes = impatient if "no complete response" in row.expected.words else patient
    for protocol, ended in agreed(lanes.exchange(row.reply, row.protocols)).items():
        if not row.expected.fits(ended):
            pytest.fail(f"{protocol}\n{ended}\nExpected: {row.expected}", pytrace=False)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_response_in_pieces_ends_as_the_whole(data: st.DataObject, patient: Lanes) -> None:
    """A response that the server sends in pieces ends as the whole one, on all clients."""
    protocol = data.draw(st.sampled_from(tuple(PROTOCOLS)))
    name = data.draw(st.sampled_from([*WHOLE, *ENDED_BY_CLOSE]))
    content = {**WHOLE, **ENDED_BY_CLOSE}[name](protocol)
    after = After.CLOSE if name in ENDED_BY_CLOSE else After.READ_ON
    whole = agreed(patient.exchange(lambda _: Reply(content, after), (protocol,)))
    splits = tuple(data.draw(places(content)))
    assert agreed(patient.exchange(lambda _: Reply(content, after, splits), (protocol,))) == whole


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_response_ends_alike_on_all_clients(data: st.DataObject, patient: Lanes) -> None:
    """A response with any changes ends in the same way on all clients."""
    protocol = data.draw(st.sampled_from(tuple(PROTOCOLS)))
    content = data.draw(mutated_responses(protocol))
    # A response that does not end by itself would run into the timeout.
    after = After.READ_ON if content and Exchange(b"").receive(content) else After.CLOSE
    splits = tuple(data.draw(places(content)))
    agreed(patient.exchange(lambda _: Reply(content, after, splits), (protocol,)))
