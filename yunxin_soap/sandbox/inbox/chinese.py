"""The API's errors in Chinese, for readers whose language it is.

Most errors are raised far below, where nobody knows the reader. So the English sentence is
translated as a whole, by the patterns here. A sentence without a pattern stays English.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SENTENCES: dict[str, str] = {
    # The API
    r"The body is longer than (\d+) KiB\.": r"请求体超过 \1 KiB。",
    r"This path allows (.+)\.": r"该路径只允许 \1。",
    r"There is no such path; (.+) lists all paths\.": r"没有这个路径；\1 列出全部路径。",
    r"There is no arrival (\d+), or memory no longer has it\.": (
        r"没有第 \1 条请求，或内存中已不保留。"
    ),
    r"No matching arrival came within (.+) s\.": r"\1 秒内没有符合条件的请求。",
    r"(\d+) clients already wait or follow events: try again later\.": (
        r"已有 \1 个客户端在等待或接收事件：请稍后再试。"
    ),
    r"'(.*)' is not a phone number\.": r"“\1”不是电话号码。",
    r"The Content-Type must be (.+)\.": r"Content-Type 必须是 \1。",
    r"The body is not valid JSON\.": r"请求体不是有效的 JSON。",
    r'A fault is an object with a "kind"\.': r"故障是带有“kind”的对象。",
    r"There is no fault (\d+)\.": r"没有编号为 \1 的故障。",
    r"Unknown query parameter '(.*)'; the parameters here are (.+)\.": (
        r"未知的查询参数“\1”；可用参数：\2。"
    ),
    r"The query parameter (.+) is given more than once\.": r"查询参数 \1 重复给出。",
    r"Requests from other web sites are not allowed\. A proxy .*": (
        r"不允许来自其他网站的请求。沙箱前的代理必须传递 Host 头，并设置 X-Forwarded-Proto。"
    ),
    r"The inbox needs a login: .*": r"收件箱需要登录：请输入 --auth 的用户名和密码。",
    r"Rejected, because the host name (.+) could be used for DNS rebinding: use the sandbox's IP"
    r" address, a host name without a dot, or one that ends in (.+?)\. If it is the sandbox's own"
    r" name, .*": (
        r"已拒绝：主机名 \1 可能被用于 DNS 重绑定攻击。请使用沙箱的 IP 地址、不带点的主机名，"
        r"或以 \2 结尾的主机名。如果这是沙箱自己的名称，请用 --allow-host \1 启动沙箱。"
    ),
    r"The record (.+) cannot be cleared \((.+)\)\.": r"记录文件 \1 无法清空（\2）。",
    # Faults
    r"(\d+) faults are active: remove some of them\.": r"已有 \1 个故障生效：请先移除一些。",
    r"There is no fault '(.*)': use one of (.+)\.": r"没有故障“\1”：请使用 \2 之一。",
    r"fault '(.+)': unknown option '(.+)'.*; the options of '.+' are (.+)\.": (
        r"故障 \1：没有选项“\2”；可用选项：\3。"
    ),
    r"fault '(.+?)': (.+)\.": r"故障 \1：{2}。",
    r"query: (.+)\.": r"{1}。",
}
"""Each sentence as a pattern. In its Chinese, ``{1}`` is the first group, translated as a part."""
_PARTS: dict[str, str] = {
    r"seconds or jitter must be given, as in seconds=2": (
        r"必须给出 seconds 或 jitter，例如 seconds=2"
    ),
    r"(.+) must be given": r"必须给出 \1",
    r"(.+) must look like -14 or -6:促销, not '(.*)'": r"\1 应写成 -14 或 -6:促销 这样，而不是“\2”",
    r"(.+) must be 1 to 20 digits after an optional \+, not '(.*)'": (
        r"\1 必须是 1 到 20 位数字，前面可以有 +，而不是“\2”"
    ),
    r"(.+) must be a whole number of at most 15 digits": r"\1 必须是不超过 15 位的整数",
    r"(.+) must be a whole number": r"\1 必须是整数",
    r"(.+) must be a number(?:, such as .+)?": r"\1 必须是数字",
    r"(.+) must be a string": r"\1 必须是文字",
    r"(.+) must be an array of strings": r"\1 必须是文字的数组",
    r"(.+) must be minutes east of UTC, such as 480": r"\1 必须是 UTC 以东的分钟数，例如 480",
    r"(.+) must be at least (.+)": r"\1 不能小于 \2",
    r"(.+) must be at most (.+)": r"\1 不能大于 \2",
    r"(.+) must be more than (.+)": r"\1 必须大于 \2",
    r"(.+) must be one of (.+)": r"\1 必须是 \2 之一",
    r"(.+) must be ([a-z]+)": r"\1 必须是 \2",
    r"(.+) (?:contains|must be text without) half a character.*": (
        r"\1 含有半个字符（单独的代理项）：请删除"
    ),
    r"status=(\d+) means that nothing was sent: use when='before', or a status that leaves the"
    r" outcome unknown, such as 408 or 502": (
        r"status=\1 表示没有发送：请使用 when=before，或结果未知的状态，例如 408 或 502"
    ),
    r"when='unread' and (.+) exclude each other, because the submission is unknown until the"
    r" request is read": r"when=unread 不能与 \1 同时使用：读取请求之前还不知道是哪一次提交",
    # The search
    r"q has more than (\d+) terms: leave some out": r"搜索条件超过 \1 个：请减少一些",
    r"q has no term (.+?):, only (.+); write quotes .+": (
        r"没有搜索条件 \1:，只有 \2；内容含冒号时请加引号，例如 “a:b”"
    ),
    r"q has a term without a value: .+": r"有搜索条件没有值：请写上，或去掉它",
    r"q has an unknown outcome: after outcome: write (.+)": r"未知的结果：outcome: 之后请写 \1",
    r"q has a code that is no number: after code: write one such as -7": (
        r"返回码不是数字：code: 之后请写 -7 这样的返回码"
    ),
    r"q has a time that cannot be read: after before: write (.+?), (.+?) or (.+)": (
        r"无法识别的时间：before: 之后请写 \1、\2 或 \3"
    ),
}


def is_preferred(accept_language: str) -> bool:
    """Return whether a reader's first language is Chinese.

    Args:
        accept_language: the header ``Accept-Language``.
    """
    return accept_language.strip().lower().startswith("zh")


def translate(sentence: str) -> str:
    """Return an error of the API in Chinese; as it is if it has no translation."""
    for pattern, chinese in _compiled(tuple(_SENTENCES.items())):
        found = pattern.fullmatch(sentence)
        if found is None:
            continue
        part = re.search(r"\{(\d)\}", chinese)
        if part is None:
            return found.expand(chinese)
        translated = _translate_part(found[int(part[1])])
        if translated is not None:
            whole = found.expand(chinese.replace(part[0], "\0"))
            return whole.replace("\0", translated)
    return sentence


def _translate_part(part: str) -> str | None:
    for pattern, chinese in _compiled(tuple(_PARTS.items())):
        found = pattern.fullmatch(part)
        if found is not None:
            return found.expand(chinese)
    return None


@lru_cache(maxsize=2)
def _compiled(table: tuple[tuple[str, str], ...]) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(pattern, re.DOTALL), chinese) for pattern, chinese in table]
