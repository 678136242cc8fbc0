"""Tests as a user of the pytest plugin writes them; they import no test code of this repository."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from yunxin_soap import Rejected

sys.path.insert(0, str(Path(__file__).parent))

from orders import confirm, confirm_async, confirm_from_env


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


def test_assert_sent_takes_what_send_takes(yunxin_sandbox, yunxin_client):
    """assert_sent() takes numbers as send() does, and a text or a pattern."""
    yunxin_client.send(["13900000000", "13900000001"], "您的验证码是1234")
    yunxin_client.send("13900000000", "您的验证码是5678")
    (both,) = yunxin_sandbox.assert_sent([13900000000, "+86 139 0000 0001"], "1234")
    assert both.recipients == ("13900000000", "13900000001")
    yunxin_sandbox.assert_sent(13900000000, re.compile(r"验证码是\d{4}"), times=2)
    yunxin_sandbox.assert_not_sent("13900000001", "5678")
    yunxin_sandbox.assert_not_sent({"13900000002", "13900000003"})


def test_assert_nothing_sent_rejected_does_not_count(yunxin_sandbox, yunxin_client):
    """A submission that the gateway rejected was not sent."""
    yunxin_sandbox.inject_fault("code", code=-14)
    with pytest.raises(Rejected):
        yunxin_client.send("13900000000", "您好")
    yunxin_sandbox.assert_nothing_sent()


def test_yunxin_env_application_needs_no_change(yunxin_env, pytestconfig):
    """An application that calls Client.from_env() sends to the sandbox."""
    confirm_from_env("13900000000", "42")
    (arrival,) = yunxin_env.assert_sent("13900000000", "订单42")
    signature = pytestconfig.getini("yunxin_signature") or "签名"
    assert arrival.message.endswith(f"【{signature}】")


@pytest.mark.yunxin(user_code="shop", user_pass="secret", signature="书店", protocol="http-post")
class TestAnotherAccount:
    """The marker chooses account, signature and protocol for a class or a test."""

    def test_yunxin_env_marker_sets_account(self, yunxin_env):
        """The application uses the account of the marker, which the sandbox knows."""
        confirm_from_env("13900000000", "42")
        (arrival,) = yunxin_env.inbox
        assert (arrival.user_code, arrival.protocol) == ("shop", "http-post")
        assert arrival.message.endswith("【书店】")

    @pytest.mark.yunxin(protocol="soap12", timeout=3)
    def test_yunxin_client_nearest_marker_wins(self, yunxin_client):
        """A marker of the test takes precedence over one of its class."""
        settings = yunxin_client.settings
        assert (settings.user_code, settings.protocol) == ("shop", "soap12")
        assert settings.timeout == 3


class TestOptionsByFixture:
    """A fixture chooses the options for the tests beside it."""

    @pytest.fixture
    def yunxin_options(self):
        """Override the plugin's fixture."""
        return {"signature": "书店", "channel": 38}

    def test_yunxin_options_set_signature_and_channel(self, yunxin_sandbox, yunxin_client):
        """The client has the fixture's options, and the sandbox its channel."""
        yunxin_client.send("13900000000", "您好")
        (arrival,) = yunxin_sandbox.assert_sent("13900000000", "您好【书店】")
        assert arrival.channel == "38"

    @pytest.mark.asyncio
    @pytest.mark.yunxin(signature="云信")
    async def test_yunxin_async_client_marker_before_fixture(
        self, yunxin_sandbox, yunxin_async_client
    ):
        """The marker takes precedence over the fixture; the asynchronous client has both."""
        await yunxin_async_client.send("13900000000", "您好")
        (arrival,) = yunxin_sandbox.assert_sent("13900000000", "您好【云信】")
        assert arrival.channel == "38"


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
