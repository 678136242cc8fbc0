"""Every error of the package, split first by what happened to the SMS.

YunxinError
├── ConfigurationError      wrong settings, a WSDL that does not fit, a missing extra
├── LedgerError             the ledger of campaigns cannot do what it was asked to do
│   ├── ContentConflict     that name stands for something else already
│   └── NotInLedger         there is no such campaign, or nothing unknown to decide about
└── SendError               a submit did not end in a batch number
    ├── InvalidRequest      found wrong here; nothing was sent (also a ValueError)
    ├── NotSent             nothing can have reached the service
    ├── Rejected            the service refused it
    │   ├── CredentialsRejected   ├── BalanceRejected      ├── RecipientsRejected
    │   ├── ContentRejected       ├── ChannelRejected      ├── ConfigurationRejected
    │   └── GatewayRejected
    └── OutcomeUnknown      it may have been sent: a person or the vendor's report decides

Each one says in one line what happened and what to do, and comes back whole from pickle.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from yunxin_soap.codes import DOCUMENTED, Category


class Outcome(str, Enum):
    """The four ways in which a submit ends."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class RequestInfo:
    """What was attempted when an error was raised; it cannot hold a secret or a number."""

    endpoint: str
    protocol: str
    recipients: int
    """How many numbers the submit was for."""
    channel: str


class YunxinError(Exception):
    """Base of every error that this package raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with all attributes, whatever the constructor takes."""
        return _restore, (type(self), self.args, self.__dict__)


def _restore(cls: type[YunxinError], args: tuple[Any, ...], state: dict[str, Any]) -> YunxinError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(YunxinError):
    """The settings, the WSDL or the installation are wrong; no submit was attempted."""


class LedgerError(YunxinError):
    """The ledger cannot do what it was asked to do; nothing was sent that is not recorded."""


class ContentConflict(LedgerError):
    """There is a campaign, or a single send, of that name already, with other content."""


class NotInLedger(LedgerError):
    """The ledger has no such campaign, or no such unknown submit to decide about."""


class SendError(YunxinError):
    """A submit did not end in a batch number; ``outcome`` says how it ended instead."""

    outcome: ClassVar[Outcome]
    safe_to_resend: bool = False
    """Whether the same SMS may be submitted again without any risk of a second copy."""
    request: RequestInfo | None = None
    """What was attempted; None where the request never took shape."""


class InvalidRequest(SendError, ValueError):
    """The request breaks a rule that is checked here; nothing was sent."""

    outcome = Outcome.NOT_SENT
    safe_to_resend = True


class NotSent(SendError):
    """Nothing of the request can have reached the service: it may be sent again at once."""

    outcome = Outcome.NOT_SENT
    safe_to_resend = True


class Rejected(SendError):
    """The service refused the submit; sending it again is safe once the cause is mended.

    Two refusals are not safe to send again: -1, which may be raised after the SMS was queued,
    and a negative code that the manual does not list.
    """

    outcome = Outcome.REJECTED
    code: int | None
    """The service's negative code; None where HTTP or SOAP refused."""
    category: Category
    description_zh: str
    """The vendor's Chinese words for a documented code; else what the refusing side said."""
    description_en: str
    keyword: str | None
    """The banned word of -6; None for any other refusal, "" where the service named none."""
    http_status: int | None
    """The HTTP status; None where the service answered with a code."""
    temporary: bool
    """Whether it may pass by itself later, as "no usable channel, or outside its hours" does."""

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        category: Category = Category.GATEWAY,
        description_zh: str = "",
        description_en: str = "",
        keyword: str | None = None,
        http_status: int | None = None,
        temporary: bool = False,
        safe_to_resend: bool = True,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.category = category
        self.description_zh = description_zh
        self.description_en = description_en
        self.keyword = keyword
        self.http_status = http_status
        self.temporary = temporary
        self.safe_to_resend = safe_to_resend


class CredentialsRejected(Rejected):
    """The account was refused: name, password, or the address it was used from (-3, -13)."""


class ContentRejected(Rejected):
    """The text was refused (-5, -6, -12, -20)."""


class BalanceRejected(Rejected):
    """The account's balance is too low (-7)."""


class ChannelRejected(Rejected):
    """The channel cannot be used, or not now (-8, -19)."""


class RecipientsRejected(Rejected):
    """The numbers were refused (-9, -10, -11, -14, -15, -16, -17)."""


class ConfigurationRejected(Rejected):
    """A setting stands in the way: at the vendor (-18, -21, -22) or the endpoint (HTTP, SOAP)."""


class GatewayRejected(Rejected):
    """The service failed (-1), was asked too often (-23), or gave a code not in the manual."""


class OutcomeUnknown(SendError):
    """The request may have reached the service, and no readable answer came back.

    Never send it again unasked: a person, or the vendor's delivery report, decides.
    """

    outcome = Outcome.UNKNOWN
    excerpt: str | None
    """The start of what came back, with password and numbers masked; None if nothing came."""
    http_status: int | None

    def __init__(
        self, message: str, *, excerpt: str | None = None, http_status: int | None = None
    ) -> None:
        super().__init__(message)
        self.excerpt = excerpt
        self.http_status = http_status


_BY_CATEGORY: dict[Category, type[Rejected]] = {
    Category.CREDENTIALS: CredentialsRejected,
    Category.CONTENT: ContentRejected,
    Category.BALANCE: BalanceRejected,
    Category.CHANNEL: ChannelRejected,
    Category.RECIPIENTS: RecipientsRejected,
    Category.CONFIGURATION: ConfigurationRejected,
    Category.GATEWAY: GatewayRejected,
}

_REMEDIES: dict[Category, str] = {
    Category.CREDENTIALS: "check the account with the vendor",
    Category.CONTENT: "change the text",
    Category.BALANCE: "top up the account",
    Category.CHANNEL: "check the channel number, or wait for its hours",
    Category.RECIPIENTS: "mend the recipients",
    Category.CONFIGURATION: "have the setting made at the vendor, or do without it",
    Category.GATEWAY: "ask the vendor before you send it again",
}


def rejected_by_code(code: int, keyword: str | None = None) -> Rejected:
    """Build the typed error for a negative result, documented or not."""
    known = DOCUMENTED.get(code)
    if known is None:
        return GatewayRejected(
            f"The gateway refused the submit with {code}, a code that is not in the vendor's"
            " manual: ask the vendor before you send it again.",
            code=code,
            description_zh="未知错误代码",
            description_en="a code that is not in the vendor's manual",
            safe_to_resend=False,
        )
    word = f" (banned word: {keyword!r})" if keyword else ""
    remedy = _REMEDIES[known.category]
    if known.temporary:
        remedy += "; it may pass by itself later"
    return _BY_CATEGORY[known.category](
        f"The gateway refused the submit with {code}{word} {known.description_zh}"
        f" ({known.description_en}): {remedy}.",
        code=code,
        category=known.category,
        description_zh=known.description_zh,
        description_en=known.description_en,
        keyword=keyword,
        temporary=known.temporary,
        safe_to_resend=known.safe_to_resend,
    )
