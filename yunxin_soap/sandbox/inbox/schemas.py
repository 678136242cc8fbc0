"""The JSON of the REST API, as pydantic models."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.message import count_segments, utf16_length
from yunxin_soap.operation import ProtocolName
from yunxin_soap.sandbox.arrivals import models
from yunxin_soap.sandbox.arrivals.models import Outcome, code_of
from yunxin_soap.sandbox.config import DEMO, Account
from yunxin_soap.sandbox.faults.injector import FaultStatus

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_LISTED_MESSAGE = 10_000
"""Characters of a message in a list; a single arrival has the complete message."""
_Count = Annotated[int, Field(ge=0)]


def _format_time(moment: datetime) -> str:
    # pydantic 2.7 cannot inspect the signature of datetime.isoformat itself.
    return moment.isoformat()


_Time = Annotated[
    datetime,
    # Python 3.10 does not parse pydantic's own format, which ends in Z.
    PlainSerializer(_format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Error(_Schema):
    """An error response."""

    error: str
    """What is wrong and what to do."""


class Empty(_Schema):
    """A response without content."""


class Arrival(_Schema):
    """A request to the service, and how it ended."""

    id: _Count
    """Counts from 1 and never starts again, also not when the arrivals are cleared."""
    received_at: _Time
    """When the request arrived."""
    outcome: Outcome
    """How the request ended."""
    result: str
    """The text that the method answered, or what was wrong with the request."""
    http_status: int
    """The HTTP status of the response."""
    remote: str
    """The IP address of the client."""
    protocol: ProtocolName | None
    """Null if the request never reached the method."""
    user_code: str
    """The account's user code."""
    recipients: list[str]
    """The numbers, in their order; at most the first 10,000."""
    message: str
    """The text with its signature; in a list at most its first 10,000 characters."""
    channel: str
    """The channel number."""
    extension: str
    """The extension number."""
    batch_no: str | None
    """The batch number of an accepted submission."""
    fault: str | None
    """The kind of the fault that the submission triggered."""
    segments: _Count
    """Estimated segments for each number, counted as the client counts them: up to 70 UTF-16 code
    units are one, longer messages have 67 in each."""
    length: _Count
    """Length of the message in UTF-16 code units; most emoji count as two."""
    code: int | None
    """The result code of a rejected submission."""
    description_zh: str | None
    """The vendor's Chinese description of the code."""
    description_en: str | None
    """The English description of the code."""

    @classmethod
    def of(cls, arrival: models.Arrival) -> Self:
        """Return what the API shows of an arrival."""
        code = code_of(arrival)
        known = DOCUMENTED.get(code) if code is not None else None
        derived = {
            "segments": count_segments(arrival.message),
            "length": utf16_length(arrival.message),
            "code": code,
            "description_zh": known.description_zh if known else None,
            "description_en": known.description_en if known else None,
        }
        stored = {name: getattr(arrival, name) for name in cls.model_fields if name not in derived}
        return cls.model_validate(stored | derived)

    def shortened(self) -> Self:
        """Return a copy with at most `MAX_LISTED_MESSAGE` characters of the message."""
        if len(self.message) <= MAX_LISTED_MESSAGE:
            return self
        return self.model_copy(update={"message": self.message[:MAX_LISTED_MESSAGE]})


class ArrivalDetail(Arrival):
    """An arrival with its raw request and response."""

    request: str
    """The raw request, the password masked."""
    response: str
    """The raw response."""


class ArrivalList(_Schema):
    """Arrivals that match a search."""

    arrivals: list[Arrival]
    """The latest first."""
    found: _Count
    """How many arrivals match, returned or not."""
    total: _Count
    """How many arrivals are kept in memory."""
    dropped: _Count
    """How many older arrivals are no longer in memory."""
    capacity: _Count
    """The most arrivals that memory can keep."""
    first_id: _Count
    """The id of the oldest arrival in memory; 0 if there is none."""
    last_id: _Count
    """The id of the latest arrival, cleared ones included; 0 at first."""


class SearchTerm(_Schema):
    """One term of a search."""

    name: str
    """What the term is about; empty for a word that may be anywhere."""
    value: str
    """The value without its quotes."""


class ArrivalIds(_Schema):
    """The ids of all arrivals that match a search."""

    ids: list[int]
    """The latest first."""
    arrivals: list[Arrival]
    """The latest of them, as many as the limit allows."""
    terms: list[SearchTerm]
    """The terms of the search, to mark them in the arrivals."""
    total: _Count
    """How many arrivals are kept in memory."""
    dropped: _Count
    """How many older arrivals are no longer in memory."""
    last_id: _Count
    """The id of the latest arrival, cleared ones included; 0 at first."""


class NumberCount(_Schema):
    """How often a number was accepted."""

    number: str
    accepted: _Count


class NumberRange(_Schema):
    """Test numbers that have the same effect."""

    first: str
    last: str
    """The same as `first` if it is one number."""
    description_zh: str
    description_en: str


class SampleAccount(_Schema):
    """An account for a first try."""

    user_code: str
    user_pass: str | None
    """The demo account's password; null for any other account, whose password nobody is told."""
    channel: str

    @classmethod
    def of(cls, account: Account) -> Self:
        """Return what may be told of an account, which has a channel."""
        is_demo = (account.user_code, account.user_pass) == (DEMO.user_code, DEMO.user_pass)
        return cls(
            user_code=account.user_code,
            user_pass=account.user_pass if is_demo else None,
            channel=account.channels[0].number,
        )


class Configuration(_Schema):
    """What the page must know of the sandbox's configuration."""

    test_numbers: list[NumberRange]
    """Empty if they are switched off."""
    sample_account: SampleAccount | None
    """The first account that has a channel; null if none has."""


class FaultState(_Schema):
    """What a fault has in addition to its options once it is injected."""

    id: _Count
    """Names the fault when it is removed."""
    triggered: _Count
    """How many submissions triggered the fault."""
    exhausted: bool
    """Whether no further submission can trigger the fault."""


def fault_json(fault_id: int, status: FaultStatus) -> dict[str, Any]:
    """Return an injected fault for JSON: its state and its options."""
    state = FaultState(id=fault_id, triggered=status.triggered, exhausted=status.exhausted)
    return state.model_dump() | asdict(cast(Any, status.fault))
