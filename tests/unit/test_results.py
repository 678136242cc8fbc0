"""The code table, parsing of a result, and the receipt."""

from __future__ import annotations

import pickle
import re
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

import yunxin_soap
from yunxin_soap.codes import DOCUMENTED, Category, ResultCode
from yunxin_soap.errors import OutcomeUnknown, Rejected
from yunxin_soap.redact import Redactor, truncate_printable
from yunxin_soap.results import Receipt, parse_result

# From the vendor's manual: the code, and a piece of its wording.
MANUAL = {
    -1: "应用程序异常",
    -3: "用户名密码错误或者用户无效",
    -5: "签名不正确",
    -6: "含有关键字",
    -7: "余额不足",
    -8: "没有可用的通道",
    -9: "不能超过1000个",
    -10: "大于允许上限",
    -11: "小于允许下限",
    -12: "模板不匹配",
    -13: "Invalid Ip",
    -14: "用户黑名单",
    -15: "系统黑名单",
    -16: "号码格式错误",
    -17: "无效号码",
    -18: "不能自定义扩展",
    -19: "强制模板通道",
    -20: "包含非法字符",
    -21: "没有找到对应的submitID",
    -22: "解密失败",
    -23: "查询余额过频繁",
}
CATEGORIES = {
    Category.CREDENTIALS: yunxin_soap.CredentialsRejected,
    Category.CONTENT: yunxin_soap.ContentRejected,
    Category.BALANCE: yunxin_soap.BalanceRejected,
    Category.CHANNEL: yunxin_soap.ChannelRejected,
    Category.RECIPIENTS: yunxin_soap.RecipientsRejected,
    Category.CONFIGURATION: yunxin_soap.ConfigurationRejected,
    Category.GATEWAY: yunxin_soap.GatewayRejected,
}


NAMES = {
    "credentials": (-3, -13),
    "content": (-5, -6, -12, -20),
    "balance": (-7,),
    "channel": (-8, -19),
    "recipients": (-9, -10, -11, -14, -15, -16, -17),
    "configuration": (-18, -21, -22),
    "gateway": (-1, -23),
}
"""What `to_dict` and ``--json`` call each category, and its codes."""


def rejection(result: str) -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse_result(result)
    return caught.value


def test_result_code_has_the_category_that_says_what_to_fix() -> None:
    """Each code is in the category that programs know by its name, and no other name exists."""
    found = {name: tuple(c for c in MANUAL if DOCUMENTED[c].category == name) for name in NAMES}
    assert found == NAMES
    assert {each.value for each in Category} == set(NAMES)


def test_result_code_table_is_the_manuals() -> None:
    """The table has the manual's codes and words, and no others."""
    assert {int(code) for code in ResultCode} == set(MANUAL) == set(DOCUMENTED)
    for code, words in MANUAL.items():
        assert words in DOCUMENTED[code].description_zh
        assert DOCUMENTED[code].description_en.isascii() or "】" in DOCUMENTED[code].description_en


@pytest.mark.parametrize("code", MANUAL)
def test_parse_result_documented_code_raises_typed_error(code: int) -> None:
    """A documented code raises the error of its category, with both descriptions."""
    error = rejection(str(code))
    known = DOCUMENTED[code]
    assert type(error) is CATEGORIES[known.category]
    assert (error.code, error.category) == (code, known.category)
    if code != ResultCode.BANNED_WORD:
        assert (error.description_zh, error.description_en) == (
            known.description_zh,
            known.description_en,
        )
    assert MANUAL[code] in error.description_zh
    assert error.description_zh in str(error)
    assert error.description_en in str(error)
    assert error.http_status is None


def test_parse_result_documented_code_is_safe_to_resend_unless_1() -> None:
    """Of the documented codes only the application exception is not safe to resend."""
    unsafe = {code for code in MANUAL if not rejection(str(code)).safe_to_resend}
    assert unsafe == {-1}


def test_parse_result_documented_code_is_retryable_if_temporary() -> None:
    """Only the codes for a busy channel and a busy gateway may pass without a fix."""
    errors = {code: rejection(str(code)) for code in MANUAL}
    assert {code for code, error in errors.items() if error.temporary} == {-8, -23}
    assert {code for code, error in errors.items() if error.retryable} == {-8, -23}


