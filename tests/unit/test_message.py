"""Validation and normalising of numbers, message, signature, channel and extension."""

from __future__ import annotations

import enum
import itertools
import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yunxin_soap import InvalidRequest
from yunxin_soap.message import (
    MAINLAND_MOBILE,
    Submission,
    check_characters,
    check_request_validation,
    check_segments,
    count_segments,
    describe_oddities,
    normalise_channel,
    normalise_extension,
    normalise_message,
    normalise_recipients,
    normalise_signature,
    rstrip_invisible,
    utf16_length,
)
from yunxin_soap.placeholders import find_placeholder


class Words(str, enum.Enum):
    """Strings that print their names: format and str say "Words.TEXT"."""

    TEXT = "您好"
    SIGNED = "您好【签名】"
    SIGNATURE = "签名"
    NUMBER = "13900000000"
    CHANNEL = "37"


class Numbers(int, enum.Enum):
    """Integers that print their names."""

    NUMBER = 13900000000
    CHANNEL = 37


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
        lambda n: f"\x1f86-{n[:3]}\u00a0{n[3:7]} {n[7:]}\t",
    ]
)


@given(MOBILES, DECORATIONS)
def test_normalise_recipients_usual_notation_is_the_same_number(number: str, write: Any) -> None:
    """Spaces, hyphens, country codes, full-width digits and invisible marks are normalised."""
    assert normalise_recipients(write(number)) == (number,)


@given(st.lists(MOBILES, min_size=1, max_size=20), st.sampled_from([",", "，", "、", ", "]))
def test_normalise_recipients_joined_string_equals_a_list(numbers: list[str], comma: str) -> None:
    """A string of numbers joined by ASCII or Chinese commas is a list of them."""
    unique = tuple(dict.fromkeys(numbers))
    assert normalise_recipients(comma.join(numbers)) == unique
    assert normalise_recipients(numbers) == unique
    assert normalise_recipients(iter(numbers)) == unique
    assert normalise_recipients([comma.join(numbers)]) == unique


@given(st.text(st.sampled_from("0123459١²１")) | st.text(max_size=12))
def test_normalise_recipients_one_number_matches_the_pattern(text: str) -> None:
    """Of texts that need no normalising, exactly those that match the pattern are numbers."""
    number = (text * 11)[:11]
    if MAINLAND_MOBILE.fullmatch(number):
        assert normalise_recipients(number) == (number,)
    elif number.isascii():
        with pytest.raises(InvalidRequest):
            normalise_recipients(number)
    else:
        try:
            (found,) = normalise_recipients(number)
        except InvalidRequest:
            return
        assert MAINLAND_MOBILE.fullmatch(found)


@given(
    st.lists(MOBILES | st.text(st.sampled_from("1395,- \n"), max_size=12), max_size=5),
    st.sampled_from([list, tuple, iter, ",".join]),
)
def test_normalise_recipients_usual_input_equals_any_other(items: list[str], give: Any) -> None:
    """Input that needs no normalising has the outcome of the same input with a full-width comma."""
    strange = ["，".join(items)]  # a list, so that it may be empty

    def outcome(recipients: Any) -> tuple[str, ...] | None:
        try:
            return normalise_recipients(recipients, limit=3)
        except InvalidRequest:
            return None

    assert outcome(give(items)) == outcome(strange)
    assert all(type(number) is str for number in outcome(give(items)) or ())


def test_normalise_recipients_subclass_of_str_becomes_str() -> None:
    """A number of a subclass, such as lxml's or NumPy's, is kept as a plain string."""

    class Number(str):
        __slots__ = ()

    number = Number("13900000000")
    for recipients in (number, [number], [number, "13900000001"]):
        assert {type(each) for each in normalise_recipients(recipients)} == {str}


@pytest.mark.parametrize("number", [Words.NUMBER, Numbers.NUMBER])
def test_normalise_recipients_enum_counts_by_its_value(number: Any) -> None:
    """A member of an enumeration is the number that it equals, and not its own name."""
    assert normalise_recipients(number) == ("13900000000",)
    assert normalise_recipients([number, "139 0000 0001"]) == ("13900000000", "13900000001")


def test_normalise_recipients_duplicate_keeps_its_first_position() -> None:
    """Duplicates are removed, and the order is that of the first occurrences."""
    given_numbers = ["13900000001", "+8613900000000", "139 0000 0001", "13900000000"]
    assert normalise_recipients(given_numbers) == ("13900000001", "13900000000")


