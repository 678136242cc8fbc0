"""URL-encoded fields: every value round-trips, and no input raises an error."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yunxin_soap.sandbox.asmx.forms import find_danger, html_encode, parse, url_decode

DECODED = [
    (b"", ""),
    (b"a+b", "a b"),
    (b"a%2Bb", "a+b"),
    (b"%zz%", "%zz%"),
    (b"a;b", "a;b"),
    (b"%00", "\0"),
    (b"%E6%82%A8%e6%82%a8", "您您"),
    ("您".encode(), "您"),
    # One character may be partly raw and partly escaped.
    (b"\xe6%82\xa8", "您"),
    (b"%u60a8%u60A8", "您您"),
    (b"%uD83D%uDE00", "😀"),
    (b"%uD83D", "\ufffd"),
    (b"%uD83Dx%uDE00", "\ufffdx\ufffd"),
    (b"%u60a", "%u60a"),
    (b"%U60a8", "%U60a8"),
    (b"%E6%u60a8", "\ufffd您"),
    (b"\xff", "\ufffd"),
]


@pytest.mark.parametrize(("raw", "text"), DECODED)
def test_url_decode_raw_bytes_gives_text(raw: bytes, text: str) -> None:
    """Decode each escape as ASP.NET does."""
    assert url_decode(raw) == text


PARSED = [
    (b"a=1&b=2", {"a": "1", "b": "2"}),
    (b"A=1&a=2", {"a": "1,2"}),
    (b"a=1;b=2", {"a": "1;b=2"}),
    (b"a=b=c", {"a": "b=c"}),
    (b"a=&b=", {"a": "", "b": ""}),
    (b"bare&&a=1&", {"a": "1"}),
    (b"M%73g=1", {"msg": "1"}),
    (b"", {}),
]


@pytest.mark.parametrize(("raw", "fields"), PARSED)
def test_parse_fields_returns_them_in_lower_case(raw: bytes, fields: dict[str, str]) -> None:
    """Return the values by field name in lower case; commas join repeated fields."""
    assert parse(raw) == fields


NAMES = st.text(st.characters(codec="ascii", categories=["Ll", "Nd"]), min_size=1)
TEXTS = st.text(st.characters(codec="utf-8"))


@settings(deadline=None)  # a busy machine must not fail the test
@given(st.dictionaries(NAMES, TEXTS))
def test_parse_urlencoded_utf8_round_trips(fields: dict[str, str]) -> None:
    """Python's urlencode and `parse` are inverse."""
    assert parse(urlencode(fields).encode()) == fields


@settings(deadline=None)  # a busy machine must not fail the test
@given(st.dictionaries(NAMES, st.text(st.characters(codec="gbk"))))
def test_parse_urlencoded_gbk_round_trips(fields: dict[str, str]) -> None:
    """GBK escapes decode if the encoding is given."""
    assert parse(urlencode(fields, encoding="gbk").encode(), "gbk") == fields


@settings(deadline=None)  # a busy machine must not fail the test
@given(TEXTS)
def test_url_decode_dotnet_code_units_round_trips(text: str) -> None:
    """.NET's escapes of UTF-16 code units decode to the same text."""
    units = text.encode("utf-16-be").hex(" ", 2).split()

    assert url_decode("".join(f"%u{unit}" for unit in units).encode()) == text


@settings(deadline=None)  # a busy machine must not fail the test
@given(st.binary(), st.sampled_from(["utf-8", "gbk", "ascii", "utf-16"]))
def test_parse_arbitrary_bytes_gives_encodable_text(raw: bytes, encoding: str) -> None:
    """Arbitrary bytes raise no error and leave no lone surrogate."""
    for name, value in parse(raw, encoding).items():
        assert f"{name}{value}".encode().decode() == name + value


def test_find_danger_long_value_quotes_its_surroundings() -> None:
    """The excerpt has ten characters before the match and is marked as cut."""
    assert find_danger("Msg", "x" * 30 + "<b>" + "y" * 30) == f'Msg="...{"x" * 10}<b>{"y" * 17}..."'
    assert find_danger("Msg", "<b>") == 'Msg="<b>"'


@pytest.mark.parametrize("value", ["", "1 < 2", "<1", "a>b", "a & #b", "<您"])
def test_find_danger_harmless_value_returns_none(value: str) -> None:
    """Angle brackets and ampersands are valid unless they start a tag or an entity."""
    assert find_danger("Msg", value) is None


def test_html_encode_escapes_as_dotnet() -> None:
    """The five special characters become .NET's entities."""
    assert html_encode("<a href=\"'&'\">") == "&lt;a href=&quot;&#39;&amp;&#39;&quot;&gt;"
