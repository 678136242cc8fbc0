"""A preview shows the texts that a person should see before they are sent, and what they cost."""

from __future__ import annotations

import io
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lists import TEXT, numbers
from yunxin_soap import ConfigurationError
from yunxin_soap.campaign import Csv, Preview, Rows, preview
from yunxin_soap.campaign.lists import BATCH_SIZE
from yunxin_soap.message import count_segments, utf16_length

A, B, C = numbers(3)


def test_preview_of_one_text_has_one_sample() -> None:
    """The first, longest and shortest text are the same one, to the first number."""
    shown = preview("a", ["x", A, B], TEXT, channel=37, extension=7)
    (sample,) = shown.samples
    assert sample.names == ("first", "longest", "shortest")
    assert (sample.number, sample.message, sample.segments) == (A, TEXT, 1)
    assert sample.values == {}
    assert shown.numbers_by_segments == {1: 2}
    assert (shown.channel, shown.extension) == ("37", "7")


def test_preview_shows_what_the_columns_filled() -> None:
    """The values are those of the row whose number the sample has, in the order of the message."""
    rows = f"phone,name,sum\n{A},甲, 1 \n{A},丙,9\n{B},乙乙,2\n".encode()
    shown = preview("a", Csv(io.BytesIO(rows)), "{name}：{sum}【签名】", channel=37)
    assert [(each.names, each.number, each.values) for each in shown.samples] == [
        (("first", "shortest"), A, {"name": "甲", "sum": "1"}),
        (("longest",), B, {"name": "乙乙", "sum": "2"}),
    ]


def test_preview_has_a_sample_of_each_count_of_segments() -> None:
    """A count that none of the first, longest and shortest has is shown by its first text."""
    lengths = [1, 300, 80, 90, 150]
    rows = [
        {"phone": number, "x": "长" * length}
        for number, length in zip(numbers(5), lengths, strict=True)
    ]
    shown = preview("a", rows, "{x}【签名】", channel=37)
    assert [(each.names, each.segments, each.number) for each in shown.samples] == [
        (("first", "shortest"), 1, rows[0]["phone"]),
        (("longest",), 5, rows[1]["phone"]),
        ((), 2, rows[2]["phone"]),
        ((), 3, rows[4]["phone"]),
    ]


def test_preview_longest_is_counted_as_the_vendor_counts() -> None:
    """Most emoji count as two characters."""
    rows = [{"phone": A, "x": "长长长"}, {"phone": B, "x": "😀😀"}]
    longest = [
        each.number
        for each in preview("a", rows, "{x}【签名】", channel=37).samples
        if "longest" in each.names
    ]
    assert longest == [B]


def test_preview_samples_are_found_in_every_batch() -> None:
    """A text beyond the first batch, and a duplicate in it, are seen like any other."""
    rows = [{"phone": each, "x": "中中"} for each in numbers(BATCH_SIZE)]
    last = numbers(2, 13920000000)
    rows += [{"phone": A, "x": "短"}, {"phone": last[0], "x": "长" * 100}]
    shown = preview("a", Rows(rows), "{x}【签名】", channel=37)
    assert [(each.names, each.number) for each in shown.samples] == [
        (("first", "shortest"), A),
        (("longest",), last[0]),
    ]
    assert shown.numbers_by_segments == {1: BATCH_SIZE, 2: 1}


_values = st.text(st.sampled_from("长a😀"), min_size=1, max_size=4).map(lambda text: text * 40)
_rows = st.lists(st.tuples(st.integers(0, 30), _values), min_size=1, max_size=40)


@given(_rows, st.integers(1, 3))
def test_preview_agrees_with_all_texts(listed: list[tuple[int, str]], size: int) -> None:
    """Whatever is in a list, the samples are of it, and the counts add up."""
    texts: dict[str, str] = {}
    for at, value in listed:
        texts.setdefault(str(13900000000 + at), f"{value}【签名】")
    rows = [{"phone": str(13900000000 + at), "x": value} for at, value in listed]
    shown = preview("a", rows, "{x}【签名】", channel=37, max_recipients=size)
    named = {name: each for each in shown.samples for name in each.names}
    lengths = [utf16_length(text) for text in texts.values()]
    assert named["first"].message == next(iter(texts.values()))
    assert utf16_length(named["longest"].message) == max(lengths)
    assert utf16_length(named["shortest"].message) == min(lengths)
    segments = Counter(map(count_segments, texts.values()))
    assert shown.numbers_by_segments == segments
    assert list(shown.numbers_by_segments) == sorted(segments)
    assert {each.segments for each in shown.samples} == set(segments)
    assert len({each.message for each in shown.samples}) == len(shown.samples)
    for each in shown.samples:
        assert texts[each.number] == each.message == f"{each.values['x']}【签名】"
        assert each.segments == count_segments(each.message)
    plan = shown.plan
    assert plan.numbers == len(texts)
    assert plan.texts == len(set(texts.values()))
    assert plan.segments == sum(count * each for each, count in segments.items())


def _shown() -> Preview:
    return preview("a", numbers(3), TEXT, channel=37)


@pytest.mark.parametrize(
    ("price", "cost"),
    [
        ("0.045", "0.135"),
        (" 0.10 ", "0.30"),
        (Decimal("0.0000000001"), "0.0000000003"),
        (1, "3"),
        ("1000000", "3000000"),
        ("0", "0"),
    ],
)
def test_preview_cost_is_exact(price: Any, cost: str) -> None:
    """The cost is the price of a segment times the segments, without rounding."""
    assert f"{_shown().cost(price):f}" == cost


@pytest.mark.parametrize(
    "price",
    [
        0.045,
        True,
        None,
        "",
        "x",
        "0,045",
        "NaN",
        "Infinity",
        "-0.1",
        "1e7",
        "1e-11",
        "1e999999",
        (),
    ],
)
def test_preview_price_that_is_no_amount_is_an_error(price: Any) -> None:
    """A float is refused, because it is another amount than it shows."""
    with pytest.raises(ConfigurationError, match=r"\Aprice="):
        _shown().cost(price)
