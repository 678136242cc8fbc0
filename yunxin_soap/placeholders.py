"""Finds placeholders that nothing fills, in the notations of other vendors and tools. Pure.

A text such as ``您好${name}`` or ``您好#name#`` was written for another service. Sent as it is, it
cannot be unsent. So what can only be a placeholder is found in every text. What may also be honest
text, such as ``【姓名】`` or ``#活动#``, is one only if a column of the list has that name.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import NamedTuple

_BLANKS = r"[^\S\n]*"
_WORD = r"[A-Za-z_][\w.]*"
_CERTAIN = re.compile(
    r"\$\{([^{}\n]{1,40})\}"  # ${name}: Aliyun, Huawei
    # #{name}, but not a hashtag #{topic}#, nor a building 3#{room}.
    r"|(?<![0-9#])#\{([^{}\n]{1,40})\}(?!#)"
    r"|\{\$([^{}\n]{1,40})\}"
    r"|\{#([^{}#\n]{1,40})#\}"
    r"|\{%([^{}%\n]{1,40})%\}"
    r"|%\(([^()\n]{1,40})\)[sd]"
    r"|<%=?([^<>%\n]{1,40})%>"
    rf"|@var\(({_BLANKS}{_WORD}{_BLANKS})\)",
    re.ASCII,
)
_DOUBLED = re.compile(r"(?<!\{)\{\{(?!\{)([^{}\n]{1,40})\}\}(?!\})")
_SINGLE = re.compile(r"(?<!\{)\{([^{}\n]{0,40})\}(?!\})")
_MARKS = tuple(
    # Only looks ahead to the closing mark: that may open the next one, as in "1#楼#name#".
    re.compile(f"{mark}(?=([^{mark}\n]{{1,40}}){mark})")
    for mark in map(re.escape, "#%$@＃％＄＠")
)
_FULL_WIDTH_BRACES = re.compile(r"｛([^｛｝\n]{1,40})｝")
_LABELS = tuple(
    re.compile(rf"{start}([^{start}{end}\n]{{1,40}}){end}")
    for start, end in (
        ("【", "】"),
        (r"\[", r"\]"),
        ("［", "］"),
        ("〔", "〕"),
        ("<", ">"),
        ("＜", "＞"),
        # Word's merge fields, as it shows them
        ("«", "»"),
        ("《", "》"),
    )
)
_SIGNATURE = re.compile(r"【([^【】]*)】\s*\Z")
_SHELL = re.compile(rf"\$({_WORD})", re.ASCII)
_PRINTF = re.compile(r"(?<![0-9%}])%(?:[0-9]\$)?[sd@](?![A-Za-z0-9])", re.ASCII)
_COLUMN = re.compile(r"\{[^{}]*\}")
_IDENTIFIER = re.compile(rf"{_WORD}|[0-9]{{1,2}}|", re.ASCII)
_LOWER_CASE_WORD = re.compile(r"[a-z_][\w.]+", re.ASCII)
_VARIABLE = re.compile(r"(?:变量|参数|占位符|var|param|variable|name|user_?name)[0-9]{0,2}")
"""Names that are nothing but placeholders, in whatever brackets they are."""
_USUAL_NAMES = frozenset(
    {
        *("nickname", "full_name", "fullname", "first_name", "last_name", "customer", "code"),
        *("customer_name", "vcode", "captcha", "otp", "verify_code", "amount", "balance", "money"),
        *("price", "date", "time", "due", "order", "order_no", "order_id", "phone", "mobile"),
        *("product", "company", "content", "url", "link", "姓名", "名字", "称呼", "昵称", "用户名"),
        *("客户名", "客户姓名", "会员姓名", "验证码", "动态码", "金额", "余额", "日期", "时间"),
        *("订单号", "单号", "手机号", "手机号码"),
    }
)
"""Names that are placeholders between marks such as ``#``, where honest text has other words."""


class Placeholder(NamedTuple):
    """What looks like a placeholder of another notation."""

    text: str
    """As it is in the message, such as ``${name}``."""
    name: str
    """The name in it, such as ``name``."""
    sure: bool
    """Whether it can be nothing else. If not, it is one if a column has that name."""


