"""The code table, and reading the gateway's text answer."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import yunxin_soap
from yunxin_soap import errors
from yunxin_soap.codes import DOCUMENTED, Category, ResultCode
from yunxin_soap.errors import OutcomeUnknown, Rejected, SendError, YunxinError
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


def refusal(answer: str) -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse_result(answer)
    return caught.value


def test_the_table_is_the_manuals() -> None:
    assert {int(code) for code in ResultCode} == set(MANUAL) == set(DOCUMENTED)
    for code, words in MANUAL.items():
        assert words in DOCUMENTED[code].description_zh
        assert DOCUMENTED[code].description_en.isascii() or "】" in DOCUMENTED[code].description_en


@pytest.mark.parametrize("code", MANUAL)
def test_a_documented_code_is_a_typed_error(code: int) -> None:
    error = refusal(str(code))
    known = DOCUMENTED[code]
    assert type(error) is CATEGORIES[known.category]
    assert (error.code, error.category) == (code, known.category)
    assert (error.description_zh, error.description_en) == (
        known.description_zh,
        known.description_en,
    )
    assert known.description_zh in str(error)
    assert known.description_en in str(error)
    assert error.http_status is None


def test_only_the_application_exception_is_not_safe_to_resend() -> None:
    unsafe = {code for code in MANUAL if not refusal(str(code)).safe_to_resend}
    assert unsafe == {-1}


def test_what_may_pass_by_itself() -> None:
    assert {code for code in MANUAL if refusal(str(code)).temporary} == {-8, -23}


@pytest.mark.parametrize("code", [-2, -4, -24, -99, -1000, -999999999])
def test_an_unknown_negative_code_is_a_refusal_not_to_be_sent_again(code: int) -> None:
    error = refusal(str(code))
    assert type(error) is yunxin_soap.GatewayRejected
    assert error.code == code
    assert not error.safe_to_resend
    assert error.description_zh == "未知错误代码"


@pytest.mark.parametrize(
    ("answer", "keyword"),
    [
        ("-6:促销", "促销"),
        ("-6:a:b,c", "a:b,c"),
        ("-6:促销，打折:50%", "促销，打折:50%"),
        ("-6:", ""),
        ("-6", None),
        (" -6:free money\n", "free money"),
        ("-6:a\nb", "a\nb"),
    ],
)
def test_the_banned_word(answer: str, keyword: str | None) -> None:
    error = refusal(answer)
    assert (error.code, error.keyword) == (-6, keyword)
    if keyword:
        assert repr(keyword) in str(error)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_banned_word_comes_back(word: str) -> None:
    error = refusal(f"-6:{word}")
    assert error.keyword == word.rstrip()
    assert "\n" not in str(error)


@pytest.mark.parametrize("answer", ["-13:Invalid Ip", "-13 Invalid Ip", "-13,x", "-13（x）"])
def test_a_code_with_text_behind_it_is_still_that_code(answer: str) -> None:
    error = refusal(answer)
    assert (error.code, error.keyword) == (-13, None)


@pytest.mark.parametrize("answer", ["2114355899380234221", " 2114355899380234221\r\n", "7"])
def test_a_batch_number_is_kept_as_text(answer: str) -> None:
    assert parse_result(answer) == answer.strip()


@given(st.integers(1, 10**20 - 1))
def test_every_number_of_up_to_20_digits_is_a_batch_number(number: int) -> None:
    assert parse_result(str(number)) == str(number)


@pytest.mark.parametrize(
    "answer",
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
def test_anything_else_is_unknown(answer: str) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        parse_result(answer)
    assert not caught.value.safe_to_resend
    assert caught.value.excerpt == answer.strip()


@given(st.text())
def test_every_answer_has_exactly_one_outcome(answer: str) -> None:
    try:
        batch_no = parse_result(answer)
    except Rejected as error:
        assert error.code is not None
        assert answer.strip().startswith(str(error.code))
    except OutcomeUnknown as error:
        assert "\n" not in str(error)
    else:
        assert batch_no == answer.strip()
        assert batch_no.isascii()
        assert batch_no.isdigit()


def test_a_quoted_answer_is_short_and_redacted() -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        parse_result("secret" * 100, redact=lambda text: text.replace("secret", "***"))
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_receipt_shows_no_number() -> None:
    receipt = Receipt("1", ("13900000000", "13900000001"), "text【签名】", "37", "", "soap")
    assert "1390000" not in repr(receipt)
    assert "text" not in repr(receipt)
    assert pickle.loads(pickle.dumps(receipt)) == receipt


ALL_ERRORS: list[YunxinError] = [
    errors.ConfigurationError("c"),
    errors.InvalidRequest("i"),
    errors.NotSent("n"),
    OutcomeUnknown("u", excerpt="a", http_status=502),
    *(refusal(str(code)) for code in MANUAL),
    refusal("-6:促销"),
    refusal("-99"),
]


@pytest.mark.parametrize("error", ALL_ERRORS, ids=str)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_an_error_comes_back_whole(error: YunxinError, again: object) -> None:
    assert callable(again)
    if isinstance(error, SendError):
        error.request = errors.RequestInfo("http://gateway.example/", "soap", 2, "37")
    restored = again(error)
    assert type(restored) is type(error)
    assert (str(restored), restored.args) == (str(error), error.args)
    assert vars(restored) == vars(error)


def test_outcomes_and_families() -> None:
    assert issubclass(errors.InvalidRequest, ValueError)
    assert not issubclass(errors.ConfigurationError, SendError)
    assert {kind.outcome.value for kind in (errors.InvalidRequest, errors.NotSent)} == {"not_sent"}
    assert (Rejected.outcome.value, OutcomeUnknown.outcome.value) == ("rejected", "unknown")
    assert errors.NotSent("x").safe_to_resend
    assert errors.InvalidRequest("x").safe_to_resend
    assert not OutcomeUnknown("x").safe_to_resend


def test_every_public_name_is_there_documented_and_listed() -> None:
    for name in yunxin_soap.__all__:
        value = getattr(yunxin_soap, name)
        if name != "__version__":
            assert value.__doc__
            assert value.__module__.startswith("yunxin_soap.")
    public = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert public <= set(yunxin_soap.__all__)
    assert set(yunxin_soap.__all__) <= set(dir(yunxin_soap))
    with pytest.raises(AttributeError, match="nonsense"):
        yunxin_soap.nonsense  # noqa: B018
