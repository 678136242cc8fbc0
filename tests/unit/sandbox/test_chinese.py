"""The API's errors in Chinese, without a server."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import MultiDict

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.access import Access
from yunxin_soap.sandbox.faults.model import Fault
from yunxin_soap.sandbox.inbox import chinese
from yunxin_soap.sandbox.inbox.errors import ApiError
from yunxin_soap.sandbox.inbox.guard import reject_cross_site
from yunxin_soap.sandbox.inbox.query_params import ListQuery, parse_query


def in_chinese(english: str) -> str:
    """Return a translated sentence, which must be one."""
    translated = chinese.translate(english)
    assert translated != english
    assert translated.endswith("。")
    return translated


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kind": "x"}, "没有故障“x”"),
        ({"kind": "delay"}, "故障 delay：必须给出 seconds 或 jitter"),
        ({"kind": "delay", "seconds": -1}, "seconds 不能小于 0"),
        ({"kind": "delay", "seconds": "1"}, "seconds 必须是数字"),
        ({"kind": "code", "code": "7"}, "code 应写成 -14"),
        ({"kind": "error", "probability": 2}, "probability 不能大于 1"),
        ({"kind": "error", "probability": 0}, "probability 必须大于 0"),
        ({"kind": "error", "times": 0}, "times 不能小于 1"),
        ({"kind": "error", "times": 1.5}, "times 必须是整数"),
        ({"kind": "error", "status": 502}, "没有选项“status”"),
        ({"kind": "error", "numbers": ["abc"]}, "1 到 20 位数字"),
        ({"kind": "error", "numbers": 1}, "numbers 必须是文字的数组"),
        ({"kind": "error", "user_code": 1}, "user_code 必须是文字"),
        ({"kind": "error", "user_code": "\ud800"}, "user_code 含有半个字符"),
        ({"kind": "error", "protocol": "smtp"}, "protocol 必须是 soap"),
        ({"kind": "delay", "seconds": 1, "when": "before"}, "when 必须是 after"),
        ({"kind": "close", "when": "unread", "text": "x"}, "when=unread 不能与 text 同时使用"),
        ({"kind": "html", "status": 404}, "status=404 表示没有发送"),
        ({"kind": "html", "status": 200}, "status 不能小于 400"),
    ],
)
def test_translate_mistake_in_a_fault_is_chinese(options: dict[str, Any], expected: str) -> None:
    """Every mistake that the form of faults allows has a Chinese sentence."""
    with pytest.raises(ConfigurationError) as caught:
        Fault.from_options(options.pop("kind"), **options)
    assert expected in in_chinese(str(caught.value))


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("foo:x", "没有搜索条件 foo:"),
        ("to:", "没有值"),
        ("outcome:x", "未知的结果"),
        ("code:x", "返回码"),
        ("before:x", "无法识别的时间"),
        ("x " * 21, "超过 20 个"),
    ],
)
def test_translate_mistake_in_a_search_is_chinese(search: str, expected: str) -> None:
    """Every mistake in a search has a Chinese sentence."""
    with pytest.raises(ApiError) as caught:
        parse_query(MultiDict(q=search), ListQuery)
    assert expected in in_chinese(str(caught.value))


@pytest.mark.parametrize(
    "english",
    [
        "The body is longer than 64 KiB.",
        "This path allows GET and POST.",
        "There is no such path; /api/v1/openapi.json lists all paths.",
        "There is no arrival 5, or memory no longer has it.",
        "No matching arrival came within 0.1 s.",
        "100 clients already wait or follow events: try again later.",
        "'x' is not a phone number.",
        "The Content-Type must be application/json.",
        "The inbox needs a login: give the user name and the password of --auth.",
        "The body is not valid JSON.",
        'A fault is an object with a "kind".',
        "There is no fault 5.",
        "1000 faults are active: remove some of them.",
        "The record x.db cannot be cleared (disk I/O error).",
    ],
)
def test_translate_error_of_the_api_is_chinese(english: str) -> None:
    """The API's own errors have a Chinese sentence."""
    in_chinese(english)


def test_translate_error_of_the_guard_is_chinese() -> None:
    """The page can show why it is rejected."""
    for headers in ({"Host": "sms.example.com"}, {"Host": "localhost", "Origin": "null"}):
        with pytest.raises(ApiError) as caught:
            reject_cross_site(headers, "127.0.0.1", Access())
        in_chinese(str(caught.value))


def test_translate_unknown_sentence_stays_english() -> None:
    """An error without a translation is shown as it is."""
    assert chinese.translate("Something else happened.") == "Something else happened."
