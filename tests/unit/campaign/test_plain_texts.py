"""Texts that are filled many at once are those that are filled one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lists import numbers
from yunxin_soap.campaign import Rows, SkippedLine, preview
from yunxin_soap.campaign.lists.named_rows import NamedRows
from yunxin_soap.campaign.planning import Planner
from yunxin_soap.campaign.template import Template
from yunxin_soap.campaign.values import are_plain, as_written
from yunxin_soap.errors import InvalidRequest

_WORDS = [
    *(
        "张三",
        "Li Lei",
        " 王五 ",
        "a",
        "x1",
        "1x",
        "true",
        "张\u200b",
        "\ue000",
        "😀",
        "【甲】",
        "{名}",
    ),
    *("nan", "NULL", "None", "None\n", "na", "inf", "#N/A", "-", "", "a\nb", "\n"),
    *("9", "1.5", "12.50", "1.39E+10", "1e5", "0.30000000000000004", "202611300001", "2026-11-30"),
]
words = st.one_of(
    st.sampled_from(_WORDS),
    st.text(max_size=4),
    st.integers(0, 10**12).map(str),
    st.decimals(0, 10**6, places=2).map(str),
)
cells = st.one_of(words, st.none(), st.integers(), st.floats(), st.booleans())


@given(st.lists(cells, max_size=4))
def test_plain_values_are_written_as_they_are(values: list[Any]) -> None:
    """No value is called plain that would be changed or refused."""
    if are_plain(values):
        assert [as_written(each) for each in values] == values


@given(st.lists(st.lists(cells, min_size=1, max_size=3), min_size=1, max_size=4))
def test_texts_filled_at_once_are_those_filled_one_by_one(rows: list[list[Any]]) -> None:
    """Neither columns that are missing nor rows that are short make a difference."""
    template = Template("您好{a}，余额{b}元{a}【签名】")
    for listed in (NamedRows({"a": 0, "b": 1}, rows), [{"a": row[0]} for row in rows]):
        texts = template.fill_plain(listed)
        if texts is not None:
            assert texts == [template.fill(row) for row in listed]


@pytest.mark.parametrize(
    "options",
    [{}, {"signature": "乙"}, {"max_segments": 1}, {"marketing": True}],
    ids=lambda options: next(iter(options), "none"),
)
@pytest.mark.parametrize(
    "message",
    [
        "您好{a}，余额{b}元【签名】",
        "{a}{b}【签名】",
        "您好{a}{b}，退订回T【签名】",
        "您好，{b}【{a}】",
        "您好{b}{a}",
        "【{a}】您好{b}【签名】",
        "#{a}#{b}【签名】",
        "到期{a:%m月%d日}{b}【签名】",
        "长" * 60 + "{a}{b}【签名】",
    ],
)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=4))
def test_plan_of_rows_together_is_that_of_each_alone(
    message: str, options: dict[str, Any], rows: list[tuple[str, str]]
) -> None:
    """A row's text does not depend on the rows beside it."""
    listed = [
        {"phone": number, "a": a, "b": b}
        for number, (a, b) in zip(numbers(len(rows)), rows, strict=True)
    ]
    expected: list[str] = []
    for each in listed:
        alone = _texts(message, [each], options)
        if alone is None:
            return  # the message itself is refused
        expected += alone
    assert sorted(expected) == sorted(_texts(message, listed, options) or [])


def _texts(message: str, rows: list[dict[str, str]], options: dict[str, Any]) -> list[str] | None:
    try:
        planner = Planner(message, channel=37, **options)
    except InvalidRequest:
        return None
    try:
        planner.read(Rows(rows))
        return [text for text, _, size in planner.submissions() for _ in range(size)]
    finally:
        planner.close()


def test_a_hole_among_plain_values_is_skipped() -> None:
    """One bad value costs its own line only."""
    skipped: list[SkippedLine] = []
    rows = [
        {"phone": number, "name": name}
        for number, name in zip(numbers(3), ["张三", "nan", "李四"], strict=True)
    ]
    found = preview("a", rows, "您好{name}【签名】", channel=37, on_skipped=skipped.append)
    assert (found.plan.numbers, [each.line for each in skipped]) == (2, [2])
