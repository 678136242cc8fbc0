"""Each rule of the gateway, and the test numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest

from tests.support.asmx_requests import GOOD, NULLS
from yunxin_soap.message import MAINLAND_MOBILE
from yunxin_soap.sandbox import Account, Channel, Config, Gateway, GatewayDecision
from yunxin_soap.sandbox.gateway import TEST_NUMBERS

CHINA = timezone(timedelta(hours=8))
HERE = "127.0.0.1"


def _submit(gateway: Gateway, remote: str = HERE, **fields: str) -> str:
    """Return the result of a submission that does not make the method throw."""
    decision = gateway.decide(GOOD | fields, remote)
    assert decision.error is None
    assert decision.result is not None
    assert decision.batch_no in (None, decision.result)
    return decision.result


def _gateway(
    banned: tuple[str, ...] = (), blacklist: tuple[str, ...] = (), **settings: Any
) -> Gateway:
    account = Account("demo", "demo", **settings)
    return Gateway(Config((account,), banned, blacklist))


def _numbers(count: int) -> str:
    return ",".join(f"1391000{each:04}" for each in range(count))


REJECTED = [
    pytest.param({"userPass": "wrong"}, "-3", id="wrong password"),
    pytest.param({"userPass": ""}, "-3", id="no password"),
    pytest.param({"userPass": "demo "}, "-3", id="password with a space"),
    pytest.param({"userCode": "nobody"}, "-3", id="unknown user"),
    pytest.param({"userCode": "DEMO"}, "-3", id="user in another case"),
    pytest.param({"Msg": "no signature"}, "-5", id="no signature"),
    pytest.param({"Msg": "【签名】text"}, "-5", id="signature in front"),
    pytest.param({"Msg": "text【签名】 "}, "-5", id="space at the end"),
    pytest.param({"Msg": "text【】"}, "-5", id="empty signature"),
    pytest.param({"Msg": "text签名】"}, "-5", id="half a signature"),
    pytest.param({"Msg": ""}, "-5", id="no text"),
    pytest.param({"Msg": "大促销【签名】"}, "-6:促销", id="banned word"),
    pytest.param({"Channel": "38"}, "-8", id="unknown channel"),
    pytest.param({"Channel": ""}, "-8", id="no channel"),
    pytest.param({"Channel": "37 "}, "-8", id="channel with a space"),
    pytest.param({"DesNo": _numbers(1001)}, "-9", id="1001 numbers"),
    pytest.param({"DesNo": ""}, "-16", id="no number"),
    pytest.param({"DesNo": "1390000000"}, "-16", id="ten digits"),
    pytest.param({"DesNo": "139000000000"}, "-16", id="twelve digits"),
    pytest.param({"DesNo": "+8613900000000"}, "-16", id="country code"),
    pytest.param({"DesNo": "23900000000"}, "-16", id="starts with 2"),
    pytest.param({"DesNo": "１３９０００００００１"}, "-16", id="full-width"),
    pytest.param({"DesNo": "13900000000\n"}, "-16", id="line break"),
    pytest.param({"DesNo": "13900000000,"}, "-16", id="comma at the end"),
    pytest.param({"DesNo": "13900000000, 13900000001"}, "-16", id="space after the comma"),
    pytest.param({"DesNo": "13900000000，13900000001"}, "-16", id="Chinese comma"),
    pytest.param({"DesNo": "12345456765"}, "-17", id="the manual's example"),
    pytest.param({"DesNo": "13900000000,12345456765"}, "-17", id="second number"),
    pytest.param({"Msg": "a\0b【签名】"}, "-20", id="NUL"),
    pytest.param({"Msg": "a\x1bb【签名】"}, "-20", id="escape"),
    pytest.param({"Msg": "a\x7fb【签名】"}, "-20", id="delete"),
]


@pytest.mark.parametrize(("fields", "result"), REJECTED)
def test_gateway_invalid_submission_is_rejected_with_its_code(
    fields: dict[str, str], result: str
) -> None:
    """Each broken rule has its code."""
    assert Gateway().decide(GOOD | fields, HERE) == GatewayDecision(result)


ACCEPTED = [
    pytest.param({"DesNo": _numbers(1000)}, id="1000 numbers"),
    pytest.param({"DesNo": "13900000000,13900000000"}, id="a number twice"),
    pytest.param({"Msg": "a\r\nb\tc【签名】"}, id="line breaks and tab"),
    pytest.param({"Msg": "【通知】您好【签名】"}, id="brackets in front too"),
    pytest.param({"Msg": "😀 \ufffd【签名】"}, id="emoji and replacement character"),
    pytest.param({"ExeNo": "08"}, id="extension"),
]


@pytest.mark.parametrize("fields", ACCEPTED)
def test_gateway_valid_submission_gets_a_batch_number(fields: dict[str, str]) -> None:
    """A valid submission is accepted, and the result is its batch number."""
    decision = Gateway().decide(GOOD | fields, HERE)

    assert decision.batch_no is not None
    assert decision == GatewayDecision(decision.batch_no, decision.batch_no)


def test_gateway_six_nulls_are_bad_credentials() -> None:
    """Six nulls are -3."""
    assert Gateway().decide(NULLS, HERE) == GatewayDecision("-3")


def test_gateway_ip_binding_rejects_other_addresses() -> None:
    """An account with IP addresses rejects all others."""
    gateway = _gateway(ips=("10.0.0.1", "10.0.0.2"))

    assert _submit(gateway) == "-13"
    assert not _submit(gateway, "10.0.0.2").startswith("-")
    assert _submit(gateway, userPass="wrong") == "-3"


NIGHT = Channel("37", time(22), time(6))
DAY = Channel("37", time(8), time(20, 30))
HOURS = [
    (DAY, time(7, 59, 59), False),
    (DAY, time(8), True),
    (DAY, time(20, 29, 59), True),
    (DAY, time(20, 30), False),
    (NIGHT, time(21, 59, 59), False),
    (NIGHT, time(22), True),
    (NIGHT, time(0), True),
    (NIGHT, time(5, 59, 59), True),
    (NIGHT, time(6), False),
    (Channel("37", time(9), time(9)), time(3), True),
    (Channel(), time(0), True),
]


@pytest.mark.parametrize(("channel", "moment", "is_open"), HOURS)
@pytest.mark.parametrize("tz", [CHINA, timezone.utc, timezone(timedelta(hours=-5)), None])
def test_gateway_channel_hours_are_in_china_time(
    channel: Channel, moment: time, is_open: bool, tz: timezone | None
) -> None:
    """Opening hours are in China's time, whatever the time zone of the clock."""
    now = datetime.combine(datetime(2024, 5, 1, tzinfo=CHINA), moment, CHINA)
    now = now.astimezone(tz) if tz else now.replace(tzinfo=None)
    account = Account("demo", "demo", (channel,))
    gateway = Gateway(Config((account,)), now=lambda: now)

    assert (_submit(gateway) != "-8") == is_open


