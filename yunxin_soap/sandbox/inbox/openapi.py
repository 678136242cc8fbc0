"""The operations of the REST API, and its OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from yunxin_soap._version import __version__
from yunxin_soap.sandbox.faults.model import AnyFault, PhoneNumber
from yunxin_soap.sandbox.inbox import schemas
from yunxin_soap.sandbox.inbox.query_params import (
    MAX_ID,
    ListQuery,
    NoQuery,
    SearchQuery,
    WaitQuery,
)

API = "/api/v1"
_REF = "#/components/schemas/{model}"
_MODELS = (
    schemas.Arrival,
    schemas.ArrivalDetail,
    schemas.ArrivalList,
    schemas.ArrivalIds,
    schemas.NumberCount,
    schemas.Configuration,
    schemas.Empty,
    schemas.Error,
)
_PATH_PATTERNS = {"id": "[0-9]{1,15}", "number": "[^/]{1,40}"}
_Json = dict[str, Any]


def _ref(name: str) -> _Json:
    return {"$ref": _REF.format(model=name)}


def _array_of(name: str) -> _Json:
    return {"type": "array", "items": _ref(name)}


_TEXT: _Json = {"type": "string"}


@dataclass(frozen=True)
class Operation:
    """One operation of the REST API."""

    operation_id: str
    """The name of the function in generated clients."""
    method: str
    path: str
    """The path below `API`; ``{id}`` and ``{number}`` are parameters."""
    summary: str
    response: _Json
    """The schema of a successful response."""
    errors: tuple[int, ...] = ()
    """The statuses of errors, in addition to 400, 403 and, with a login, 401, which every
    operation can answer."""
    query: type[NoQuery] = NoQuery
    media_type: str = "application/json"
    status: int = 200
    """The status of a successful response."""
    body: _Json | None = None
    """The schema of the request's JSON body."""

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters in a request's path, or None if it is another path."""
        pattern = re.escape(API + self.path)
        for name, values in _PATH_PATTERNS.items():
            pattern = pattern.replace(rf"\{{{name}\}}", f"(?P<{name}>{values})")
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None


OPERATIONS = (
    Operation(
        "listArrivals",
        "GET",
        "/arrivals",
        "List arrivals, the latest first.",
        _ref("ArrivalList"),
        (422,),
        ListQuery,
    ),
    Operation(
        "listIds",
        "GET",
        "/arrivals/ids",
        "List the ids of all arrivals that match, the latest first, and the latest arrivals.",
        _ref("ArrivalIds"),
        (422,),
        ListQuery,
    ),
    Operation(
        "clearArrivals",
        "DELETE",
        "/arrivals",
        "Delete all arrivals, in the record file too, and restore the balances.",
        _ref("Empty"),
        (500,),
    ),
    Operation(
        "downloadCsv",
        "GET",
        "/arrivals.csv",
        "Download arrivals as CSV, the oldest first.",
        _TEXT,
        (422,),
        SearchQuery,
        media_type="text/csv",
    ),
    Operation(
        "downloadJson",
        "GET",
        "/arrivals.json",
        "Download arrivals as JSON, the oldest first.",
        _array_of("Arrival"),
        (422,),
        SearchQuery,
    ),
    Operation(
        "getArrival",
        "GET",
        "/arrivals/{id}",
        "Get one arrival with its raw request and response.",
        _ref("ArrivalDetail"),
        (404,),
    ),
    Operation(
        "waitForArrival",
        "GET",
        "/wait",
        "Wait for the first arrival that matches; it may have arrived before the request.",
        _ref("Arrival"),
        (404, 422, 503),
        WaitQuery,
    ),
    Operation(
        "countAccepted",
        "GET",
        "/numbers/{number}",
        "Count how often a number was accepted, also in arrivals that memory dropped.",
        _ref("NumberCount"),
        (422,),
    ),
    Operation(
        "getConfiguration",
        "GET",
        "/configuration",
        "Get the test numbers.",
        _ref("Configuration"),
    ),
    Operation(
        "listFaults",
        "GET",
        "/faults",
        "List the injected faults, exhausted ones included.",
        _array_of("Fault"),
    ),
    Operation(
        "addFault",
        "POST",
        "/faults",
        "Inject a fault.",
        _ref("Fault"),
        (413, 415, 422),
        status=201,
        body=_ref("NewFault"),
    ),
    Operation("clearFaults", "DELETE", "/faults", "Remove all faults.", _ref("Empty")),
    Operation("removeFault", "DELETE", "/faults/{id}", "Remove a fault.", _ref("Empty"), (404,)),
    Operation(
        "followEvents",
        "GET",
        "/events",
        "Follow server-sent events: `arrival` for each new arrival, `cleared` when all are deleted,"
        " `faults` when the faults have changed.",
        _TEXT,
        (503,),
        media_type="text/event-stream",
    ),
)


