"""The page of all error texts, in English and in Chinese, from the catalogue of translations."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.support import catalogue
from yunxin_soap.cli.language import current


class _Kind(NamedTuple):
    """What holds for all errors of a class: in English, and in Chinese."""

    went_out: tuple[str, str]
    """Whether the SMS may have gone out."""
    action: tuple[str, str]


_NO = ("No.", "不会。")
_KINDS = {
    "OutcomeUnknown": _Kind(
        ("**It may have.**", "**可能已经发出。**"),
        (
            "Do not send it again by yourself. Ask the vendor what became of it, then decide.",
            "不要自行重发。先向服务商查询结果，再作决定。",
        ),
    ),
    "NotSent": _Kind(
        _NO,
        (
            "Send it again, at once if you like. If it stays, check the network and the endpoint.",
            "可以立即重发。如果反复出现，请检查网络和接口地址。",
        ),
    ),
    "SendExpired": _Kind(
        _NO,
        (
            "If it is still wanted, send it with another key.",
            "如果仍然需要，请换一个键再发送。",
        ),
    ),
    "InvalidRequest": _Kind(
        _NO, ("Fix the argument that the text names.", "修正文本所指出的参数。")
    ),
    "RecipientsSuppressed": _Kind(
        _NO, ("Leave out the numbers on the do-not-send list.", "去掉禁发名单中的号码。")
    ),
    "Rejected": _Kind(
        (
            "No, except after -1 and after a code that the manual does not list: it may have.",
            "不会。但 -1 和手册中没有的错误码除外：这时可能已经发出。",
        ),
        (
            "Fix the cause, then send again. [Result codes](codes.md) has all of them.",
            "排除原因后再发送。全部见[错误码](codes.md)。",
        ),
    ),
    "ConfigurationRejected": _Kind(
        _NO,
        (
            "Fix the endpoint, or what the text names, then send again.",
            "修正接口地址或文本所指出的问题，然后再发送。",
        ),
    ),
    "GatewayRejected": _Kind(
        ("**It may have.**", "**可能已经发出。**"),
        ("Ask the vendor before you send it again.", "重发之前，先向服务商查询。"),
    ),
    "ConfigurationError": _Kind(
        _NO,
        (
            "Fix the setting, the list, the option or the installation that the text names.",
            "修正文本所指出的设置、名单、选项或安装。",
        ),
    ),
    "LedgerError": _Kind(
        (
            "No, unless it speaks of submissions that ended or are in flight: these may have.",
            "不会。但如果文本提到已结束或正在提交的批次，它们可能已经发出。",
        ),
        (
            "Make the ledger usable, then run the same command again: it sends nothing twice.",
            "先让账本恢复可用，再运行同一命令：不会重复发送。",
        ),
    ),
    "ContentConflict": _Kind(
        _NO, ("Use another name or key for other content.", "内容不同，请换一个名称或键。")
    ),
    "NotInLedger": _Kind(
        _NO,
        (
            "Check the name or key, the ledger, and the state that the operation needs.",
            "检查名称或键、账本，以及该操作所要求的状态。",
        ),
    ),
}
_WORDS = {
    "intro": (
        "What an error's text says, in English as `str(error)` and logs have it, and in Chinese as"
        " the command shows it with `--lang zh`. A name in braces stands for a value. Search for a"
        " few words of your text that are no values.",
        "错误的全部文本：英文见于 `str(error)` 和日志，中文由命令行加 `--lang zh` 显示。花括号中的"
        "名称代表具体的值。请用文本中不是值的几个词来查找。",
    ),
    "went out": ("May the SMS have gone out?", "短信会不会已经发出？"),
    "action": ("What to do:", "怎么办："),
    "parts": ("Parts and notices", "文本的组成部分和提示"),
    "parts intro": (
        "The texts above quote these as reasons, and plans, previews and runs show them. The text"
        " around them says whether the SMS may have gone out. Those of `sandbox/` are about the"
        " sandbox alone, which sends no SMS; its inbox and its REST API show them, too.",
        "上面的文本引用它们作为原因；计划、预览和运行也会显示。短信会不会已经发出，由它们所在的文本说明。"
        "`sandbox/` 中的文本只涉及沙箱，它不发送短信；它的收件箱和 REST API 也会显示这些文本。",
    ),
}


def page() -> str:
    """Return the page in Markdown; a class of errors that is not described here is an error."""
    which = int(current() == "zh")
    chinese = {each.id: str(each.string) for each in catalogue.read() if isinstance(each.id, str)}
    texts = catalogue.error_texts()
    if unknown := set(texts) ^ set(_KINDS):
        raise ValueError(f"error_texts.py and the code have different errors: {unknown}")
    blocks = [_WORDS["intro"][which]]
    for name, kind in _KINDS.items():
        blocks += [
            f"## {name}",
            f"{_WORDS['went out'][which]} {kind.went_out[which]}"
            f" {_WORDS['action'][which]} {kind.action[which]}",
            _table(texts[name], chinese, which),
        ]
    blocks += [f"## {_WORDS['parts'][which]}", _WORDS["parts intro"][which]]
    for module, own in catalogue.parts().items():
        blocks += [f"### {_escaped(module)}", _table(own, chinese, which)]
    return "\n\n".join(blocks)


def _table(texts: list[str], chinese: dict[str, str], which: int) -> str:
    rows = [("English", "中文"), ("---", "---")]
    rows += [(_escaped(each), _escaped(chinese.get(each, ""))) for each in dict.fromkeys(texts)]
    # The language of the page comes first.
    return "\n".join(f"| {row[which]} | {row[1 - which]} |" for row in rows)


def _escaped(template: str) -> str:
    """Return a template as Markdown that shows it, with the braces of its values."""
    text = template.replace("{{", "{").replace("}}", "}").replace("\n", " ")
    return re.sub(r"([\\`*_{}\[\]<>#|&])", r"\\\1", text)
