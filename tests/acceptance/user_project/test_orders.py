"""Tests as a user of the pytest plugin writes them; they import nothing of this repository."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from orders import confirm, confirm_async


def test_a_customer_is_told(yunxin_sandbox, yunxin_client):
    batch_no = confirm(yunxin_client, "13900000000", "42")
    (submission,) = yunxin_sandbox.assert_sent("13900000000", "订单42")
    assert submission.batch_no == batch_no
    assert yunxin_sandbox.times_accepted("13900000000") == 1


def test_every_test_starts_clean(yunxin_sandbox):
    assert yunxin_sandbox.inbox == ()


def test_a_lost_answer_is_not_sent_again(yunxin_sandbox, yunxin_client):
    yunxin_sandbox.inject_fault("close")  # the SMS is accepted, and the answer never comes
    assert confirm(yunxin_client, "13900000000", "42") == "ask the vendor"
    yunxin_sandbox.assert_sent("13900000000", times=1)


def test_a_gateway_that_is_down_half_of_the_time(yunxin_sandbox, yunxin_client):
    with yunxin_sandbox.inject_fault(
        "html", status=503, when="before", probability=0.5, seed=7, times=None
    ):
        told = [confirm(yunxin_client, "13900000000", str(order)) for order in range(20)]
    assert 0 < told.count("ask the vendor") < 20
    assert len(yunxin_sandbox.inbox) == 20 - told.count("ask the vendor")


def test_what_is_missing_is_told(yunxin_sandbox, yunxin_client):
    yunxin_client.send("13900000000", "您好")
    with pytest.raises(AssertionError) as caught:
        yunxin_sandbox.assert_sent("13900000001")
    assert "0 accepted submits to 13900000001, not 1" in str(caught.value)
    assert "to 13900000000 over soap: '您好【签名】'" in str(caught.value)


@pytest.mark.asyncio
async def test_with_pytest_asyncio(yunxin_sandbox, yunxin_async_client):
    await confirm_async(yunxin_async_client, "13900000000", "42")
    yunxin_sandbox.assert_sent("13900000000")


@pytest.mark.asyncio(loop_scope="module")
async def test_with_a_loop_of_another_scope(yunxin_sandbox, yunxin_async_client):
    await confirm_async(yunxin_async_client, "13900000000", "42")
    yunxin_sandbox.assert_sent("13900000000")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_with_anyio(yunxin_sandbox, yunxin_async_client, anyio_backend):
    await confirm_async(yunxin_async_client, "13900000000", "42")
    yunxin_sandbox.assert_sent("13900000000")