def test_normalise_recipients_integer_is_a_number() -> None:
    """An integer of any type is a number."""

    class Whole(int):
        """An integer of another type, like NumPy's."""

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
def test_normalise_recipients_invalid_number_is_quoted(
    recipients: Any, position: int, quoted: str
) -> None:
    """An invalid number is quoted, truncated, with its position."""
    with pytest.raises(InvalidRequest) as caught:
        normalise_recipients(recipients)
    assert f"Recipient {position}, {quoted!r}" in str(caught.value)


@pytest.mark.parametrize("recipients", ["13900000000,", ["13900000000", ""], ["13900000000", "  "]])
def test_normalise_recipients_empty_number_raises(recipients: Any) -> None:
    """An empty recipient is an error that says its position."""
    with pytest.raises(InvalidRequest, match="Recipient 2 is empty"):
        normalise_recipients(recipients)


def test_normalise_recipients_no_number_raises() -> None:
    """At least one number is required."""
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
        (True, "bool"),
        (["13900000000", None], "Recipient 2 is of type NoneType"),
        ([True], "bool"),
        ([b"1"], "bytes"),
    ],
)
def test_normalise_recipients_other_type_raises(recipients: Any, named: str) -> None:
    """A value of another type is an error that names the type."""
    with pytest.raises(InvalidRequest, match=named):
        normalise_recipients(recipients)


SPREADSHEET_NOTATIONS = [
    "{}.0",
    "{}.",
    "{}.00",
    "86{}.0",
    "'{}",
    "\u2019{}",
    "＇{}",
    "'{}'",
    '"{}"',
    '="{}"',
    "={}",
    "＝“{}”",
    "(+86){}",
    "（+86）{}",
    "(86) {}",
    "(0086){}",
    "+86 (0){}",
    "+86(0) {}",
    "(+86)(0){}",
    "\t{}\u00a0",
    "'\u00a0{}\t",
]


@pytest.mark.parametrize("notation", SPREADSHEET_NOTATIONS)
def test_normalise_recipients_notation_of_a_spreadsheet_is_the_number(notation: str) -> None:
    """Marks of a text cell, a whole decimal and brackets around the country code are no digits."""
    assert normalise_recipients(notation.format("13900000001")) == ("13900000001",)
    both = [notation.format("13900000001"), "13900000002"]
    assert normalise_recipients(both) == ("13900000001", "13900000002")


@given(MOBILES)
def test_normalise_recipients_notation_with_all_digits_is_exact(number: str) -> None:
    """Points between groups, and an exponent behind all of the digits."""
    head, rest = number[0], number[1:]
    for text in (
        f"{number[:3]}.{number[3:7]}.{number[7:]}",
        f"+86.{number[:3]}.{number[3:7]}.{number[7:]}",
        f"{number[:2]}.{number[2:5]}.{number[5:8]}.{number[8:]}",
        f"{head}.{rest}E10",
        f"{head}.{rest}E+10",
        f"{head}.{rest}e+010",
        f"8.6{number}E+12",
    ):
        assert normalise_recipients(text) == (number,)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1.39E+10", "was cut by a spreadsheet"),
        ("1.39E10", "was cut by a spreadsheet"),
        ("1.390000000E+10", "was cut by a spreadsheet"),
        ("8.6139E+12", "was cut by a spreadsheet"),
        ("1E999", "was cut by a spreadsheet"),
        ("13900000000.0", "was cut by a spreadsheet"),  # pandas writes it for the first one
        ("1.39000000015E+10", "is not a mainland mobile number"),
        ("1390000000.1", "is not a mainland mobile number"),
        ("139.00000001", "is not a mainland mobile number"),
        ("13900000001.5", "is not a mainland mobile number"),
        ("139..0000.0001", "is not a mainland mobile number"),
        ("########", "is not a mainland mobile number"),
        ("=13900000001+1", "is not a mainland mobile number"),
        ("1-862-401-7194", "is written as an American number"),
        ("1 862 401 7194", "is written as an American number"),
        ("1.862.401.7194", "is written as an American number"),
        ("1-8624017194", "is written as an American number"),
        ("1\u2013862\u2013401\u20137194", "is written as an American number"),
        ("1 (862) 401-7194", "is not a mainland mobile number"),
        ("+1 862 401 7194", "is not a mainland mobile number"),
        ("'", "is empty"),
        ('=""', "is empty"),
    ],
)
def test_normalise_recipients_uncertain_notation_raises(text: str, reason: str) -> None:
    """What may be another number is not guessed."""
    with pytest.raises(InvalidRequest, match=rf"Recipient 2\b.* {reason}"):
        normalise_recipients(["13900000001", text])


