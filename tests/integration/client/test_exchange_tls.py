"""TLS: a failed handshake is *not sent*; a failure after it is unknown."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from urllib3.exceptions import InsecureRequestWarning

from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import BOTH_CLIENTS
from tests.support.clock import FakeClock
from tests.support.scripted_server import (
    TIMEOUT_SECONDS,
    Connection,
    Script,
    ScriptedServer,
    close_without_reading,
    read_then_close,
    read_then_hang,
    reply_with,
    reset_without_reading,
)
from tests.support.services import skip_or_fail
from tests.support.tls import server_context
from tests.support.wire_samples import BATCH_NO, http_response, result_response
from yunxin_soap import NotSent, OutcomeUnknown


def https_url(server: ScriptedServer) -> str:
    return server.url.replace("http:", "https:")


def test_verify_file_trusts_its_authority(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    """A certificate of the authority in ``verify`` is trusted."""
    with (
        ScriptedServer(reply_with(result_response(protocol)), tls=tls) as server,
        CheckedClient(server, protocol, verify=authority_file) as checked,
    ):
        checked.assert_accepted()
        checked.assert_accepted()
    assert [request.connection for request in server.requests] == [1, 1]


def test_surplus_response_decrypted_by_tls_is_not_reused(
    tls: ssl.SSLContext, authority_file: Path
) -> None:
    """Surplus that TLS has already decrypted closes the connection."""
    # One read takes exactly this many bytes, so the surplus stays decrypted inside TLS, where
    # polling the socket does not show it.
    short = result_response("soap", BATCH_NO, "X-Pad: ")
    padded = result_response("soap", BATCH_NO, "X-Pad: " + "x" * (8192 - len(short)))

    def script(connection: Connection) -> None:
        while connection.read():
            connection.send(padded + result_response("soap", "666"))

    assert len(padded) == 8192
    with (
        ScriptedServer(script, tls=tls) as server,
        CheckedClient(server, verify=authority_file) as checked,
    ):
        checked.assert_accepted()
        checked.assert_accepted()
    assert [request.connection for request in server.requests] == [1, 2]


class TlsInMemory:
    """The server's side of TLS whose bytes a test sends itself, in the pieces that it wants."""

    def __init__(self, connection: Connection, tls: ssl.SSLContext) -> None:
        self._connection = connection
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls.wrap_bio(self._received, self._to_send, server_side=True)

    def read_request(self) -> bool:
        """Do the handshake, if there was none, and read one request over SOAP 1.1."""
        request = b""
        while b"</soap-env:Envelope>" not in request:
            piece = self._connection.sock.recv(65536)
            if not piece:
                return False
            self._received.write(piece)
            with suppress(ssl.SSLWantReadError):
                while piece := self.tls.read():
                    request += piece
            self._connection.sock.sendall(self._to_send.read())
        return True

    def encrypt(self, content: bytes) -> bytes:
        """Return the record that carries the content."""
        self.tls.write(content)
        return self._to_send.read()

    def close_notify(self) -> bytes:
        """Return the record that ends TLS."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self._to_send.read()


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_connection_after_close_notify_is_not_reused(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    """TLS that the server ended with its response carries no other request."""

    def script(connection: Connection) -> None:
        server_side = TlsInMemory(connection, tls)
        server_side.read_request()
        requests.append(connection.number)
        response = server_side.encrypt(result_response("soap"))
        # In one piece, and the connection itself stays open.
        connection.sock.sendall(response + server_side.close_notify())
        connection.wait_until_closed()

    requests: list[int] = []
    with (
        ScriptedServer(script) as server,
        CheckedClient(https_url(server), protocol, verify=authority_file) as checked,
    ):
        checked.assert_accepted()
        checked.assert_accepted()
    assert requests == [1, 2]


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
@pytest.mark.parametrize("size", [1, 5, 6, 100])
def test_surplus_record_that_comes_in_two_pieces_is_not_the_next_response(
    protocol: str, size: int, tls: ssl.SSLContext, authority_file: Path
) -> None:
    """A connection is not reused if the start of a surplus record came with the response."""

    def script(connection: Connection) -> None:
        server_side = TlsInMemory(connection, tls)
        rest = b""
        while server_side.read_request():
            requests.append(connection.number)
            connection.sock.sendall(rest)
            response = server_side.encrypt(result_response("soap"))
            surplus = server_side.encrypt(result_response("soap", "666"))
            connection.sock.sendall(response + surplus[:size])
            rest = surplus[size:]

    requests: list[int] = []
    with (
        ScriptedServer(script) as server,
        CheckedClient(https_url(server), protocol, verify=authority_file) as checked,
    ):
        checked.assert_accepted()
        checked.assert_accepted()
    assert requests == [1, 2]


def test_verify_folder_trusts_its_authorities(
    protocol: str, tls: ssl.SSLContext, authority: trustme.CA, tmp_path: Path
) -> None:
    """``verify`` may name a folder of certificates, as ``openssl rehash`` prepares it."""
    openssl = shutil.which("openssl") or skip_or_fail("no openssl program")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    subprocess.run([openssl, "rehash", tmp_path], check=True)
    with (
        ScriptedServer(reply_with(result_response(protocol)), tls=tls) as server,
        CheckedClient(server, protocol, verify=tmp_path) as checked,
    ):
        checked.assert_accepted()
    assert len(server.requests) == 1


def test_verify_folder_without_authorities_trusts_nobody(
    protocol: str,
    tls: ssl.SSLContext,
    authority_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With an empty folder nobody is trusted, not even the system's authorities."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    with (
        ScriptedServer(reply_with(result_response(protocol)), tls=tls) as server,
        CheckedClient(server, protocol, verify=tmp_path, retries=0) as checked,
    ):
        error = checked.assert_fails(NotSent)
    assert "not trusted" in str(error)
    assert len(server.requests) == 0


def test_verify_context_is_used(tls: ssl.SSLContext, authority: trustme.CA) -> None:
    """The caller's own TLS context is used."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        ScriptedServer(reply_with(result_response("soap")), tls=tls) as server,
        CheckedClient(server, verify=context) as checked,
    ):
        checked.assert_accepted()
    assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_client_certificate_of_the_context_is_shown_to_the_server(
    protocol: str, authority: trustme.CA
) -> None:
    """A context may hold a client certificate, which a server may require."""
    server_side = server_context(authority, "127.0.0.1")
    server_side.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(server_side)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    authority.issue_cert("client.example").configure_cert(context)
    with (
        ScriptedServer(reply_with(result_response(protocol)), tls=server_side) as server,
        CheckedClient(server, protocol, verify=context) as checked,
    ):
        checked.assert_accepted()
    assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
