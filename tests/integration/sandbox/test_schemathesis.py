"""The REST API keeps what its OpenAPI document promises, for requests that schemathesis makes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from yunxin_soap import Client
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.sandbox.inbox.openapi import OPERATIONS, document
from yunxin_soap.sandbox.inbox.query_params import NoQuery

SCHEMA = schemathesis.openapi.from_dict(document("", needs_login=False))
VALID, INVALID = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CASES = [
    pytest.param(each.operation_id, mode, id=f"{each.operation_id}-{mode.value}")
    for each in OPERATIONS
    # These wait for events and arrivals that do not come.
    if each.operation_id not in ("followEvents", "waitForArrival")
    for mode in (VALID, INVALID)
    # What takes nothing can get nothing that is invalid.
    if mode is VALID or "{" in each.path or each.query is not NoQuery or each.body
]


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """A sandbox that has an arrival and a fault."""
    with Sandbox() as sandbox:
        with Client("demo", "demo", endpoint=sandbox.url, channel=37) as client:
            client.send("13900000000", "您好【签名】")
        sandbox.inject_fault("delay", seconds=0.1)
        yield sandbox.url.partition("/api/")[0]


@pytest.mark.parametrize(("operation_id", "mode"), CASES)
def test_operation_keeps_its_promises(origin: str, operation_id: str, mode: GenerationMode) -> None:
    """Status, media type and body are those of the document, for valid requests and others."""
    operation = SCHEMA.find_operation_by_id(operation_id)

    @given(st.data())
    @settings(max_examples=10, suppress_health_check=list(HealthCheck), database=None)
    def check(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if mode is VALID and isinstance(case.query, dict):
            case.query.pop("q", None)  # a search has a grammar, which no schema can state
        body = case.body if isinstance(case.body, dict) else {}
        assume(body.get("kind") != "refuse")  # this fault closes the port
        # "unread" excludes options that select submissions, which no schema can state.
        assume(mode is not VALID or body.get("when") != "unread")
        case.call_and_validate(base_url=origin, timeout=10)

    check()