def test_normalise_recipients_american_grouping_is_fine_for_another_pattern() -> None:
    """Only a mainland number would be another one by that."""
    pattern = re.compile(r"1[2-9][0-9]{9}")
    assert normalise_recipients("1-862-401-7194", pattern=pattern) == ("18624017194",)
    assert normalise_recipients("+86 186-240-17194") == ("18624017194",)


@pytest.mark.parametrize(
    "value",
    [
        13900000001.0,
        Decimal(13900000001),
        Decimal("13900000001.00"),
        Decimal("1.3900000001E10"),
        np.int64(13900000001),
        np.uint64(13900000001),
        np.float64(13900000001),
        np.str_("13900000001"),
    ],
)
def test_normalise_recipients_number_of_any_exact_type_is_taken(value: Any) -> None:
    """A query, a data frame or a workbook may give a float, a Decimal or a type of NumPy."""
    assert normalise_recipients(value) == ("13900000001",)
    assert normalise_recipients([value]) == ("13900000001",)
    assert normalise_recipients(np.array([value])) == ("13900000001",)
    assert {type(each) for each in normalise_recipients([value])} == {str}


@pytest.mark.parametrize("dtype", [None, "str", "Int64", "float64", "object", "string", "category"])
def test_normalise_recipients_series_of_pandas_is_taken(dtype: Any) -> None:
    """A Series of any type is an iterable of its values."""
    series = pd.Series([13900000001, 13900000002], dtype=dtype)
    assert normalise_recipients(series) == ("13900000001", "13900000002")


@pytest.mark.parametrize(
    "value", [math.nan, np.nan, Decimal("NaN"), Decimal("sNaN"), pd.NA, pd.NaT]
)
def test_normalise_recipients_missing_value_is_empty(value: Any) -> None:
    """What means "nothing" is an empty number, and not the number "nan"."""
    with pytest.raises(InvalidRequest, match="Recipient 2 is empty"):
        normalise_recipients(["13900000001", value])


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (1.5, "'1.5', is not a mainland"),
        (np.float32(13900000001), r"\(float32 .* is not a mainland"),  # it has 24 bits for 34
        (1.39e10, "'1.39E\\+10', was cut by a spreadsheet"),
        (np.float64(1.38001e10), "'1.38001E\\+10', was cut by a spreadsheet"),
        (Decimal("1.39E+10"), "'1.39E\\+10', was cut by a spreadsheet"),
        (8.6139e12, "was cut by a spreadsheet"),
        (-13900000001.0, "is negative"),
        (Decimal(-13900000001), "is negative"),
        (math.inf, "more than 20 digits"),
        (10**20, "more than 20 digits"),
        (Decimal("1E+999999"), "more than 20 digits"),
        (np.array(13900000001), "not ndarray"),
        (np.True_, "bool"),
    ],
)
def test_normalise_recipients_number_that_is_none_raises(value: Any, named: str) -> None:
    """A fraction, a rounded or a negative number, and one without an end."""
    with pytest.raises(InvalidRequest, match=named):
        normalise_recipients(value)


def test_normalise_recipients_limit_ignores_duplicates() -> None:
    """The limit counts distinct numbers, 500 by default."""
    numbers = [str(13900000000 + i) for i in range(500)]
    assert len(normalise_recipients([*numbers, numbers[0]])) == 500
    with pytest.raises(InvalidRequest, match="more recipients than max_recipients=500 allows"):
        normalise_recipients([*numbers, "13900000500"])
    assert len(normalise_recipients([*numbers, "13900000500"], limit=1000)) == 501


def test_normalise_recipients_endless_iterable_raises() -> None:
    """An endless iterable ends at the limit, of distinct numbers or of duplicates."""
    with pytest.raises(InvalidRequest, match="max_recipients=500 allows"):
        normalise_recipients(itertools.repeat("13900000000"))
    with pytest.raises(InvalidRequest, match="max_recipients=500 allows"):
        normalise_recipients(str(13900000000 + i) for i in itertools.count())


