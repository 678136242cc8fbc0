"""What a program reads from the status of a campaign."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.campaign_figures import status
from yunxin_soap.campaign import State
from yunxin_soap.cli.exit_status import Exit


@pytest.mark.parametrize(
    ("numbers", "changed", "expected"),
    [
        ({State.ACCEPTED: 2}, {}, Exit.DONE),
        ({}, {}, Exit.DONE),
        ({State.ACCEPTED: 1, State.REJECTED: 1}, {}, Exit.REJECTED),
        ({State.CANCELLED: 1}, {}, Exit.REJECTED),
        ({State.PENDING: 2}, {"on_hold": {"-12 模板不匹配": 2}}, Exit.REJECTED),
        ({State.PENDING: 3}, {"on_hold": {"-12 模板不匹配": 2}}, Exit.NOT_SENT),
        ({State.SUBMITTING: 1, State.REJECTED: 1}, {}, Exit.NOT_SENT),
        ({State.UNKNOWN: 1, State.PENDING: 1, State.REJECTED: 1}, {}, Exit.UNKNOWN),
    ],
)
def test_status_exit_status_is_that_of_campaign_run(
    numbers: dict[State, int], changed: dict[str, Any], expected: Exit
) -> None:
    """A job of your own ends as ``campaign run`` does: the worst comes first."""
    assert status(numbers=numbers, **changed).exit_status == expected
