"""The pytest plugin's fixtures, beyond what `tests.acceptance.user_project` shows."""

from __future__ import annotations

from pathlib import Path

from tests.support.nested_pytest import run_pytest

_ACCOUNT_TESTS = """
import pytest
from yunxin_soap.sandbox import Account

@pytest.fixture(scope="session", autouse=True)
def account(_yunxin_server):
    _yunxin_server.add_account(Account("ours", "secret"))

@pytest.mark.parametrize("turn", [1, 2])
def test_an_account(yunxin_sandbox, yunxin_client, turn):
    yunxin_client.send("13900000000", "您好")
    accounts = {each.user_code: each.user_pass for each in yunxin_sandbox.gateway.accounts}
    assert accounts == {"demo": "demo", "ours": "secret"}
    yunxin_sandbox.add_account(Account("demo", "other"))
"""


def test_yunxin_sandbox_account_of_one_test_is_removed_before_the_next(tmp_path: Path) -> None:
    """An account that one test adds does not reach the next test; a session fixture's does."""
    (tmp_path / "test_accounts.py").write_text(_ACCOUNT_TESTS, "utf-8")
    assert "2 passed" in run_pytest(tmp_path)


def test_yunxin_async_client_plugins_named_one_by_one_runs(tmp_path: Path) -> None:
    """The fixture works where plugins are not autoloaded but given with -p."""
    (tmp_path / "test_async.py").write_text(
        "import pytest\n\n@pytest.mark.asyncio\n"
        "async def test_it(yunxin_async_client):\n"
        "    await yunxin_async_client.send('13900000000', '您好')\n",
        "utf-8",
    )
    plugins = ["-p", "pytest_asyncio.plugin", "-p", "yunxin_soap.pytest_plugin"]
    output = run_pytest(tmp_path, *plugins, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert "1 passed" in output


def test_yunxin_async_client_on_trio_fails_with_the_reason(tmp_path: Path) -> None:
    """On an anyio backend other than asyncio, the fixture fails and says what to change."""
    (tmp_path / "test_trio.py").write_text(
        "import pytest\n\n"
        "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n\n"
        "@pytest.fixture\ndef anyio_backend_name():\n    return 'trio'\n\n"
        "@pytest.mark.anyio\n"
        "async def test_it(yunxin_async_client):\n    pass\n",
        "utf-8",
    )
    output = run_pytest(tmp_path, "-p", "no:asyncio", status=1)
    assert "yunxin_async_client supports asyncio only" in output
    assert "make the fixture anyio_backend return 'asyncio'" in output


_FAILING_TESTS = """
import re
import pytest

def test_text(yunxin_sandbox, yunxin_client):
    yunxin_client.send("13900000000", "您的订单42已发货")
    yunxin_client.send("13900000001", "您的订单43已发货")
    yunxin_client.send(["13800000001", "13800000002"], "验证码1234")
    yunxin_sandbox.inject_fault("code", code=-14)
    with pytest.raises(Exception):
        yunxin_client.send("13900000000", "您的订单43已发货")
    yunxin_sandbox.assert_sent("+86 139 0000 0000", "订单43")

def test_times(yunxin_sandbox, yunxin_client):
    yunxin_client.send("13900000000", "您好")
    yunxin_client.send("13900000000", "您好")
    yunxin_sandbox.assert_sent([13900000000, 13900000001])

def test_pattern(yunxin_sandbox, yunxin_client):
    yunxin_client.send("13900000000", "验证码12345，5分钟内有效")
    yunxin_sandbox.assert_sent("13900000000", re.compile(r"验证码[0-9]{4}，"))

def test_nothing_arrived(yunxin_sandbox):
    yunxin_sandbox.assert_sent(13900000000)

def test_not_sent(yunxin_sandbox, yunxin_client):
    yunxin_client.send(["13900000000", "13900000001"], "全场五折")
    yunxin_sandbox.assert_not_sent("13900000001", "五折")

def test_nothing_sent(yunxin_sandbox, yunxin_client):
    yunxin_client.send("13900000000", "您好")
    yunxin_sandbox.assert_nothing_sent()
"""
# The blanks below wide characters are wide, too.
_FAILURES = """
Expected 1 accepted submission to 13900000000 whose message contains '订单43', found 0.
4 arrivals, the closest first:
  #4 rejected -14 用户黑名单 with the fault 'code', to 13900000000: matches, but was not accepted
      message:   您的订单43已发货【签名】
  #2 accepted, to 13900000001: the number differs
      expected:  13900000000
      number:    13900000001
                           ^
      message:   您的订单43已发货【签名】
  #1 accepted, to 13900000000: the message differs
      expected:  \u3000\u3000订单43
      message:   您的订单42已发货【签名】
                 \u3000\u3000\u3000\u3000 ^
  #3 accepted, to 13800000001, 13800000002: number and message differ
      expected:  13900000000
      number:    13800000001
                   ^       ^
      message:   验证码1234【签名】

Expected 1 accepted submission to each of 2 numbers, found 2 to 13900000000, 0 to 13900000001.
2 arrivals, the closest first:
  #6 accepted, to 13900000000: matches
      message:   您好【签名】
  #5 accepted, to 13900000000: matches
      message:   您好【签名】

Expected 1 accepted submission to 13900000000 whose message matches the pattern '验证码[0-9]{4}，',\
 found 0.
1 arrival:
  #7 accepted, to 13900000000: the message differs
      message:   验证码12345，5分钟内有效【签名】

Expected 1 accepted submission to 13900000000, found 0.
Nothing arrived.

Expected no accepted submission to 13900000001 whose message contains '五折', found 1:
  #8 accepted, to 13900000000, 13900000001
      message:   全场五折【签名】

Expected that no submission was accepted, found 1:
  #9 accepted, to 13900000000
      message:   您好【签名】
"""


def test_assertions_fail_with_what_arrived_and_the_difference(tmp_path: Path) -> None:
    """Each assertion's failure shows what arrived instead, the closest first."""
    (tmp_path / "test_failing.py").write_text(_FAILING_TESTS, "utf-8")
    output = run_pytest(tmp_path, "-p", "no:randomly", "-p", "no:xdist", status=1)
    said = [line[8:] for line in output.splitlines() if line.startswith("E  ")]
    message = "\n".join(said).replace("AssertionError: ", "\n")
    assert message.strip() == _FAILURES.strip()
    assert "assertions.py" not in output, "the traceback ends in the user's test"


_FROZEN_TESTS = """
import asyncio
from datetime import datetime, timezone

import pytest
import time_machine
from freezegun import freeze_time
from yunxin_soap import AsyncClient, Client, OutcomeUnknown

WHEN = datetime(2020, 1, 2, tzinfo=timezone.utc)

@pytest.fixture(
    params=[
        freeze_time(WHEN),
        freeze_time(WHEN, auto_tick_seconds=60),
        time_machine.travel(WHEN, tick=False),
    ]
)
def _frozen(request):
    with request.param:
        yield

@pytest.mark.usefixtures("_frozen")
class TestFrozen:
    def test_delay_ends(self, yunxin_sandbox, yunxin_client):
        yunxin_sandbox.inject_fault("delay", seconds=0.05)
        yunxin_client.send("13900000000", "您好")
        (arrival,) = yunxin_sandbox.inbox
        assert arrival.received_at.date() == WHEN.date()

    def test_port_opens_again(self, yunxin_env):
        yunxin_env.inject_fault("refuse", seconds=0.05)
        with Client.from_env(retries=9, timeout=5) as client:
            client.send("13900000000", "您好")

    @pytest.mark.yunxin(timeout=0.05)
    def test_client_times_out(self, yunxin_sandbox, yunxin_client):
        yunxin_sandbox.inject_fault("hang")
        with pytest.raises(OutcomeUnknown):
            yunxin_client.send("13900000000", "您好")

@pytest.mark.yunxin(timeout=0.05)
@pytest.mark.parametrize(
    "frozen", [freeze_time(WHEN, real_asyncio=True), time_machine.travel(WHEN, tick=False)]
)
def test_async_client_times_out(yunxin_env, frozen):
    async def send():
        async with AsyncClient.from_env() as client:
            yunxin_env.inject_fault("hang")
            with pytest.raises(OutcomeUnknown):
                await client.send("13900000000", "您好")
    with frozen:
        asyncio.run(send())
"""


def test_fixtures_in_frozen_time_wait_in_real_time(tmp_path: Path) -> None:
    """Delays and timeouts take real time while freezegun or time-machine has stopped it."""
    (tmp_path / "test_frozen.py").write_text(_FROZEN_TESTS, "utf-8")
    assert "11 passed" in run_pytest(tmp_path, "-p", "no:xdist", "--timeout=20", "-x")


_BLOCKED_TESTS = """
import socket

import pytest
import requests
import vcr
from pytest_socket import SocketBlockedError, SocketConnectBlockedError
from yunxin_soap import AsyncClient, Client, NotSent

ELSEWHERE = {"channel": 37, "endpoint": "http://192.0.2.1/api/MsgSend.asmx", "retries": 0}
CASSETTE = '''
interactions:
- request: {body: null, headers: {}, method: GET, uri: "http://shop.example/order"}
  response: {body: {string: "42"}, headers: {}, status: {code: 200, message: OK}}
version: 1
'''

@pytest.mark.filterwarnings("ignore:A test tried to use")
class TestBlocked:
    def test_sandbox_is_reached_and_nothing_else(self, yunxin_sandbox, yunxin_client):
        yunxin_client.send("13900000000", "您好")
        with Client("demo", "demo", **ELSEWHERE) as client:
            with pytest.raises(NotSent, match="SocketConnectBlockedError"):
                client.send("13900000000", "您好【签名】")

    @pytest.mark.asyncio
    async def test_the_same_with_asyncio(self, yunxin_sandbox, yunxin_async_client):
        await yunxin_async_client.send("13900000000", "您好")
        async with AsyncClient("demo", "demo", **ELSEWHERE) as client:
            with pytest.raises(NotSent, match="SocketConnectBlockedError"):
                await client.send("13900000000", "您好【签名】")

    @pytest.mark.allow_hosts(["192.0.2.2"])
    def test_own_hosts_stay(self, yunxin_sandbox, yunxin_client):
        yunxin_client.send("13900000000", "您好")
        with pytest.raises(SocketConnectBlockedError, match="127.0.0.1,192.0.2.2"):
            socket.create_connection(("192.0.2.1", 80))

    def test_without_the_sandbox_all_is_blocked(self):
        with pytest.raises(SocketBlockedError):
            socket.socket()

def test_vcrpy_plays_its_cassette_and_records_no_sms(yunxin_sandbox, yunxin_client, tmp_path):
    cassette = tmp_path / "cassette.yaml"
    cassette.write_text(CASSETTE)
    with vcr.use_cassette(str(cassette), record_mode="none") as played:
        yunxin_client.send("13900000000", "您好")
        assert requests.get("http://shop.example/order").text == "42"
    yunxin_sandbox.assert_sent("13900000000")
    assert (len(played), played.play_count) == (1, 1)
    assert cassette.read_text() == CASSETTE
"""


def test_fixtures_beside_pytest_socket_and_vcrpy_reach_the_sandbox_alone(tmp_path: Path) -> None:
    """pytest-socket blocks all but the sandbox, and vcrpy leaves what goes there alone."""
    (tmp_path / "test_blocked.py").write_text(_BLOCKED_TESTS, "utf-8")
    assert "5 passed" in run_pytest(tmp_path, "--disable-socket", "-p", "no:xdist")


_DJANGO_TESTS = """
import os

import pytest
from django.conf import settings as django_settings
from yunxin_soap import Client

def send():
    with Client(**django_settings.YUNXIN) as client:
        client.send("13900000000", "您好")

@pytest.mark.yunxin(signature="书店", protocol="http-get")
def test_settings_name_the_sandbox(yunxin_env):
    assert "proxy" not in django_settings.YUNXIN
    assert django_settings.YUNXIN["max_segments"] == 3
    send()
    (arrival,) = yunxin_env.assert_sent("13900000000", "您好【书店】")
    assert arrival.protocol == "http-get"

def test_settings_of_pytest_django_come_later(yunxin_env, settings):
    settings.YUNXIN = {**settings.YUNXIN, "signature": "云信"}
    send()
    yunxin_env.assert_sent("13900000000", "您好【云信】")

def test_settings_are_as_before(settings):
    assert settings.YUNXIN == {"user_code": "real", "max_segments": 3, "proxy": "http://a.example"}
    assert "YUNXIN_USER_PASS" not in os.environ
"""


def test_yunxin_env_with_pytest_django_sets_the_settings(tmp_path: Path) -> None:
    """An application that reads settings.YUNXIN sends to the sandbox; the rest of it stays."""
    (tmp_path / "shop_settings.py").write_text(
        'YUNXIN = {"user_code": "real", "max_segments": 3, "proxy": "http://a.example"}\n'
    )
    (tmp_path / "test_django.py").write_text(_DJANGO_TESTS, "utf-8")
    order = ("-p", "no:randomly", "-p", "no:xdist")
    output = run_pytest(tmp_path, "--ds=shop_settings", *order, PYTHONPATH=str(tmp_path))
    assert "3 passed" in output


_WRONG_OPTIONS = """
import pytest

@pytest.mark.yunxin(signatur="书店")
def test_unknown(yunxin_client):
    pass

@pytest.mark.yunxin(protocol="ftp")
def test_invalid(yunxin_env):
    pass

@pytest.mark.yunxin("书店")
def test_positional(yunxin_client):
    pass

@pytest.mark.yunxin(user_pass="wrong")
def test_wrong_password(yunxin_client, yunxin_sandbox):
    yunxin_client.send("13900000000", "您好")
"""


def test_options_that_are_wrong_fail_and_are_named(tmp_path: Path) -> None:
    """An option that does not exist or has a wrong value fails the test, and says which."""
    (tmp_path / "test_options.py").write_text(_WRONG_OPTIONS, "utf-8")
    output = run_pytest(tmp_path, "--strict-markers", "-p", "no:xdist", status=1)
    assert "The marker yunxin has no option 'signatur': use one of user_code, user_pass," in output
    assert "protocol='ftp' is not known: use one of soap, soap12" in output
    assert "The marker yunxin takes named options, such as signature='云信'." in output
    assert "-3 用户名密码错误" in output, "a known account keeps its password"
    assert "1 failed, 3 errors" in output
    (tmp_path / "pytest.ini").write_text("[pytest]\nyunxin_timeout = soon\n")
    output = run_pytest(tmp_path, "-k", "wrong_password", "-p", "no:xdist", status=1)
    assert "yunxin_timeout = soon must be a number of seconds." in output