def test_normalise_recipients_lines_are_separate_numbers() -> None:
    """Numbers may be on separate lines; a line break does not join digits."""
    assert normalise_recipients("13900000000\n13900000001\r\n") == ("13900000000", "13900000001")
    with pytest.raises(InvalidRequest, match="Recipient 1, '1390000'"):
        normalise_recipients("1390000\n0000")


def test_normalise_recipients_negative_integer_raises() -> None:
    """A negative integer is an error: its sign is not a hyphen to remove."""
    with pytest.raises(InvalidRequest, match="-13900000000, is negative"):
        normalise_recipients(-13900000000)


@pytest.mark.parametrize(
    "text",
    [
        *("您好nan，余额1.5元", "您好None", "余额NaN元", "余额#N/A元", "余额#DIV/0!元", "到期NaT"),
        *("余额0.30000000000000004元", "null您好", "您好undefined", "余额#REF!", "余额<NA>元"),
        "[object Object]您好",
    ],
)
def test_submission_notes_a_value_that_looks_empty(text: str) -> None:
    """A program filled the text itself: it may be meant, as in an alert, so it is only noted."""
    (note,) = Submission(("13900000000",), f"{text}【签名】", "37", "").notes
    assert "looks like a value that was empty or not rounded" in note


@pytest.mark.parametrize("text", ["您好Nancy", "nano", "余额1.5元", "#话题#", "3#NULLS", "1.2.3"])
def test_submission_has_no_notes_on_a_usual_text(text: str) -> None:
    """Names and amounts are not noted."""
    assert Submission(("13900000000",), f"{text}【签名】", "37", "").notes == ()


def test_submission_repr_omits_numbers_and_message() -> None:
    """The ``repr`` of a submission has no number and no text."""
    shown = repr(Submission(("13900000000", "13900000001"), "text【签名】", "37", ""))
    assert shown == "Submission(recipients=<2>, channel='37')"


def test_check_request_validation_secret_is_not_quoted() -> None:
    """The error about a credential does not quote it."""
    with pytest.raises(InvalidRequest) as caught:
        check_request_validation("a<bc", "The password", secret=True)
    assert "<b" not in str(caught.value)


def test_normalise_recipients_custom_pattern_applies() -> None:
    """A caller's own pattern decides which numbers are valid."""
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
        ("a【b【签名】", None, "a【b【签名】"),
        ("【重要】您的包裹已到【签名】", "签名", "【重要】您的包裹已到【签名】"),
        ("【温馨提示】您好", "签名", "【温馨提示】您好【签名】"),
        ("[通知]您好", "签名", "[通知]您好【签名】"),
        ("回复【是】确认", "签名", "回复【是】确认【签名】"),
        ("请回复【是】【签名】", "签名", "请回复【是】【签名】"),
        ("见附件[1]", "签名", "见附件[1]【签名】"),
        ("100元（含税）", "签名", "100元（含税）【签名】"),
        ("见《合同》", "签名", "见《合同》【签名】"),
        ("a】b", "签名", "a】b【签名】"),
        ("签名您好", "签名", "签名您好【签名】"),
        ("您好[签名]您", "签名", "您好[签名]您【签名】"),
    ],
)
def test_normalise_message_signature_is_appended_once(
    message: str, signature: str | None, sent: str
) -> None:
    """The signature is appended if the message has none; normalising again changes nothing."""
    assert normalise_message(message, signature) == sent
    assert normalise_message(sent, signature) == sent


@example("0", "客户名")
@given(
    st.text(
        st.characters(
            exclude_categories=["Cs", "Cc"],
            exclude_characters="【】[［〖〔{｛$#%@<\ufffd\ufffe\uffff",
        )
    ),
    st.text(st.characters(categories=["L", "N"]), min_size=1),
)
def test_normalise_message_any_text_ends_in_one_signature(body: str, signature: str) -> None:
    """Any text that is not blank gets exactly one signature, unless that is a placeholder."""
    if not rstrip_invisible(body) or find_placeholder(f"【{signature}】") is not None:
        with pytest.raises(InvalidRequest):
            normalise_message(body, signature)
        return
    sent = normalise_message(body, signature)
    assert sent == f"{body}【{signature}】"
    assert normalise_message(sent, signature) == sent


