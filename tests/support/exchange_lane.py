"""One client and one scripted server that outlive many exchanges.

A table of responses, or hypothesis, needs thousands of exchanges. A lane makes each cost about a
millisecond: its server and its client are made once.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.client_matrix import ClientVariant, build_client, protocol_name
from tests.support.scripted_server import TIMEOUT_SECONDS, Connection, ScriptedServer
from tests.support.secret_detector import NUMBERS, PASSWORD, assert_no_secret
from tests.support.wire_samples import BATCH_NO, result_response
from yunxin_soap import Outcome, OutcomeUnknown, Rejected, SendError
from yunxin_soap.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Self


def split(content: bytes, places: Sequence[int]) -> Iterator[bytes]:
    """Cut content into pieces.

    Args:
        content: what to cut.
        places: where to cut it. Any order, and places outside are allowed.
    """
    for start, end in itertools.pairwise([0, *sorted(places), len(content)]):
        if piece := content[start:end]:
            yield piece


class After(Enum):
    """What a server does once it has sent its bytes."""

    READ_ON = auto()
    """Keep the connection open, and serve the next request on it."""
    CLOSE = auto()
    RESET = auto()


@dataclass(frozen=True)
class Reply:
    """What a server does with one request."""

    content: bytes
    """What it sends."""
    after: After = After.READ_ON
    splits: tuple[int, ...] = ()
    """Where `content` is cut into pieces, which are sent one by one."""
    later: bytes = b""
    """What it sends once the client has its outcome, and before the next request."""

    def pieces(self) -> Iterator[bytes]:
        """Return the content in pieces."""
        yield from split(self.content, self.splits)


@dataclass(frozen=True)
class Observed:
    """How one exchange ended, as a caller of the client sees it."""

    outcome: Outcome
    kind: str
    """The class of the error, or of the receipt."""
    text: str
    """The batch number, or the error's text."""
    http_status: int | None
    excerpt: str | None
    reused: bool
    """Whether the client sent its next request over the same connection."""


@dataclass(frozen=True)
class Tls:
    """TLS between the client and the server of a lane."""

    context: ssl.SSLContext
    """The server's."""
    verify: Path
    """The authority that the client trusts."""


class Lane:
    """One client of one variant, and the server that it sends to.

    Args:
        variant: the client and the protocol.
        timeout: seconds within which a response must be complete.
        tls: how they speak TLS, if they do.
    """

    def __init__(
        self, variant: ClientVariant, timeout: float = 20.0, tls: Tls | None = None
    ) -> None:
        self.variant = variant
        self._good = Reply(result_response(variant))
        self._reply = self._good
        self._outcome_seen = threading.Event()
        self._later_sent = threading.Event()
        self._server = ScriptedServer(self._serve, tls=None if tls is None else tls.context)
        self._client = build_client(
            variant,
            Settings(
                "user",
                PASSWORD,
                channel="37",
                endpoint=self._server.url,
                protocol=protocol_name(variant),
                timeout=timeout,
                verify=tls.verify if tls is not None else True,
            ),
        )

    def exchange(self, reply: Reply) -> Observed:
        """Send one submission that gets ``reply``, and then another that is accepted."""
        first = len(self._server.requests)
        self._reply = reply
        self._outcome_seen.clear()
        self._later_sent.clear()
        ended = self._send()
        # The server has closed, or has sent what it sends later, before the next request.
        self._outcome_seen.set()
        assert self._later_sent.wait(TIMEOUT_SECONDS)
        assert self._send()[:3] == (Outcome.ACCEPTED, "Receipt", BATCH_NO)
        requests = self._server.requests[first:]
        assert len(requests) == 2, "The server reads each request once."
        return Observed(*ended, reused=requests[0].connection == requests[1].connection)

    def _send(self) -> tuple[Outcome, str, str, int | None, str | None]:
        try:
            receipt = self._client.send(NUMBERS, "您好【签名】")
        except SendError as error:
            assert len(str(error).splitlines()) == 1
            assert_no_secret(str(error), repr(error), repr(vars(error)))
            return (
                error.outcome,
                type(error).__name__,
                str(error),
                error.http_status if isinstance(error, OutcomeUnknown | Rejected) else None,
                error.excerpt if isinstance(error, OutcomeUnknown) else None,
            )
        return Outcome.ACCEPTED, type(receipt).__name__, receipt.batch_no, None, None

    def _serve(self, connection: Connection) -> None:
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.read() is not None:
            reply, self._reply = self._reply, self._good
            if reply is self._good:
                connection.send(reply.content)
                continue
            try:
                self._carry_out(reply, connection)
            finally:
                self._later_sent.set()
            if reply.after is not After.READ_ON:
                return

    def _carry_out(self, reply: Reply, connection: Connection) -> None:
        try:
            for piece in reply.pieces():
                connection.send(piece)
        except OSError:
            pass  # the client has seen enough
        if reply.after is After.CLOSE:
            connection.sock.close()
        elif reply.after is After.RESET:
            connection.reset()
        elif reply.later:
            self._outcome_seen.wait(TIMEOUT_SECONDS)
            connection.send(reply.later)

    def close(self) -> None:
        """Close the client, and then the server."""
        try:
            self._client.__exit__(None, None, None)
        finally:
            self._server.close()


class Lanes:
    """One lane for each variant, made when it is first used.

    Args:
        variants: the clients and protocols.
        timeout: seconds within which a response must be complete.
        tls: how they speak TLS, if they do.
    """

    def __init__(
        self, variants: list[ClientVariant], timeout: float = 20.0, tls: Tls | None = None
    ) -> None:
        self._variants, self._timeout, self._tls = variants, timeout, tls
        self._lanes: dict[tuple[str, str], Lane] = {}

    def exchange(
        self, reply: Callable[[str], Reply], protocols: tuple[str, ...]
    ) -> dict[str, dict[str, Observed]]:
        """Do the same exchange on all lanes of the protocols, at the same time.

        Args:
            reply: returns what the server does, for a protocol.
            protocols: the protocols.

        Returns:
            What was observed, by protocol and then by client.
        """
        chosen = [variant for variant in self._variants if variant in protocols]
        for variant in chosen:
            key = (str(variant), variant.client)
            if key not in self._lanes:
                self._lanes[key] = Lane(variant, self._timeout, self._tls)
        lanes = [self._lanes[str(variant), variant.client] for variant in chosen]
        with ThreadPoolExecutor(len(lanes)) as threads:
            observed = threads.map(lambda lane: lane.exchange(reply(lane.variant)), lanes)
            found: dict[str, dict[str, Observed]] = {}
            for variant, each in zip(chosen, observed, strict=True):
                found.setdefault(str(variant), {})[variant.client] = each
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for lane in self._lanes.values():
            lane.close()
