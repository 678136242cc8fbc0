"""A client that checks of each outcome what must hold for all of them."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from tests.support.client_matrix import build_client, protocol_name
from tests.support.clock import FakeClock
from tests.support.scripted_server import ScriptedServer
from tests.support.secret_detector import (
    NUMBERS,
    PASSWORD,
    assert_no_secret,
    assert_no_secret_kept,
    assert_no_secret_logged,
)
from tests.support.wire_samples import BATCH_NO
from yunxin_soap import Outcome, Receipt, SendError
from yunxin_soap.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Self

_E = TypeVar("_E", bound=SendError)


class CheckedClient:
    """A client with a distinctive password. It sends one message to `NUMBERS`.

    Args:
        endpoint: a server, or an address.
        protocol: the protocol, or a `ClientVariant`.
        clock: replaces the clocks and the sleeps of the transport.
        keepalive_expiry: replaces the transport's expiry of idle connections, in seconds.
        password: the account's password.
        options: further arguments of `Client`.
    """

    def __init__(
        self,
        endpoint: ScriptedServer | str,
        protocol: str = "soap",
        *,
        clock: FakeClock | None = None,
        keepalive_expiry: float | None = None,
        password: str = PASSWORD,
        **options: Any,
    ) -> None:
        settings = Settings(
            "user",
            password,
            channel="37",
            signature="签名",
            endpoint=endpoint if isinstance(endpoint, str) else endpoint.url,
            protocol=protocol_name(protocol),
            **{"timeout": 20.0, **options},
        )
        self.client = build_client(
            protocol, settings, clock=clock, keepalive_expiry=keepalive_expiry
        )

    def send(self, message: str = "您好") -> Receipt:
        """Send a message, and check the logs."""
        with assert_no_secret_logged():
            return self.client.send(NUMBERS, message)

    def submit(self, *, valid_until: float) -> Receipt:
        """Send a message that is valid for a limited time, and check the logs."""
        with assert_no_secret_logged():
            submission = self.client.check(NUMBERS, "您好")
            return self.client.submit(submission, valid_until=valid_until)

    def submit_large(self) -> Receipt:
        """Send 16 MiB, which `send` would refuse, and check the logs."""
        with assert_no_secret_logged():
            submission = self.client.check(NUMBERS, "您好")
            return self.client.submit(replace(submission, message="x" * (16 << 20)))

    def assert_accepted(self, batch_no: str = BATCH_NO) -> Receipt:
        """Send, and check that the gateway accepted it with this batch number."""
        receipt = self.send()
        assert receipt.batch_no == batch_no
        assert_no_secret(repr(receipt), str(receipt), repr(self.client))
        return receipt

    def assert_fails(self, kind: type[_E], send: Callable[[], object] | None = None) -> _E:
        """Send, and check the error: its class, one line, it survives pickle, keeps no secret.

        Args:
            kind: the exact class of the error.
            send: what to do instead of `send`.
        """
        with assert_no_secret_logged(), pytest.raises(SendError) as caught:
            (send or self.send)()
        error = caught.value
        assert type(error) is kind, repr(error)
        assert error.safe_to_resend is (error.outcome is not Outcome.UNKNOWN)
        assert len(str(error).splitlines()) == 1
        assert error.request is not None
        assert error.request.endpoint == self.client.endpoint
        assert error.request.recipients == len(NUMBERS)
        restored = pickle.loads(pickle.dumps(error))
        assert type(restored) is kind
        assert str(restored) == str(error)
        assert vars(restored) == vars(error)
        trace = "".join(traceback.format_exception(error))
        assert_no_secret(str(error), repr(error), repr(vars(error)), trace, repr(self.client))
        assert_no_secret_kept(error)
        return error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.__exit__(kind, error, trace)
