"""What the assertions of the sandbox count, and how their failures are written."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap import InvalidRequest
from yunxin_soap.sandbox import Arrival, ArrivalStore, Outcome, StoreLimits
from yunxin_soap.sandbox.assertions import check_not_sent, check_nothing_sent, check_sent


def store_of(
    *messages: str, to: tuple[str, ...] = ("13900000000",), keep: int = 100
) -> ArrivalStore:
    """Return a store with accepted arrivals to the same numbers."""
    store = ArrivalStore(limits=StoreLimits(max_arrivals=keep))
    for message in messages:
        store.add(
            Arrival(
                received_at=datetime.now(timezone.utc),
                outcome=Outcome.ACCEPTED,
                result="2114355899380234221",
                http_status=200,
                remote="127.0.0.1",
                protocol="soap",
                recipients=to,
                message=message,
                batch_no="2114355899380234221",
            )
        )
    return store


def failure_of(store: ArrivalStore, expected: str, number: str = "13900000000") -> list[str]:
    """Return the lines that an assertion of one message to one number fails with."""
    with pytest.raises(AssertionError) as caught:
        check_sent(store, number, expected, 1)
    return str(caught.value).splitlines()


def width_of(text: str) -> int:
    """Return how many columns of a terminal a text without combining characters takes."""
    return sum(1 + (unicodedata.east_asian_width(each) in "WF") for each in text)


def test_check_sent_several_numbers_counts_each_however_they_were_sent() -> None:
    """Two numbers of one submission and one of another are three messages to three numbers."""
    store = store_of("您好【签名】", to=("13900000000", "13900000001"))
    store.add(store_of("您好【签名】", to=("13900000002",)).arrivals[0])
    numbers = "13900000000,13900000001,13900000002"
    assert check_sent(store, numbers, "您好", 1) == store.arrivals
    assert check_sent(store, 13900000002, re.compile("^您"), 1) == store.arrivals[1:]
    assert check_sent(store, 13900000003, "", 0) == ()


def test_check_sent_too_many_wrong_numbers_lists_five() -> None:
    """Of many numbers that got nothing, the failure names the first."""
    store = store_of("您好【签名】")
    with pytest.raises(AssertionError, match="0 to 13900000005 and 4 more numbers") as caught:
        check_sent(store, [13900000000 + each for each in range(10)], "", 1)
    assert "0 to 13900000006" not in str(caught.value)


def test_check_sent_invalid_number_is_no_failed_assertion() -> None:
    """A number that could never be sent to is a mistake of the test."""
    with pytest.raises(InvalidRequest, match="Recipient 1"):
        check_sent(store_of(), "1390000000", "", 1)
    with pytest.raises(InvalidRequest, match="There is no recipient"):
        check_not_sent(store_of(), [], "")


@pytest.mark.parametrize("times", [-1, 1.5, "1", True, None])
def test_check_sent_times_that_are_no_count_are_no_failed_assertion(times: Any) -> None:
    """It is a mistake of the test, also while nothing was sent."""
    expected = f"times={times!r} must be a whole number from 0 \\(0: none was sent\\)\\.$"
    for store in (store_of(), store_of("您好【签名】")):
        with pytest.raises(ValueError, match=expected):
            check_sent(store, "13900000000", "", times)


def test_assertions_dropped_arrivals_still_count_as_sent() -> None:
    """What is no longer in memory was sent, and a failure says how much is missing."""
    store = store_of(*["您好【签名】"] * 2, keep=1)
    store.add(store_of("您好【签名】", to=("13900000001",)).arrivals[0])
    with pytest.raises(AssertionError, match="not in memory any more"):
        check_not_sent(store, "13900000000", "")
    assert "1 arrival (2 older ones are not in memory any more):" in failure_of(store, "再见")
    check_not_sent(store, "13900000002", "")


def test_check_nothing_sent_many_lists_five() -> None:
    """A failure lists the first five messages, and counts the rest."""
    with pytest.raises(AssertionError, match="found 7:") as caught:
        check_nothing_sent(store_of(*[f"{each}【签名】" for each in range(7)]))
    lines = str(caught.value).splitlines()
    assert lines[2] == "      message:   0【签名】"
    assert lines[-1] == "  and 2 more"


@pytest.mark.parametrize(
    ("expected", "message", "lines"),
    [
        ("abc-def", "xabcdefx【签名】", [" abc-def", "xabc defx【签名】", "    ^"]),
        (
            "订单42已发货",
            "您的订单4已发货【签名】",
            ["　　订单42已发货", "您的订单4 已发货【签名】", "　　　　 ^"],
        ),
        ("王女士您好", "王先生您好【签名】", ["王女士您好", "王先生您好【签名】", "　＾＾"]),
        ("a\nb", "a\u200bb【签名】", ["a\\n    b", "a\\u200bb【签名】", " ^"]),
    ],
)
def test_check_sent_difference_is_aligned_and_marked(
    expected: str, message: str, lines: list[str]
) -> None:
    """The two texts stand one below the other, with a mark below what differs."""
    found = failure_of(store_of(message), expected)
    heads = ("      expected:  ", "      message:   ", " " * 17)
    assert found[-3:] == [head + line for head, line in zip(heads, lines, strict=True)]


def test_check_sent_long_message_shows_the_part_that_differs() -> None:
    """Of a long message, the failure shows what is around the difference, in 40 characters."""
    message = "很长的短信" * 20 + "验证码12345" + "很长的短信" * 20 + "【签名】"
    expected, shown, marks = failure_of(store_of(message), "验证码12355很长")[-3:]
    assert shown.startswith("      message:   ...")
    assert shown.endswith("...")
    assert len(shown) == 17 + 3 + 40 + 3
    assert "验证码12345" in shown
    assert expected.strip("\u3000 ").endswith("验证码12355很长")
    assert marks.strip("\u3000 ") == "^"


def test_check_sent_text_that_has_nothing_in_common_is_not_compared() -> None:
    """Where a difference would mark everything, the failure shows the message alone."""
    found = failure_of(store_of("您好【签名】"), "验证码1234")
    assert found[-2:] == [
        "  #1 accepted, to 13900000000: the message differs",
        "      message:   您好【签名】",
    ]


_TEXTS = st.text("ab您好12\n\u200b😀，", min_size=1, max_size=30)


@given(_TEXTS, _TEXTS)
def test_check_sent_any_texts_are_written_below_each_other(expected: str, message: str) -> None:
    """Whatever the texts, a failure shows them whole, and each mark below a difference."""
    if expected in message:
        return
    lines = failure_of(store_of(message), expected)
    heads = [line[6:17].strip() for line in lines]
    if "expected:" not in heads:
        return
    at = heads.index("expected:")
    wanted, found, marks = (line[17:] for line in lines[at : at + 3])
    assert re.sub("[ \u3000]", "", wanted) == "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in expected
    )
    columns = {}
    for row, text in enumerate((wanted, found)):
        column = 0
        for shown in re.findall(r"\\n|\\u[0-9a-f]{4}|.", text):
            # An escaped character differs as a whole, though each begins with a backslash.
            for _ in range(width_of(shown)):
                columns[row, column] = shown
                column += 1
    column = 0
    for each in marks:
        if each in "^＾":
            assert columns.get((0, column), " ") != columns.get((1, column), " ")
        column += width_of(each)