@pytest.mark.parametrize(
    ("version", "kind", "alert"),
    [
        (ssl.TLSVersion.TLSv1_2, NotSent, "HANDSHAKE_FAILURE"),
        (ssl.TLSVersion.TLSv1_3, OutcomeUnknown, "CERTIFICATE_REQUIRED"),
    ],
)
def test_client_certificate_that_is_missing_is_named(
    protocol: str,
    version: ssl.TLSVersion,
    kind: type[NotSent | OutcomeUnknown],
    alert: str,
    authority: trustme.CA,
    authority_file: Path,
) -> None:
    """The server's reason is shown; by TLS 1.3, it comes after the request may have left."""
    server_side = server_context(authority, "127.0.0.1")
    server_side.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(server_side)
    server_side.minimum_version = server_side.maximum_version = version

    def script(connection: Connection) -> None:
        with socket.socket(fileno=os.dup(connection.sock.fileno())) as tcp:
            with suppress(ssl.SSLError):
                connection.start_tls(server_side)
            # A close with unread bytes would be a reset, which could overtake the reason.
            while tcp.recv(4096):
                pass

    with (
        ScriptedServer(script) as server,
        CheckedClient(https_url(server), protocol, verify=authority_file, retries=0) as checked,
    ):
        error = checked.assert_fails(kind)
    assert f"{alert})" in str(error)


def test_verify_false_trusts_any_certificate_and_warns(protocol: str, tls: ssl.SSLContext) -> None:
    """``verify=False`` trusts any certificate, and warns once for each client."""
    with ScriptedServer(reply_with(result_response(protocol)), tls=tls) as server:

        def send_twice() -> None:
            with CheckedClient(server, protocol, verify=False) as checked:
                checked.assert_accepted()
                checked.assert_accepted()

        with pytest.warns(InsecureRequestWarning) as warned:
            send_twice()
    assert len(warned) == 1  # for each client, not for each submission
    assert len(server.requests) == 2


def test_certificate_not_trusted_is_not_sent(protocol: str, tls: ssl.SSLContext) -> None:
    """Nothing is sent to a server with an untrusted certificate."""
    with (
        ScriptedServer(reply_with(result_response(protocol)), tls=tls) as server,
        CheckedClient(server, protocol, retries=0) as checked,
    ):
        error = checked.assert_fails(NotSent)
    assert "not trusted" in str(error)
    assert len(server.requests) == 0