def test_gateway_channel_may_have_several_hours() -> None:
    """A channel that is listed twice has two opening hours."""
    account = Account("demo", "demo", (DAY, NIGHT, Channel("38")))
    now = datetime(2024, 5, 1, 7, tzinfo=CHINA)
    gateway = Gateway(Config((account,)), now=lambda: now)

    assert _submit(gateway) == "-8"
    assert not _submit(gateway, Channel="38").startswith("-")
    now += timedelta(hours=1)
    assert not _submit(gateway).startswith("-")


def test_gateway_number_limits_of_an_account() -> None:
    """Too few and too many numbers have their own codes."""
    gateway = _gateway(min_numbers=2, max_numbers=3)

    results = [_submit(gateway, DesNo=_numbers(count)) for count in (1, 2, 3, 4, 1001)]

    assert [results[0], *results[3:]] == ["-11", "-10", "-9"]
    assert not any(each.startswith("-") for each in results[1:3])


def test_gateway_blacklists_of_user_and_system() -> None:
    """Numbers of the user's and the system's blacklist have their own codes."""
    gateway = _gateway(blacklist=("13900000002",))
    gateway.add_account(Account("demo", "demo", blacklist=("13900000001",)))

    assert _submit(gateway, DesNo="13900000000,13900000001") == "-14"
    assert _submit(gateway, DesNo="13900000000,13900000002") == "-15"
    assert not _submit(gateway).startswith("-")


