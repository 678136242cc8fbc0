"""What the inbox shows of an arrival, and which arrivals a search finds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.files import escape_spreadsheet_formula
from yunxin_soap.message import segments, utf16_length
from yunxin_soap.sandbox.arrivals.store import Arrival, Outcome

_CODE = re.compile(r"(-[0-9]+)(?::.*)?", re.DOTALL)
_COLUMNS = (
    "number",
    "received_at",
    "outcome",
    "answer",
    "batch_no",
    "port",
    "user_code",
    "channel",
    "extension",
    "recipients",
    "message",
    "segments",
    "fault",
    "status",
    "remote",
)


MAX_SHOWN = 10_000
"""Characters of a message in a list; one alone is shown whole."""


@dataclass(frozen=True)
class Search:
    """What to look for; what is left out fits everything."""

    text: str = ""
    """In the message, a number, the batch number, the answer or the account, whatever its case."""
    outcome: Outcome | None = None
    recipient: str = ""
    batch_no: str = ""
    after: int = 0
    """Only arrivals with a higher number."""
    before: int | None = None

    def finds(self, arrival: Arrival) -> bool:
        """Whether an arrival fits."""
        return (
            arrival.number > self.after
            and (self.before is None or arrival.number < self.before)
            and self.outcome in (None, arrival.outcome)
            and (not self.recipient or self.recipient in arrival.recipients)
            and self.batch_no in ("", arrival.batch_no)
            and (not self.text or self._in(arrival))
        )

    def _in(self, arrival: Arrival) -> bool:
        wanted = self.text.lower()
        texts = (arrival.message, arrival.answer, arrival.batch_no or "", arrival.user_code)
        return any(wanted in text.lower() for text in texts) or any(
            wanted in recipient.lower() for recipient in arrival.recipients
        )


def listed(arrival: Arrival) -> dict[str, Any]:
    """Return an arrival as `shown` does, of a long message only the start."""
    values = shown(arrival)
    return values | {"message": values["message"][:MAX_SHOWN]}


def shown(arrival: Arrival, *, raw: bool = False) -> dict[str, Any]:
    """Return an arrival for JSON: what is known of it, and what its code means.

    Args:
        arrival: which.
        raw: with the raw request and response.
    """
    values = arrival.as_dict()
    if not raw:
        del values["request"], values["response"]
    code = None
    if arrival.outcome is Outcome.REJECTED and (found := _CODE.fullmatch(arrival.answer)):
        code = int(found[1])
    known = DOCUMENTED.get(code) if code is not None else None
    return values | {
        "segments": segments(arrival.message) if arrival.message else 0,
        "length": utf16_length(arrival.message),
        "code": code,
        "chinese": known.description_zh if known else None,
        "english": known.description_en if known else None,
    }


def as_csv(arrivals: Iterable[Arrival]) -> Iterator[str]:
    """Give the lines of a CSV file that a spreadsheet opens and takes for text alone."""
    yield "\ufeff" + ",".join(_COLUMNS) + "\r\n"
    for arrival in arrivals:
        values = shown(arrival) | {"recipients": " ".join(arrival.recipients)}
        line = io.StringIO()
        csv.writer(line, quoting=csv.QUOTE_ALL).writerow(
            escape_spreadsheet_formula(values[name]) for name in _COLUMNS
        )
        yield line.getvalue()
