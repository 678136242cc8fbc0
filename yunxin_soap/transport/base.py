"""The request, the response and the interface of a transport.

A `Transport` is the seam between a client and the network. Tests pass their own one as
``Client(..., transport=...)``, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from yunxin_soap.settings import Endpoint, Verify


@dataclass(frozen=True, init=False)
class Request:
    """One HTTP request.

    The query and the body contain the password, so ``repr`` omits both.
    """

    method: str
    """``GET`` or ``POST``."""
    path: str
    """The path on the endpoint's host, without the query."""
    headers: Mapping[str, str]
    """The headers of the protocol. The transport adds its own, such as ``Host``."""
    query: str = field(default="", repr=False)
    """The query, already encoded, without the question mark."""
    body: bytes | None = field(default=None, repr=False)
    """The content of a POST request; None for GET."""

    def __init__(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        query: str = "",
        body: bytes | None = None,
    ) -> None:
        # The generated method of a frozen class takes twice as long.
        values = self.__dict__
        values["method"] = method
        values["path"] = path
        values["headers"] = headers
        values["query"] = query
        values["body"] = body


@dataclass(frozen=True, init=False)
class Response:
    """One complete HTTP response, with its content encoding removed.

    The body may echo the request, so ``repr`` omits it.
    """

    status: int
    content_type: str
    """The value of the ``Content-Type`` header; empty if the response has none."""
    body: bytes = field(repr=False)

    def __init__(self, status: int, content_type: str, body: bytes) -> None:
        # As in `Request`.
        values = self.__dict__
        values["status"] = status
        values["content_type"] = content_type
        values["body"] = body


class NetworkSettings(Protocol):
    """What a transport needs to know; `Settings` has it all."""

    @property
    def endpoint(self) -> Endpoint:
        """Where every request goes."""
        ...

    @property
    def timeout(self) -> float:
        """Seconds from the start of sending to the end of the response."""
        ...

    @property
    def connect_timeout(self) -> float:
        """Seconds to get a connection: to wait for a free one, or to open one."""
        ...

    @property
    def total_timeout(self) -> float:
        """Seconds for everything, retries included."""
        ...

    @property
    def retries(self) -> int:
        """How many times to connect again."""
        ...

    @property
    def proxy(self) -> str | None:
        """The address of an HTTP proxy, perhaps with a password."""
        ...

    @property
    def trust_env(self) -> bool:
        """Whether to use the proxy that the environment names."""
        ...

    @property
    def verify(self) -> Verify:
        """How to check a certificate."""
        ...

    @property
    def max_connections(self) -> int:
        """Most open connections."""
        ...


class Transport(Protocol):
    """Carries requests to one endpoint. Threads may share a transport."""

    def send(self, request: Request, *, valid_until: float | None = None) -> Response:
        """Send one request at most once, and return its complete response.

        Args:
            request: the request.
            valid_until: the time, by `yunxin_soap.clock.lease_clock`, from which on its first byte
                must not leave any more: look at it right before that byte, and raise `NotSent`.
                A client passes it only if its caller did, as campaigns and single sends of a
                ledger do.

        Raises:
            NotSent: no byte of the request left this machine.
            OutcomeUnknown: the request may have reached the gateway. Every failure after the first
                byte must end here.
        """
        ...

    def close(self) -> None:
        """Close all connections. A closed transport sends nothing more."""
        ...


class AsyncTransport(Protocol):
    """Carries requests to one endpoint. Tasks of one event loop may share a transport."""

    async def send(self, request: Request, *, valid_until: float | None = None) -> Response:
        """Send one request at most once, and return its complete response.

        Args:
            request: the request.
            valid_until: the time, by `yunxin_soap.clock.lease_clock`, from which on its first byte
                must not leave any more: look at it right before that byte, and raise `NotSent`.
                A client passes it only if its caller did, as campaigns and single sends of a
                ledger do.

        Raises:
            NotSent: no byte of the request left this machine.
            OutcomeUnknown: the request may have reached the gateway. Every failure after the first
                byte must end here.
            asyncio.CancelledError: the task was cancelled. Its ``__cause__`` is a `NotSent` if no
                byte of the request left this machine, and an `OutcomeUnknown` if one may have left.
                Without such a cause, the request counts as possibly sent.
        """
        ...

    async def close(self) -> None:
        """Close all connections. A closed transport sends nothing more."""
        ...
