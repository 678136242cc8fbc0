"""The inbox's search, without a server."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome
from yunxin_soap.sandbox.inbox.search import MAX_TERMS, NAMES, SearchError, Term, matcher, parse

NOON = datetime(2026, 11, 30, 4, tzinfo=timezone.utc)  # noon in China
ARRIVAL = Arrival(
    received_at=NOON,
    outcome=Outcome.REJECTED,
    result="-6:促销",
    http_status=200,
    remote="127.0.0.1",
    protocol="soap",
    user_code="Demo",
    recipients=("13900000000", "13900000001"),
    message='Say "hi": 您的验证码是1234【签名】',
)


def found(search: str, utc_offset: int = 480) -> bool:
    return matcher(search, utc_offset, NOON)(ARRIVAL)


@pytest.mark.parametrize(
    "search",
    [
        "",
        "  ",
        "验证码",
        "DEMO",
        "-6:促销",
        "13900000001",
        "to:13900000001",
        "to:139-0000-0001",
        'to:"139 0000 0001"',
        "to:+8613900000001",
        'to:"+86 139-0000-0001"',
        "to:008613900000001",
        "to:0000001",
        "outcome:rejected",
        "OUTCOME：Rejected",
        "code:-6",
        "code:6",
        "text:验证码",
        'text:"say ""hi"": 您"',
        "account:demo",
        "before:12:01",
        "before:12:00:01",
        "before:2026-12-01",
        "before:2026-11-30T12:01",
        "before:2026-11-30T04:01Z",
        '"say ""hi',
        "to:0001 code:-6 1234",
    ],
)
def test_search_matching_terms_find_the_arrival(search: str) -> None:
    """Every kind of term finds what it describes; names and texts ignore case."""
    assert found(search)


@pytest.mark.parametrize(
    "search",
    [
        "to:13900000002",
        "to:0013900",  # not across two numbers
        "outcome:accepted",
        "code:-7",
        "text:demo",
        "text:13900000001",
        "account:1234",
        "before:12:00",
        "before:2026-11-30",
        "to:0001 code:-7",
        "验证码 不在",
    ],
)
def test_search_a_term_that_differs_finds_nothing(search: str) -> None:
    """Each term must match, in its own field."""
    assert not found(search)


def test_search_time_without_a_zone_is_the_readers() -> None:
    """Noon in China is 04:00 in UTC."""
    assert not found("before:04:00", 0)
    assert found("before:04:01", 0)
    assert not found("before:04:01", 480)


@pytest.mark.parametrize(
    ("search", "reason"),
    [
        ("outcom:accepted", "has no term outcom:, only to:, outcome:"),
        ("http://example", "write quotes"),
        ("to:", "without a value"),
        ("to: 139", "without a value"),
        ("to:-", "without a value"),
        ('""', "without a value"),
        ("outcome:sent", "write accepted, rejected, failed, malformed"),
        ("code:abc", "such as -7"),
        ("before:noon", "14:30"),
        ("before:25:00", "14:30"),
        ("before:2026-13-01", "14:30"),
        ("x " * (MAX_TERMS + 1), "more than 20 terms"),
    ],
)
def test_search_that_is_not_understood_is_an_error(search: str, reason: str) -> None:
    """A mistyped term must not match all: the error says what to write."""
    with pytest.raises(SearchError, match=reason):
        found(search)


@given(st.text(max_size=60), st.integers(-960, 960))
def test_search_any_text_is_a_search_or_an_error(search: str, utc_offset: int) -> None:
    """No text makes the parser or the search fail in another way."""
    with suppress(SearchError):
        assert found(search, utc_offset) in (True, False)


@given(
    st.sampled_from(NAMES),
    st.text("0123456789-:T.Z+ \"'您a", max_size=20),
    st.integers(-960, 960),
)
def test_search_any_value_is_a_search_or_an_error(name: str, value: str, utc_offset: int) -> None:
    """No value makes the search fail in another way."""
    with suppress(SearchError):
        assert found(f"{name}:{value}", utc_offset) in (True, False)


@given(
    st.lists(
        st.builds(
            Term,
            st.sampled_from(["", *(name for name in NAMES if name != "to")]),
            st.text(max_size=10).filter(lambda value: value.strip() != ""),
        )
        | st.builds(Term, st.just("to"), st.text("123456789", min_size=1, max_size=11)),
        max_size=MAX_TERMS,
    )
)
def test_search_written_with_quotes_is_parsed_back(terms: list[Term]) -> None:
    """Quotes carry any value, quotes included."""
    written = []
    for term in terms:
        value = term.value.replace('"', '""')
        written.append(f'{term.name}:"{value}"' if term.name else f'"{value}"')
    assert parse(" ".join(written)) == tuple(terms)


@pytest.mark.parametrize("written", ["+86 139 0000 0001", "0086-139-0000-0001", "13900000001"])
def test_search_number_is_parsed_into_digits(written: str) -> None:
    """The page marks the digits, and a row shows the number that has them."""
    assert parse(f'to:"{written}"') == (Term("to", "13900000001"),)


def test_search_before_the_first_year_matches_nothing() -> None:
    """The ends of the calendar are times like others."""
    assert not found("before:0001-01-01", 960)
    assert found("before:9999-12-31T23:59", -960)
