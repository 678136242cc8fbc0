"""Tests as a user of the pytest plugin writes them; they import no test code of this repository."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from orders import confirm, confirm_async


def test_confirm_sends_the_order_once(yunxin_sandbox, yunxin_client):
    """confirm() sends one SMS with the order, and returns its batch number."""
    batch_no = confirm(yunxin_client, "13900000000", "42")
    (submission,) = yunxin_sandbox.assert_sent("13900000000", "订单42")
    assert submission.batch_no == batch_no
    assert yunxin_sandbox.times_accepted("13900000000") == 1


def test_yunxin_sandbox_starts_empty(yunxin_sandbox):
    """Each test gets a sandbox without the arrivals of the test before."""
    assert yunxin_sandbox.inbox == ()


def test_confirm_lost_response_is_not_resent(yunxin_sandbox, yunxin_client):
    """An SMS whose response is lost is not sent a second time."""
    yunxin_sandbox.inject_fault("close")  # the SMS is accepted, but no response arrives
    assert confirm(yunxin_client, "13900000000", "42") == "ask the vendor"
    yunxin_sandbox.assert_sent("13900000000", times=1)


def test_confirm_flaky_gateway_reports_each_unknown(yunxin_sandbox, yunxin_client):
    """Every order that the gateway did not accept is reported as unknown."""
    with yunxin_sandbox.inject_fault(
        "html", status=503, when="before", probability=0.5, seed=7, times=None
    ):
        notes = [confirm(yunxin_client, "13900000000", str(order)) for order in range(20)]
    assert 0 < notes.count("ask the vendor") < 20
    assert len(yunxin_sandbox.inbox) == 20 - notes.count("ask the vendor")


def test_assert_sent_missing_sms_lists_what_arrived(yunxin_sandbox, yunxin_client):
    """assert_sent() fails with what it expected and everything that arrived."""
    yunxin_client.send("13900000000", "您好")
    with pytest.raises(AssertionError) as caught:
        yunxin_sandbox.assert_sent("13900000001")
    assert "Found 0 accepted submissions to 13900000001, expected 1" in str(caught.value)
    assert "to 13900000000 over soap: '您好【签名】'" in str(caught.value)


@pytest.mark.asyncio
async def test_yunxin_async_client_with_pytest_asyncio_sends(yunxin_sandbox, yunxin_async_client):
    """The asynchronous client works in a test of pytest-asyncio."""
    await confirm_async(yunxin_async_client, "13900000000", "42")
    yunxin_sandbox.assert_sent("13900000000")


@pytest.mark.asyncio(loop_scope="module")
async def test_yunxin_async_client_in_module_loop_sends(yunxin_sandbox, yunxin_async_client):
    """The asynchronous client belongs to the test's loop, whatever its scope."""
    await confirm_async(yunxin_async_client, "13900000000", "42")
    yunxin_sandbox.assert_sent("13900000000")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_yunxin_async_client_with_anyio_sends(
    yunxin_sandbox, yunxin_async_client, anyio_backend
):
    """The asynchronous client works in a test of anyio on asyncio."""
    await confirm_async(yunxin_async_client, "13900000000", "42")
    yunxin_sandbox.assert_sent("13900000000")