@pytest.mark.parametrize("message", ["您好\ufffd【签名】", "您好【签\ufffd】", "\ufffd您好"])
def test_normalise_message_character_that_was_not_decoded_is_invalid(message: str) -> None:
    """A decoder has put U+FFFD in the place of bytes that it could not read."""
    with pytest.raises(InvalidRequest, match=r"contains U\+FFFD at character [0-9], which stands"):
        normalise_message(message, "签名")


@pytest.mark.parametrize(
    ("message", "signature"), [(Words.TEXT, Words.SIGNATURE), (Words.SIGNED, None)]
)
def test_normalise_message_enum_counts_by_its_value(message: str, signature: str | None) -> None:
    """A member of an enumeration is the text that it equals: its name must not be sent."""
    sent = normalise_message(message, signature and normalise_signature(signature))
    assert (sent, type(sent)) == ("您好【签名】", str)


@pytest.mark.parametrize("channel", [Words.CHANNEL, Numbers.CHANNEL])
def test_normalise_channel_enum_counts_by_its_value(channel: Any) -> None:
    """A member of an enumeration is the channel that it equals, and becomes a plain string."""
    assert (normalise_channel(channel), type(normalise_channel(channel))) == ("37", str)
    assert (normalise_extension(channel), type(normalise_extension(channel))) == ("37", str)


@given(st.text(st.sampled_from("【】 \n\u3000\u200b\x00\ufffe😀a您")))
def test_normalise_message_is_unchanged_or_invalid_without_a_default_signature(text: str) -> None:
    """A text stays as it is if its characters are XML, and a text precedes a signature at its end.

    Text and signature must not be blank, and the text must not have the same signature. Any other
    text is invalid.
    """
    found = re.fullmatch("(.*)【([^【】]*)】", text, re.DOTALL)
    valid = (
        found
        and f"【{found[2]}】" not in found[1]
        and found[1].strip()
        and rstrip_invisible(found[2])
        and not set(text) & {"\x00", "\ufffe"}
    )
    if valid:
        assert normalise_message(text) == text
        return
    with pytest.raises(InvalidRequest):
        normalise_message(text)


@pytest.mark.parametrize(
    ("message", "signature", "reason"),
    [
        ("", "签名", "empty"),
        (" \n", "签名", "empty"),
        ("您好", None, "does not end in a signature"),
        ("您好【】", "签名", "ends in 【】 without a signature"),
        ("您好【 】", None, "ends in 【】 without a signature"),
        ("【签名】", "签名", "consists of its signature only"),
        (" 【签名】", None, "consists of its signature only"),
        ("您好【签名】 \n", "签名", "2 invisible character"),
        ("您好【签名】\u200b", "签名", "1 invisible character"),
        ("您好【签名】。", "签名", "two signatures, 签名 before its end"),
        ("您好】", None, "half a signature, without its 【"),
        ("a\x00b【签名】", None, r"U\+0000 at character 2"),
        ("a\x0b", "签名", r"U\+000B at character 2"),
        ("a\ufffe", "签名", r"U\+FFFE at character 2"),
        ("a😀\ud800", "签名", r"U\+D800 at character 3"),
        (None, "签名", "must be a string"),
        (b"x", "签名", "must be a string"),
    ],
)
def test_normalise_message_invalid_text_raises_with_reason(
    message: Any, signature: str | None, reason: str
) -> None:
    """An invalid message is an error of one line that says why."""
    with pytest.raises(InvalidRequest, match=reason) as caught:
        normalise_message(message, signature)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("【公司】您好", "has its signature as '【公司】'"),
        ("【签名】您好", "has its signature as '【签名】'"),
        (" 【公司】您好", "has its signature as '【公司】'"),
        ("[签名]您好", r"has its signature as '\[签名\]'"),
        ("（签名）您好", "has its signature as '（签名）'"),
        ("您好[签名]", r"has its signature as '\[签名\]'"),
        ("您好[公司]", r"has its signature as '\[公司\]'"),
        ("您好［签名］", "has its signature as '［签名］'"),
        ("您好〖签名〗", "has its signature as '〖签名〗'"),
        ("您好〔签名〕", "has its signature as '〔签名〕'"),
        ("您好「签名」", "has its signature as '「签名」'"),
        ("您好（签名）", "has its signature as '（签名）'"),
        ("您好(签名)", r"has its signature as '\(签名\)'"),
        ("您好<签名>", "has its signature as '<签名>'"),
        ("您好[签名］", r"has its signature as '\[签名］'"),
        ("您好[ 签名 ] ", r"has its signature as '\[ 签名 \]'"),
        ("您好【签名", "half a signature, without its 】"),
        ("您好【签名]", "half a signature, without its 】"),
        ("您好【", "half a signature, without its 】"),
        ("您好签名】", "half a signature, without its 【"),
        ("您好[签名】", "half a signature, without its 【"),
        ("您好【签名】【", "half a signature, without its 】"),
        ("见【附件】您好签名】", "half a signature, without its 【"),
        ("签名】您好", "half a signature, without its 【"),
        ("公司】您好，见【附件】内容", "half a signature, without its 【"),
        ("\u200b【公司】您好", "has its signature as"),
        ("\ufeff[签名]您好", "has its signature as"),
        ("您好【\u200b】", "without a signature"),
    ],
)
def test_normalise_message_signature_in_a_wrong_form_is_never_doubled(
    message: str, reason: str
) -> None:
    """A signature in front, in other brackets or half written: no second one is appended."""
    with pytest.raises(InvalidRequest, match=rf"{reason}.*-5 签名不正确"):
        normalise_message(message, "签名")