@lru_cache(maxsize=1)
def document(base_path: str, needs_login: bool) -> _Json:
    """Return the OpenAPI document.

    Args:
        base_path: the path in front of all paths; empty for none.
        needs_login: whether every operation needs a login.
    """
    paths: _Json = {}
    common = (400, 401, 403) if needs_login else (400, 403)
    for operation in OPERATIONS:
        methods = paths.setdefault(API + operation.path, {})
        methods[operation.method.lower()] = _describe(operation, common)
    login = {"login": {"type": "http", "scheme": "basic"}} if needs_login else {}
    _, models = models_json_schema([(each, "serialization") for each in _MODELS], ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "yunxin_soap sandbox",
            "version": __version__,
            "description": "What arrived at the sandbox gateway, and the faults to inject into it.",
        },
        "servers": [{"url": base_path or "/"}],
        "security": [{name: []} for name in login],
        "paths": paths,
        "components": {
            "securitySchemes": login,
            "schemas": models["$defs"] | _new_fault_schemas() | _fault_schemas(),
            "responses": {
                "Error": {
                    "description": schemas.Error.__doc__,
                    "content": {"application/json": {"schema": _ref("Error")}},
                }
            },
        },
    }


def fault_kinds() -> dict[str, _Json]:
    """Return the JSON schema of each kind of fault by its name, in the order of the models."""
    union = TypeAdapter(AnyFault).json_schema()
    kinds = [union["$defs"][each["$ref"].rpartition("/")[2]] for each in union["oneOf"]]
    return {kind["properties"]["kind"]["const"]: kind for kind in kinds}


def _new_fault_schemas() -> _Json:
    """Return the schemas of the faults that a client sends."""
    schema = TypeAdapter(AnyFault).json_schema(ref_template=_REF.format(model="New{model}"))
    kinds: _Json = schema.pop("$defs")
    for kind in kinds.values():
        kind["required"] = ["kind"]
    return {f"New{name}": kind for name, kind in kinds.items()} | {"NewFault": schema}


def _fault_schemas() -> _Json:
    """Return the schemas of injected faults: every option, and the fault's state."""
    schema = TypeAdapter(AnyFault).json_schema(ref_template=_REF)
    kinds: _Json = schema.pop("$defs")
    state = schemas.FaultState.model_json_schema(mode="serialization")["properties"]
    for kind in kinds.values():
        kind["properties"] = state | kind["properties"]
        kind["required"] = list(kind["properties"])
    return kinds | {"Fault": schema}


def _describe(operation: Operation, common: tuple[int, ...]) -> _Json:
    content = {operation.media_type: {"schema": operation.response}}
    responses: _Json = {
        str(operation.status): {"description": operation.summary, "content": content}
    }
    for status in (*common, *operation.errors):
        responses[str(status)] = {"$ref": "#/components/responses/Error"}
    described = {
        "operationId": operation.operation_id,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation.query)],
        "responses": responses,
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": operation.body}},
        }
    return described


def _path_parameters(path: str) -> Iterable[_Json]:
    described = {
        "id": ("The id.", {"type": "integer", "minimum": 0, "maximum": MAX_ID}),
        "number": ("The phone number.", TypeAdapter(PhoneNumber).json_schema()),
    }
    for name, (description, schema) in described.items():
        if f"{{{name}}}" in path:
            yield {
                "name": name,
                "in": "path",
                "required": True,
                "description": description,
                "schema": schema,
            }


def _query_parameters(query: type[NoQuery]) -> Iterable[_Json]:
    schema = TypeAdapter(query).json_schema(ref_template=_REF)
    for name, value in schema.get("properties", {}).items():
        yield {
            "name": name,
            "in": "query",
            "required": False,
            "description": value.pop("description"),
            "schema": _without_null(value),
        }


def _without_null(schema: _Json) -> _Json:
    """Return the schema of an optional value as a query has it: given, or left out."""
    choices: list[_Json] = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return next(iter(choices), schema)