def test_gateway_custom_extension_needs_a_fixed_one() -> None:
    """Without a fixed extension, a custom one is -18."""
    gateway = _gateway(custom_extension=False)

    assert _submit(gateway, ExeNo="1") == "-18"
    assert not _submit(gateway, ExeNo="").startswith("-")


def test_gateway_banned_word_is_named() -> None:
    """The result names the banned word."""
    gateway = _gateway(banned=("贷款", "发票"))

    assert _submit(gateway, Msg="发票【签名】") == "-6:发票"
    assert _submit(gateway, Msg="贷款【签名】") == "-6:贷款"
    assert not _submit(gateway, Msg="促销【签名】").startswith("-")


def test_gateway_balance_runs_out() -> None:
    """Only accepted numbers are charged, and `clear` restores the balance."""
    gateway = _gateway(balance=3)

    assert not _submit(gateway, DesNo=_numbers(2)).startswith("-")
    assert _submit(gateway, DesNo=_numbers(2)) == "-7"
    assert _submit(gateway, Msg="no signature") == "-5"
    assert not _submit(gateway, DesNo=_numbers(1)).startswith("-")
    assert _submit(gateway) == "-7"
    gateway.clear()
    assert not _submit(gateway, DesNo=_numbers(3)).startswith("-")


@pytest.mark.parametrize("code", range(1, 100))
def test_gateway_test_number_gives_its_code(code: int) -> None:
    """A test number gives its code at any place, once the account is authenticated."""
    gateway = Gateway()
    expected = "-6:促销" if code == 6 else f"-{code}"

    assert _submit(gateway, DesNo=f"154999900{code:02}") == expected
    # At any place, and whatever else is wrong, except the account.
    assert _submit(gateway, DesNo=f"1,154999900{code:02}", Msg="", Channel="") == expected
    assert _submit(gateway, DesNo=f"154999900{code:02}", userPass="wrong") == "-3"


def test_gateway_test_number_00_is_an_ordinary_number() -> None:
    """15499990000 has no code."""
    assert not _submit(Gateway(), DesNo="15499990000").startswith("-")


def test_gateway_test_numbers_are_none_of_ordinary_generators() -> None:
    """A generator that counts up to a million from a usual prefix meets no test number."""
    starts = [10**8 * prefix for prefix in range(130, 200)] + [13000000001, 18612345678]
    for start in starts:
        for each in TEST_NUMBERS:
            assert not start <= int(each.last) < start + 10**6 + 10**4
            assert start + 10**6 < int(each.first) or int(each.last) < start
    assert all(MAINLAND_MOBILE.fullmatch(each.first) for each in TEST_NUMBERS)


def test_gateway_test_numbers_can_be_switched_off() -> None:
    """Without test numbers, all of them are ordinary numbers."""
    gateway = Gateway(Config(test_numbers=False))

    assert gateway.test_numbers == ()
    for each in TEST_NUMBERS:
        assert not _submit(gateway, DesNo=f"{each.first},{each.last}").startswith("-")


@pytest.mark.parametrize(("number", "accepted"), [("15499991000", 1), ("15499991001", 0)])
def test_gateway_test_number_makes_the_method_throw(number: str, accepted: int) -> None:
    """One test number throws after the acceptance, one before."""
    gateway = _gateway(balance=2)

    decision = gateway.decide(GOOD | {"DesNo": f"13900000000,{number}"}, HERE)

    assert decision.error == "Object reference not set to an instance of an object."
    assert decision.result is None
    assert (decision.batch_no is not None) == accepted
    # An accepted submission was charged, although the method then throws.
    assert (_submit(gateway) == "-7") == bool(accepted)