@pytest.mark.parametrize(
    "message", ["您好[公司]", "【公司】您好", "您好〖公司〗", "您好【公司", "您好公司】"]
)
def test_normalise_message_wrong_signature_is_named_without_a_default_one(message: str) -> None:
    """The error says which form is wrong, and not only that there is no signature."""
    with pytest.raises(InvalidRequest, match=r"(has its|half a) signature"):
        normalise_message(message)


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        ("【签名】您好【签名】", None),
        ("您好【签名】【签名】", None),
        ("您好【签名】再见【签名】", None),
        ("[签名]您好【签名】", None),
        ("您好[签名]【签名】", None),
        ("您好[签名] 【签名】", None),
        ("【签名】您好【公司】", "签名"),
        ("您好【签名】【公司】", "签名"),
        ("您好【签名】吗", "签名"),
    ],
)
def test_normalise_message_two_signatures_are_invalid(message: str, signature: str | None) -> None:
    """The same signature twice, or the default one beside another."""
    with pytest.raises(InvalidRequest, match="two signatures, 签名 before its end"):
        normalise_message(message, signature)


@pytest.mark.parametrize(
    ("message", "noted"),
    [
        ("【公司】您好【签名】", "'【公司】'"),
        ("请回复【是】【签名】", "'【是】'"),
        ("【公司】请回复【是】 【签名】", "'【是】'"),
        ("【重要通知】您好【签名】", None),
        ("您好【附件】您好【签名】", None),
        ("您好【签名】", None),
        ("[公司]您好【签名】", None),
    ],
)
def test_describe_oddities_second_bracket_is_noted(message: str, noted: str | None) -> None:
    """What may be a second signature is noted; a heading or a word in the middle is none."""
    notes = describe_oddities(message)
    assert [f"has {noted} beside the signature" in each for each in notes] == [True] * bool(noted)


@pytest.mark.parametrize(
    "placeholder",
    [
        "${name}",
        "{{name}}",
        "{name}",
        "{}",
        "#name#",
        "%s",
        "%name%",
        "｛name｝",
        "【变量】",
        "[变量]",
    ],
)
@pytest.mark.parametrize("signed", ["【签名】", ""])
def test_normalise_message_placeholder_that_nothing_fills_raises(
    placeholder: str, signed: str
) -> None:
    """A text that was written for another service, or that was never formatted, is not sent."""
    with pytest.raises(InvalidRequest, match="still has the placeholder") as caught:
        normalise_message(f"您好{placeholder}，余额不足{signed}", "签名")
    assert repr(placeholder) in str(caught.value)


