"""The REST API, described for other tools."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from yunxin_soap._version import __version__
from yunxin_soap.sandbox.arrivals.store import Outcome
from yunxin_soap.sandbox.faults.model import PHONE_NUMBER, AnyFault
from yunxin_soap.sandbox.inbox.query_params import MAX_WAIT, MOST
from yunxin_soap.wsdl import PROTOCOLS

_STRING = {"type": "string"}
_WHOLE = {"type": "integer", "minimum": 0}
_ASKED = {**_WHOLE, "maximum": MOST}
_SECONDS = {"type": "number", "minimum": 0, "maximum": 86400}
_OUTCOMES = {"type": "string", "enum": [each.value for each in Outcome]}

_MESSAGE: dict[str, Any] = {
    "number": {**_WHOLE, "description": "Counted from 1 since the record began."},
    "received_at": {"type": "string", "format": "date-time"},
    "outcome": _OUTCOMES,
    "answer": {**_STRING, "description": "What the method answered, or what was wrong."},
    "status": {**_WHOLE, "description": "The HTTP status."},
    "remote": _STRING,
    "port": {"type": ["string", "null"], "enum": [*PROTOCOLS, None]},
    "user_code": _STRING,
    "recipients": {"type": "array", "items": _STRING},
    "message": {**_STRING, "description": "In a list, its first 10,000 characters."},
    "channel": _STRING,
    "extension": _STRING,
    "batch_no": {"type": ["string", "null"]},
    "fault": {"type": ["string", "null"], "description": "The kind of the fault that it met."},
    "segments": {**_WHOLE, "description": "An estimate: 70 characters alone, 67 in each part."},
    "length": {**_WHOLE, "description": "In units of UTF-16, as segments: most emoji are two."},
    "code": {"type": ["integer", "null"]},
    "chinese": {"type": ["string", "null"], "description": "The vendor's words for the code."},
    "english": {"type": ["string", "null"]},
    "request": {**_STRING, "description": "Raw, the password masked; of one message alone."},
    "response": {**_STRING, "description": "Raw; of one message alone."},
}
_STATUS: dict[str, Any] = {
    "id": _WHOLE,
    "triggered": {**_WHOLE, "description": "How many submissions triggered it."},
    "exhausted": {"type": "boolean", "description": "Whether nothing further can trigger it."},
}
_SEARCH: list[tuple[str, dict[str, Any], str]] = [
    ("text", _STRING, "In the text, a number, the batch number, the answer or the account."),
    ("outcome", _OUTCOMES, "How it ended."),
    ("recipient", _STRING, "One of its numbers, whole."),
    ("batch_no", _STRING, "Its batch number."),
    ("after", _ASKED, "Only those with a higher number."),
    ("before", _ASKED, "Only those with a lower number."),
]


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    search = [_parameter(name, schema, text) for name, schema, text in _SEARCH]
    limit = _parameter("limit", {**_WHOLE, "maximum": 1000, "default": 100}, "How many at most.")
    timeout = _parameter(
        "timeout", {**_SECONDS, "maximum": MAX_WAIT, "default": 10}, "Seconds to wait at most."
    )
    number = _parameter("number", _ASKED, "Its number.", where="path")
    of_a_phone = {**_STRING, "pattern": f"^{PHONE_NUMBER.pattern}$"}
    phone = _parameter("number", of_a_phone, "The phone number.", where="path")
    message, fault, error = map(_reference, ("Message", "Fault", "Error"))
    found = _object(
        {
            "messages": {"type": "array", "items": message},
            "found": _WHOLE,
            "total": _WHOLE,
            "dropped": _WHOLE,
            "kept_at_most": _WHOLE,
            "last": {**_WHOLE, "description": "The number of the last that arrived."},
        }
    )
    counted = _object({"number": _STRING, "accepted": _WHOLE})
    nothing = _object({})
    new_fault = TypeAdapter(AnyFault).json_schema(ref_template="#/components/schemas/{model}")
    kinds = new_fault.pop("$defs")
    for kind in kinds.values():
        kind["required"] = ["kind"]
        del kind["additionalProperties"]  # a fault in force has more
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "yunxin_soap sandbox",
            "version": __version__,
            "description": "What arrived at the sandbox gateway, and how it is to fail.",
        },
        "paths": {
            "/api/v1/messages": {
                "get": _operation(
                    "listMessages", "List, the latest first.", found, [*search, limit], (400, 422)
                ),
                "delete": _operation("clearMessages", "Forget them all.", nothing, (), (400, 500)),
            },
            "/api/v1/messages.csv": {
                "get": _operation(
                    "downloadCsv", "Download as CSV.", None, search, (400, 422), "text/csv"
                )
            },
            "/api/v1/messages.json": {
                "get": _operation(
                    "downloadJson",
                    "Download as JSON.",
                    {"type": "array", "items": message},
                    search,
                    (400, 422),
                )
            },
            "/api/v1/messages/{number}": {
                "get": _operation(
                    "getMessage",
                    "One, with its raw request and response.",
                    message,
                    [number],
                    (400, 404),
                )
            },
            "/api/v1/wait": {
                "get": _operation(
                    "waitForMessage",
                    "Wait for one that fits; it may be there already.",
                    message,
                    [*search, timeout],
                    (400, 404, 422, 503),
                )
            },
            "/api/v1/numbers/{number}": {
                "get": _operation(
                    "countAccepted",
                    "How often a number was accepted.",
                    counted,
                    [phone],
                    (400, 422),
                )
            },
            "/api/v1/faults": {
                "get": _operation(
                    "listFaults",
                    "All, those that are over too.",
                    {"type": "array", "items": fault},
                    (),
                    (400,),
                ),
                "post": {
                    **_operation(
                        "addFault",
                        "Put one in force.",
                        fault,
                        (),
                        (400, 413, 415, 422),
                        created=True,
                    ),
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": _reference("NewFault")}},
                    },
                },
                "delete": _operation("clearFaults", "Take all out of force.", nothing, (), (400,)),
            },
            "/api/v1/faults/{number}": {
                "delete": _operation(
                    "removeFault", "Take one out of force.", nothing, [number], (400, 404)
                )
            },
            "/api/v1/events": {
                "get": _operation(
                    "followEvents",
                    "Server-sent events: each message as it comes, when all are cleared, and when"
                    " the faults have changed.",
                    None,
                    (),
                    (400, 503),
                    "text/event-stream",
                )
            },
        },
        "components": {
            "schemas": {
                "Message": _object(_MESSAGE, [*list(_MESSAGE)[:-2]]),
                **kinds,
                "NewFault": {**new_fault, "unevaluatedProperties": False},
                "Fault": {"allOf": [_object(_STATUS), new_fault]},
                "Error": _object({"error": _STRING}),
            },
            "responses": {
                "Error": {
                    "description": "What is wrong.",
                    "content": {"application/json": {"schema": error}},
                }
            },
        },
    }


def _parameter(
    name: str, schema: dict[str, Any], description: str, *, where: str = "query"
) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": schema,
        "description": description,
    }


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


def _operation(
    name: str,
    summary: str,
    answer: dict[str, Any] | None,
    parameters: Any = (),
    errors: tuple[int, ...] = (),
    media_type: str = "application/json",
    *,
    created: bool = False,
) -> dict[str, Any]:
    responses: dict[str, Any] = {
        "201" if created else "200": {
            "description": summary,
            "content": {media_type: {"schema": answer or _STRING}},
        }
    }
    for status in (*errors, 403):
        responses[str(status)] = {"$ref": "#/components/responses/Error"}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": list(parameters),
        "responses": responses,
    }