@pytest.mark.parametrize("code", [-2, -4, -24, -99, -1000, -999999999])
def test_parse_result_undocumented_code_is_rejected_and_unsafe(code: int) -> None:
    """An undocumented code is the gateway's, is not temporary and is not safe to resend."""
    error = rejection(str(code))
    assert type(error) is yunxin_soap.GatewayRejected
    assert (error.code, error.category) == (code, Category.GATEWAY)
    assert not error.safe_to_resend
    assert not error.temporary
    assert not error.retryable
    assert error.description_zh == "未知错误码"
    assert error.description_en == "a code that is not in the vendor's manual"
    assert str(code) in str(error)


@pytest.mark.parametrize("length", range(1, 10))
def test_parse_result_code_of_any_length_is_read_whole(length: int) -> None:
    """A code has one to nine digits; more are not a code."""
    code = int("-" + "987654321"[:length])
    assert rejection(str(code)).code == code
    assert rejection(f"{code}:x").code == code
    assert rejection(f"{code},x").code == code


@pytest.mark.parametrize("tail", ["", ":x", ",x", " x"])
def test_parse_result_code_of_ten_digits_is_unknown(tail: str) -> None:
    """A negative number of ten digits is not a code, with text after it or without."""
    with pytest.raises(OutcomeUnknown):
        parse_result(f"-1234567890{tail}")


@pytest.mark.parametrize(
    ("result", "keyword"),
    [
        ("-6:促销", "促销"),
        ("-6：促销", "促销"),
        ("-6:a:b,c", "a:b,c"),
        ("-6:促销，打折:50%", "促销，打折:50%"),
        ("-6:", ""),
        ("-6", None),
        (" -6:free money\n", "free money"),
        ("-6:a\nb", "a\ufffdb"),
        ("-6:2114355899380234221", "2114355899380234221"),
        ("-6：促销,2114355899380234221", "促销,2114355899380234221"),
    ],
)
def test_parse_result_banned_word_is_the_keyword(result: str, keyword: str | None) -> None:
    """The text after the colon of -6 is the banned word."""
    error = rejection(result)
    assert (error.code, error.keyword) == (-6, keyword)
    if keyword:
        assert repr(keyword) in str(error)


def test_parse_result_banned_word_is_named_in_both_descriptions() -> None:
    """Both descriptions of -6 name the word; the manual's placeholder is not shown."""
    error = rejection("-6:促销")
    assert error.description_zh == "含有关键字“促销”"
    assert error.description_en == "the text contains the banned word '促销'"
    assert str(error) == (
        "The gateway rejected the submission with -6 含有关键字“促销” (the text contains the banned"
        " word '促销'): change the text."
    )


@pytest.mark.parametrize("result", ["-6", "-6:", "-6 text"])
def test_parse_result_banned_word_not_named_has_no_placeholder(result: str) -> None:
    """If the gateway names no word, neither description shows the manual's placeholder."""
    error = rejection(result)
    assert error.description_zh == "含有关键字"
    assert error.description_en == "the text contains a banned word, which the gateway did not name"
    assert "keyWords" not in str(error)


def test_parse_result_long_banned_word_is_truncated() -> None:
    """A long word has 100 characters in ``keyword``, and 40 in the descriptions."""
    error = rejection("-6:" + "促" * 500)
    assert error.keyword == "促" * 100 + "…"
    assert error.description_zh == f"含有关键字“{'促' * 40}…”"
    assert len(str(error)) < 250


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_parse_result_any_banned_word_is_the_keyword(word: str) -> None:
    """Any banned word is returned, truncated and printable, like the message."""
    error = rejection(f"-6:{word}")
    assert error.keyword == truncate_printable(word.rstrip(), 100)
    assert error.keyword.isprintable()
    assert str(error).isprintable()