@pytest.mark.parametrize(
    ("placeholder", "name"),
    [("${客户}", "客户"), ("{{user}}", "user"), ("%s", "name"), ("{}", "name"), ("{1}", "name")],
)
def test_normalise_message_placeholder_error_says_how_to_write_it(
    placeholder: str, name: str
) -> None:
    """The error shows the notation of a campaign's text, by the name if there is one."""
    with pytest.raises(InvalidRequest) as caught:
        normalise_message(f"您好{placeholder}【签名】")
    assert f"or {{{name}}} for the column {name!r} in a campaign's text" in str(caught.value)


@pytest.mark.parametrize("text", ["${HOME} is full", "{}", "disk {name} at %s", "#name#"])
def test_normalise_message_literal_text_is_kept(text: str) -> None:
    """Alert texts have braces of their own: the error says how to send them, and so it is."""
    with pytest.raises(InvalidRequest, match=r"If it is no placeholder, say so: literal=True\.$"):
        normalise_message(f"{text}【签名】")
    assert normalise_message(f"{text}【签名】", literal=True) == f"{text}【签名】"
    assert normalise_message(text, "签名", literal=True) == f"{text}【签名】"
    with pytest.raises(InvalidRequest, match="does not end in a signature"):
        normalise_message(text, literal=True)


@pytest.mark.parametrize(
    "text",
    [
        "50%折扣，满100%返",
        "C#和F#",
        "#双11#大促",
        "【重要】您好",
        "{您好，世界}",
        "见[1]处",
        "a@b.cn",
    ],
)
def test_normalise_message_marks_in_honest_text_are_kept(text: str) -> None:
    """Percentages, hashtags, headings and footnotes are no placeholders."""
    assert normalise_message(f"{text}【签名】") == f"{text}【签名】"


def test_normalise_message_braces_may_be_text() -> None:
    """A campaign's text has braces where the template doubled them."""
    assert normalise_message("{A}区【签名】", literal_braces=True) == "{A}区【签名】"


@pytest.mark.parametrize("length", [9, 10])
def test_check_segments_limit_names_the_count(length: int) -> None:
    """A message of more segments than allowed is an error that says how many it has."""
    message = "长" * (67 * length)
    check_segments(message, length)
    with pytest.raises(InvalidRequest) as caught:
        check_segments(message + "长", length)
    assert str(caught.value) == (
        f"The message has {length + 1} segments ({67 * length + 1} characters), more than"
        f" max_segments={length}: shorten it, or raise that limit."
    )


@given(st.text(st.sampled_from("长a😀"), max_size=400), st.integers(1, 5))
def test_check_segments_agrees_with_the_count(message: str, limit: int) -> None:
    """Exactly the messages of more segments are refused."""
    if count_segments(message) <= limit:
        check_segments(message, limit)
        return
    with pytest.raises(InvalidRequest, match="more than max_segments"):
        check_segments(message, limit)


def test_describe_oddities_long_message_is_noted() -> None:
    """Beyond 1,000 characters, a person should look at it."""
    assert describe_oddities("长" * 1000) == []
    assert describe_oddities("😀" * 500) == []
    (note,) = describe_oddities("😀" * 501)
    assert note.startswith("The message has 1002 characters, more than 1000: it takes about 16 ")


@pytest.mark.parametrize("signature", ["签名", "【签名】"])
def test_normalise_signature_brackets_are_optional(signature: str) -> None:
    """The signature is the same with its brackets and without."""
    assert normalise_signature(signature) == "签名"


@pytest.mark.parametrize("signature", ["", "【】", "  ", "a【b", "【a】【b】", "a\x00", 5, b"x"])
def test_normalise_signature_invalid_raises(signature: Any) -> None:
    """A blank signature, one with a bracket inside and another type are errors."""
    with pytest.raises(InvalidRequest):
        normalise_signature(signature)


def test_normalise_channel_and_extension_return_digits() -> None:
    """Channel and extension are digits; the extension may be empty."""
    assert (normalise_channel(37), normalise_channel("37")) == ("37", "37")
    assert (normalise_extension(""), normalise_extension(8), normalise_extension("08")) == (
        "",
        "8",
        "08",
    )


@pytest.mark.parametrize("value", ["", "a", " 37", "3 7", -1, True, None, 3.5, "３７", "37\n"])
def test_normalise_channel_invalid_is_quoted(value: Any) -> None:
    """An invalid channel is an error that quotes it."""
    with pytest.raises(InvalidRequest, match=re.escape(repr(value))):
        normalise_channel(value)