def test_gateway_test_number_throws_only_for_a_valid_submission() -> None:
    """The rules come before the exception."""
    assert _submit(Gateway(), DesNo="15499991000", Msg="no signature") == "-5"
    assert _submit(Gateway(), DesNo="15499991001", Msg="no signature") == "-5"


@pytest.fixture
def _frequent_thread_switches() -> Iterator[None]:
    """Switch threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_gateway_batch_numbers_grow_if_the_clock_goes_back() -> None:
    """Batch numbers grow although the clock stands still or goes back."""
    ticks = iter([5 * 10**18, 5 * 10**18, 4 * 10**18, 6 * 10**18])
    gateway = Gateway(clock_ns=lambda: next(ticks))

    grown = [int(_submit(gateway)) for _ in range(4)]

    assert grown == [5 * 10**18, 5 * 10**18 + 1, 5 * 10**18 + 2, 6 * 10**18]


@pytest.mark.usefixtures("_frequent_thread_switches")
def test_gateway_batch_numbers_are_unique_across_threads() -> None:
    """Batch numbers have 19 digits, are unique, and grow in each thread."""
    gateway = Gateway()

    def send(_: int) -> list[str]:
        return [_submit(gateway) for _ in range(200)]

    with ThreadPoolExecutor(8) as pool:
        each_thread = list(pool.map(send, range(8)))

    distinct = {number for numbers in each_thread for number in numbers}
    assert len(distinct) == 1600
    assert {len(number) for number in distinct} == {19}
    for numbers in each_thread:
        assert all(int(before) < int(after) for before, after in pairwise(numbers))


@pytest.mark.usefixtures("_frequent_thread_switches")
def test_gateway_balance_is_not_overdrawn_by_threads() -> None:
    """Threads together accept no more than the balance pays for."""
    gateway = _gateway(balance=100)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: _submit(gateway), range(400)))

    assert results.count("-7") == 300
    assert len({*results} - {"-7"}) == 100


def test_gateway_clear_restores_balances_only() -> None:
    """`clear` restores the balances; batch numbers still grow."""
    gateway = _gateway(balance=1)
    before = _submit(gateway)
    assert _submit(gateway) == "-7"

    gateway.clear()

    assert int(_submit(gateway)) > int(before)


def test_gateway_roll_back_refunds_the_account() -> None:
    """`roll_back` refunds the numbers of a submission."""
    gateway = _gateway(balance=2)
    fields = GOOD | {"DesNo": _numbers(2)}
    assert gateway.decide(fields, HERE).batch_no
    gateway.roll_back(fields)
    assert gateway.decide(fields, HERE).batch_no
    assert gateway.decide(fields, HERE) == GatewayDecision("-7")


def test_gateway_roll_back_after_clear_leaves_the_balance_full() -> None:
    """A balance that was restored meanwhile is full, and not more than full."""
    gateway = _gateway(balance=1)
    assert gateway.decide(GOOD, HERE).batch_no
    gateway.clear()
    gateway.roll_back(GOOD)
    assert gateway.decide(GOOD, HERE).batch_no
    assert gateway.decide(GOOD, HERE) == GatewayDecision("-7")


def test_gateway_add_account_adds_or_replaces() -> None:
    """`add_account` adds an account, or replaces it with a full balance."""
    gateway = _gateway(balance=1)
    _submit(gateway)
    assert _submit(gateway) == "-7"
    assert _submit(gateway, userCode="new", userPass="p") == "-3"

    gateway.add_account(Account("new", "p"))
    gateway.add_account(Account("demo", "changed", balance=1))

    assert not _submit(gateway, userCode="new", userPass="p").startswith("-")
    assert _submit(gateway) == "-3"
    assert not _submit(gateway, userPass="changed").startswith("-")
    assert _submit(gateway, userPass="changed") == "-7"
