"""`Arrival`: one request to the service, with its outcome and its response."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from typing import Any

from yunxin_soap.operation import ProtocolName


class Outcome(str, Enum):
    """The gateway's decision, even if the caller did not receive it."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    """The result is a negative code."""
    FAILED = "failed"
    """The method threw, or a fault prevented the call."""
    MALFORMED = "malformed"
    """The request never reached the method."""


_CODE = re.compile(r"(-[0-9]+)(?::.*)?", re.DOTALL)


class StorageError(Exception):
    """An arrival cannot be written to the record file; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One request to the service."""

    id: int = 0
    """Counted from 1; `clear` does not reset it. 0 before the arrival is stored."""
    received_at: datetime
    outcome: Outcome
    result: str
    """The result of the method, or what was wrong with the request."""
    http_status: int
    """The HTTP status of the response, even if a fault kept the response back."""
    remote: str
    """The IP address of the caller."""
    protocol: ProtocolName | None = None
    """None if the request never reached the method."""
    user_code: str = ""
    recipients: tuple[str, ...] = ()
    """The numbers in their order; only the first 10,000 (the gateway accepts up to 1,000)."""
    message: str = ""
    channel: str = ""
    extension: str = ""
    batch_no: str | None = None
    """Only of an accepted submission."""
    fault: str | None = None
    """The kind of the fault that the request triggered."""
    request: str = field(default="", repr=False)
    """The raw request with the password masked; at most 16 Ki characters."""
    response: str = field(default="", repr=False)
    """The raw response; at most 16 Ki characters."""

    @property
    def summary(self) -> str:
        """One readable line about the arrival."""
        if self.protocol is None:
            return f"{self.outcome.value}: {self.result}"
        numbers = ",".join(self.recipients[:3]) + (",…" if len(self.recipients) > 3 else "")
        fault = f", triggered the fault {self.fault!r}" if self.fault else ""
        result = f" {self.result}" if self.result else ""
        return (
            f"{self.outcome.value}{result}: to {numbers or 'nobody'} over {self.protocol}:"
            f" {self.message!r}{fault}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the arrival as JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {
            "received_at": self.received_at.isoformat(),
            "outcome": self.outcome.value,
            "recipients": list(self.recipients),
        }


def code_of(arrival: Arrival) -> int | None:
    """Return the result code of a rejected submission; None for any other arrival."""
    if arrival.outcome is not Outcome.REJECTED:
        return None
    found = _CODE.fullmatch(arrival.result)
    return int(found[1]) if found else None