def test_certificate_of_another_host_is_not_sent(
    protocol: str, authority: trustme.CA, authority_file: Path
) -> None:
    """Nothing is sent to a server with a certificate of another host."""
    with (
        ScriptedServer(reply_with(b""), tls=server_context(authority, "other.example")) as server,
        CheckedClient(server, protocol, verify=authority_file, retries=0) as checked,
    ):
        error = checked.assert_fails(NotSent)
    assert "127.0.0.1" in str(error)
    assert len(server.requests) == 0


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_context_decides_whether_the_host_name_is_checked(
    protocol: str, authority: trustme.CA
) -> None:
    """A context without ``check_hostname`` accepts a trusted certificate of another host."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    script = reply_with(result_response(protocol))
    with ScriptedServer(script, tls=server_context(authority, "other.example")) as server:
        with CheckedClient(server, protocol, verify=context, retries=0) as checked:
            assert "not trusted" in str(checked.assert_fails(NotSent))
        context.check_hostname = False
        with CheckedClient(server, protocol, verify=context) as checked:
            checked.assert_accepted()
    assert len(server.requests) == 1


def reply_in_plain(connection: Connection) -> None:
    connection.wait_for_bytes()
    connection.send(http_response("", "400 Bad Request"))
    connection.wait_until_closed()


@pytest.mark.parametrize("script", [reply_in_plain, close_without_reading, reset_without_reading])
def test_handshake_with_a_plain_server_is_not_sent_after_retries(
    protocol: str, script: Script
) -> None:
    """A server without TLS: not sent, after all retries."""
    clock = FakeClock()
    with (
        ScriptedServer(script) as server,
        CheckedClient(https_url(server), protocol, clock=clock, retries=2) as checked,
    ):
        error = checked.assert_fails(NotSent)
    assert f"127.0.0.1:{server.port}" in str(error)
    assert (server.connections, len(clock.sleeps)) == (3, 2)


def test_handshake_that_hangs_is_bounded(protocol: str) -> None:
    """``connect_timeout`` bounds a TLS handshake that hangs."""
    with (
        ScriptedServer(Connection.wait_until_closed) as server,
        CheckedClient(https_url(server), protocol, retries=0, connect_timeout=0.3) as checked,
    ):
        error = checked.assert_fails(NotSent)
    assert "within 0.3 s" in str(error)
    assert server.connections == 1


def test_handshake_that_succeeds_on_retry_sends_once(
    tls: ssl.SSLContext, authority_file: Path
) -> None:
    """A handshake that succeeds on a retry sends the request once."""

    def script(connection: Connection) -> None:
        if connection.number < 3:
            close_without_reading(connection)
        else:
            connection.start_tls(tls)
            reply_with(result_response("soap"))(connection)

    with (
        ScriptedServer(script) as server,
        CheckedClient(https_url(server), clock=FakeClock(), verify=authority_file) as checked,
    ):
        checked.assert_accepted()
    assert (server.connections, len(server.requests)) == (3, 1)


@pytest.mark.parametrize("script", [read_then_close, read_then_hang])
def test_connection_that_breaks_after_the_handshake_is_unknown(
    protocol: str, script: Script, tls: ssl.SSLContext, authority_file: Path
) -> None:
    """A connection that breaks after the handshake makes the outcome unknown."""
    with (
        ScriptedServer(script, tls=tls) as server,
        CheckedClient(server, protocol, verify=authority_file, timeout=0.3) as checked,
    ):
        checked.assert_fails(OutcomeUnknown)
    assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_client_closed_over_tls_leaves_nothing_open(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    """Closing a client does not wait for the server's close_notify."""
    closed = threading.Event()

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(result_response(protocol))
        # Below TLS, so that this server does not respond to the client's close_notify.
        with socket.socket(fileno=os.dup(connection.sock.fileno())) as tcp, suppress(OSError):
            while tcp.recv(4096):
                pass
        closed.set()

    with (
        ScriptedServer(script, tls=tls) as server,
        CheckedClient(server, protocol, verify=authority_file) as checked,
    ):
        checked.assert_accepted()
        checked.client.close()
        assert closed.wait(TIMEOUT_SECONDS)


def test_response_in_small_pieces_over_tls_has_one_timeout(
    tls: ssl.SSLContext, authority_file: Path
) -> None:
    """A response in small pieces over TLS must be complete within one timeout."""

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(http_response(b"", length=10**6))
        while not connection.ended.wait(0.02):
            connection.send(b" ")

    with (
        ScriptedServer(script, tls=tls) as server,
        CheckedClient(server, verify=authority_file, timeout=0.3) as checked,
    ):
        error = checked.assert_fails(OutcomeUnknown)
    assert "within 0.3 s" in str(error)
    assert len(server.requests) == 1
