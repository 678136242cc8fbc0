"""The rules for numbers, text, signature, channel and extension."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap import InvalidRequest
from yunxin_soap.message import (
    Submission,
    check_characters,
    check_request_validation,
    normalise_channel,
    normalise_extension,
    normalise_message,
    normalise_recipients,
    normalise_signature,
)

MOBILES = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
DECORATIONS = st.sampled_from(
    [
        lambda n: n,
        lambda n: f"+86{n}",
        lambda n: f"86{n}",
        lambda n: f"+86 {n[:3]}-{n[3:7]}-{n[7:]}",
        lambda n: f"  {n[:3]} {n[3:]}\t",
        lambda n: n.translate(str.maketrans("0123456789", "０１２３４５６７８９")),
        lambda n: f"＋８６{n}",
        lambda n: f"\u202d{n}\u202c",
        lambda n: f"{n[:3]}\u2013{n[3:]}",
    ]
)


@given(MOBILES, DECORATIONS)
def test_every_usual_way_to_write_a_number_is_the_same_number(number: str, write: Any) -> None:
    assert normalise_recipients(write(number)) == (number,)


@given(st.lists(MOBILES, min_size=1, max_size=20), st.sampled_from([",", "，", "、", ", "]))
def test_a_joined_string_is_a_list(numbers: list[str], comma: str) -> None:
    unique = tuple(dict.fromkeys(numbers))
    assert normalise_recipients(comma.join(numbers)) == unique
    assert normalise_recipients(numbers) == unique
    assert normalise_recipients(iter(numbers)) == unique
    assert normalise_recipients([comma.join(numbers)]) == unique


def test_duplicates_are_dropped_in_the_first_order() -> None:
    given_numbers = ["13900000001", "+8613900000000", "139 0000 0001", "13900000000"]
    assert normalise_recipients(given_numbers) == ("13900000001", "13900000000")


def test_integers_are_numbers_too() -> None:
    class Whole(int):
        """A whole number of another type, as NumPy has."""

    assert normalise_recipients(13900000000) == ("13900000000",)
    assert normalise_recipients(Whole(13900000000)) == ("13900000000",)
    assert normalise_recipients([13900000000, "13900000001"]) == ("13900000000", "13900000001")


@pytest.mark.parametrize(
    ("recipients", "position", "quoted"),
    [
        ("12345456765", 1, "12345456765"),
        (["13900000000", "1390000000"], 2, "1390000000"),
        ("13900000000,abc", 2, "abc"),
        ("139000000000", 1, "139000000000"),
        ("1390000000①", 1, "1390000000①"),
        ("861390000000", 1, "861390000000"),
        (["13900000000", "x" * 90], 2, "x" * 40 + "…"),
        ("+8512345678", 1, "+8512345678"),
        ("१३९००००००००", 1, "१३९००००००००"),
    ],
)
def test_a_wrong_number_is_named(recipients: Any, position: int, quoted: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        normalise_recipients(recipients)
    assert f"Recipient {position}, {quoted!r}" in str(caught.value)


@pytest.mark.parametrize("recipients", ["13900000000,", ["13900000000", ""], ["13900000000", "  "]])
def test_an_empty_number_is_named(recipients: Any) -> None:
    with pytest.raises(InvalidRequest, match="Recipient 2 is empty"):
        normalise_recipients(recipients)


def test_no_number_at_all() -> None:
    with pytest.raises(InvalidRequest, match="no recipient"):
        normalise_recipients([])
    with pytest.raises(InvalidRequest, match="Recipient 1 is empty"):
        normalise_recipients("")


@pytest.mark.parametrize(
    ("recipients", "named"),
    [
        (b"13900000000", "bytes"),
        ({"13900000000": 1}, "dict"),
        (None, "NoneType"),
        (1.5, "float"),
        (True, "bool"),
        (["13900000000", None], "Recipient 2 is of type NoneType"),
        ([True], "bool"),
        ([b"1"], "bytes"),
    ],
)
def test_other_types_are_refused_by_name(recipients: Any, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        normalise_recipients(recipients)


def test_the_limit_counts_what_is_left_after_duplicates() -> None:
    numbers = [str(13900000000 + i) for i in range(500)]
    assert len(normalise_recipients([*numbers, numbers[0]])) == 500
    with pytest.raises(InvalidRequest, match="more than 500 recipients"):
        normalise_recipients([*numbers, "13900000500"])
    assert len(normalise_recipients([*numbers, "13900000500"], limit=1000)) == 501


def test_an_iterable_without_an_end_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="more than 500"):
        normalise_recipients(itertools.repeat("13900000000"))
    with pytest.raises(InvalidRequest, match="more than 500"):
        normalise_recipients(str(13900000000 + i) for i in itertools.count())


def test_lines_are_numbers_of_their_own() -> None:
    assert normalise_recipients("13900000000\n13900000001\r\n") == ("13900000000", "13900000001")
    with pytest.raises(InvalidRequest, match="Recipient 1, '1390000'"):
        normalise_recipients("1390000\n0000")


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="-13900000000, is negative"):
        normalise_recipients(-13900000000)


def test_a_submit_shows_neither_numbers_nor_text() -> None:
    shown = repr(Submission(("13900000000", "13900000001"), "text【签名】", "37", ""))
    assert shown == "Submission(recipients=<2>, channel='37')"


def test_a_credential_is_not_quoted() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_request_validation("a<bc", "The password", secret=True)
    assert "<b" not in str(caught.value)


def test_a_pattern_of_the_callers_own() -> None:
    pattern = re.compile(r"\+?[0-9]{6,15}")
    given_numbers = ["+44 7700 900000", "+8613900000000"]
    assert normalise_recipients(given_numbers, pattern=pattern) == ("+447700900000", "13900000000")
    with pytest.raises(InvalidRequest, match="not a number"):
        normalise_recipients("12345", pattern=pattern)


@pytest.mark.parametrize(
    ("message", "signature", "sent"),
    [
        ("您好【签名】", None, "您好【签名】"),
        ("您好", "签名", "您好【签名】"),
        ("您好【签名】", "签名", "您好【签名】"),
        ("您好【别的】", "签名", "您好【别的】"),
        ("  a\r\nb ", "签名", "  a\r\nb 【签名】"),
        ("见【附件】说明", "签名", "见【附件】说明【签名】"),
        ("【通知】明天开会", "签名", "【通知】明天开会【签名】"),
        ("a】", "签名", "a】【签名】"),
        ("a【b【签名】", None, "a【b【签名】"),
    ],
)
def test_the_signature_is_appended_once(message: str, signature: str | None, sent: str) -> None:
    assert normalise_message(message, signature) == sent
    assert normalise_message(sent, signature) == sent


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="【】\ufffe\uffff")),
    st.text(st.characters(categories=["L", "N"]), min_size=1),
)
def test_whatever_is_sent_ends_in_one_signature(body: str, signature: str) -> None:
    if not body.strip():
        with pytest.raises(InvalidRequest):
            normalise_message(body, signature)
        return
    sent = normalise_message(body, signature)
    assert sent == f"{body}【{signature}】"
    assert normalise_message(sent, signature) == sent


@pytest.mark.parametrize(
    ("message", "signature", "reason"),
    [
        ("", "签名", "empty"),
        (" \n", "签名", "empty"),
        ("您好", None, "does not end in a signature"),
        ("您好【】", "签名", "no signature between"),
        ("您好【 】", None, "no signature between"),
        ("【签名】", "签名", "nothing but its signature"),
        (" 【签名】", None, "nothing but its signature"),
        ("您好【签名】 \n", "签名", "2 invisible character"),
        ("您好【签名】\u200b", "签名", "1 invisible character"),
        ("您好【签名】。", "签名", "before its end"),
        ("【签名】您好", "签名", "before its end"),
        ("您好】", None, "does not end in a signature"),
        ("a\x00b【签名】", None, r"U\+0000 at character 2"),
        ("a\x0b", "签名", r"U\+000B at character 2"),
        ("a\ufffe", "签名", r"U\+FFFE at character 2"),
        ("a😀\ud800", "签名", r"U\+D800 at character 3"),
        (None, "签名", "must be a string"),
        (b"x", "签名", "must be a string"),
    ],
)
def test_a_wrong_text_is_refused_with_its_reason(
    message: Any, signature: str | None, reason: str
) -> None:
    with pytest.raises(InvalidRequest, match=reason) as caught:
        normalise_message(message, signature)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("signature", ["签名", "【签名】"])
def test_a_signature_with_or_without_its_brackets(signature: str) -> None:
    assert normalise_signature(signature) == "签名"


@pytest.mark.parametrize("signature", ["", "【】", "  ", "a【b", "【a】【b】", "a\x00", 5, b"x"])
def test_a_wrong_signature(signature: Any) -> None:
    with pytest.raises(InvalidRequest):
        normalise_signature(signature)


def test_channel_and_extension() -> None:
    assert (normalise_channel(37), normalise_channel("37")) == ("37", "37")
    assert (normalise_extension(""), normalise_extension(8), normalise_extension("08")) == (
        "",
        "8",
        "08",
    )


@pytest.mark.parametrize("value", ["", "a", " 37", "3 7", -1, True, None, 3.5, "３７", "37\n"])
def test_a_wrong_channel_is_quoted(value: Any) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(repr(value))):
        normalise_channel(value)


@given(st.text())
def test_the_character_check_agrees_with_lxml(text: str) -> None:
    from lxml import etree

    element = etree.Element("a")
    try:
        element.text = text
    except (ValueError, UnicodeEncodeError):
        with pytest.raises(InvalidRequest):
            check_characters(text, "it")
    else:
        assert etree.tostring(element)
        check_characters(text, "it")


@pytest.mark.parametrize("text", ["a<b", "<!x", "</x", "<?x", "&#1", "您<A"])
def test_request_validation_is_foreseen(text: str) -> None:
    with pytest.raises(InvalidRequest, match="use protocol 'soap'"):
        check_request_validation(text, "The message")


@pytest.mark.parametrize("text", ["1 < 2", "a<1", "<", "<您", "&amp;", "& #", "a>b"])
def test_what_request_validation_lets_pass(text: str) -> None:
    check_request_validation(text, "The message")
    from yunxin_soap.sandbox.asmx import forms

    assert forms.find_danger("Msg", text) is None


@pytest.mark.parametrize("message", ["", " \n", "\u200b", "\ufeff \u200b"])
@pytest.mark.parametrize("signature", [None, "签名"])
def test_a_text_of_which_nothing_can_be_seen_is_empty(message: str, signature: str | None) -> None:
    with pytest.raises(InvalidRequest, match="The message is empty"):
        normalise_message(message, signature)