@given(st.text())
def test_check_characters_agrees_with_lxml(text: str) -> None:
    """The check accepts exactly the texts that lxml accepts."""
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
def test_check_request_validation_dangerous_text_raises(text: str) -> None:
    """What ASP.NET rejects on the HTTP protocols is an error here."""
    with pytest.raises(InvalidRequest, match="use protocol 'soap'"):
        check_request_validation(text, "The message")


@pytest.mark.parametrize("text", ["1 < 2", "a<1", "<", "<您", "&amp;", "& #", "a>b"])
def test_check_request_validation_other_text_passes(text: str) -> None:
    """What ASP.NET accepts, as the sandbox also does, is no error."""
    check_request_validation(text, "The message")
    from yunxin_soap.sandbox.asmx import forms

    assert forms.find_danger("Msg", text) is None


@pytest.mark.parametrize("message", ["", " \n", "\u200b", "\ufeff \u200b"])
@pytest.mark.parametrize("signature", [None, "签名"])
def test_normalise_message_invisible_text_is_empty(message: str, signature: str | None) -> None:
    """A message of invisible characters only is empty."""
    with pytest.raises(InvalidRequest, match="The message is empty"):
        normalise_message(message, signature)


@pytest.mark.parametrize(
    ("text", "length", "segments"),
    [
        ("", 0, 0),
        ("x" * 70, 70, 1),
        ("x" * 71, 71, 2),
        ("x" * 134, 134, 2),
        ("x" * 135, 135, 3),
        ("您" * 70, 70, 1),
        ("😀" * 35, 70, 1),
        ("😀" * 35 + "x", 71, 2),
        ("\ud800", 1, 1),
        # An emoji that would be cut at 67 goes into the next segment.
        ("x" * 66 + "😀" + "x" * 66, 134, 3),
        ("x" * 65 + "😀" + "x" * 67, 134, 2),
        ("😀" * 66, 132, 2),
        ("😀" * 67, 134, 3),
        ("😀" * 99, 198, 3),
        ("😀" * 100, 200, 4),
        ("x" + "😀" * 66, 133, 2),
        ("x" + "😀" * 66 + "x", 134, 2),
        ("\ud83d" * 134, 134, 2),
        ("x" * 66 + "\ud83d" + "\ue000" * 67, 134, 2),
    ],
)
def test_submission_length_and_segments_count_utf_16_units(
    text: str, length: int, segments: int
) -> None:
    """A message of 70 UTF-16 units is one segment; a longer one has 67 in each, or 66."""
    submission = Submission(("13900000000",), text, "37", "")
    assert (submission.length, submission.segments) == (length, segments)
    assert (utf16_length(text), count_segments(text)) == (length, segments)


@given(st.lists(st.tuples(st.integers(0, 140), st.integers(0, 70)), max_size=4))
def test_count_segments_equals_a_plain_splitter(runs: list[tuple[int, int]]) -> None:
    """Whatever the order of characters of one and of two units, no character is cut."""
    text = "".join("长" * short + "😀" * long for short, long in runs)
    segments, room = int(bool(text)), 67 if utf16_length(text) > 70 else 70
    for character in text:
        units = 2 if character == "😀" else 1
        if room < units:
            segments, room = segments + 1, 67
        room -= units
    assert count_segments(text) == segments


@pytest.mark.parametrize(
    ("text", "stripped"),
    [("a \u200b\n", "a"), ("a b", "a b"), ("\ufeff \u200b", ""), ("", ""), (" a", " a")],
)
def test_rstrip_invisible_removes_white_space_and_format_marks(text: str, stripped: str) -> None:
    """White space and format marks are removed from the end alone."""
    assert rstrip_invisible(text) == stripped


def test_invalid_request_of_a_rule_is_safe_to_resend() -> None:
    """Every rule of this module raises before anything is sent, and says so."""
    for call in (
        lambda: normalise_recipients("x"),
        lambda: normalise_recipients([]),
        lambda: normalise_recipients(None),  # type: ignore[arg-type]
        lambda: normalise_message("x"),
        lambda: normalise_message(""),
        lambda: normalise_signature(""),
        lambda: normalise_channel("x"),
        lambda: normalise_extension("x"),
        lambda: check_characters("\x00", "It"),
        lambda: check_request_validation("<b", "It"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            call()
        assert caught.value.safe_to_resend
        assert not caught.value.retryable
