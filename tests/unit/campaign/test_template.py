"""Message templates: placeholders, braces, and values that would leave a hole in the text."""

from __future__ import annotations

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


@given(st.text(), st.text(st.characters(exclude_categories=["Cf"])).filter(str.strip))
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
    with pytest.raises(InvalidRequest, match="The column 'a', which the message uses, is empty"):
        Template("余额{a}元").fill(row)


@pytest.mark.parametrize("value", ["\ufffd", "王\ufffd五"])
def test_template_undecodable_value_is_invalid(value: str) -> None:
    """U+FFFD is what the decoder put in place of bytes that it could not decode."""
    with pytest.raises(InvalidRequest, match=r"'a', .* list's encoding cannot decode \(U\+FFFD\)"):
        Template("{a}").fill({"a": value})


def test_template_undecodable_value_of_an_unused_column_is_accepted() -> None:
    """What the message does not use may contain anything."""
    assert Template("{a}").fill({"a": "王", "b": "\ufffd", "c": ""}) == "王"
