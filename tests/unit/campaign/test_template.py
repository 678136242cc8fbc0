"""Message templates: placeholders, braces, and values that would leave a hole in the text."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap import InvalidRequest
from yunxin_soap.campaign.template import Template


def test_template_several_placeholders_are_filled_in_order() -> None:
    """Each placeholder takes the value of its column, also one that is there twice."""
    template = Template("{a}您好{b}，{a}的{c}到了")
    assert template.columns == ("a", "b", "a", "c")
    assert template.fill({"a": "1", "b": "2", "c": "3", "d": "4"}) == "1您好2，1的3到了"


def test_template_without_placeholders_needs_no_row() -> None:
    """A text without braces is itself."""
    template = Template("您好【签名】")
    assert (template.columns, template.end, template.fill({})) == (
        (),
        "您好【签名】",
        "您好【签名】",
    )


@pytest.mark.parametrize("text", ["您好{ name}", "您好{name }", "您好{\tname \n}", "您好{　name}"])
def test_template_blanks_in_a_placeholder_are_ignored(text: str) -> None:
    """Blanks around the name of a column are no part of it."""
    template = Template(text)
    assert template.columns == ("name",)
    assert template.fill({"name": "王"}) == "您好王"


def test_template_blanks_inside_a_name_belong_to_it() -> None:
    """A column may be called by two words."""
    assert Template("{first name}").fill({"first name": "王"}) == "王"


@pytest.mark.parametrize(
    ("text", "end"),
    [("{a}", ""), ("{a}x{b}】", "】"), ("{a}}}{{", "}{"), ("x{{a}}", "x{a}")],
)
def test_template_end_is_the_text_after_the_last_placeholder(text: str, end: str) -> None:
    """The end is literal text: doubled braces in it are single ones."""
    assert Template(text).end == end


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "unpaired '{' at character 1: write '{{'"),
        ("}", "unpaired '}' at character 1: write '}}'"),
        ("a{b", "unpaired '{' at character 2: write '{{'"),
        ("{a}}", "unpaired '}' at character 4: write '}}'"),
        ("{a{b}", "unpaired '{' at character 1: write '{{'"),
    ],
)
def test_template_unpaired_brace_is_invalid(text: str, error: str) -> None:
    """The error says where the brace is and how to write it."""
    with pytest.raises(InvalidRequest, match=error):
        Template(text)


def test_template_of_another_type_is_invalid() -> None:
    """A message that is no string is an error of this library, not of the regular expression."""
    with pytest.raises(InvalidRequest, match="must be a string, not bytes"):
        Template(b"x")  # type: ignore[arg-type]


@given(st.text(), st.text("王五xyz ").filter(str.strip))
def test_template_doubled_braces_are_single_braces(text: str, value: str) -> None:
    """Any text can be written with doubled braces, and comes out as it was."""
    doubled = text.replace("{", "{{").replace("}", "}}")
    template = Template(doubled + "{x}")
    assert template.fill({"x": value}) == text + value.strip()
    assert template.columns == ("x",)


def test_template_blanks_around_a_value_are_removed() -> None:
    """A spreadsheet's cells often have blanks that nobody sees."""
    assert Template("[{a}]").fill({"a": " \t王 五\n"}) == "[王 五]"


@pytest.mark.parametrize(
    "row", [{}, {"a": ""}, {"a": " \t"}, {"a": "\u200b"}, {"a": "\u200b \ufeff"}]
)
def test_template_empty_value_is_invalid(row: dict[str, str]) -> None:
    """A text with a hole is never sent; characters without width fill no hole."""
    with pytest.raises(InvalidRequest, match="The message's column 'a' is empty"):
        Template("余额{a}元").fill(row)


@pytest.mark.parametrize("value", ["\ufffd", "王\ufffd五"])
def test_template_undecodable_value_is_invalid(value: str) -> None:
    """U+FFFD is what the decoder put in place of bytes that it could not decode."""
    with pytest.raises(InvalidRequest, match=r"'a' .* list's encoding cannot decode \(U\+FFFD\)"):
        Template("{a}").fill({"a": value})


def test_template_undecodable_value_of_an_unused_column_is_accepted() -> None:
    """What the message does not use may contain anything."""
    assert Template("{a}").fill({"a": "王", "b": "\ufffd", "c": ""}) == "王"


@pytest.mark.parametrize(
    "value", [None, float("nan"), "#N/A", "NULL", "\\N", "########", True, b"x"]
)
def test_template_value_that_fills_no_hole_is_invalid(value: object) -> None:
    """The error names the column."""
    with pytest.raises(InvalidRequest, match="The message's column 'a'"):
        Template("余额{a}元").fill({"a": value})


def test_template_values_are_written_as_a_person_would() -> None:
    """Numbers and dates need no text of their own."""
    row = {"n": 0.1 + 0.2, "d": Decimal("12.50"), "on": date(2026, 11, 3)}
    assert Template("{n} {d} {on} {on:%m月%d日}").fill(row) == "0.3 12.50 2026-11-03 11月03日"


@pytest.mark.parametrize(
    "text", ["{on:%-m月%-d日}", "{on：%-m月%-d日}", "{ on : %-m月%-d日 }", "{on:%-m}月{on:%-d}日"]
)
def test_template_date_has_a_format(text: str) -> None:
    """The colon may be of full width, and blanks around name and format are ignored."""
    template = Template(text)
    assert set(template.columns) == {"on"}
    assert template.fill({"on": "2026-11-03"}) == "11月3日"


@pytest.mark.parametrize("text", ["{on:%B}", "{on:100%}", "{on:%d日%}"])
def test_template_unknown_format_is_invalid(text: str) -> None:
    """It is found before the list is read."""
    with pytest.raises(InvalidRequest, match="a date may use %Y"):
        Template(text)


def test_template_colon_without_a_format_belongs_to_the_name() -> None:
    """A column may be called "a:b"."""
    assert Template("{a:b}").fill({"a:b": "王"}) == "王"


def test_template_dash_is_empty_only_if_asked() -> None:
    """A lone dash may be a text of its own."""
    assert Template("{a}").fill({"a": "-"}) == "-"
    with pytest.raises(InvalidRequest, match="column 'a' is empty"):
        Template("{a}", dash_is_empty=True).fill({"a": "-"})


def test_template_check_notation_says_how_to_write_it() -> None:
    """The error names the column as the list has it."""
    template = Template("您好#客户 名#【签名】")
    template.check_notation()
    assert template.may_have_foreign_placeholders
    with pytest.raises(
        InvalidRequest, match=r"has '#客户 名#', .*: write {客户 名} for the column"
    ):
        template.check_notation(["手机", "客户 名"])
    assert not Template("您好{客户}【签名】").may_have_foreign_placeholders
    with pytest.raises(InvalidRequest, match=r"has '%s', .*: write {name} for the column 'name'"):
        Template("您好%s，{客户}【签名】").check_notation()