def fold_name(name: str) -> str:
    """Return a name in the form in which names of placeholders and columns are compared."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def candidates(message: str, *, template: bool = False) -> Iterator[Placeholder]:
    """Yield all that may be a placeholder of another notation.

    Args:
        message: the text; that the signature at its end has brackets makes it no placeholder.
        template: whether ``{name}`` is none of another notation: in a template, it is a column of
            the list, and ``{{`` is a brace.
    """
    for found in _CERTAIN.finditer(message):
        yield Placeholder(found[0], found[found.lastindex or 0].strip(), sure=True)
    # "{due:%d}" is a column.
    if "%" in message:
        for found in _PRINTF.finditer(
            _COLUMN.sub("{}", message) if template and "{" in message else message
        ):
            yield Placeholder(found[0], found[0], sure=True)
    yield from _in_braces(message, template)
    yield from _between_marks(message)
    # The signature is the one 【…】 that every message has.
    yield from _in_label_brackets(_SIGNATURE.sub("", message), template)


def _in_braces(text: str, template: bool) -> Iterator[Placeholder]:
    for found in _DOUBLED.finditer(text):
        name = found[1].strip()
        # Nobody writes a number in braces of its own, but {{1}} is a notation.
        sure = _is_name(name, template) or name.isdigit()
        yield Placeholder(found[0], name, sure=sure)
    for found in _SINGLE.finditer("" if template else text):
        yield Placeholder(found[0], found[1].strip(), sure=_is_name(found[1], template))
    for found in _FULL_WIDTH_BRACES.finditer(text):
        yield Placeholder(found[0], found[1].strip(), sure=_is_name(found[1], template=True))


def _between_marks(text: str) -> Iterator[Placeholder]:
    for pattern in _MARKS:
        for found in pattern.finditer(text):
            token = found[0] + found[1] + found[0]
            yield Placeholder(token, found[1].strip(), sure=_is_usual(found[1]))
    for found in _SHELL.finditer(text):
        yield Placeholder(found[0], found[1], sure=_is_usual(found[1]))


def _in_label_brackets(text: str, template: bool) -> Iterator[Placeholder]:
    for pattern in _LABELS:
        for found in pattern.finditer(text):
            name = found[1].strip()
            # "【姓名】{姓名}" is a label with its value.
            value = rf"(?<!\{{)\{{\s*{re.escape(name)}\s*[:：}}]"
            if not (template and re.search(value, text)):
                is_variable = _VARIABLE.fullmatch(fold_name(name)) is not None
                yield Placeholder(found[0], name, sure=is_variable)


def find_placeholder(
    message: str, columns: Collection[str] = (), *, template: bool = False
) -> Placeholder | None:
    """Return the first placeholder of another notation; None if there is none.

    Args:
        message: the text.
        columns: the columns of the list.
        template: as in `candidates`.
    """
    names = {fold_name(each) for each in columns}
    for found in (*candidates(message, template=template), *_as_signature(message)):
        # A column called "1" makes no placeholder of "[1]".
        if found.sure or (
            names and (name := fold_name(found.name)) in names and not name.isdigit()
        ):
            return found
    return None


def _as_signature(message: str) -> Iterator[Placeholder]:
    """Yield the signature: it may be a placeholder that ends a message without a signature."""
    found = _SIGNATURE.search(message, max(message.rfind("【"), 0))
    if found is not None:
        name = found[1].strip()
        # "【Link】" and "【TIME】" are companies.
        is_own_name = name.isascii() and name != name.lower()
        yield Placeholder(found[0].strip(), name, sure=_is_usual(name) and not is_own_name)


@functools.lru_cache(maxsize=256)
def _is_usual(name: str) -> bool:
    folded = fold_name(name)
    return folded in _USUAL_NAMES or _VARIABLE.fullmatch(folded) is not None


def _is_name(name: str, template: bool) -> bool:
    """Return whether a name in braces is certainly one. In a template, a longer word is needed.

    There ``{{`` is how a brace itself is written, as in ``{{A}}``.
    """
    pattern = _LOWER_CASE_WORD if template else _IDENTIFIER
    return pattern.fullmatch(name.strip()) is not None or _is_usual(name)