@pytest.mark.parametrize("code", [-1, -2, -3, -7, -13, -23, -99])
@pytest.mark.parametrize(
    "separator", [":", "：", ",", "，", ";", " ", "\n", "(", "（", ": ", ":x ", ",-"]
)
@pytest.mark.parametrize("number", ["2114355899380234221", "1" * 15, "1" * 40, "２" * 19])
def test_parse_result_code_with_a_long_number_is_unknown(
    code: int, separator: str, number: str
) -> None:
    """A code with what may be a batch number after it contradicts itself."""
    with pytest.raises(OutcomeUnknown, match="a code with what may be a batch number"):
        parse_result(f"{code}{separator}{number}")
    assert rejection(f"{code}{separator}{number[:14]}").code == code


@pytest.mark.parametrize("separator", [":", "：", ",", "，", ";", " ", "\n", "(", ": ", ", x:"])
@pytest.mark.parametrize(("code", "other"), [(-3, -1), (-7, -7), (-99, -3), (-1, -123456789)])
def test_parse_result_two_codes_are_unknown(separator: str, code: int, other: int) -> None:
    """A code with another one after it contradicts itself: the other one may be -1."""
    with pytest.raises(OutcomeUnknown, match="a code with another code"):
        parse_result(f"{code}{separator}{other}")


@pytest.mark.parametrize(
    "result", ["-6:-1", "-6：-1", "-8 8:00-22:00", "-8,x-1", "-9 1000个", "-3 -", "-3,-1234567890"]
)
def test_parse_result_hyphen_in_an_explanation_is_no_code(result: str) -> None:
    """Hours may have a hyphen, and a banned word may be a code. No code has ten digits."""
    assert rejection(result).code == int(result[:2])


@pytest.mark.parametrize("separator", [",", " ", "，", "("])
def test_parse_result_banned_word_without_colon_with_a_long_number_is_unknown(
    separator: str,
) -> None:
    """Only a colon introduces the banned word, which may be a number."""
    with pytest.raises(OutcomeUnknown):
        parse_result(f"-6{separator}2114355899380234221")


@pytest.mark.parametrize("result", ["s3cr3t", "-3,s3cr3t", "-6:s3cr3t", "-1:s3cr3t " + "1" * 15])
def test_parse_result_keeps_no_frame_with_the_result(result: str) -> None:
    """No frame that an error keeps has the result in a local variable."""
    with pytest.raises((Rejected, OutcomeUnknown)) as caught:
        parse_result(result, Redactor("s3cr3t"))
    (_, *frames) = traceback.walk_tb(caught.value.__traceback__)
    assert [frame.f_code.co_name for frame, _ in frames] == ["parse_result"]
    for frame, _ in frames:
        assert "s3cr3t" not in repr(frame.f_locals)


def test_parse_result_banned_word_that_equals_the_password_is_masked() -> None:
    """A gateway that returns the password as the banned word does not get it into an error."""
    with pytest.raises(Rejected) as caught:
        parse_result("-6:s3cr3t", Redactor("s3cr3t"))
    error = caught.value
    assert error.keyword == "***"
    assert "s3cr3t" not in str(error) + error.description_zh + error.description_en


@pytest.mark.parametrize(
    "result",
    [
        "-13:Invalid Ip",
        "-13：Invalid Ip",
        "-13 Invalid Ip",
        "-13\tx",
        "-13\nx",
        "-13,x",
        "-13，x",
        "-13;x",
        "-13；x",
        "-13(x)",
        "-13（x）",
    ],
)
def test_parse_result_code_with_text_is_that_code(result: str) -> None:
    """Text after a code, behind any usual separator, does not change the code."""
    error = rejection(result)
    assert (error.code, error.keyword) == (-13, None)


@pytest.mark.parametrize("text", ["", "x", "Invalid Ip", "(x)", "-x", "- 13"])
@pytest.mark.parametrize("separator", [":", "：", " ", ",", "，", ";", "；", "(", "（"])
def test_parse_result_text_without_code_is_unknown(separator: str, text: str) -> None:
    """A separator and a text are not a rejection unless a code stands before them."""
    with pytest.raises(OutcomeUnknown):
        parse_result(f"{separator}{text}")


