"""Downloads of the arrivals, as CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import timezone

from pydantic_core import to_json

from yunxin_soap.files import escape_spreadsheet_formula
from yunxin_soap.sandbox.arrivals import models
from yunxin_soap.sandbox.inbox import schemas

# The ids and times of other exports are not these, and no spreadsheet reads a time with a zone.
_COLUMNS = (
    "arrival_id",
    "received_at_utc",
    "outcome",
    "result",
    "batch_no",
    "protocol",
    "user_code",
    "channel",
    "extension",
    "recipients",
    "message",
    "segments",
    "fault",
    "http_status",
    "remote",
)


def to_csv(arrivals: Iterable[models.Arrival]) -> bytes:
    """Return a CSV file for spreadsheets: UTF-8 with a byte order mark, formulas escaped."""
    return "".join(_csv_lines(arrivals)).encode()


def to_json_array(arrivals: Iterable[models.Arrival]) -> bytes:
    """Return a JSON array, with the complete message of every arrival."""
    return to_json([schemas.Arrival.of(arrival) for arrival in arrivals])


def _csv_lines(arrivals: Iterable[models.Arrival]) -> Iterator[str]:
    yield "\ufeff" + ",".join(_COLUMNS) + "\r\n"
    for arrival in arrivals:
        values = schemas.Arrival.of(arrival).model_dump(mode="json")
        values["arrival_id"] = arrival.id
        received_at = arrival.received_at.astimezone(timezone.utc).replace(tzinfo=None)
        values["received_at_utc"] = received_at.isoformat(" ", "milliseconds")
        values["recipients"] = " ".join(arrival.recipients)
        line = io.StringIO()
        csv.writer(line, quoting=csv.QUOTE_ALL).writerow(
            escape_spreadsheet_formula(values[name]) for name in _COLUMNS
        )
        yield line.getvalue()
