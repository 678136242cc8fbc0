"""The rules for marketing: an opt-out in every text, and no text at night. Pure."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, time, timedelta, timezone

from yunxin_soap.errors import invalid_request
from yunxin_soap.sentences import Sentence

OPENS, CLOSES = time(8), time(21)
"""The hours of China's time in which the operators let marketing through."""
CHINA_OFFSET = timedelta(hours=8)
_OPT_OUT_RULE = (
    "a commercial SMS must say how to refuse further ones, by the 通信短信息服务管理规定 of China's"
    " Ministry of Industry and Information Technology"
)

_SIGNATURE = re.compile(r"【[^【】]*】\s*\Z")
_IGNORED = re.compile(r"[\s“”\"'‘’「」『』《》【】\[\]()]+")
_REFUSING = (
    "(?:退订|拒收|拒绝接收|谢绝|不再接收|不想接收|不接收|不需要|不想收到|不再收到|免打扰|勿扰|打扰"
    "|取消(?:订阅|接收|推送|短信)|屏蔽)"
)
_ANSWER = "(?:请|可|直接|短信|编辑|编写)*(?:回复?|发送?|编辑)(?:短信|字母|数字)?"
_KEY = "[A-Z0-9]{1,4}(?![A-Z0-9])"
_OPT_OUT = re.compile(
    # 拒收请回复R, 退订回T, 如不需要，请回N
    rf"{_REFUSING}(?:短信|信息|消息|此类)?[,，:：、]?{_ANSWER}{_KEY}"
    # 回T退订, 回复TD退订, 发送QX到1069退订, 回T退
    rf"|(?:回复?|发送?|编辑)(?:短信|字母|数字)?[A-Z]{{1,4}}(?:[到至][0-9]{{3,20}})?"
    rf"(?:即可|可以|可|以|则|来|表示|为)?(?:{_REFUSING}|退(?![款货换税房票费保])|取消)"
    rf"|(?:回复?|发送?|编辑)(?:短信|字母|数字)?[0-9]{{1,4}}(?:[到至][0-9]{{3,20}})?"
    rf"(?:即可|可以|可|以|则|来|表示|为)?{_REFUSING}"
    # TD退订, T退订
    rf"|(?<![A-Z0-9])TD?{_REFUSING}"
    # 退订T, 退T
    rf"|退订?{_KEY}"
    # 退订点 t.cn/x
    rf"|{_REFUSING}(?:短信)?(?:请|可)?(?:点击?|戳|打开|访问)"
)
_PROMOTION = re.compile(
    "促销|优惠|特惠|钜惠|折扣|[0-9一二三四五六七八九]折|打折|特价|秒杀|满减|立减|直降|红包|抽奖|中奖"
    "|免费领|免费送|限时|限量|抢购|抢先|大促|双(?:11|12|十一|十二)|618|领取|领券|代金券|礼券|礼包"
    "|清仓|上新|新品|返现|包邮|买[一1]送[一1]|低至|会员日|热卖|爆款|好礼|赠送|福利"
)
_LINK = re.compile(
    r"https?://|www\.|(?<![@A-Z0-9._-])[A-Z0-9][A-Z0-9-]*(?:\.[A-Z0-9-]+)*"
    r"\.(?:CN|COM|NET|ORG|TOP|VIP|SHOP|CC|ME|CO|LY|IO|INFO|XYZ|CLUB)(?![A-Z0-9.@])",
    re.IGNORECASE,
)


def check_opt_out(message: str) -> None:
    """Check that a marketing message says before its signature how to refuse further ones.

    The usual forms are found, such as ``拒收请回复R``, ``退订回T`` and ``回复TD退订``, in any width
    and case.

    Args:
        message: the message with its signature.

    Raises:
        InvalidRequest: it does not.
    """
    if not _has_opt_out(message):
        raise invalid_request(
            Sentence(
                "The message is marketing without an opt-out before its signature: add 拒收请回复R "
                "or the like. The rule: {opt_out_rule}.",
                opt_out_rule=_OPT_OUT_RULE,
            )
        )


def check_sending_time(now: float) -> None:
    """Check that the operators let marketing through at a time.

    Args:
        now: seconds since 1970, UTC.

    Raises:
        InvalidRequest: they do not.
    """
    clock = datetime.fromtimestamp(now, timezone(CHINA_OFFSET)).time()
    if not OPENS <= clock < CLOSES:
        raise invalid_request(
            Sentence(
                "The message is marketing, which the operators let through from {opens} to "
                "{closes} in China's time only, and it is {clock} there: send it within these "
                "hours.",
                opens=f"{OPENS:%H:%M}",
                closes=f"{CLOSES:%H:%M}",
                clock=f"{clock:%H:%M}",
            )
        )


def describe_marketing(message: str) -> str | None:
    """Return a note if a message looks like marketing, and does not say how to refuse it.

    Args:
        message: the message, or the template of one.
    """
    if _has_opt_out(message):
        return None
    text = unicodedata.normalize("NFKC", _SIGNATURE.sub("", message))
    found = _PROMOTION.search(text) or _LINK.search(text)
    if found is None:
        return None
    return Sentence(
        "The message looks like marketing ({found}), but has no opt-out such as 拒收请回复R. If"
        " it is marketing, say so (marketing=True, --marketing): then both rules for it are"
        " checked, an opt-out and the sending hours.",
        found=found[0],
    )


def _has_opt_out(message: str) -> bool:
    text = unicodedata.normalize("NFKC", _SIGNATURE.sub("", message)).upper()
    return _OPT_OUT.search(_IGNORED.sub("", text)) is not None