@pytest.mark.parametrize(
    "result", ["2114355899380234221", " 2114355899380234221\r\n", "7", "9" * 20]
)
def test_parse_result_batch_number_is_kept_as_text(result: str) -> None:
    """A batch number is returned as text, without the white space around it."""
    assert parse_result(result) == result.strip()


@given(st.integers(1, 10**20 - 1))
def test_parse_result_number_of_up_to_20_digits_is_a_batch_number(number: int) -> None:
    """Every positive number of up to 20 digits is a batch number."""
    assert parse_result(str(number)) == str(number)


@pytest.mark.parametrize(
    "result",
    [
        "",
        "  \n",
        "0",
        "00",
        "-0",
        "007",
        "OK",
        "success",
        "1" * 21,
        "-" + "1" * 10,
        "+5",
        "1.5",
        "-1.5",
        "-3abc",
        "--3",
        "-",
        "- 3",
        "１２３",
        "1 2",
        "1,2",
        "<html>",
        "-06",
    ],
)
def test_parse_result_anything_else_is_unknown(result: str) -> None:
    """A result that is neither a batch number nor a code is unknown and never safe."""
    with pytest.raises(OutcomeUnknown) as caught:
        parse_result(result)
    assert not caught.value.safe_to_resend
    assert not caught.value.retryable
    assert caught.value.excerpt == result.strip()


@given(st.text())
def test_parse_result_any_text_has_exactly_one_outcome(result: str) -> None:
    """Every text is accepted, rejected by its own code, or unknown."""
    try:
        batch_no = parse_result(result)
    except Rejected as error:
        assert error.code is not None
        assert result.strip().startswith(str(error.code))
        assert len(str(error).splitlines()) == 1
    except OutcomeUnknown as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert batch_no == result.strip()
        assert batch_no.isascii()
        assert batch_no.isdigit()


@given(st.text(st.sampled_from("0123456789١² \n-"), max_size=23))
def test_parse_result_batch_number_has_up_to_20_digits(text: str) -> None:
    """Only 1 to 20 ASCII digits, the first of which is not 0, are a batch number."""
    if re.fullmatch("[1-9][0-9]{0,19}", text.strip()):
        assert parse_result(text) == text.strip()
        return
    with pytest.raises((Rejected, OutcomeUnknown)):
        parse_result(text)


def test_parse_result_excerpt_is_truncated_and_redacted() -> None:
    """What an error quotes of a result is short and contains no secret."""
    with pytest.raises(OutcomeUnknown) as caught:
        parse_result("secret" * 100, redact=lambda text: text.replace("secret", "***"))
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_parse_result_excerpt_has_80_characters() -> None:
    """An error quotes 80 characters of a result, and then the mark of what was left out."""
    with pytest.raises(OutcomeUnknown) as caught:
        parse_result("x" * 81)
    assert caught.value.excerpt == "x" * 80 + "…"


def test_parse_result_empty_result_is_called_so() -> None:
    """An error names an empty result in words, and quotes any other."""
    with pytest.raises(OutcomeUnknown, match="returned an empty result, which is neither"):
        parse_result(" ")
    with pytest.raises(OutcomeUnknown, match="returned 'OK', which is neither"):
        parse_result("OK")


def test_receipt_repr_omits_numbers_and_message() -> None:
    """The ``repr`` of a receipt has no number and no text, and a receipt can be pickled."""
    receipt = Receipt("1", ("13900000000", "13900000001"), "text【签名】", "37", "", "soap")
    assert "1390000" not in repr(receipt)
    assert "text" not in repr(receipt)
    assert pickle.loads(pickle.dumps(receipt)) == receipt


@pytest.mark.parametrize(
    ("message", "length", "segments"),
    [("您好【签名】", 6, 1), ("😀" * 33 + "【签名】", 70, 1), ("😀" * 33 + "a【签名】", 71, 2)],
)
def test_receipt_length_and_segments_are_of_the_message(
    message: str, length: int, segments: int
) -> None:
    """A receipt says how long its message is and how many segments it is billed as."""
    receipt = Receipt("1", ("13900000000", "13900000001"), message, "37", "", "soap")
    assert (receipt.length, receipt.segments) == (length, segments)
