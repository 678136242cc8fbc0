"""The sandbox's errors in Chinese, without a server."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from multidict import MultiDict

from tests.support.catalogue import name_of
from yunxin_soap import sandbox
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.access import Access
from yunxin_soap.sandbox.config import Config
from yunxin_soap.sandbox.faults.model import Fault
from yunxin_soap.sandbox.inbox.errors import ApiError
from yunxin_soap.sandbox.inbox.guard import reject_cross_site
from yunxin_soap.sandbox.inbox.query_params import ListQuery, WaitQuery, parse_query
from yunxin_soap.translation import chinese, translate_error

SANDBOX = Path(sandbox.__file__).parent
TEXT_OF_ERROR = {"ApiError": 1, "SearchError": 0, "StorageError": 0, "ValueError": 0}
"""The place of the text among the arguments of each error."""


def in_chinese(error: Exception) -> str:
    """Return the Chinese of an error, which must be a sentence."""
    translated = translate_error(error, chinese())
    assert translated != str(error)
    assert translated.endswith("。")
    return translated


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kind": "x"}, "没有故障 'x'"),
        ({"kind": "delay"}, "故障 'delay'：必须给出 seconds 或 jitter"),
        ({"kind": "delay", "seconds": -1}, "seconds 不能小于 0"),
        ({"kind": "delay", "seconds": "1"}, "seconds 必须是数字"),
        ({"kind": "code", "code": "7"}, "code 应写成 -14"),
        ({"kind": "error", "probability": 2}, "probability 不能大于 1"),
        ({"kind": "error", "probability": 0}, "probability 必须大于 0"),
        ({"kind": "error", "times": 0}, "times 不能小于 1"),
        ({"kind": "error", "times": 1.5}, "times 必须是整数"),
        ({"kind": "error", "status": 502}, "没有选项 'status'（html 才有）"),
        ({"kind": "error", "numbers": ["abc"]}, "1 到 20 位数字"),
        ({"kind": "error", "numbers": 1}, "numbers 必须是文字的数组"),
        ({"kind": "error", "user_code": 1}, "user_code 必须是文字"),
        ({"kind": "error", "user_code": "\ud800"}, "user_code 含有半个字符"),
        ({"kind": "error", "protocol": "smtp"}, "protocol 必须是 soap"),
        ({"kind": "delay", "seconds": 1, "when": "before"}, "when 必须是 after"),
        ({"kind": "close", "when": "unread", "text": "x"}, "when='unread' 不能与 text 同时使用"),
        ({"kind": "html", "status": 404}, "status=404 表示没有发送"),
        ({"kind": "html", "status": 200}, "status 不能小于 400"),
    ],
)
def test_translate_mistake_in_a_fault_is_chinese(options: dict[str, Any], expected: str) -> None:
    """Every mistake that the form of faults allows has a Chinese sentence."""
    with pytest.raises(ConfigurationError) as caught:
        Fault.from_options(options.pop("kind"), **options)
    assert expected in in_chinese(caught.value)


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("foo:x", "没有搜索条件 foo:"),
        ("to:", "q 中有搜索条件没有值"),
        ("outcome:x", "未知的结果"),
        ("code:x", "错误码不是数字"),
        ("before:x", "无法识别的时间"),
        ("x " * 21, "超过 20 个"),
    ],
)
def test_translate_mistake_in_a_search_is_chinese(search: str, expected: str) -> None:
    """Every mistake in a search has a Chinese sentence."""
    with pytest.raises(ApiError) as caught:
        parse_query(MultiDict(q=search), ListQuery)
    assert expected in in_chinese(caught.value)


def test_translate_error_of_the_guard_is_chinese() -> None:
    """The page can show why it is rejected."""
    for headers in ({"Host": "sms.example.com"}, {"Host": "localhost", "Origin": "null"}):
        with pytest.raises(ApiError) as caught:
            reject_cross_site(headers, "127.0.0.1", Access())
        in_chinese(caught.value)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"nothing": "x"}, "未知的查询参数 'nothing'；可用参数：after_id"),
        ({"timeout": "x"}, "查询：timeout 必须是数字，例如 10 或 0.5。"),
        ({"timeout": "61"}, "查询：timeout 不能大于 60。"),
        ({"utc_offset": "x"}, "utc_offset 必须是 UTC 以东的分钟数"),
        ({"after_id": "x"}, "after_id 必须是不超过 15 位的整数"),
        ({"outcome": "x"}, "outcome 必须是 accepted, rejected, failed, malformed 之一"),
    ],
)
def test_translate_mistake_in_a_query_is_chinese(query: dict[str, str], expected: str) -> None:
    """So has every mistake in another parameter."""
    with pytest.raises(ApiError) as caught:
        parse_query(MultiDict(query), WaitQuery)
    assert expected in in_chinese(caught.value)


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("x = 1", "没有键 'x'；可用的键：accounts"),
        ("accounts = 1", "accounts 必须是表的数组"),
        ("[[accounts]]", "accounts[0]: 必须给出 user_code 和 user_pass。"),
        ("test_numbers = 1", "test_numbers 必须是布尔值 true 或 false"),
        ("x", "无法读取"),
    ],
)
def test_translate_mistake_in_a_configuration_is_chinese(
    toml: str, expected: str, tmp_path: Path
) -> None:
    """The command, which reads the file, can show the mistake in Chinese."""
    path = tmp_path / "config.toml"
    path.write_text(toml)
    with pytest.raises(ConfigurationError) as caught:
        Config.from_toml(path)
    assert expected in in_chinese(caught.value)


def test_errors_of_the_api_are_sentences() -> None:
    """An error that were a plain text would stay English on a Chinese page."""
    plain = []
    for path in SANDBOX.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and name_of(node) in TEXT_OF_ERROR:
                text = node.args[TEXT_OF_ERROR[name_of(node)]]
                if not (isinstance(text, ast.Call) and name_of(text) in ("Sentence", "text_of")):
                    plain.append(ast.unparse(node))
    assert plain == []
