"""The same bytes end in the same way, over both clients and all four protocols.

`AsyncClient` runs on asyncio's event loop and on uvloop's.
"""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import BOTH_CLIENTS, ClientVariant, send_request, variants
from tests.support.exchange_lane import After, Lanes, Observed, Reply, Tls
from tests.support.mutated_responses import ENDED_BY_CLOSE, WHOLE, mutated_responses, places
from tests.support.outcome_table import IMPATIENT_SECONDS, TABLE, Row
from tests.support.scripted_server import TIMEOUT_SECONDS, Connection, ScriptedServer
from tests.support.wire_samples import http_response, result_response
from yunxin_soap import OutcomeUnknown
from yunxin_soap.operation import PROTOCOLS
from yunxin_soap.settings import Settings
from yunxin_soap.transport import failures
from yunxin_soap.transport.base import Request
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
    yield from _lanes(tmp_path_factory.mktemp("wsdl_cache"), 20.0)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lanes]:
    """Lanes whose timeout is reached soon."""
    yield from _lanes(tmp_path_factory.mktemp("wsdl_cache"), IMPATIENT_SECONDS)


@pytest.fixture(scope="module")
def secured(
    tmp_path_factory: pytest.TempPathFactory, tls: ssl.SSLContext, authority_file: Path
) -> Iterator[Lanes]:
    """Patient lanes that speak TLS."""
    yield from _lanes(tmp_path_factory.mktemp("wsdl_cache"), 20.0, Tls(tls, authority_file))


def _lanes(cache: Path, timeout: float, tls: Tls | None = None) -> Iterator[Lanes]:
    # They outlive the test that makes them, whose environment does not.
    with pytest.MonkeyPatch.context() as environment, Lanes(clients(), timeout, tls) as lanes:
        environment.setenv("YUNXIN_WSDL_CACHE", str(cache))
        yield lanes


def agreed(observed: dict[str, dict[str, Observed]]) -> dict[str, Observed]:
    """Return what all clients observed, by protocol. Fail if they differ."""
    for protocol, by_client in observed.items():
        if len(set(by_client.values())) > 1:
            lines = [f"{client}: {ended}" for client, ended in by_client.items()]
            pytest.fail("\n".join(["The clients differ", protocol, *lines]), pytrace=False)
    return {protocol: by_client["sync"] for protocol, by_client in observed.items()}


def check_row(row: Row, lanes: Lanes, protocols: tuple[str, ...]) -> None:
    """Check that all clients end alike on the protocols, and as the row says."""
    for protocol, ended in agreed(lanes.exchange(row.reply, protocols)).items():
        if not row.expected.fits(ended):
            pytest.fail(f"{protocol}\n{ended}\nExpected: {row.expected}", pytrace=False)


def runs_into_the_timeout(row: Row) -> bool:
    """Return whether a row ends with the client's timeout."""
    return "no complete response" in row.expected.words


@pytest.mark.parametrize("name", TABLE)
def test_response_ends_as_the_table_says(name: str, patient: Lanes, impatient: Lanes) -> None:
    """All clients end alike on all protocols, and as the table says."""
    row = TABLE[name]
    check_row(row, impatient if runs_into_the_timeout(row) else patient, row.protocols)


@pytest.mark.parametrize(
    "name", [name for name, row in TABLE.items() if not runs_into_the_timeout(row)]
)
def test_response_over_tls_ends_as_the_table_says(name: str, secured: Lanes) -> None:
    """All clients end as the table says through TLS, too."""
    check_row(TABLE[name], secured, TABLE[name].protocols[:1])


@examples(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@examples(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_response_ends_alike_on_all_clients(data: st.DataObject, patient: Lanes) -> None:
    """A response with any changes ends in the same way on all clients."""
    protocol = data.draw(st.sampled_from(tuple(PROTOCOLS)))
    content = data.draw(mutated_responses(protocol))
    # A response that does not end by itself would run into the timeout.
    after = After.READ_ON if content and Exchange(b"").receive(content) else After.CLOSE
    splits = tuple(data.draw(places(content)))
    agreed(patient.exchange(lambda _: Reply(content, after, splits), (protocol,)))


# --- a response before the request was read


def test_response_before_the_request_is_read_counts(protocol: str) -> None:
    """A whole response counts, even if the server reads the request after it."""

    def script(connection: Connection) -> None:
        connection.wait_for_bytes()
        connection.send(result_response(protocol))
        while connection.read():
            connection.wait_for_bytes()
            connection.send(result_response(protocol))

    with ScriptedServer(script) as server, CheckedClient(server, protocol) as checked:
        checked.assert_accepted()
        checked.assert_accepted()
    assert [request.connection for request in server.requests] == [1, 1]


LARGE = b"x" * (16 << 20)
"""More than the buffers of the kernel hold."""


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
@pytest.mark.parametrize("after", After)
@pytest.mark.parametrize("status", ["200 OK", "413 Content Too Large"])
def test_response_before_a_large_request_is_read_counts(
    protocol: ClientVariant, status: str, after: After
) -> None:
    """A whole response counts, even if the server never reads the rest of the request."""
    received = threading.Event()

    def script(connection: Connection) -> None:
        connection.wait_for_bytes()
        connection.send(http_response("<a/>", status))
        if after is After.READ_ON:
            received.wait(TIMEOUT_SECONDS)
        elif after is After.RESET:
            connection.reset()

    with ScriptedServer(script) as server:
        settings = Settings("user", "password", endpoint=server.url, timeout=4.0)
        response = send_request(protocol, settings, Request("POST", "/", {}, body=LARGE))
        received.set()
    assert (response.status, response.body) == (int(status[:3]), b"<a/>")


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
@pytest.mark.parametrize("after", [After.CLOSE, After.RESET])
def test_connection_that_ends_in_a_large_request_broke(
    protocol: ClientVariant, after: After
) -> None:
    """A connection that ends while the request is sent broke, for both clients."""

    def script(connection: Connection) -> None:
        connection.wait_for_bytes()
        if after is After.RESET:
            connection.reset()

    with ScriptedServer(script) as server:
        settings = Settings("user", "password", endpoint=server.url)
        with pytest.raises(OutcomeUnknown, match=failures.CONNECTION_BROKE):
            send_request(protocol, settings, Request("POST", "/", {}, body=LARGE))
    assert server.connections == 1
