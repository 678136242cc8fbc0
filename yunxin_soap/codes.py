"""The result codes of ``sendMesExt``, from the vendor's manual, and the HTTP statuses that reject.

The table of codes is valid for this operation only: in the vendor's older services some codes have
other meanings. -2 and -4 are not in the manual.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from typing_extensions import Self


class Category(str, Enum):
    """What to fix before a rejected submission can succeed."""

    CREDENTIALS = "credentials"
    """The account: name, password, the IP address it may be used from."""
    CONTENT = "content"
    """The text: signature, banned words, template, characters."""
    BALANCE = "balance"
    """The balance: top up the account."""
    CHANNEL = "channel"
    """The channel: none usable, outside its hours, or of another kind."""
    RECIPIENTS = "recipients"
    """The numbers: too many or too few, malformed, not real, blacklisted."""
    CONFIGURATION = "configuration"
    """A setting: of the account at the vendor, or the caller's endpoint."""
    GATEWAY = "gateway"
    """The service itself, or a code that the manual does not list."""


class ResultCode(int, Enum):
    """Every negative result that the manual documents. The value is the code."""

    category: Category
    description_zh: str
    """The vendor's words."""
    description_en: str
    temporary: bool
    """Whether the cause may pass without a fix."""

    def __new__(
        cls,
        code: int,
        category: Category,
        description_zh: str,
        description_en: str,
        temporary: bool = False,
    ) -> Self:
        """Make a member whose value is the code and whose attributes are the rest of the row."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.category = category
        member.description_zh = description_zh
        member.description_en = description_en
        member.temporary = temporary
        return member

    APPLICATION_EXCEPTION = (
        -1,
        Category.GATEWAY,
        "应用程序异常",
        "application exception; it may have been raised after the SMS was queued",
    )
    BAD_CREDENTIALS = (
        -3,
        Category.CREDENTIALS,
        "用户名密码错误或者用户无效",
        "wrong user name or password, or the user is not valid",
    )
    BAD_SIGNATURE = (
        -5,
        Category.CONTENT,
        "签名不正确(格式为:XXX【签名内容】), 注意:短信内容最后一个字符必须是】",
        "wrong signature (the form is XXX【signature】); the text's last character must be 】",
    )
    BANNED_WORD = (
        -6,
        Category.CONTENT,
        "含有关键字keyWords(keyWords为敏感内容,如:-6:促销)",
        "the text contains a banned word, named after the colon",
    )
    LOW_BALANCE = (-7, Category.BALANCE, "余额不足", "the balance is too low")
    NO_CHANNEL = (
        -8,
        Category.CHANNEL,
        "没有可用的通道,或不在时间范围内",
        "no usable channel, or outside its hours",
        True,
    )
    TOO_MANY_NUMBERS = (
        -9,
        Category.RECIPIENTS,
        "发送号码一次不能超过1000个",
        "more than 1000 numbers in one submission",
    )
    ABOVE_UPPER_LIMIT = (
        -10,
        Category.RECIPIENTS,
        "号码数量大于允许上限(不设置上限时,不可超过1000)",
        "more numbers than the account's upper limit (1000 if none is set)",
    )
    BELOW_LOWER_LIMIT = (
        -11,
        Category.RECIPIENTS,
        "号码数量小于允许下限",
        "fewer numbers than the account's lower limit",
    )
    NO_TEMPLATE = (-12, Category.CONTENT, "模板不匹配", "the text matches no template")
    INVALID_IP = (
        -13,
        Category.CREDENTIALS,
        "Invalid Ip ip绑定用户,未绑定该ip",
        "the account is bound to other IP addresses than the caller's",
    )
    USER_BLACKLIST = (
        -14,
        Category.RECIPIENTS,
        "用户黑名单",
        "a number is on the user's blacklist",
    )
    SYSTEM_BLACKLIST = (
        -15,
        Category.RECIPIENTS,
        "系统黑名单",
        "a number is on the system's blacklist",
    )
    MALFORMED_NUMBER = (-16, Category.RECIPIENTS, "号码格式错误", "a number is malformed")
    UNREAL_NUMBER = (
        -17,
        Category.RECIPIENTS,
        "无效号码(格式正常,可不是正确的电话号码,如12345456765)",
        "a number is well-formed but not a real one, such as 12345456765",
    )
    NO_FIXED_EXTENSION = (
        -18,
        Category.CONFIGURATION,
        "没有设置用户的固定下发扩展号,不能自定义扩展",
        "no fixed extension is set for the user: a custom one is not allowed",
    )
    TEMPLATE_ONLY_CHANNEL = (
        -19,
        Category.CHANNEL,
        "强制模板通道,不能使用个性化接口",
        "the channel is template-only: the personalised interface cannot be used",
    )
    ILLEGAL_CHARACTERS = (
        -20,
        Category.CONTENT,
        "包含非法字符",
        "the text contains illegal characters",
    )
    NO_SUBMIT_SETTING = (
        -21,
        Category.CONFIGURATION,
        "没有找到对应的submitID设置",
        "there is no setting for that submitID",
    )
    DECRYPTION_FAILED = (-22, Category.CONFIGURATION, "解密失败", "decryption failed")
    BALANCE_QUERIED_TOO_OFTEN = (
        -23,
        Category.GATEWAY,
        "查询余额过频繁(至少间隔10秒)",
        "the balance was queried too often (10 seconds apart at least)",
        True,
    )

    @property
    def safe_to_resend(self) -> bool:
        """Whether it is certain that no SMS was queued: for every code but -1."""
        return self is not ResultCode.APPLICATION_EXCEPTION


DOCUMENTED: dict[int, ResultCode] = {int(code): code for code in ResultCode}
"""Every documented code by its number."""

TOO_MANY_REQUESTS = 429
"""The one HTTP status in `REJECTED_STATUSES` whose cause may pass without a fix."""

_CHECK_SETTINGS = Sentence("check the endpoint, the protocol and the WSDL")
_FEWER_NUMBERS = Sentence("send to fewer numbers at once, or use protocol 'soap' or 'http-post'")

REJECTED_STATUSES: Mapping[int, Sentence] = MappingProxyType(
    {
        400: _CHECK_SETTINGS,
        401: Sentence("check the endpoint, and ask the vendor how to get access"),
        403: Sentence("check the endpoint, and ask the vendor whether your IP address may use it"),
        404: Sentence("check the path of the endpoint"),
        405: _CHECK_SETTINGS,
        407: Sentence("check the user name and the password of the proxy"),
        411: _CHECK_SETTINGS,
        413: Sentence("send to fewer numbers at once"),
        414: _FEWER_NUMBERS,
        415: _CHECK_SETTINGS,
        417: _CHECK_SETTINGS,
        426: Sentence("check whether the endpoint needs https"),
        TOO_MANY_REQUESTS: Sentence(
            "wait a while, and send more slowly; the cause may pass by itself"
        ),
        431: _FEWER_NUMBERS,
    }
)
"""Every HTTP status that a server gives before it runs the service, and what to do about it.

After any other status the SMS may have been sent, 4xx included. A proxy answers 408 or 499, for
example, if the service behind it was slow.
"""
