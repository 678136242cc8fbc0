"""URL-encoded fields: what a client writes comes back, and nothing at all raises."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yunxin_soap.sandbox.asmx.forms import danger, html_encode, parse, url_decode

DECODED = [
    (b"", ""),
    (b"a+b", "a b"),
    (b"a%2Bb", "a+b"),
    (b"%zz%", "%zz%"),
    (b"a;b", "a;b"),
    (b"%00", "\0"),
    (b"%E6%82%A8%e6%82%a8", "您您"),
    ("您".encode(), "您"),
    # One character may be half raw and half escaped.
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
def test_url_decode(raw: bytes, text: str) -> None:
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
def test_parse(raw: bytes, fields: dict[str, str]) -> None:
    assert parse(raw) == fields


NAMES = st.text(st.characters(codec="ascii", categories=["Ll", "Nd"]), min_size=1)
TEXTS = st.text(st.characters(codec="utf-8"))


@settings(deadline=None)  # a busy machine is no failure
@given(st.dictionaries(NAMES, TEXTS))
def test_what_urlencode_writes_comes_back(fields: dict[str, str]) -> None:
    assert parse(urlencode(fields).encode()) == fields


@settings(deadline=None)  # a busy machine is no failure
@given(st.dictionaries(NAMES, st.text(st.characters(codec="gbk"))))
def test_what_urlencode_writes_in_gbk_comes_back(fields: dict[str, str]) -> None:
    assert parse(urlencode(fields, encoding="gbk").encode(), "gbk") == fields


@settings(deadline=None)  # a busy machine is no failure
@given(TEXTS)
def test_code_units_as_dotnet_writes_them_come_back(text: str) -> None:
    units = text.encode("utf-16-be").hex(" ", 2).split()

    assert url_decode("".join(f"%u{unit}" for unit in units).encode()) == text


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(), st.sampled_from(["utf-8", "gbk", "ascii", "utf-16"]))
def test_arbitrary_bytes_become_text_that_can_be_written(raw: bytes, encoding: str) -> None:
    for name, value in parse(raw, encoding).items():
        assert f"{name}{value}".encode().decode() == name + value


def test_danger_shows_what_stands_around_it() -> None:
    assert danger("Msg", "x" * 30 + "<b>" + "y" * 30) == f'Msg="...{"x" * 10}<b>{"y" * 17}..."'
    assert danger("Msg", "<b>") == 'Msg="<b>"'


@pytest.mark.parametrize("value", ["", "1 < 2", "<1", "a>b", "a & #b", "<您"])
def test_what_is_not_dangerous_passes(value: str) -> None:
    assert danger("Msg", value) is None


def test_html_encode() -> None:
    assert html_encode("<a href=\"'&'\">") == "&lt;a href=&quot;&#39;&amp;&#39;&quot;&gt;"
